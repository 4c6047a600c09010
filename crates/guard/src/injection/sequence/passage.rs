//! What the networks read of a text: the words and marks around its worst window.

use super::super::words::Words;
use crate::linear::Wording;

/// A passage begins so many words before the worst window of the linear model, and has at most so many words.
pub(super) const WORDS_BEFORE: usize = 16;
pub(super) const MOST_WORDS: usize = 64;
/// So many marks between two words are read.
pub(super) const MOST_MARKS: usize = 3;
/// So many features of a word are read.
pub(super) const MOST_FEATURES: usize = 40;

/// The words and marks of a passage, each as its features.
#[derive(Debug, Clone, Default)]
pub struct Passage {
    features: Vec<u32>,
    /// Where the features of each word end.
    ends: Vec<usize>,
}

impl Passage {
    /// The passage around the worst window of a text, which begins at `begin`.
    pub(in super::super) fn around(wording: &Wording<'_>, begin: usize, words: &Words) -> Self {
        let (all, lower) = (wording.words(), wording.lower());
        let first = all.partition_point(|word| word.range().start < begin);
        let first = first.saturating_sub(WORDS_BEFORE);
        let last = (first + MOST_WORDS).min(all.len());
        let mut passage = Self::default();
        let mut end = match first {
            0 => 0,
            _ => all[first - 1].range().end,
        };
        for word in &all[first..last] {
            let range = word.range();
            passage.add_marks(&lower.as_bytes()[end..range.start]);
            passage.add_word(&lower.as_bytes()[range.clone()], word.hash, words);
            end = range.end;
        }
        let rest = all.get(last).map_or(lower.len(), |next| next.range().start);
        passage.add_marks(&lower.as_bytes()[end..rest]);
        passage
    }

    fn add_marks(&mut self, between: &[u8]) {
        let marks = between.iter().filter(|mark| **mark != b' ');
        for mark in marks.take(MOST_MARKS) {
            self.features.push(named(MARK, u32::from(*mark)));
            self.ends.push(self.features.len());
        }
    }

    /// A word is itself, its pieces of four bytes and the kinds that it is of; a number is as long as it is.
    fn add_word(&mut self, letters: &[u8], hash: u32, words: &Words) {
        let begin = self.features.len();
        if letters.iter().all(u8::is_ascii_digit) {
            self.features.push(named(NUMBER, letters.len() as u32));
        } else {
            self.features.push(named(WORD, hash));
            let kinds = words.kinds(hash);
            let kinds = (0..u32::BITS).filter(|kind| kinds & (1 << kind) != 0);
            self.features.extend(kinds.map(|kind| named(KIND, kind)));
            if letters.len() >= LEAST_PIECED {
                let piece = |piece: &[u8]| {
                    piece
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
                };
                let inner = letters.windows(4).map(|four| named(PIECE, piece(four)));
                let edges = [&letters[..3], &letters[letters.len() - 3..]];
                let edges = [named(HEAD, piece(edges[0])), named(TAIL, piece(edges[1]))];
                self.features.extend(edges.into_iter().chain(inner));
            }
            self.features.truncate(begin + MOST_FEATURES);
        }
        self.ends.push(self.features.len());
    }

    /// How many words and marks there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The features of each word.
    pub(super) fn words(&self) -> impl Iterator<Item = &[u32]> {
        let begins = [0].into_iter().chain(self.ends.iter().copied());
        begins
            .zip(&self.ends)
            .map(|(begin, end)| &self.features[begin..*end])
    }
}

/// Shorter words have no parts that say more than they do.
const LEAST_PIECED: usize = 5;

const WORD: u32 = 1;
const NUMBER: u32 = 2;
const KIND: u32 = 3;
const PIECE: u32 = 4;
const HEAD: u32 = 5;
const TAIL: u32 = 6;
const MARK: u32 = 7;

/// The hash of a feature.
fn named(kind: u32, name: u32) -> u32 {
    let mixed = (name ^ kind.wrapping_mul(0x9E37_79B1)).wrapping_mul(0x85EB_CA6B);
    mixed ^ (mixed >> 15)
}
