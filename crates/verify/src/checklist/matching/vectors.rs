//! Words, and pieces of words, as vectors: what the phrasings taught about which are alike.
//!
//! A small network with one hidden layer, without anything nonlinear: the sum of the vectors of an
//! item's words lies near those of other phrasings of the same requirement. Learned by the command in
//! docs/TESTING.md from the phrasings and lists of this repository, and from nothing else.

use std::collections::HashMap;

const LEARNED: &[u8] = include_bytes!("../../../data/vectors.bin");

#[cfg(test)]
/// The largest value of a byte that stands for a number.
const MOST: f32 = 127.0;

/// The vectors of words, of neighbouring words, of words of headings, of pieces of words, and of
/// requirements.
#[derive(Debug, Clone, Default)]
pub(super) struct Vectors {
    /// How long each vector is.
    pub(super) width: usize,
    pub(super) words: Table,
    pub(super) classes: Table,
    /// How probable each requirement is before anything was said.
    pub(super) base: Vec<f32>,
}

/// Vectors, each found by what its name hashes to.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    rows: HashMap<u32, usize>,
    /// The names in the order of their rows.
    hashes: Vec<u32>,
    /// The rows, one after the other.
    pub(super) cells: Vec<f32>,
}

impl Table {
    #[cfg(test)]
    /// A table with these names, and no cells yet.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut table = Self::default();
        for name in names {
            table.push(hash(name));
        }
        table
    }

    fn push(&mut self, hash: u32) {
        self.rows.insert(hash, self.hashes.len());
        self.hashes.push(hash);
    }

    /// Which row is that of a name.
    pub(super) fn row(&self, name: &str) -> Option<usize> {
        self.rows.get(&hash(name)).copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

impl Vectors {
    /// What was learned, as it is in the repository.
    pub(super) fn builtin() -> Self {
        Self::read(LEARNED)
    }

    /// Reads what [`Self::written`] wrote; the tests compare both.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut rest = Bytes(bytes);
        let (width, words, classes) = (rest.count(), rest.count(), rest.count());
        let mut read = Self {
            width,
            ..Self::default()
        };
        for _ in 0..words {
            let hash = rest.number();
            let step = f32::from_bits(rest.number());
            read.words.push(hash);
            read.words.cells.extend(rest.cells(width, step));
        }
        for _ in 0..classes {
            let hash = rest.number();
            read.base.push(f32::from_bits(rest.number()));
            let step = f32::from_bits(rest.number());
            read.classes.push(hash);
            read.classes.cells.extend(rest.cells(width, step));
        }
        read
    }

    /// As the file holds it: each vector as bytes and what one step of these is worth.
    #[cfg(test)]
    pub(super) fn written(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for count in [self.width, self.words.len(), self.classes.len()] {
            let count = u32::try_from(count).expect("few");
            bytes.extend(count.to_le_bytes());
        }
        let row = |bytes: &mut Vec<u8>, cells: &[f32]| {
            let most = cells
                .iter()
                .fold(f32::MIN_POSITIVE, |most, c| most.max(c.abs()));
            let step = most / MOST;
            bytes.extend(step.to_bits().to_le_bytes());
            bytes.extend(
                cells
                    .iter()
                    .map(|c| ((c / step).round() as i8).cast_unsigned()),
            );
        };
        for (hash, cells) in self
            .words
            .hashes
            .iter()
            .zip(self.words.cells.chunks(self.width))
        {
            bytes.extend(hash.to_le_bytes());
            row(&mut bytes, cells);
        }
        let classes = self.classes.hashes.iter().zip(&self.base);
        for ((hash, base), cells) in classes.zip(self.classes.cells.chunks(self.width)) {
            bytes.extend(hash.to_le_bytes());
            bytes.extend(base.to_bits().to_le_bytes());
            row(&mut bytes, cells);
        }
        bytes
    }

    /// The sum of the vectors of rows, each counted so much.
    pub(super) fn sum(&self, rows: impl Iterator<Item = (usize, f32)>) -> Vec<f32> {
        let mut sum = vec![0.0; self.width];
        for (row, share) in rows {
            add(&mut sum, share, self.cells(row));
        }
        sum
    }

    fn cells(&self, row: usize) -> &[f32] {
        let from = row * self.width;
        self.words
            .cells
            .get(from..from + self.width)
            .unwrap_or_default()
    }

    /// How much an item's vector speaks for a requirement.
    pub(super) fn speaks(&self, vector: &[f32], class: usize) -> f32 {
        let from = class * self.width;
        let row = self.classes.cells.get(from..from + self.width);
        dot(vector, row.unwrap_or_default()) + self.base.get(class).copied().unwrap_or_default()
    }
}

/// What is left of a file.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(count).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u32 {
        self.take(4).try_into().map_or(0, u32::from_le_bytes)
    }

    fn count(&mut self) -> usize {
        usize::try_from(self.number()).unwrap_or_default()
    }

    fn cells(&mut self, width: usize, step: f32) -> impl Iterator<Item = f32> + use<'a> {
        let bytes = self.take(width).iter();
        bytes.map(move |byte| f32::from(byte.cast_signed()) * step)
    }
}

/// Adds a vector so many times.
pub(super) fn add(sum: &mut [f32], share: f32, vector: &[f32]) {
    for (sum, cell) in sum.iter_mut().zip(vector) {
        *sum += share * cell;
    }
}

/// The product of two vectors, in lanes that a processor multiplies at once.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Makes a vector as long as 1.
pub(super) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt().max(f32::MIN_POSITIVE);
    for cell in &mut vector {
        *cell /= length;
    }
    vector
}

/// The 32-bit hash of Fowler, Noll and Vo.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::{LEARNED, Table, Vectors, dot, unit};

    #[test]
    fn what_is_written_is_read_and_holds_no_more() {
        let builtin = Vectors::builtin();
        assert_eq!(
            builtin.words.cells.len(),
            builtin.words.len() * builtin.width
        );
        assert_eq!(
            builtin.classes.cells.len(),
            builtin.classes.len() * builtin.width
        );
        // Steps are worth a little more or less when they are counted anew.
        let again = builtin.written();
        assert_eq!(again.len(), LEARNED.len());
        let (a, b) = (&builtin.words.cells, Vectors::read(&again).words.cells);
        assert!(
            a.iter()
                .zip(&b)
                .all(|(a, b)| (a - b).abs() <= 1e-5 * a.abs())
        );
        assert!(LEARNED.len() <= 3_500_000, "{} bytes", LEARNED.len());
    }

    #[test]
    fn words_speak_for_the_requirement_that_they_lie_near() {
        let vectors = Vectors {
            width: 2,
            words: Table {
                cells: vec![1.0, 0.0, 0.0, 2.0],
                ..Table::of(["revert", "pager"].into_iter())
            },
            classes: Table {
                cells: vec![3.0, 0.0, 0.0, 1.0],
                ..Table::of(["rollback", "oncall"].into_iter())
            },
            base: vec![0.0, 0.5],
        };
        let said = vectors.sum(vectors.words.row("pager").map(|row| (row, 1.0)).into_iter());
        assert_eq!(vectors.speaks(&said, 0), 0.0);
        assert_eq!(vectors.speaks(&said, 1), 2.5);
        assert_eq!(vectors.words.row("unknown"), None);
    }

    #[test]
    fn a_unit_is_as_long_as_one() {
        let long: Vec<f32> = (0..19_u8).map(f32::from).collect();
        let unit = unit(long);
        assert!((dot(&unit, &unit) - 1.0).abs() < 1e-6);
    }
}
