//! Requests that say in two ways where their body ends. Whoever passed one on may have believed the
//! other way, and what is body there would be a request here.
//!
//! hyper takes `transfer-encoding` and forgets `content-length`, so heads are looked at as they come.

use std::sync::atomic::{AtomicU8, Ordering};

use http::header::{EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Version};
use http_body::Body;

/// What stands in the head of the next request, as far as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Not from its beginning to its end.
    Unseen = 0,
    WithoutLength = 1,
    WithLength = 2,
}

const NAME: &[u8] = b"content-length:";

/// Looks at a head while it arrives, in whatever pieces.
#[derive(Debug)]
pub(super) struct Look {
    /// How the line begins that is arriving, and how long it is so far.
    line: [u8; NAME.len()],
    length: usize,
    /// Whether the request line is still to come.
    is_first: bool,
    found: Head,
    is_over: bool,
}

impl Look {
    /// At the head of a request that begins now.
    pub(super) fn begin() -> Self {
        Self {
            line: [0; NAME.len()],
            length: 0,
            is_first: true,
            found: Head::WithoutLength,
            is_over: false,
        }
    }

    /// Whether all of the head has arrived, so that what comes next is another one.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes what arrived; the head, when all of it has, and what came after it.
    pub(super) fn at<'a>(&mut self, received: &'a [u8]) -> (Option<Head>, &'a [u8]) {
        let mut rest = received;
        while !self.is_over {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.lengthen(rest);
                return (None, &[]);
            };
            let (line, after) = rest.split_at(end);
            if self.length == 0 {
                self.end_line(line);
            } else {
                self.lengthen(line);
                let begun = self.line;
                self.end_line(begun.get(..self.length).unwrap_or(&begun));
            }
            rest = after.get(1..).unwrap_or_default();
            if self.is_over {
                return (Some(self.found), rest);
            }
        }
        (None, rest)
    }

    fn lengthen(&mut self, piece: &[u8]) {
        let free = self.line.iter_mut().skip(self.length);
        for (place, byte) in free.zip(piece) {
            *place = *byte;
        }
        self.length += piece.len();
    }

    /// Takes a line, or at least so much of its beginning as its name may be long.
    fn end_line(&mut self, line: &[u8]) {
        let is_empty = matches!(line, [] | [b'\r']);
        if self.is_first {
            let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
            if !is_empty && !method.iter().all(u8::is_ascii_uppercase) {
                // The rest of a head whose beginning came together with another request.
                (self.found, self.is_over) = (Head::Unseen, true);
            }
            self.is_first = is_empty;
        } else if is_empty {
            self.is_over = true;
        } else if line
            .get(..NAME.len())
            .is_some_and(|begun| begun.eq_ignore_ascii_case(NAME))
        {
            self.found = Head::WithLength;
        }
        self.length = 0;
    }
}

/// The head of the next request, from the side that reads to the side that answers.
#[derive(Debug, Default)]
pub(super) struct NextHead(AtomicU8);

impl NextHead {
    pub(super) fn set(&self, head: Head) {
        self.0.store(head as u8, Ordering::Relaxed);
    }

    /// It is of one request only.
    pub(super) fn take(&self) -> Head {
        match self.0.swap(Head::Unseen as u8, Ordering::Relaxed) {
            1 => Head::WithoutLength,
            2 => Head::WithLength,
            _ => Head::Unseen,
        }
    }
}

/// Put into the extensions of a request that says in two ways where its body ends, or in one that is
/// not understood here. It has to be refused; its connection is closed after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndsTwice;

/// How sure it is where a body ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Sure,
    /// Nobody has seen whether there was another way: answered, and the connection closed.
    Unsure,
    Twice,
}

/// Where the body of a request ends, by its headers and what was seen of its head.
pub(super) fn end(version: Version, headers: &HeaderMap, head: Head) -> End {
    if version == Version::HTTP_2 {
        return End::Sure;
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => End::Sure,
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => match head {
            Head::WithoutLength => End::Sure,
            Head::Unseen => End::Unsure,
            Head::WithLength => End::Twice,
        },
        _ => End::Twice,
    }
}

/// Whether a client waits to be asked for the body before it sends it.
pub(super) fn waits(request: &Request<impl Body>) -> bool {
    let expects = request.headers().get(EXPECT);
    expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && request.version() == Version::HTTP_11
        && !request.body().is_end_stream()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_believed_when_all_of_it_was_seen_in_whatever_pieces() {
        for (received, expected) in [
            (
                "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
                Some(Head::WithoutLength),
            ),
            (
                "\r\nPOST / HTTP/1.1\nCONTENT-length: 1\n\nx",
                Some(Head::WithLength),
            ),
            (
                "POST / HTTP/1.1\r\na: content-length: 1\r\n\r\n",
                Some(Head::WithoutLength),
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\n\r\ncontent-length: 1\r\n",
                Some(Head::WithoutLength),
            ),
            ("POST / HTTP/1.1\r\nhost: a\r\n", None),
            ("transfer-encoding: chunked\r\n\r\n", Some(Head::Unseen)),
            ("", None),
        ] {
            for size in [1, 2, 24, 1000] {
                let mut look = Look::begin();
                let pieces = received.as_bytes().chunks(size);
                let found = pieces.filter_map(|piece| look.at(piece).0).next();
                assert_eq!(found, expected, "{received:?} by {size}");
            }
        }
        let next = NextHead::default();
        next.set(Head::WithLength);
        assert_eq!((next.take(), next.take()), (Head::WithLength, Head::Unseen));
    }
}
