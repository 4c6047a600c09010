//! The filters of one network, in whole numbers: a processor multiplies eight numbers of sixteen bits at once and adds
//! the products in pairs, which is twice as many as of `f32`, and every processor finds the same.

use wide::{i16x8, i32x4};

use super::{FILTERS, SEEN, WIDTH};

/// So many filters lie in one register.
const TOGETHER: usize = 4;
const REGISTERS: usize = FILTERS / TOGETHER;

/// The largest weight. With the numbers of [`super::LARGEST_NUMBER`] at most, no sum leaves 32 bits.
pub(super) const LARGEST_WEIGHT: f32 = 4095.0;
/// The largest beginning of a sum.
pub(super) const LARGEST_START: f32 = (1 << 29) as f32;

const _: () = assert!(
    SEEN as i64 * super::LARGEST_NUMBER as i64 * LARGEST_WEIGHT as i64 + LARGEST_START as i64
        <= i32::MAX as i64
);

/// Filters as a data file has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Written {
    /// For each number that a filter sees, the weight of each filter.
    pub(super) weights: Vec<i16>,
    /// Where the sum of each filter begins.
    pub(super) starts: Vec<i32>,
    /// What one of each filter's sum adds.
    pub(super) worth: Vec<f32>,
    pub(super) bias: f32,
}

impl Written {
    /// The bytes of filters in a data file.
    pub(super) const BYTES: usize = 2 * SEEN * FILTERS + 4 * FILTERS + 4 * FILTERS + 4;

    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        let weights = self.weights.iter().flat_map(|weight| weight.to_le_bytes());
        let starts = self.starts.iter().flat_map(|start| start.to_le_bytes());
        let worth = self.worth.iter().chain([&self.bias]);
        let worth = worth.flat_map(|worth| worth.to_le_bytes());
        weights.chain(starts).chain(worth)
    }

    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (weights, rest) = bytes.split_at(2 * SEEN * FILTERS);
        let (rest, _) = rest.as_chunks::<4>();
        let (starts, rest) = rest.split_at(FILTERS);
        let (worth, bias) = rest.split_at(FILTERS);
        let float = |four: &[u8; 4]| f32::from_le_bytes(*four);
        Self {
            weights: weights
                .as_chunks::<2>()
                .0
                .iter()
                .map(|two| i16::from_le_bytes(*two))
                .collect(),
            starts: starts
                .iter()
                .map(|four| i32::from_le_bytes(*four))
                .collect(),
            worth: worth.iter().map(float).collect(),
            bias: bias.iter().map(float).sum(),
        }
    }
}

/// Filters as they are used.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// For each two numbers that a filter sees, the weights of both, filter by filter.
    weights: Vec<[i16x8; REGISTERS]>,
    starts: [i32x4; REGISTERS],
    worth: Vec<f32>,
    bias: f32,
}

impl Filters {
    pub(super) fn new(written: Written) -> Self {
        let weight = |number: usize, filter: usize| written.weights[number * FILTERS + filter];
        let pair = |first: usize| {
            std::array::from_fn(|register| {
                let lane = |lane: usize| weight(first + lane % 2, register * TOGETHER + lane / 2);
                i16x8::new(std::array::from_fn(lane))
            })
        };
        let start = |register: usize| {
            i32x4::new(std::array::from_fn(|lane| {
                written.starts[register * TOGETHER + lane]
            }))
        };
        Self {
            weights: (0..SEEN).step_by(2).map(pair).collect(),
            starts: std::array::from_fn(start),
            worth: written.worth,
            bias: written.bias,
        }
    }

    /// Slides over `numbers`, those of the words with a margin at both ends: what each filter finds where it fits best
    /// is added up.
    pub(super) fn slide(&self, numbers: &[i16]) -> f32 {
        let mut best = [i32x4::ZERO; REGISTERS];
        for seen in numbers.windows(SEEN).step_by(WIDTH) {
            let mut sums = self.starts;
            for ([a, b], weights) in seen.as_chunks::<2>().0.iter().zip(&self.weights) {
                let both = i16x8::new([*a, *b, *a, *b, *a, *b, *a, *b]);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum += both.dot(*weights);
                }
            }
            for (best, sum) in best.iter_mut().zip(sums) {
                *best = best.max(sum);
            }
        }
        let best = best.iter().flat_map(|best| best.to_array());
        let worth = best.zip(&self.worth);
        worth.fold(self.bias, |sum, (fit, worth)| sum + fit as f32 * worth)
    }
}

#[cfg(test)]
mod tests {
    use super::super::LARGEST_NUMBER;
    use super::*;

    fn written(weight: i16, start: i32) -> Written {
        Written {
            weights: vec![weight; SEEN * FILTERS],
            starts: vec![start; FILTERS],
            worth: vec![1.0; FILTERS],
            bias: 0.5,
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let (weight, start) = (LARGEST_WEIGHT as i16, LARGEST_START as i32);
        let numbers = vec![LARGEST_NUMBER; SEEN];
        let sum = SEEN as i64 * i64::from(LARGEST_NUMBER) * i64::from(weight) + i64::from(start);
        let all = 0.5 + sum as f32 * FILTERS as f32;
        let found = Filters::new(written(weight, start)).slide(&numbers);
        assert!((found / all - 1.0).abs() < 1e-5, "{found} {all}");
        let negative = Filters::new(written(-weight, -start)).slide(&numbers);
        assert_eq!(negative, 0.5);
    }

    #[test]
    fn each_filter_counts_where_it_fits_best() {
        let mut filters = written(0, 0);
        // The first filter likes the first number of a word, the last one dislikes it.
        filters.weights[0] = 2;
        filters.weights[FILTERS - 1] = -3;
        let mut numbers = vec![0; SEEN + 2 * WIDTH];
        (numbers[0], numbers[WIDTH], numbers[2 * WIDTH]) = (5, 7, -4);
        let found = Filters::new(filters).slide(&numbers);
        assert_eq!(found, 0.5 + 14.0 + 12.0);
    }
}
