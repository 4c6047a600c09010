//! Trains a network: logistic regression by stochastic gradient descent, each weight at a rate of its own (Adagrad).
//! One thread, one seed: the same data give the same weights, byte for byte.

use super::filters::{LARGEST_START, LARGEST_WEIGHT};
use super::{
    COLUMNS, FILTERS, FINENESS, Filters, MARGIN, Meaning, Network, Passage, ROWS, SEEN, SPAN,
    WIDTH, Written, row,
};
use crate::linear::probability;
use crate::testing::Dice;

/// A passage to learn from.
#[derive(Debug, Clone)]
pub struct Example {
    /// What the network reads.
    pub passage: Passage,
    /// Whether it should fire.
    pub label: bool,
    /// How much it counts.
    pub weight: f32,
}

/// How to train.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Passes over the data.
    pub passes: u32,
    /// Decides how the weights begin, the order of the examples, and the words that are left out.
    pub seed: u64,
}

/// The first rate of learning.
const RATE: f32 = 0.05;
/// Of so many words one is left out, others each time, so that no few of them decide.
const LEAVES_OUT_ONE_OF: usize = 10;
/// How much of a slope has been seen before the first.
const SLOPE: f32 = 1e-3;

/// Numbers that learn, and the squares of the slopes that they have met.
struct Learner {
    values: Vec<f32>,
    slopes: Vec<f32>,
}

impl Learner {
    fn new(values: Vec<f32>) -> Self {
        let slopes = vec![SLOPE; values.len()];
        Self { values, slopes }
    }

    fn step(&mut self, at: usize, slope: f32, rate: f32) {
        self.slopes[at] += slope * slope;
        self.values[at] -= rate * slope / self.slopes[at].sqrt();
    }
}

/// About as much as the normal distribution spreads, without its ends.
fn spread(count: usize, width: f32, dice: &mut Dice) -> Vec<f32> {
    let unit = |dice: &mut Dice| (dice.roll() >> 40) as f32 / (1_u32 << 24) as f32;
    let mut one = || (unit(dice) + unit(dice) + unit(dice) - 1.5) * 2.0 * width;
    (0..count).map(|_| one()).collect()
}

/// What a network has learned of its filters.
#[derive(Debug, Clone)]
struct Learned {
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

impl Learned {
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

/// A network while it learns.
struct Pupil {
    meanings: Vec<f32>,
    /// One for each row of the meanings.
    slopes: Vec<f32>,
    weights: Learner,
    starts: Learner,
    worth: Learner,
    bias: Learner,
    numbers: Vec<f32>,
    /// The slopes of `numbers`.
    pushes: Vec<f32>,
}

impl Pupil {
    fn new(dice: &mut Dice) -> Self {
        Self {
            meanings: spread(ROWS * WIDTH, 0.3, dice),
            slopes: vec![SLOPE; ROWS],
            weights: Learner::new(spread(SEEN * FILTERS, (1.0 / SEEN as f32).sqrt(), dice)),
            starts: Learner::new(vec![0.0; FILTERS]),
            worth: Learner::new(spread(FILTERS, 0.2, dice)),
            bias: Learner::new(vec![-1.0]),
            numbers: Vec::new(),
            pushes: Vec::new(),
        }
    }

    fn learned(&self) -> Learned {
        Learned {
            weights: self.weights.values.clone(),
            starts: self.starts.values.clone(),
            worth: self.worth.values.clone(),
            bias: self.bias.values[0],
        }
    }

