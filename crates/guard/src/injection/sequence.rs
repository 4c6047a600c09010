//! A small network that reads the words of a passage in their order, after a linear model, which counts them.
//!
//! Each word is the sum of what its letters and its kinds stand for; filters slide over five words at a time, of
//! each filter the place counts that it fits best, and their sum is the answer. A network has two columns of these, which
//! began with other numbers and learned apart: the mean of their answers is better than each.

mod filters;
mod passage;
pub mod train;

use filters::{Filters, Written};
pub use passage::Passage;
use wide::i16x8;

/// How many columns a network has.
const COLUMNS: usize = 2;
/// How many numbers stand for a word in a column.
const WIDTH: usize = 16;
/// How many words a filter sees at a time.
const SPAN: usize = 5;
/// Before the first word and behind the last stands nothing, so many times, for the filters to begin and end in.
const MARGIN: usize = SPAN / 2;
const FILTERS: usize = 32;
/// A filter has a weight for each number that it sees.
const SEEN: usize = SPAN * WIDTH;
/// `2^BITS` features of words are told from each other.
const BITS: u32 = 15;
const ROWS: usize = 1 << BITS;

/// What the network says counts less than what the linear model says, and is bounded, so that it can change the
/// log-odds of a text by [`LARGEST_CHANGE`] at most.
const SHARE: f32 = 0.7;
const LARGEST: f32 = 5.0;
pub(super) const LARGEST_CHANGE: f32 = SHARE * LARGEST;

/// What a feature stands for, in each column.
type Meaning = [i8; COLUMNS * WIDTH];

/// A number of a word is the sum of its features' divided by the root of their count, in parts of so many.
const FINENESS: i16 = 4;
/// More than the root of [`passage::MOST_FEATURES`].
const MOST_AT_ONCE: i16 = 7;
const _: () = assert!(passage::MOST_FEATURES < (MOST_AT_ONCE * MOST_AT_ONCE) as usize);
/// No number of a word is larger.
const LARGEST_NUMBER: i16 = i8::MAX as i16 * FINENESS * MOST_AT_ONCE;

/// The row of a feature.
fn row(feature: u32) -> usize {
    let mixed = feature.wrapping_mul(0xC2B2_AE35);
    let row = (mixed ^ (mixed >> 13)).wrapping_mul(0x27D4_EB2F) >> (32 - BITS);
    row as usize
}

/// Why a network was refused.
#[derive(Debug, thiserror::Error)]
#[error("expected a network of {BYTES} bytes, found {0} bytes; train the model again")]
pub struct NetworkError(usize);

/// A trained network.
#[derive(Debug, Clone)]
pub struct Network {
    /// One for each row.
    meanings: Vec<Meaning>,
    columns: [Filters; COLUMNS],
}

/// The bytes of a network in a data file: the meanings, then the filters of each column.
pub(super) const BYTES: usize = MEANINGS + COLUMNS * Written::BYTES;
const MEANINGS: usize = ROWS * size_of::<Meaning>();

