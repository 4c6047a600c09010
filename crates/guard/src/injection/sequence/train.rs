//! Trains the networks: logistic regression by stochastic gradient descent, each weight at a rate of its own (Adagrad).
//! One thread, one seed: the same data give the same weights, byte for byte.

use super::{
    FILTERS, Filters, MARGIN, NETWORKS, Network, Passage, ROWS, SEEN, SPAN, Sequence, WIDTH, place,
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
    /// How much it counts for each network.
    pub weights: [f32; NETWORKS as usize],
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

/// A network while it learns.
struct Pupil {
    number: u32,
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
    fn new(number: u32, dice: &mut Dice) -> Self {
        Self {
            number,
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

    fn filters(&self) -> Filters {
        Filters {
            weights: self.weights.values.clone(),
            starts: self.starts.values.clone(),
            worth: self.worth.values.clone(),
            bias: self.bias.values[0],
        }
    }

    fn learn(&mut self, words: &[&[u32]], example: &Example, rate: f32) {
        self.read(words);
        let filters = self.filters();
        let fit = filters.slide(&self.numbers);
        let target = f32::from(u8::from(example.label));
        let weight = example.weights[self.number as usize];
        let error = weight * (probability(fit.logit) - target);
        if error.abs() < 1e-4 {
            return;
        }
        self.pushes.clear();
        self.pushes.resize(self.numbers.len(), 0.0);
        let mut is_seen = vec![false; words.len() + 2 * MARGIN];
        for (filter, (best, place)) in fit.best.iter().enumerate() {
            let push = error * filters.worth[filter];
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

    /// The numbers of the words, with a margin.
    fn read(&mut self, words: &[&[u32]]) {
        self.numbers.clear();
        self.numbers.resize((words.len() + 2 * MARGIN) * WIDTH, 0.0);
        let rows = self.numbers.chunks_exact_mut(WIDTH).skip(MARGIN);
        for (row, features) in rows.zip(words) {
            let each = 1.0 / (features.len() as f32).sqrt();
            for feature in *features {
                let meaning = &self.meanings[place(*feature, self.number)..][..WIDTH];
                for (number, part) in row.iter_mut().zip(meaning) {
                    *number += part * each;
                }
            }
        }
    }

    /// Moves what the features of the word in this row stand for.
    fn push_back(&mut self, row: usize, features: &[u32], rate: f32) {
        let pushes = &self.pushes[row * WIDTH..][..WIDTH];
        let each = 1.0 / (features.len() as f32).sqrt();
        let square: f32 = pushes.iter().map(|push| push * push).sum();
        let square = square * each * each / WIDTH as f32;
        if square == 0.0 {
            return;
        }
        for feature in features {
            let begin = place(*feature, self.number);
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

/// Trains on `examples`.
pub fn train(examples: &[Example], plan: &Plan) -> Sequence {
    Sequence(
        (0..NETWORKS)
            .map(|number| train_one(number, examples, plan))
            .collect(),
    )
}

/// The mean over the later passes generalises better than the last state.
fn train_one(number: u32, examples: &[Example], plan: &Plan) -> Network {
    let mut dice = Dice::new(plan.seed + u64::from(number));
    let mut pupil = Pupil::new(number, &mut dice);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let kept = (plan.passes / 2).max(1);
    let mut mean: Option<(Vec<f32>, Filters)> = None;
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
            let (meanings, filters) = mean.get_or_insert_with(nothing);
            let share = 1.0 / kept as f32;
            let add = |to: &mut Vec<f32>, from: &[f32]| {
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, from)| *to += from * share);
            };
            add(meanings, &pupil.meanings);
            add(&mut filters.weights, &pupil.weights.values);
            add(&mut filters.starts, &pupil.starts.values);
            add(&mut filters.worth, &pupil.worth.values);
            filters.bias += pupil.bias.values[0] * share;
        }
    }
    let (meanings, filters) = mean.unwrap_or_else(nothing);
    quantise(number, &meanings, filters)
}

fn nothing() -> (Vec<f32>, Filters) {
    let filters = Filters {
        weights: vec![0.0; SEEN * FILTERS],
        starts: vec![0.0; FILTERS],
        worth: vec![0.0; FILTERS],
        bias: 0.0,
    };
    (vec![0.0; ROWS * WIDTH], filters)
}

/// Eight bits for each number of a meaning.
fn quantise(number: u32, meanings: &[f32], filters: Filters) -> Network {
    let largest = meanings
        .iter()
        .fold(0.0_f32, |most, number| most.max(number.abs()));
    let scale = (largest / 127.0).max(f32::MIN_POSITIVE);
    let eight = |number: &f32| (number / scale).round().clamp(-127.0, 127.0) as i8;
    Network {
        number,
        meanings: meanings.iter().map(eight).collect(),
        scale,
        filters,
    }
}