    fn learn(&mut self, words: &[&[u32]], example: &Example, rate: f32) {
        read(&self.meanings, words, &mut self.numbers);
        let learned = self.learned();
        let fit = learned.slide(&self.numbers);
        let target = f32::from(u8::from(example.label));
        let error = example.weight * (probability(fit.logit) - target);
        if error.abs() < 1e-4 {
            return;
        }
        self.pushes.clear();
        self.pushes.resize(self.numbers.len(), 0.0);
        let mut is_seen = vec![false; words.len() + 2 * MARGIN];
        for (filter, (best, place)) in fit.best.iter().enumerate() {
            let push = error * learned.worth[filter];
            self.worth.step(filter, error * best, rate);
            if *place == usize::MAX {
                continue;
            }
            let first = place * WIDTH;
            for seen in 0..SEEN {
                let weight = seen * FILTERS + filter;
                self.pushes[first + seen] += push * self.weights.values[weight];
                let slope = push * self.numbers[first + seen];
                self.weights.step(weight, slope, rate);
            }
            is_seen[*place..place + SPAN].fill(true);
            self.starts.step(filter, push, rate);
        }
        self.bias.step(0, error, rate);
        for (at, features) in words.iter().enumerate() {
            if is_seen[at + MARGIN] {
                self.push_back(at + MARGIN, features, rate);
            }
        }
    }

    /// Moves what the features of the word at this place stand for.
    fn push_back(&mut self, at: usize, features: &[u32], rate: f32) {
        let pushes = &self.pushes[at * WIDTH..][..WIDTH];
        let each = 1.0 / (features.len() as f32).sqrt();
        let square: f32 = pushes.iter().map(|push| push * push).sum();
        let square = square * each * each / WIDTH as f32;
        if square == 0.0 {
            return;
        }
        for feature in features {
            let begin = row(*feature) * WIDTH;
            let slope = &mut self.slopes[begin / WIDTH];
            *slope += square;
            let step = rate * each / slope.sqrt();
            let meaning = &mut self.meanings[begin..][..WIDTH];
            for (part, push) in meaning.iter_mut().zip(pushes) {
                *part -= step * push;
            }
        }
    }
}

/// The numbers of the words, with a margin.
fn read(meanings: &[f32], words: &[&[u32]], numbers: &mut Vec<f32>) {
    numbers.clear();
    numbers.resize((words.len() + 2 * MARGIN) * WIDTH, 0.0);
    let rows = numbers.chunks_exact_mut(WIDTH).skip(MARGIN);
    for (numbers, features) in rows.zip(words) {
        let each = 1.0 / (features.len() as f32).sqrt();
        for feature in *features {
            let meaning = &meanings[row(*feature) * WIDTH..][..WIDTH];
            for (number, part) in numbers.iter_mut().zip(meaning) {
                *number += part * each;
            }
        }
    }
}

/// A network that has learned, in all the numbers that it learned.
#[derive(Debug, Clone)]
pub struct Trained([Column; COLUMNS]);

/// A column that has learned.
#[derive(Debug, Clone)]
struct Column {
    meanings: Vec<f32>,
    learned: Learned,
}

/// Trains on `examples`.
pub fn train(examples: &[Example], plan: &Plan) -> Trained {
    let seeds: [u64; COLUMNS] = std::array::from_fn(|column| plan.seed + column as u64);
    Trained(seeds.map(|seed| train_column(examples, &Plan { seed, ..*plan })))
}

/// The mean over the later passes generalises better than the last state.
fn train_column(examples: &[Example], plan: &Plan) -> Column {
    let mut dice = Dice::new(plan.seed);
    let mut pupil = Pupil::new(&mut dice);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let kept = (plan.passes / 2).max(1);
    let mut mean = Column {
        meanings: vec![0.0; ROWS * WIDTH],
        learned: Learned {
            weights: vec![0.0; SEEN * FILTERS],
            starts: vec![0.0; FILTERS],
            worth: vec![0.0; FILTERS],
            bias: 0.0,
        },
    };
    for pass in 0..plan.passes {
        let rate = RATE * (1.0 - pass as f32 / plan.passes as f32);
        for last in (1..order.len()).rev() {
            order.swap(last, dice.below(last + 1));
        }
        for &index in &order {
            let example = &examples[index];
            let words = example.passage.words();
            let words: Vec<&[u32]> = words
                .filter(|_| dice.below(LEAVES_OUT_ONE_OF) > 0)
                .collect();
            if !words.is_empty() {
                pupil.learn(&words, example, rate);
            }
        }
        if pass >= plan.passes - kept {
            mean.add(&pupil, 1.0 / kept as f32);
        }
    }
    mean
}

impl Column {
    fn add(&mut self, pupil: &Pupil, share: f32) {
        let add = |to: &mut [f32], from: &[f32]| {
            to.iter_mut()
                .zip(from)
                .for_each(|(to, from)| *to += from * share);
        };
        let learned = &mut self.learned;
        add(&mut self.meanings, &pupil.meanings);
        add(&mut learned.weights, &pupil.weights.values);
        add(&mut learned.starts, &pupil.starts.values);
        add(&mut learned.worth, &pupil.worth.values);
        learned.bias += pupil.bias.values[0] * share;
    }

