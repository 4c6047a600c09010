//! Bytes that no proper client would send, and whatever comes back.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};

use super::connect::Dial;
use super::{Base, Dialer, Head, HttpError};

/// The most that is kept of what comes back.
const MAX_RECEIVED_BYTES: usize = 256 * 1024;

/// What to send, and how long to wait for the rest.
#[derive(Debug, Clone)]
pub(crate) struct RawExchange {
    /// Sent first.
    pub(crate) head: Vec<u8>,
    /// Sent again and again after the head, until something comes back.
    pub(crate) then: Option<Repeat>,
    /// How long to wait for the first byte of an answer.
    pub(crate) limit: Duration,
    /// How long to wait for more after an answer has begun.
    pub(crate) linger: Duration,
}

/// Bytes that are sent over and over.
#[derive(Debug, Clone)]
pub(crate) struct Repeat {
    pub(crate) piece: Vec<u8>,
    pub(crate) times: usize,
    pub(crate) every: Duration,
    /// Sent after the last piece.
    pub(crate) end: Vec<u8>,
}

/// What came back on a raw connection.
#[derive(Debug, Clone)]
pub(crate) struct RawAnswer {
    /// Every answer that was seen, in order.
    pub(crate) answers: Vec<(Head, Vec<u8>)>,
    /// The server closed the connection.
    pub(crate) closed: bool,
    /// Pieces of [`Repeat`] that were sent.
    pub(crate) pieces_sent: usize,
    pub(crate) elapsed: Duration,
}

impl RawAnswer {
    pub(crate) fn status(&self) -> Option<u16> {
        self.answers.first().map(|(head, _)| head.status)
    }
}

/// Sends bytes and collects what comes back until the server closes or stays silent.
pub(crate) async fn send_raw(
    dialer: &Dialer,
    base: &Base,
    exchange: &RawExchange,
) -> Result<RawAnswer, HttpError> {
    let limit = exchange.limit;
    let connection = timeout(limit, dialer.dial(base, Dial::default()))
        .await
        .unwrap_or(Err(HttpError::Timeout(limit)))?;
    let started = Instant::now();
    let (mut reader, mut writer) = split(connection);
    let sent = AtomicUsize::new(0);
    let answered = AtomicBool::new(false);

    // A server that refuses early may reset the connection: a failed write is not an error here.
    let write = async {
        let mut alive = writer.write_all(&exchange.head).await.is_ok();
        if let Some(repeat) = &exchange.then {
            for _ in 0..repeat.times {
                if !alive || answered.load(Ordering::Relaxed) {
                    break;
                }
                if !repeat.every.is_zero() {
                    sleep(repeat.every).await;
                }
                alive = writer.write_all(&repeat.piece).await.is_ok();
                sent.fetch_add(1, Ordering::Relaxed);
            }
            if alive {
                alive = writer.write_all(&repeat.end).await.is_ok();
            }
        }
        if alive {
            drop(writer.flush().await);
        }
        std::future::pending::<Infallible>().await
    };
    let read = async {
        let mut received = Vec::new();
        let mut buffer = vec![0_u8; 16 * 1024];
        loop {
            let wait = if received.is_empty() {
                limit.saturating_sub(started.elapsed())
            } else {
                exchange.linger
            };
            match timeout(wait, reader.read(&mut buffer)).await {
                Err(_silent) => return (received, false),
                Ok(Ok(0) | Err(_)) => return (received, true),
                Ok(Ok(n)) => {
                    answered.store(true, Ordering::Relaxed);
                    received.extend_from_slice(&buffer[..n]);
                }
            }
            if received.len() > MAX_RECEIVED_BYTES {
                return (received, false);
            }
        }
    };
    let (received, closed) = tokio::select! {
        seen = read => seen,
        never = write => match never {},
    };
    Ok(RawAnswer {
        answers: parse_answers(&received),
        closed,
        pieces_sent: sent.load(Ordering::Relaxed),
        elapsed: started.elapsed(),
    })
}

/// Splits received bytes into answers; stops at the first that is not complete HTTP/1.
fn parse_answers(mut bytes: &[u8]) -> Vec<(Head, Vec<u8>)> {
    let mut answers = Vec::new();
    while let Some((head, rest)) = parse_head(bytes) {
        let (body, rest) = if matches!(head.status, 100..=199 | 204 | 304) {
            (Vec::new(), rest)
        } else if head
            .header("transfer-encoding")
            .is_some_and(|v| v.contains("chunked"))
        {
            take_chunks(rest)
        } else {
            let length = head
                .header("content-length")
                .and_then(|v| v.trim().parse().ok());
            let (body, rest) = rest.split_at(length.unwrap_or(rest.len()).min(rest.len()));
            (body.to_vec(), rest)
        };
        bytes = rest;
        if head.status >= 200 {
            answers.push((head, body));
        }
    }
    answers
}

fn parse_head(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = text.split("\r\n");
    let mut status_line = lines.next()?.split(' ');
    if !status_line.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = status_line.next()?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some((Head { status, headers }, &bytes[end + 4..]))
}

fn take_chunks(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]);
        let digits = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(digits, 16) else {
            break;
        };
        let rest = &bytes[end + 2..];
        if rest.len() < size.saturating_add(2) {
            body.extend_from_slice(&rest[..size.min(rest.len())]);
            return (body, &[]);
        }
        body.extend_from_slice(&rest[..size]);
        bytes = &rest[size + 2..];
        if size == 0 {
            break;
        }
    }
    (body, bytes)
}

#[cfg(test)]
mod tests {
    use super::parse_answers;

    #[test]
    fn counts_two_answers_on_one_connection() {
        let bytes = b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\n\
                      transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let answers = parse_answers(bytes);
        let seen: Vec<_> = answers
            .iter()
            .map(|(h, b)| (h.status, b.as_slice()))
            .collect();
        assert_eq!(seen, [(400, &b"no"[..]), (200, &b"abc"[..])]);
    }

    #[test]
    fn skips_interim_answers() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(parse_answers(bytes).len(), 1);
        assert_eq!(parse_answers(bytes)[0].0.status, 204);
    }

    #[test]
    fn survives_garbage_and_short_bodies() {
        assert!(parse_answers(b"\x16\x03\x01 not http").is_empty());
        let short = parse_answers(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc");
        assert_eq!(short[0].1, b"abc");
        let huge = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nab";
        assert_eq!(parse_answers(huge)[0].1, b"ab");
    }
}
