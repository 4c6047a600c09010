//! How `data/vectors.bin` is learned: the vectors of words and of their pieces that make the
//! requirements of all phrasings most probable. The same phrasings give the same bytes.

use std::collections::{BTreeMap, HashMap};

use crate::checklist::matching::features::pieces;
use crate::checklist::matching::index::{Index, Phrase};
use crate::checklist::matching::vectors::{Table, Vectors, add};

/// How long a vector is.
const WIDTH: usize = 64;
/// Words that fewer phrasings have get no vector.
const LEAST: f64 = 3.0;
/// The same for pieces of words.
const LEAST_OF_PIECES: usize = 8;
const ROUNDS: u16 = 12;
const BATCH: usize = 256;
const RATE: f32 = 0.06;
/// The share of its words that a phrasing is shown without.
const LEFT_OUT: f32 = 0.4;

/// A phrasing: the rows of its words, how much each counts, and which requirements are right.
struct Lesson {
    rows: Vec<(usize, f32)>,
    right: Vec<usize>,
}

/// Learns vectors from what an index holds, and lets it use them, as a file would hold them.
pub(super) fn train(index: &mut Index) -> Vectors {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let common = common_pieces(index);
    let mut vectors = Vectors {
        width: WIDTH,
        words: Table::of(
            index
                .common(LEAST)
                .into_iter()
                .chain(common.iter().map(String::as_str)),
        ),
        classes: Table::of(index.names.iter().map(String::as_str)),
        base: vec![0.0; index.names.len()],
    };
    let mut some = |count: usize, most: f32| -> Vec<f32> {
        let cell = |_| (chance.share() * 2.0 - 1.0) * most;
        (0..count * WIDTH).map(cell).collect()
    };
    vectors.words.cells = some(vectors.words.len(), 0.09);
    vectors.classes.cells = some(vectors.classes.len(), 0.17);
    index.take(vectors.clone());
    let lessons = lessons(index);
    let mut order: Vec<usize> = (0..lessons.len()).collect();
    let mut seen = Seen::of(&vectors);
    for round in 0..ROUNDS {
        let rate = RATE * (1.02 - f32::from(round) / f32::from(ROUNDS));
        for at in (1..order.len()).rev() {
            order.swap(at, chance.below(at + 1));
        }
        for batch in order.chunks(BATCH) {
            let batch: Vec<&Lesson> = batch.iter().map(|at| &lessons[*at]).collect();
            let slopes = Slopes::of(&vectors, &batch, &mut chance);
            slopes.down(&mut vectors, &mut seen, rate);
        }
    }
    let vectors = Vectors::read(&vectors.written());
    index.take(vectors.clone());
    vectors
}

/// The pieces of words that enough phrasings have.
fn common_pieces(index: &Index) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for phrase in index.phrases.iter().flatten() {
        for piece in pieces(phrase.text) {
            *counts.entry(piece).or_default() += 1;
        }
    }
    let common = counts
        .into_iter()
        .filter(|(_, count)| *count >= LEAST_OF_PIECES);
    common.map(|(piece, _)| piece).collect()
}

fn lessons(index: &Index) -> Vec<Lesson> {
    let phrases = index.phrases.iter().enumerate();
    let each = phrases.flat_map(|(class, phrases)| phrases.iter().map(move |p| (class, p)));
    let rows = |phrase: &Phrase| {
        let mut rows = index.rows(&phrase.own, &phrase.heading);
        rows.extend(index.pieces(phrase.text));
        rows
    };
    each.map(|(class, phrase)| Lesson {
        rows: rows(phrase),
        right: std::iter::once(class)
            .chain(phrase.also.iter().copied())
            .collect(),
    })
    .collect()
}

/// Which way a batch of lessons says that each number should go.
struct Slopes {
    words: HashMap<usize, Vec<f32>>,
    classes: Vec<f32>,
    base: Vec<f32>,
}

impl Slopes {
    fn of(vectors: &Vectors, batch: &[&Lesson], chance: &mut Chance) -> Self {
        let mut slopes = Self {
            words: HashMap::new(),
            classes: vec![0.0; vectors.classes.cells.len()],
            base: vec![0.0; vectors.base.len()],
        };
        for lesson in batch {
            let kept = lesson.rows.iter().filter(|_| chance.share() >= LEFT_OUT);
            let kept = kept.map(|(row, share)| (*row, share / (1.0 - LEFT_OUT)));
            let kept: Vec<(usize, f32)> = kept.collect();
            let said = vectors.sum(kept.iter().copied());
            let mut back = vec![0.0; WIDTH];
            for (class, error) in errors(vectors, &said, &lesson.right)
                .into_iter()
                .enumerate()
            {
                let error = error / batch.len() as f32;
                let cells = class * WIDTH..(class + 1) * WIDTH;
                add(&mut back, error, &vectors.classes.cells[cells.clone()]);
                add(&mut slopes.classes[cells], error, &said);
                slopes.base[class] += error;
            }
            for (row, share) in kept {
                let slope = slopes.words.entry(row).or_insert_with(|| vec![0.0; WIDTH]);
                add(slope, share, &back);
            }
        }
        slopes
    }

    /// One step, the shorter the longer the steps were before.
    fn down(self, vectors: &mut Vectors, seen: &mut Seen, rate: f32) {
        for (row, slope) in self.words {
            let squares: f32 = slope.iter().map(|s| s * s).sum();
            seen.words[row] += squares / WIDTH as f32;
            let step = -rate / seen.words[row].sqrt();
            let cells = row * WIDTH..(row + 1) * WIDTH;
            add(&mut vectors.words.cells[cells], step, &slope);
        }
        let pairs = [
            (&mut vectors.classes.cells, &self.classes, &mut seen.classes),
            (&mut vectors.base, &self.base, &mut seen.base),
        ];
        for (numbers, slopes, seen) in pairs {
            for ((number, slope), seen) in numbers.iter_mut().zip(slopes).zip(seen) {
                *seen += slope * slope;
                *number -= rate * slope / seen.sqrt();
            }
        }
    }
}

/// How much too probable each requirement is.
fn errors(vectors: &Vectors, said: &[f32], right: &[usize]) -> Vec<f32> {
    let scores = (0..vectors.base.len()).map(|class| vectors.speaks(said, class));
    let mut errors: Vec<f32> = scores.collect();
    let most = errors.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut all = 0.0;
    for error in &mut errors {
        *error = (*error - most).exp();
        all += *error;
    }
    for error in &mut errors {
        *error /= all;
    }
    for class in right {
        errors[*class] -= 1.0 / right.len() as f32;
    }
    errors
}

/// The squares of all slopes before.
struct Seen {
    words: Vec<f32>,
    classes: Vec<f32>,
    base: Vec<f32>,
}

impl Seen {
    fn of(vectors: &Vectors) -> Self {
        let little = |count: usize| vec![1e-8; count];
        Self {
            words: little(vectors.words.len()),
            classes: little(vectors.classes.cells.len()),
            base: little(vectors.base.len()),
        }
    }
}

/// Chance that is the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    /// From 0 to 1.
    fn share(&mut self) -> f32 {
        (self.next() % 65_536) as f32 / 65_536.0
    }

    fn below(&mut self, most: usize) -> usize {
        self.next() as usize % most
    }
}