impl Network {
    /// Reads what [`train::Trained::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetworkError> {
        if bytes.len() != BYTES {
            return Err(NetworkError(bytes.len()));
        }
        let (meanings, columns) = bytes.split_at(MEANINGS);
        let (meanings, _) = meanings.as_chunks();
        let signed = |meaning: &[u8; COLUMNS * WIDTH]| meaning.map(u8::cast_signed);
        let (columns, _) = columns.as_chunks();
        Ok(Self {
            meanings: meanings.iter().map(signed).collect(),
            columns: std::array::from_fn(|column| {
                Filters::new(Written::from_bytes(&columns[column]))
            }),
        })
    }

    /// By how much the log-odds change of a text whose passage this is.
    pub fn change(&self, passage: &Passage) -> f32 {
        SHARE * self.answer(passage).clamp(-LARGEST, LARGEST)
    }

    fn answer(&self, passage: &Passage) -> f32 {
        let numbers = self.numbers(passage);
        let answers = self.columns.iter().zip(&numbers);
        let answers = answers.map(|(column, numbers)| column.slide(numbers));
        answers.sum::<f32>() / COLUMNS as f32
    }

    /// The numbers of the words for each column, with a margin.
    fn numbers(&self, passage: &Passage) -> [Vec<i16>; COLUMNS] {
        let length = (passage.len() + 2 * MARGIN) * WIDTH;
        let mut numbers = [const { Vec::new() }; COLUMNS];
        for numbers in &mut numbers {
            numbers.reserve(length);
            numbers.resize(MARGIN * WIDTH, 0);
        }
        for features in passage.words() {
            let mut sum = [0_i16; COLUMNS * WIDTH];
            for feature in features {
                for (sum, part) in sum.iter_mut().zip(&self.meanings[row(*feature)]) {
                    *sum += i16::from(*part);
                }
            }
            let share = f32::from(1_u16 << 15) / (features.len() as f32).sqrt();
            let share = share.min(f32::from(i16::MAX)) as i16;
            for (numbers, sum) in numbers.iter_mut().zip(sum.chunks_exact(WIDTH)) {
                for eight in sum.as_chunks::<8>().0 {
                    let fine = i16x8::new(eight.map(|number| number * FINENESS));
                    numbers.extend(fine.mul_scale_round_n(share).to_array());
                }
            }
        }
        for numbers in &mut numbers {
            numbers.resize(length, 0);
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::passage::{MOST_MARKS, MOST_WORDS, WORDS_BEFORE};
    use super::train::{Example, Plan, Trained, train};
    use super::*;
    use crate::injection::words::Words;
    use crate::linear::Wording;

    fn passage(text: &str) -> Passage {
        Passage::around(&Wording::of(text), 0, &Words::built_in().unwrap())
    }

    fn trained() -> Trained {
        let lessons = [
            ("the dog bites the man", true),
            ("the man bites the dog", false),
            ("a dog bites a man again", true),
            ("a man bites a dog again", false),
        ];
        let examples = lessons.map(|(text, label)| Example {
            passage: passage(text),
            label,
            weight: 1.0,
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
        let network = trained().network();
        let change = |text| network.change(&passage(text));
        let (dog, man) = (change("the dog bites a man"), change("the man bites a dog"));
        assert!(dog > 0.5 && man < -0.5, "{dog} {man}");
    }

    #[test]
    fn no_answer_changes_more_than_it_may() {
        let network = trained().network();
        let long = "the dog bites the man, ".repeat(60);
        let change = network.change(&passage(&long));
        assert!(change.abs() <= LARGEST_CHANGE, "{change}");
        assert!(network.change(&passage("")).is_finite());
    }

    #[test]
    fn networks_are_written_and_read() {
        let trained = trained();
        let bytes = trained.to_bytes();
        assert_eq!(bytes.len(), BYTES);
        let again = Network::from_bytes(&bytes).unwrap();
        let text = passage("the man bites the dog and its owner, 12 times");
        assert_eq!(again.answer(&text), trained.network().answer(&text));
        assert!(Network::from_bytes(&bytes[1..]).is_err());
        assert!(Network::from_bytes(&[&*bytes, &[0]].concat()).is_err());
    }

    #[test]
    fn whole_numbers_answer_as_the_learned_ones_do() {
        let trained = trained();
        let network = trained.network();
        for text in [
            "the dog bites a man",
            "a cat sees the man!",
            "7 dogs bite",
            "",
        ] {
            let text = passage(text);
            let (answer, learned) = (network.answer(&text), trained.answer(&text));
            let error = (answer - learned).abs() / (1.0 + learned.abs());
            assert!(error < 0.02, "{answer} {learned}");
        }
    }

    #[test]
    fn a_passage_lies_around_the_worst_window() {
        let text = "word ".repeat(300);
        let words = Words::built_in().unwrap();
        let around = |begin| Passage::around(&Wording::of(&*text), begin, &words).len();
        assert_eq!(around(0), MOST_WORDS);
        assert_eq!(around(290 * 5), WORDS_BEFORE + 10);
        assert_eq!(passage("-- !!!!!!").len(), MOST_MARKS);
    }
}
