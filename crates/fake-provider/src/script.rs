//! An answer as timed steps, with the faults in place: what [`crate::playback`] performs.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::directive::Directives;

/// One thing to do with the body of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send bytes in a write of their own; `tokens` of output are issued with them.
    Send { bytes: Bytes, tokens: u64 },
    /// Send nothing for a while.
    Wait(Duration),
    /// Keep the connection open and send nothing more.
    Hang,
    /// Break the connection: with a TCP reset, or with an orderly end.
    Break { reset: bool },
}

/// What an event of a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Begins the message or a block of it.
    Opening,
    /// Carries output.
    Delta,
    /// Ends a block, gives the finish reason or usage.
    Closing,
    /// Usage that is late on purpose: follows a pause.
    Late,
    /// Ends the stream.
    End,
}

/// One event of a stream, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) role: Role,
    pub(crate) bytes: Bytes,
    pub(crate) tokens: u64,
}

/// How a dialect writes what breaks its own streams.
pub(crate) struct Breakage {
    /// An event that reports an error.
    pub(crate) error: Bytes,
    /// An event whose JSON ends too early.
    pub(crate) bad_json: Bytes,
    /// The bytes after which the text of a delta begins.
    pub(crate) text_starts: &'static [u8],
}

const DEFAULT_DRIP: Duration = Duration::from_millis(20);
const LATE_USAGE: Duration = Duration::from_millis(100);
const UNARY_PIECE: usize = 64 << 10;
const GARBAGE_BYTES: usize = 512;

/// A stream as steps.
pub(crate) fn streamed(
    events: Vec<Event>,
    breakage: &Breakage,
    directives: &Directives,
) -> Vec<Step> {
    if directives.garbage {
        return finish(vec![send(garbage(), 0)], directives);
    }
    let pause = Duration::from_millis(directives.chunk_delay_ms.unwrap_or(0));
    let mut steps = Vec::with_capacity(events.len() + 2);
    let (mut issued, mut spoiled) = (0, false);
    for event in events {
        if event.role == Role::Delta && directives.stall_after_tokens.is_some_and(|n| issued >= n) {
            steps.push(Step::Hang);
            break;
        }
        if event.role == Role::Delta && directives.error_after_tokens.is_some_and(|n| issued >= n) {
            steps.push(send(breakage.error.clone(), 0));
            break;
        }
        if event.role == Role::End && directives.missing_terminator {
            continue;
        }
        match event.role {
            Role::Delta if !pause.is_zero() => steps.push(Step::Wait(pause)),
            Role::Late => steps.push(Step::Wait(LATE_USAGE)),
            _ => {}
        }
        let mut bytes = event.bytes;
        let mut spoiler = None;
        if event.role == Role::Delta && event.tokens > 0 && !spoiled {
            spoiled = true;
            if directives.bad_utf8 {
                bytes = with_bad_utf8(&bytes, breakage.text_starts);
            }
            spoiler = directives.bad_json.then(|| breakage.bad_json.clone());
        }
        issued += event.tokens;
        steps.push(send(bytes.clone(), event.tokens));
        if directives.duplicate_events {
            steps.push(send(bytes, 0));
        }
        steps.extend(spoiler.map(|bytes| send(bytes, 0)));
    }
    finish(steps, directives)
}

/// A whole body as steps.
pub(crate) fn unary(
    body: Bytes,
    tokens: u64,
    text_starts: &'static [u8],
    directives: &Directives,
) -> Vec<Step> {
    let mut body = body;
    if directives.garbage {
        body = garbage();
    } else if directives.bad_json {
        body = body.slice(..body.len() / 2);
    } else if directives.bad_utf8 {
        body = with_bad_utf8(&body, text_starts);
    }
    let stall = directives.stall_after_tokens.is_some();
    if stall {
        body = body.slice(..body.len() / 2);
    }
    let mut steps = in_pieces(&body, tokens, UNARY_PIECE);
    if stall {
        steps.push(Step::Hang);
    }
    finish(steps, directives)
}

/// The length that a unary body announces: what would be sent if nothing broke the connection.
pub(crate) fn announced_length(body: &Bytes, directives: &Directives) -> usize {
    if directives.garbage {
        GARBAGE_BYTES
    } else if directives.bad_json {
        body.len() / 2
    } else {
        body.len() + usize::from(directives.bad_utf8)
    }
}

/// The faults of the transport, which do not care what the bytes mean.
fn finish(mut steps: Vec<Step>, directives: &Directives) -> Vec<Step> {
    if let Some(size) = directives.drip_bytes {
        let pause = directives
            .chunk_delay_ms
            .map_or(DEFAULT_DRIP, Duration::from_millis);
        steps = steps
            .into_iter()
            .flat_map(|step| drip(step, size, pause))
            .collect();
    }
    if let Some(limit) = directives.cut_after_bytes {
        cut(&mut steps, limit);
        steps.push(Step::Break {
            reset: !directives.close_gently,
        });
    }
    steps
}

fn send(bytes: Bytes, tokens: u64) -> Step {
    Step::Send { bytes, tokens }
}

