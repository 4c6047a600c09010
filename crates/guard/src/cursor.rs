//! A reader over bytes that knows when it looked past the text that has arrived.
//!
//! Every matcher reads through it. A matcher that never met the end gives the same answer whatever
//! follows, so the answer is final; one that did is asked again when more text is there. That is the
//! whole reason why streamed and unary results agree.

/// The most bytes before a match that any matcher may take into account.
pub const LOOKBEHIND_BYTES: usize = 96;

/// A position in a text of which perhaps only the first part has arrived.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a [u8],
    position: usize,
    complete: bool,
    starved: bool,
}

impl<'a> Cursor<'a> {
    /// A reader at `position`; `complete` says that no more text will follow.
    pub fn new(text: &'a [u8], position: usize, complete: bool) -> Self {
        Self {
            text,
            position: position.min(text.len()),
            complete,
            starved: false,
        }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether a decision so far depended on text that has not arrived.
    pub fn starved(&self) -> bool {
        self.starved
    }

    /// The next byte, not consumed.
    pub fn peek(&mut self) -> Option<u8> {
        self.peek_at(0)
    }

    /// The byte `ahead` places further, not consumed.
    pub fn peek_at(&mut self, ahead: usize) -> Option<u8> {
        let byte = self.text.get(self.position.saturating_add(ahead)).copied();
        self.starved |= byte.is_none() && !self.complete;
        byte
    }

    /// Moves on by `count` bytes that have been peeked at.
    pub fn advance(&mut self, count: usize) {
        self.position = (self.position + count).min(self.text.len());
    }

    /// Goes back to `position`; what it met on the way stays remembered.
    pub fn rewind(&mut self, position: usize) {
        self.position = position.min(self.position);
    }

    /// Consumes one byte if it satisfies `wanted`.
    pub fn eat_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let hit = self.peek().is_some_and(wanted);
        self.position += usize::from(hit);
        hit
    }

    /// Consumes one byte if it is `byte`.
    pub fn eat(&mut self, byte: u8) -> bool {
        self.eat_if(|found| found == byte)
    }

    /// Consumes `literal` if it comes next.
    pub fn eat_literal(&mut self, literal: &[u8]) -> bool {
        self.eat_bytes(literal, |a, b| a == b)
    }

    /// Consumes `literal` if it comes next in any ASCII case.
    pub fn eat_ignoring_case(&mut self, literal: &[u8]) -> bool {
        self.eat_bytes(literal, |a, b| a.eq_ignore_ascii_case(&b))
    }

    fn eat_bytes(&mut self, literal: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
        for (ahead, &wanted) in literal.iter().enumerate() {
            match self.peek_at(ahead) {
                Some(found) if same(found, wanted) => {}
                _ => return false,
            }
        }
        self.position += literal.len();
        true
    }

    /// Consumes at most `limit` bytes that satisfy `wanted` and says how many.
    pub fn eat_while(&mut self, limit: usize, wanted: impl Fn(u8) -> bool) -> usize {
        let begin = self.position;
        while self.position - begin < limit && self.eat_if(&wanted) {}
        self.position - begin
    }

    /// The next bytes, if so many have arrived.
    pub fn ahead<const COUNT: usize>(&self) -> Option<&'a [u8; COUNT]> {
        self.rest().first_chunk()
    }

    /// What has arrived from here on; who reads to its end must ask for what follows.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// The bytes from `begin` to here.
    pub fn since(&self, begin: usize) -> &'a [u8] {
        self.text.get(begin..self.position).unwrap_or_default()
    }

    /// The byte before `position`.
    pub fn byte_before(&self, position: usize) -> Option<u8> {
        position
            .checked_sub(1)
            .and_then(|at| self.text.get(at).copied())
    }

    /// The text just before `position`, at most [`LOOKBEHIND_BYTES`] long.
    pub fn behind(&self, position: usize) -> &'a [u8] {
        let begin = position.saturating_sub(LOOKBEHIND_BYTES);
        self.text.get(begin..position).unwrap_or_default()
    }

    /// Whether a token may begin at `position`: no letter, digit or `_` stands before it.
    ///
    /// The `n` of an escaped line feed (`\n` in a JSON string) and the digits of a percent escape do
    /// not count as letters of a word.
    pub fn starts_token(&self, position: usize) -> bool {
        match self.byte_before(position) {
            Some(byte) if is_word(byte) => escape_ends_at(self.behind(position)),
            _ => true,
        }
    }

    /// Whether the byte before `position` is no letter, digit or `_`; cheaper than
    /// [`Cursor::starts_token`] and good enough for numbers.
    pub fn after_word(&self, position: usize) -> bool {
        self.byte_before(position).is_some_and(is_word)
    }
}

