//! The refusal that costs least: before a request over HTTP/1.1 is parsed, let alone carried out.
//!
//! A server that has more to do than it can reads ahead of hyper. Who is refused gets the answer at
//! once, its body is read and forgotten, and its connection stays: a client that has to connect again
//! costs more than one that is told to wait. Whatever is not plainly such a request is passed on.

use std::fmt::Debug;

use memchr::{memchr, memmem};

/// Says who is refused.
pub trait Shedding: Debug + Send + Sync {
    /// Whether anybody may be refused now. Asked before each request.
    fn is_on(&self) -> bool;

    /// The whole response to a request with this head, which keeps the connection open; `None`: it is
    /// not refused.
    fn refusal(&self, head: &[u8]) -> Option<Vec<u8>>;
}

/// What was read ahead of hyper.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Bytes that are to be passed on, and how many of them were.
    bytes: Vec<u8>,
    passed: usize,
    /// Bytes of a refused request's body that are still to come.
    pub(super) rest_of_body: u64,
}

impl Ahead {
    /// Whether nothing is there.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.rest_of_body == 0
    }

    /// Keeps bytes that are to be passed on.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes at most so many of the bytes that are to be passed on.
    pub(super) fn take(&mut self, most: usize) -> &[u8] {
        let rest = self.bytes.len() - self.passed;
        let from = self.passed;
        self.passed += rest.min(most);
        &self.bytes[from..self.passed]
    }

    /// Frees what was passed on.
    pub(super) fn tidy(&mut self) {
        if self.passed == self.bytes.len() {
            self.bytes = Vec::new();
            self.passed = 0;
        }
    }

    pub(super) fn has_bytes(&self) -> bool {
        self.passed < self.bytes.len()
    }

    /// How many of so many bytes that were received belong to the body of a refused request; what is
    /// left begins another one.
    pub(super) fn of_body(&self, received: usize) -> usize {
        let of_body = usize::try_from(self.rest_of_body).unwrap_or(usize::MAX);
        of_body.min(received)
    }

    /// Forgets so many bytes of the body of a refused request. Says whether they were its last ones.
    pub(super) fn forget(&mut self, bytes: usize) -> bool {
        let before = self.rest_of_body;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.rest_of_body = before.saturating_sub(bytes);
        before > 0 && self.rest_of_body == 0
    }
}

/// The lines of a head, without their line feeds.
pub fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line)
    })
}

/// A longer body is worth closing the connection for, which is what hyper does.
const MOST_FORGOTTEN: u64 = 1 << 20;

/// A request that begins like this, if it can be refused here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub(super) head: &'a [u8],
    /// How much of it is still to come.
    pub(super) rest_of_body: u64,
}

/// Finds out where a request ends; `None` where two readers could disagree about that, or where more
/// than that matters.
pub(super) fn plain(received: &[u8]) -> Option<Plain<'_>> {
    let end = memmem::find(received, b"\r\n\r\n")?;
    let head = &received[..end + 2];
    let mut lines = lines(head);
    let first = lines.next()?.strip_suffix(b"\r")?;
    if !first.starts_with(b"POST /") || !first.ends_with(b" HTTP/1.1") {
        return None;
    }
    let mut length = None;
    for line in lines {
        let line = line.strip_suffix(b"\r")?;
        let colon = memchr(b':', line)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // Folded lines and names with a space before the colon are for hyper to refuse.
        if name.is_empty() || name.iter().any(|byte| !is_token(*byte)) {
            return None;
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("transfer-encoding") || is("expect") || is("connection") || is("upgrade") {
            let keeps = is("connection") && value.trim_ascii().eq_ignore_ascii_case(b"keep-alive");
            if !keeps {
                return None;
            }
        }
        if is("content-length") && length.replace(digits(value.trim_ascii())?).is_some() {
            return None;
        }
    }
    let whole = u64::try_from(end + 4).ok()? + length?.min(MOST_FORGOTTEN + 1);
    let is_long = length? > MOST_FORGOTTEN;
    // Another request that came with it would have to wait for this one's answer.
    let rest_of_body = whole.checked_sub(u64::try_from(received.len()).ok()?)?;
    (!is_long).then_some(Plain { head, rest_of_body })
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

fn digits(value: &[u8]) -> Option<u64> {
    let all_digits = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok()?;
    all_digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(lines: &str, body: &str) -> Vec<u8> {
        format!("POST /v1/messages HTTP/1.1\r\nhost: a\r\n{lines}\r\n{body}").into_bytes()
    }

    #[test]
    fn a_request_ends_where_its_length_says() {
        let rest = |bytes: &[u8]| plain(bytes).map(|plain| plain.rest_of_body);
        assert_eq!(rest(&post("Content-Length: 4\r\n", "{}")), Some(2));
        assert_eq!(rest(&post("content-length: 2\r\n", "{}")), Some(0));
        let kept = post("connection: Keep-Alive\r\ncontent-length: 0\r\n", "");
        assert_eq!(rest(&kept), Some(0));
        assert!(
            plain(&kept)
                .unwrap()
                .head
                .ends_with(b"content-length: 0\r\n")
        );
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_passed_on() {
        for lines in [
            "",
            "content-length: 2\r\ncontent-length: 2\r\n",
            "content-length: 2\r\ntransfer-encoding: chunked\r\n",
            "content-length: +2\r\n",
            "content-length: \r\n",
            "content-length: 99999999\r\n",
            "content-length : 2\r\n",
            "content-length: 2\r\n folded: 1\r\n",
            "content-length: 2\r\nexpect: 100-continue\r\n",
            "content-length: 2\r\nconnection: close\r\n",
            "content-length: 2\n\nx: y\r\n",
            "content-length: 2\r\n\nx: y\r\n",
            "content-length: 1\r\n",
        ] {
            assert_eq!(plain(&post(lines, "{}")), None, "{lines:?}");
        }
        assert_eq!(plain(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n"), None);
        assert_eq!(plain(b"GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(plain(b"POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n"), None);
    }

    #[test]
    fn bodies_are_forgotten_to_their_last_byte() {
        let mut ahead = Ahead {
            rest_of_body: 5,
            ..Ahead::default()
        };
        assert_eq!((ahead.of_body(3), ahead.forget(3)), (3, false));
        assert_eq!((ahead.of_body(6), ahead.forget(2)), (2, true));
        assert_eq!((ahead.of_body(4), ahead.forget(0)), (0, false));
        ahead.keep(b"NEXT");
        assert_eq!(ahead.take(3), b"NEX");
        ahead.tidy();
        assert!(ahead.has_bytes());
        assert_eq!(ahead.take(3), b"T");
        ahead.tidy();
        assert!(ahead.is_empty());
    }
}