    /// The meanings and the filters in whole numbers.
    fn rounded(&self) -> (Vec<[i8; WIDTH]>, Written) {
        let learned = &self.learned;
        let largest = f32::from(i8::MAX);
        let meaning = unit(&self.meanings, largest);
        let weight = unit(&learned.weights, LARGEST_WEIGHT);
        let product = meaning / f32::from(FINENESS) * weight;
        let round = |number: f32, unit: f32, most: f32| (number / unit).round().clamp(-most, most);
        let (rows, _) = self.meanings.as_chunks();
        let row = |row: &[f32; WIDTH]| row.map(|number| round(number, meaning, largest) as i8);
        let weights = learned.weights.iter();
        let starts = learned.starts.iter();
        let written = Written {
            weights: weights
                .map(|number| round(*number, weight, LARGEST_WEIGHT) as i16)
                .collect(),
            starts: starts
                .map(|number| round(*number, product, LARGEST_START) as i32)
                .collect(),
            worth: learned.worth.iter().map(|worth| worth * product).collect(),
            bias: learned.bias,
        };
        (rows.iter().map(row).collect(), written)
    }
}

impl Trained {
    /// The network in whole numbers, as it judges.
    pub fn network(&self) -> Network {
        let (meanings, written) = self.rounded();
        Network {
            meanings,
            columns: written.map(Filters::new),
        }
    }

    /// The network as it lies in a data file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (meanings, written) = self.rounded();
        let meanings = meanings.iter().flatten();
        let meanings = meanings.map(|number| number.cast_unsigned());
        let filters = written.iter().flat_map(Written::bytes);
        meanings.chain(filters).collect()
    }

    /// What each feature stands for in all columns, and the filters of each.
    fn rounded(&self) -> (Vec<Meaning>, [Written; COLUMNS]) {
        let rounded = self.0.each_ref().map(Column::rounded);
        let mut meanings = vec![[0; COLUMNS * WIDTH]; ROWS];
        for (column, (rows, _)) in rounded.iter().enumerate() {
            for (meaning, row) in meanings.iter_mut().zip(rows) {
                meaning[column * WIDTH..][..WIDTH].copy_from_slice(row);
            }
        }
        (meanings, rounded.map(|(_, written)| written))
    }

    /// What the network says in all the numbers that it learned.
    #[cfg(test)]
    pub(super) fn answer(&self, passage: &Passage) -> f32 {
        let words: Vec<&[u32]> = passage.words().collect();
        let mut numbers = Vec::new();
        let answers = self.0.iter().map(|column| {
            read(&column.meanings, &words, &mut numbers);
            column.learned.slide(&numbers).logit
        });
        answers.sum::<f32>() / COLUMNS as f32
    }
}

/// What a whole number stands for, so that the largest one is `most`.
fn unit(numbers: &[f32], most: f32) -> f32 {
    let largest = numbers
        .iter()
        .fold(0.0_f32, |most, number| most.max(number.abs()));
    (largest / most).max(f32::MIN_POSITIVE)
}