/// Whether `before` ends in an escape sequence: `\n`, `\u0020`, `%20`.
fn escape_ends_at(before: &[u8]) -> bool {
    match before {
        [.., b'\\', b'n' | b't' | b'r' | b'b' | b'f'] => true,
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

/// A letter, a digit or `_`; bytes of non-ASCII characters are not.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `text` holds `word` (lower case) in any ASCII case.
pub fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    !word.is_empty()
        && text
            .windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
}

/// Whether `text` holds an ASCII letter.
pub(crate) fn has_letter(text: &[u8]) -> bool {
    // Without a way out of the loop, many bytes are looked at in one step.
    text.iter()
        .fold(false, |any, byte| any | byte.is_ascii_alphabetic())
}

/// Whether `text` holds one of `words` (lower case, each beginning with an ASCII letter) as a word of its own,
/// in any ASCII case.
pub fn contains_word(text: &[u8], words: &[&str]) -> bool {
    // Tables of numbers are asked about at each of them.
    if !has_letter(text) {
        return false;
    }
    // In any case, the last five bits of a letter are its place in the alphabet.
    let initial = |byte: u8| 1_u32 << (byte & 31);
    let initials = words.iter().filter_map(|word| word.bytes().next());
    let initials = initials.fold(0, |all, byte| all | initial(byte));
    let is_inner = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let may_begin =
        |at: &usize| text[*at].is_ascii_alphabetic() && initials & initial(text[*at]) != 0;
    let begins = (0..text.len()).filter(may_begin);
    let begins = begins.filter(|at| !at.checked_sub(1).is_some_and(is_inner));
    let mut rests = begins.map(|at| (at, &text[at..]));
    rests.any(|(at, rest)| {
        let first = rest.first().map(u8::to_ascii_lowercase);
        words.iter().any(|word| {
            let word = word.as_bytes();
            let head = rest.get(..word.len());
            first.as_ref() == word.first()
                && head.is_some_and(|head| head.eq_ignore_ascii_case(word))
                && !is_inner(at + word.len())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_past_the_end_of_an_unfinished_text_is_remembered() {
        let mut cursor = Cursor::new(b"ab", 0, false);
        assert_eq!(cursor.eat_while(9, |byte| byte.is_ascii_lowercase()), 2);
        assert!(cursor.starved());
    }

    #[test]
    fn the_end_of_a_complete_text_is_an_answer() {
        let mut cursor = Cursor::new(b"ab", 0, true);
        assert_eq!(cursor.eat_while(9, |byte| byte.is_ascii_lowercase()), 2);
        assert!(!cursor.starved());
    }

    #[test]
    fn words_are_found_as_wholes_in_any_case() {
        let words = ["tel", "number is"];
        for text in ["Tel", "my TEL: 1", "the Number is", "x.tel."] {
            assert!(contains_word(text.as_bytes(), &words), "{text}");
        }
        for text in ["", "hotel", "tell", "tel1", "number isn"] {
            assert!(!contains_word(text.as_bytes(), &words), "{text}");
        }
    }

    #[test]
    fn a_mismatch_before_the_end_is_final() {
        let mut cursor = Cursor::new(b"abX", 0, false);
        assert!(!cursor.eat_literal(b"abcdef"));
        assert!(!cursor.starved());
    }

    #[test]
    fn an_escaped_line_feed_does_not_join_the_token_after_it() {
        let text = br"x\nKEY aKEY %0AKEY";
        let cursor = Cursor::new(text, 0, true);
        assert!(cursor.starts_token(3));
        assert!(!cursor.starts_token(8));
        assert!(cursor.starts_token(15));
    }
}
