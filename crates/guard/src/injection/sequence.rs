//! Small networks that read the words of a passage in their order, after the linear model, which counts them.
//!
//! Each word is the sum of what its letters and its kinds stand for; filters slide over five words at a time, of
//! each filter the place counts that it fits best, and their sum is the answer of one network. The mean of three is
//! better than each, for they began with other numbers, take other features for the same, and learned from some texts
//! more than others did.

pub mod train;

use super::words::Words;
use crate::linear::{Score, Wording};

/// How many numbers stand for a word.
const WIDTH: usize = 16;
/// How many words a filter sees at a time.
const SPAN: usize = 5;
/// Before the first word and behind the last stands nothing, so many times, for the filters to begin and end in.
const MARGIN: usize = SPAN / 2;
const FILTERS: usize = 32;
/// A filter has a weight for each number that it sees.
const SEEN: usize = SPAN * WIDTH;
/// `2^BITS` features of words are told from each other.
const BITS: u32 = 14;
const ROWS: usize = 1 << BITS;

/// A passage begins so many words before the worst window of the linear model, and has at most so many words.
const WORDS_BEFORE: usize = 20;
const MOST_WORDS: usize = 80;
/// So many marks between two words are read.
const MOST_MARKS: usize = 3;
/// So many features of a word are read.
const MOST_FEATURES: usize = 40;

/// What the networks say counts less than what the linear model says, and is bounded, so that it can change the
/// log-odds of a text by [`LARGEST_CHANGE`] at most.
const SHARE: f32 = 0.7;
const LARGEST: f32 = 5.0;
pub(super) const LARGEST_CHANGE: f32 = SHARE * LARGEST;

/// The words and marks of a passage, each as its features.
#[derive(Debug, Clone, Default)]
pub struct Passage {
    features: Vec<u32>,
    /// Where the features of each word end.
    ends: Vec<usize>,
}

impl Passage {
    /// The passage around the worst window of a text, which begins at `begin`.
    pub(super) fn around(wording: &Wording<'_>, begin: usize, words: &Words) -> Self {
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

    /// The features of each word.
    fn words(&self) -> impl Iterator<Item = &[u32]> {
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

/// Where the numbers of a feature begin in a network.
fn place(feature: u32, network: u32) -> usize {
    let mixed = (feature ^ network.wrapping_mul(0x9E37_79B1)).wrapping_mul(0xC2B2_AE35);
    let row = (mixed ^ (mixed >> 13)).wrapping_mul(0x27D4_EB2F) >> (32 - BITS);
    row as usize * WIDTH
}

/// The filters and what each of them adds.
#[derive(Debug, Clone)]
struct Filters {
    /// For each number that a filter sees, the weight of each filter.
    weights: Vec<f32>,
    starts: Vec<f32>,
    worth: Vec<f32>,
    bias: f32,
}

/// What the filters made of a passage.
#[derive(Debug, Default)]
struct Fit {
    /// How well each filter fits where it fits best, and where that is.
    best: Vec<(f32, usize)>,
    logit: f32,
}

impl Filters {
    /// Slides over `numbers`, those of the words with a margin at both ends.
    fn slide(&self, numbers: &[f32]) -> Fit {
        let mut best = vec![(0.0_f32, usize::MAX); FILTERS];
        for (place, seen) in numbers.windows(SEEN).step_by(WIDTH).enumerate() {
            let mut sums = [0.0_f32; FILTERS];
            sums.copy_from_slice(&self.starts);
            for (number, weights) in seen.iter().zip(self.weights.chunks_exact(FILTERS)) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += number * weight;
                }
            }
            for (best, sum) in best.iter_mut().zip(sums) {
                if sum > best.0 {
                    *best = (sum, place);
                }
            }
        }
        let worth = best.iter().zip(&self.worth);
        let logit = worth.fold(self.bias, |sum, ((fit, _), worth)| sum + fit * worth);
        Fit { best, logit }
    }
}

/// Why the networks were refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected {NETWORKS} networks of {SIZE} bytes each, found {0} bytes; train the model again"
)]
pub struct SequenceError(usize);

/// One trained network.
#[derive(Debug, Clone)]
struct Network {
    /// Which one: features lie elsewhere in each.
    number: u32,
    /// What each feature stands for, [`WIDTH`] numbers of eight bits each.
    meanings: Vec<i8>,
    /// What a number of 1 is worth.
    scale: f32,
    filters: Filters,
}

