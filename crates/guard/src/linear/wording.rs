//! A text cut into words, which all judges of a text share: each is hashed once.

use std::borrow::Cow;
use std::ops::Range;

/// Words longer than this are cut: nothing natural is.
pub(super) const MAX_WORD_BYTES: usize = 64;

/// One word.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(crate) hash: u32,
    /// Whether a sentence begins with it.
    pub(super) new_sentence: bool,
}

impl Word {
    /// Where it stands in the text in lower case.
    pub(crate) fn range(&self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

/// The words of a text.
#[derive(Debug)]
pub struct Wording<'t> {
    text: Cow<'t, str>,
    /// In lower case.
    pub(super) lower: String,
    pub(super) words: Vec<Word>,
}

impl<'t> Wording<'t> {
    /// Cuts a text, which should be normalised, into its words.
    pub fn of(text: impl Into<Cow<'t, str>>) -> Self {
        let text = text.into();
        let lower = match text.is_ascii() {
            true => text.to_ascii_lowercase(),
            false => text.to_lowercase(),
        };
        Self {
            words: cut(lower.as_bytes()),
            text,
            lower,
        }
    }

    /// The text as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn words(&self) -> &[Word] {
        &self.words
    }

    /// The text in lower case, in which the words stand.
    pub fn lower(&self) -> &str {
        &self.lower
    }
}

const IN_WORD: u8 = 1;
const ENDS_SENTENCE: u8 = 2;

/// What each byte is: part of a word, the end of a sentence, or neither.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'\'' | 0x80.. => IN_WORD,
            b'.' | b'!' | b'?' | b'\n' | b';' => ENDS_SENTENCE,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

fn cut(bytes: &[u8]) -> Vec<Word> {
    // A word and what parts it from the next take some five bytes.
    let mut words = Vec::with_capacity(bytes.len() / 5 + 8);
    let mut new_sentence = true;
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let mut hash = EMPTY;
        let mut length = 0;
        let mut kind = IN_WORD;
        for &byte in rest.iter().take(MAX_WORD_BYTES) {
            kind = KINDS[usize::from(byte)];
            if kind != IN_WORD {
                break;
            }
            hash = mix(hash, u32::from(byte));
            length += 1;
        }
        if length > 0 {
            words.push(word(at, at + length, hash, new_sentence));
            new_sentence = false;
        }
        at += length;
        if kind != IN_WORD {
            new_sentence |= kind == ENDS_SENTENCE;
            at += 1;
        }
    }
    words
}

/// Texts are cut to far less than 4 GiB before they are judged.
fn word(begin: usize, end: usize, hash: u32, new_sentence: bool) -> Word {
    Word {
        begin: begin as u32,
        end: end as u32,
        hash,
        new_sentence,
    }
}

pub(super) fn mix(hash: u32, next: u32) -> u32 {
    (hash ^ next).wrapping_mul(0x9E37_79B1).rotate_left(13)
}

/// The hash of a word (in lower case), as [`Wording`] has it.
pub(crate) fn word_hash(word: &str) -> u32 {
    word.bytes()
        .take(MAX_WORD_BYTES)
        .fold(EMPTY, |hash, byte| mix(hash, u32::from(byte)))
}

/// The hash of a word without letters.
const EMPTY: u32 = 0x811c_9dc5;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(&str, bool)> {
        let wording = Wording::of(text);
        let word = |word: &Word| {
            let range = word.range();
            assert_eq!(word.hash, word_hash(&wording.lower[range.clone()]));
            (&text[range], word.new_sentence)
        };
        wording.words.iter().map(word).collect()
    }

    #[test]
    fn words_and_beginnings_of_sentences_are_told() {
        assert_eq!(
            words("One two, d'or. x_y\n"),
            [
                ("One", true),
                ("two", false),
                ("d'or", false),
                ("x", true),
                ("y", false)
            ]
        );
        assert_eq!(words(""), []);
        assert_eq!(words(" .;").len(), 0);
    }

    #[test]
    fn an_endless_word_is_cut() {
        let text = "a".repeat(150);
        let lengths: Vec<usize> = words(&text).iter().map(|(word, _)| word.len()).collect();
        assert_eq!(lengths, [64, 64, 22]);
    }
}