fn in_pieces(body: &Bytes, tokens: u64, size: usize) -> Vec<Step> {
    let starts = (0..body.len()).step_by(size);
    let piece = |start: usize| body.slice(start..(start + size).min(body.len()));
    // The tokens go with the first piece: a provider bills an answer that it began to send whole.
    starts
        .map(|start| send(piece(start), if start == 0 { tokens } else { 0 }))
        .collect()
}

fn drip(step: Step, size: usize, pause: Duration) -> Vec<Step> {
    match step {
        Step::Send { bytes, tokens } => in_pieces(&bytes, tokens, size)
            .into_iter()
            .flat_map(|piece| [Step::Wait(pause), piece])
            .collect(),
        other => vec![other],
    }
}

/// Keeps the steps up to `limit` bytes of body.
fn cut(steps: &mut Vec<Step>, limit: usize) {
    let mut left = limit;
    for at in 0..steps.len() {
        if let Step::Send { bytes, .. } = &mut steps[at] {
            if bytes.len() >= left {
                bytes.truncate(left);
                steps.truncate(at + 1);
                return;
            }
            left -= bytes.len();
        }
    }
}

fn with_bad_utf8(bytes: &Bytes, text_starts: &[u8]) -> Bytes {
    let at = memmem::find(bytes, text_starts).map_or(0, |found| found + text_starts.len());
    let mut spoiled = BytesMut::with_capacity(bytes.len() + 1);
    spoiled.extend_from_slice(&bytes[..at]);
    spoiled.extend_from_slice(&[0xff]);
    spoiled.extend_from_slice(&bytes[at..]);
    spoiled.freeze()
}

/// Bytes that are neither UTF-8, JSON nor events; always the same.
fn garbage() -> Bytes {
    let noise = (0..GARBAGE_BYTES).map(|at| u8::try_from((at * 151 + 0x9b) % 256).unwrap_or(0));
    noise.collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let event = |role, text: &'static str, tokens| Event {
            role,
            bytes: text.into(),
            tokens,
        };
        vec![
            event(Role::Opening, "open;", 0),
            event(Role::Delta, "one;", 1),
            event(Role::Delta, "two;", 1),
            event(Role::Closing, "close;", 0),
            event(Role::End, "end;", 0),
        ]
    }

    fn play(directives: &str) -> String {
        let breakage = Breakage {
            error: "error;".into(),
            bad_json: "{;".into(),
            text_starts: b"o",
        };
        let steps = streamed(events(), &breakage, &directives.parse().unwrap());
        let write = |step: &Step| match step {
            Step::Send { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Step::Wait(time) => format!("<{}>", time.as_millis()),
            Step::Hang => "<hang>".into(),
            Step::Break { reset } => if *reset { "<reset>" } else { "<close>" }.into(),
        };
        steps.iter().map(write).collect()
    }

    #[test]
    fn each_fault_changes_the_stream_where_it_says() {
        assert_eq!(play(""), "open;one;two;close;end;");
        assert_eq!(play("stall_after_tokens=1"), "open;one;<hang>");
        assert_eq!(play("error_after_tokens=0"), "open;error;");
        assert_eq!(play("missing_terminator"), "open;one;two;close;");
        assert_eq!(
            play("duplicate_events"),
            "open;open;one;one;two;two;close;close;end;end;"
        );
        assert_eq!(play("bad_json"), "open;one;{;two;close;end;");
        assert_eq!(play("bad_utf8"), "open;o\u{fffd}ne;two;close;end;");
        assert_eq!(play("chunk_delay_ms=5"), "open;<5>one;<5>two;close;end;");
        assert_eq!(play("cut_after_bytes=7"), "open;on<reset>");
        assert_eq!(play("cut_after_bytes=0,cut=close"), "<close>");
        assert_eq!(
            play("cut_after_bytes=900"),
            "open;one;two;close;end;<reset>"
        );
        assert!(play("drip_bytes=3").starts_with("<20>ope<20>n;<20>one"));
        assert!(!play("garbage").contains("open"));
    }

    #[test]
    fn a_whole_body_announces_the_length_it_has_before_a_cut() {
        let body = Bytes::from_static(b"{\"content\":\"hello\"}");
        for (directives, sent) in [
            ("", 19),
            ("bad_json", 9),
            ("bad_utf8", 20),
            ("garbage", 512),
        ] {
            let directives: Directives = directives.parse().unwrap();
            let steps = unary(body.clone(), 1, b"\"content\":\"", &directives);
            let Step::Send { bytes, .. } = &steps[0] else {
                panic!("{steps:?}")
            };
            assert_eq!(
                (bytes.len(), announced_length(&body, &directives)),
                (sent, sent)
            );
        }
        let stalled: Directives = "stall_after_tokens=1".parse().unwrap();
        let steps = unary(body.clone(), 1, b"", &stalled);
        assert_eq!(
            (steps.last(), announced_length(&body, &stalled)),
            (Some(&Step::Hang), 19)
        );
    }
}