impl Network {
    fn from_bytes(number: u32, bytes: &[u8]) -> Option<Self> {
        let (meanings, rest) = bytes.split_at_checked(ROWS * WIDTH)?;
        let (numbers, _) = rest.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|four| f32::from_le_bytes(*four));
        let mut take = |count: usize| numbers.by_ref().take(count).collect::<Vec<f32>>();
        let (weights, starts, worth) = (take(SEEN * FILTERS), take(FILTERS), take(FILTERS));
        let [bias, scale] = take(2)[..] else {
            return None;
        };
        Some(Self {
            number,
            meanings: meanings.iter().map(|byte| byte.cast_signed()).collect(),
            scale,
            filters: Filters {
                weights,
                starts,
                worth,
                bias,
            },
        })
    }

    /// The meanings, then the filters.
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let meanings = self.meanings.iter().map(|number| number.cast_unsigned());
        let filters = &self.filters;
        let numbers = [&filters.weights, &filters.starts, &filters.worth];
        let numbers = numbers.into_iter().flatten();
        let numbers = numbers.chain([&filters.bias, &self.scale]);
        meanings.chain(numbers.flat_map(|number| number.to_le_bytes()))
    }

    fn answer(&self, passage: &Passage) -> f32 {
        let mut numbers = vec![0.0; (passage.ends.len() + 2 * MARGIN) * WIDTH];
        let rows = numbers.chunks_exact_mut(WIDTH).skip(MARGIN);
        for (row, features) in rows.zip(passage.words()) {
            for feature in features {
                let meaning = &self.meanings[place(*feature, self.number)..][..WIDTH];
                for (number, part) in row.iter_mut().zip(meaning) {
                    *number += f32::from(*part);
                }
            }
            let each = self.scale / (features.len() as f32).sqrt();
            row.iter_mut().for_each(|number| *number *= each);
        }
        self.filters.slide(&numbers).logit
    }
}

/// The trained networks.
#[derive(Debug, Clone)]
pub struct Sequence(Vec<Network>);

impl Sequence {
    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SequenceError> {
        if bytes.len() != SIZE * NETWORKS as usize {
            return Err(SequenceError(bytes.len()));
        }
        let networks = (0..NETWORKS).zip(bytes.chunks_exact(SIZE));
        let networks = networks.filter_map(|(number, bytes)| Network::from_bytes(number, bytes));
        Ok(Self(networks.collect()))
    }

    /// The networks as they lie in a data file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(Network::bytes).collect()
    }

    /// The log-odds of a text of which the linear model has this score, and whose passage this is.
    pub fn logit(&self, score: Score, passage: &Passage) -> f32 {
        let answers = self.0.iter().map(|network| network.answer(passage));
        let mean = answers.sum::<f32>() / NETWORKS as f32;
        score.logit + SHARE * mean.clamp(-LARGEST, LARGEST)
    }
}

/// How many networks there are.
pub const NETWORKS: u32 = 3;

/// The bytes of a network in a data file.
const SIZE: usize = ROWS * WIDTH + 4 * (SEEN * FILTERS + 2 * FILTERS + 2);

#[cfg(test)]
mod tests {
    use super::train::{Example, Plan, train};
    use super::*;

    const NONE: Score = Score {
        logit: 0.0,
        begin: 0,
    };

    fn passage(text: &str) -> Passage {
        Passage::around(&Wording::of(text), 0, &Words::built_in().unwrap())
    }

    fn trained() -> Sequence {
        let lessons = [
            ("the dog bites the man", true),
            ("the man bites the dog", false),
            ("a dog bites a man again", true),
            ("a man bites a dog again", false),
        ];
        let examples = lessons.map(|(text, label)| Example {
            passage: passage(text),
            label,
            weights: [1.0; NETWORKS as usize],
        });
        train(
            &examples,
            &Plan {
                passes: 60,
                seed: 1,
            },
        )
    }

    #[test]
    fn the_order_of_words_is_learned() {
        let network = trained();
        let logit = |text| network.logit(NONE, &passage(text));
        let (dog, man) = (logit("the dog bites a man"), logit("the man bites a dog"));
        assert!(dog > 0.5 && man < -0.5, "{dog} {man}");
    }

    #[test]
    fn no_answer_changes_more_than_it_may() {
        let network = trained();
        let long = "the dog bites the man, ".repeat(60);
        let logit = network.logit(NONE, &passage(&long));
        assert!(logit.abs() <= LARGEST_CHANGE, "{logit}");
        assert!(network.logit(NONE, &passage("")).is_finite());
    }

    #[test]
    fn networks_are_written_and_read() {
        let network = trained();
        let bytes = network.to_bytes();
        let again = Sequence::from_bytes(&bytes).unwrap();
        assert_eq!(again.to_bytes(), bytes);
        assert!(Sequence::from_bytes(&bytes[1..]).is_err());
    }

    #[test]
    fn a_passage_lies_around_the_worst_window() {
        let text = "word ".repeat(300);
        let words = Words::built_in().unwrap();
        let around = |begin| {
            Passage::around(&Wording::of(&*text), begin, &words)
                .ends
                .len()
        };
        assert_eq!(around(0), MOST_WORDS);
        assert_eq!(around(290 * 5), WORDS_BEFORE + 10);
        assert_eq!(passage("-- !!!!!!").ends.len(), MOST_MARKS);
    }
}
