//! Where requests begin and end on a connection over HTTP/1.1.
//!
//! hyper does not tell when it has read the last byte of a request, which comes long after the answer
//! where that needs no body. Bytes are counted instead: what is body must not be taken for a request.

use super::framed::{Head, Look};

/// What is known of the request that was handed on last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// Its head has not been read by hyper.
    NotYet,
    /// It was, and its body has so many bytes.
    Length(u64),
    /// It was, and nobody here knows where its body ends.
    Unknown,
}

/// Follows what arrives on one connection.
#[derive(Debug)]
pub(super) struct Bounds {
    look: Look,
    has_begun: bool,
    /// How much came after the head.
    of_body: u64,
    /// Whether it was known of each request so far where it ends.
    is_sure: bool,
}

impl Bounds {
    /// Of a connection that is new.
    pub(super) fn new() -> Self {
        Self {
            look: Look::begin(),
            has_begun: false,
            of_body: 0,
            is_sure: true,
        }
    }

    /// Whether all of the last request has come, and nothing else.
    pub(super) fn is_over(&self, entered: Entered) -> bool {
        let is_whole = self.look.is_over() && entered == Entered::Length(self.of_body);
        self.is_sure && (!self.has_begun || is_whole)
    }

    /// Whether what comes is the body of a request that was handed on, or after it.
    pub(super) fn is_past_head(&self, entered: Entered) -> bool {
        let is_entered = matches!(entered, Entered::Length(_));
        self.is_sure && self.has_begun && self.look.is_over() && is_entered
    }

    /// How much of the body of a request that was handed on is still to come, if that is known.
    pub(super) fn rest_of_body(&self, entered: Entered) -> Option<u64> {
        match entered {
            Entered::Length(length) if self.is_past_head(entered) => {
                length.checked_sub(self.of_body).filter(|rest| *rest > 0)
            }
            _ => None,
        }
    }

    /// Whether a head has come in part.
    pub(super) fn is_within_head(&self) -> bool {
        !self.look.is_over()
    }

    /// Says whether what comes now begins a request. `is_idle`: nothing is being answered; `is_guess`:
    /// whether it would be one for all that is known where nobody counts.
    pub(super) fn begins(&mut self, entered: Entered, is_idle: bool, is_guess: bool) -> bool {
        self.is_sure &= match entered {
            Entered::NotYet => true,
            Entered::Length(length) => self.of_body <= length,
            Entered::Unknown => false,
        };
        let begins = match self.is_sure {
            true => is_idle && self.is_over(entered),
            false => is_idle && is_guess,
        };
        if begins {
            (self.look, self.of_body, self.has_begun) = (Look::begin(), 0, true);
        }
        begins
    }

    /// Takes what arrived; what stands in the head, when all of it has.
    pub(super) fn take(&mut self, received: &[u8], is_idle: bool) -> Option<Head> {
        let (head, rest) = match self.is_sure || is_idle {
            true => self.look.at(received),
            false => (None, received),
        };
        let of_body = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        self.of_body = self.of_body.saturating_add(of_body);
        head
    }

    /// Whether anything came after the head.
    pub(super) fn has_body_begun(&self) -> bool {
        self.of_body > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n";

    fn began(received: &[u8]) -> Bounds {
        let mut bounds = Bounds::new();
        assert!(bounds.begins(Entered::NotYet, true, false));
        bounds.take(received, true);
        bounds
    }

    #[test]
    fn a_request_ends_with_the_last_byte_of_its_body() {
        let mut bounds = began(&HEAD[..20]);
        assert!(!bounds.begins(Entered::NotYet, true, true));
        assert_eq!(bounds.take(&HEAD[20..], true), Some(Head::WithLength));
        let entered = Entered::Length(4);
        for _ in 0..2 {
            assert!(bounds.is_past_head(entered) && !bounds.is_over(entered));
            assert!(bounds.rest_of_body(entered).is_some());
            assert!(!bounds.begins(entered, true, true));
            bounds.take(b"ab", false);
        }
        assert!(bounds.is_over(entered) && bounds.rest_of_body(entered).is_none());
        assert!(!bounds.begins(entered, false, true));
        assert!(bounds.begins(entered, true, false));
        assert!(!bounds.is_over(Entered::NotYet));
    }

    #[test]
    fn a_connection_is_never_trusted_again_once_an_end_was_not_known() {
        let mut unknown = began(HEAD);
        assert!(!unknown.begins(Entered::Unknown, true, false));
        let mut early = began(&[HEAD, b"abcdGET"].concat());
        assert!(!early.begins(Entered::Length(4), true, false));
        for mut bounds in [unknown, early] {
            assert!(bounds.begins(Entered::Length(4), true, true));
            bounds.take(&[HEAD, b"abcd"].concat(), true);
            assert!(!bounds.is_over(Entered::Length(4)));
            assert!(!bounds.begins(Entered::Length(4), true, false));
        }
    }
}
