//! Identifiers that follow a request: request ID and W3C trace context.

use std::fmt;

const MAX_REQUEST_ID_CHARS: usize = 128;

/// The ID of one request, ours or the caller's. It is echoed in `x-request-id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(String);

impl RequestId {
    /// A new ID that sorts by time (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        let mut buffer = [0_u8; uuid::fmt::Hyphenated::LENGTH];
        Self(
            uuid::Uuid::now_v7()
                .hyphenated()
                .encode_lower(&mut buffer)
                .to_owned(),
        )
    }

    /// The caller's own ID, when it is safe to repeat in headers and logs:
    /// 1 to 128 letters, digits, `-`, `_`, `.` or `:`.
    #[must_use]
    pub fn accept(presented: &[u8]) -> Option<Self> {
        let fits = (1..=MAX_REQUEST_ID_CHARS).contains(&presented.len());
        let clean = presented
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
        if !(fits && clean) {
            return None;
        }
        std::str::from_utf8(presented)
            .ok()
            .map(|text| Self(text.to_owned()))
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A position in a distributed trace (W3C Trace Context, level 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

/// Length of a version 00 `traceparent` header.
pub const TRACEPARENT_LENGTH: usize = 55;

impl TraceContext {
    /// The root of a new trace, sampled.
    #[must_use]
    pub fn root() -> Self {
        Self {
            trace_id: rand::random(),
            span_id: rand::random(),
            flags: 1,
        }
    }

    /// Continues the trace of a `traceparent` header, or starts a new one when there is none or it
    /// is invalid, as the specification asks.
    #[must_use]
    pub fn continue_from(header: Option<&[u8]>) -> Self {
        match header.and_then(Self::parse) {
            Some(parent) => parent.child(),
            None => Self::root(),
        }
    }

    /// Whether a `traceparent` header is one that is continued.
    #[must_use]
    pub fn is_continued(header: &[u8]) -> bool {
        Self::parse(header).is_some()
    }

    /// The same trace with a new span.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: rand::random(),
            ..self
        }
    }

    fn parse(header: &[u8]) -> Option<Self> {
        let later_version = header.len() > TRACEPARENT_LENGTH
            && header.get(TRACEPARENT_LENGTH) == Some(&b'-')
            && !header.starts_with(b"00");
        if header.len() != TRACEPARENT_LENGTH && !later_version {
            return None;
        }
        if header.starts_with(b"ff")
            || header[2] != b'-'
            || header[35] != b'-'
            || header[52] != b'-'
        {
            return None;
        }
        let mut version = [0; 1];
        let (mut trace_id, mut span_id, mut flags) = ([0; 16], [0; 8], [0; 1]);
        decode_hex(&header[..2], &mut version)?;
        decode_hex(&header[3..35], &mut trace_id)?;
        decode_hex(&header[36..52], &mut span_id)?;
        decode_hex(&header[53..55], &mut flags)?;
        let valid = trace_id != [0; 16] && span_id != [0; 8];
        valid.then_some(Self {
            trace_id,
            span_id,
            flags: flags[0],
        })
    }

    /// The value of a `traceparent` header.
    #[must_use]
    pub fn traceparent(&self) -> [u8; TRACEPARENT_LENGTH] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        encode_hex(&self.trace_id, &mut out[3..35]);
        encode_hex(&self.span_id, &mut out[36..52]);
        encode_hex(&[self.flags], &mut out[53..55]);
        out
    }

    /// The trace ID in lower-case hex.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 32] {
        let mut out = [b'0'; 32];
        encode_hex(&self.trace_id, &mut out);
        out
    }
}

fn decode_hex(text: &[u8], out: &mut [u8]) -> Option<()> {
    for (byte, pair) in out.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(())
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_traceparent_is_continued_with_a_new_span() {
        let context = TraceContext::continue_from(Some(PARENT));
        assert_eq!(&context.trace_id(), b"0af7651916cd43dd8448eb211c80319c");
        let header = context.traceparent();
        assert_eq!(&header[..36], &PARENT[..36]);
        assert_ne!(&header[36..52], &PARENT[36..52]);
        assert_eq!(&header[52..], b"-01");
    }

    #[test]
    fn an_invalid_traceparent_starts_a_new_trace() {
        let bad: [&[u8]; 7] = [
            b"",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
        ];
        for header in bad {
            let context = TraceContext::continue_from(Some(header));
            assert_ne!(&context.trace_id(), b"0af7651916cd43dd8448eb211c80319c");
        }
        let future = b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra";
        let context = TraceContext::continue_from(Some(future));
        assert_eq!(&context.trace_id(), b"0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn request_ids_that_could_break_a_header_or_a_log_are_not_accepted() {
        assert_eq!(
            RequestId::accept(b"req-1.a:b_C").unwrap().as_str(),
            "req-1.a:b_C"
        );
        for bad in [&b""[..], b"a b", b"a\nb", b"\xff", b"\"", &[b'a'; 129]] {
            assert_eq!(RequestId::accept(bad), None);
        }
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
