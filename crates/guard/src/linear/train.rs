//! Trains a linear model: logistic regression by stochastic gradient descent, on the worst window of
//! each text. One thread, one seed: the same data give the same weights, byte for byte.

use std::borrow::Cow;

use super::{Features, LinearModel, ModelError, Windows};
use crate::testing::Dice;

/// A text to learn from.
#[derive(Debug, Clone)]
pub struct Example {
    /// Its hashed features.
    pub features: Features,
    /// Whether the model should fire.
    pub label: bool,
    /// How much it counts.
    pub weight: f32,
}

/// How to train.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The model has `2^bits` weights.
    pub bits: u32,
    /// Passes over the data.
    pub epochs: u32,
    /// The strength of the L2 penalty.
    pub lambda: f32,
    /// The first learning rate.
    pub rate: f32,
    /// Decides the order of the examples.
    pub seed: u64,
    /// Whether rare features count more than frequent ones, and those that texts of one label have more than
    /// those that both have.
    pub by_rarity: bool,
    /// The share of features that each step leaves out after the first pass, others each time, so that no
    /// few of them decide.
    pub left_out: f32,
    /// Which windows the model scores.
    pub windows: Windows,
}

/// Weights that are kept as `factor × raw`, so that the penalty costs nothing per step.
struct Weights {
    raw: Vec<f32>,
    /// How much each feature counts.
    scales: Vec<f32>,
    factor: f32,
    bias: f32,
    shift: u32,
    windows: Windows,
}

impl Weights {
    fn logit(&self, blocks: &[&[u32]]) -> f32 {
        let count: usize = blocks.iter().map(|block| block.len()).sum();
        let sum: f32 = blocks
            .iter()
            .flat_map(|block| block.iter())
            .map(|hash| {
                let at = (hash >> self.shift) as usize;
                self.raw[at] * self.scales[at]
            })
            .sum();
        sum * self.factor / self.windows.length(count) + self.bias
    }

    fn step(&mut self, blocks: &[&[u32]], push: f32) {
        let count: usize = blocks.iter().map(|block| block.len()).sum();
        let each = push / self.windows.length(count) / self.factor;
        for hash in blocks.iter().flat_map(|block| block.iter()) {
            let at = (hash >> self.shift) as usize;
            self.raw[at] += each * self.scales[at];
        }
        self.bias += push * 0.05;
    }

    fn shrink(&mut self, by: f32) {
        self.factor *= 1.0 - by;
        if self.factor < 1e-4 {
            self.raw
                .iter_mut()
                .for_each(|weight| *weight *= self.factor);
            self.factor = 1.0;
        }
    }
}

/// Trains on `examples`. In the first pass every window of a text learns; afterwards only the worst.
pub fn train(examples: &[Example], plan: &Plan) -> Result<LinearModel, ModelError> {
    let mut weights = Weights {
        raw: vec![0.0; 1 << plan.bits],
        factor: 1.0,
        bias: 0.0,
        shift: 32 - plan.bits,
        scales: scales(examples, plan),
        windows: plan.windows,
    };
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut dice = Dice::new(plan.seed);
    let mut steps = 0_u32;
    let mut average = vec![0.0_f32; weights.raw.len()];
    let mut average_bias = 0.0;
    // The mean over the later passes generalises better than the last state.
    let kept = (plan.epochs / 2).max(1);
    for epoch in 0..plan.epochs {
        for last in (1..order.len()).rev() {
            order.swap(last, dice.below(last + 1));
        }
        for &index in &order {
            let example = &examples[index];
            let share = if epoch == 0 { 0.0 } else { plan.left_out };
            let kept = thinned(&example.features, share, &mut dice);
            let blocks: Vec<&[u32]> = kept.iter().map(|block| &**block).collect();
            if blocks.is_empty() {
                continue;
            }
            let rate = plan.rate / (1.0 + plan.rate * plan.lambda * steps as f32);
            steps += 1;
            weights.shrink(rate * plan.lambda);
            let all: Vec<(usize, usize)> = plan.windows.of(blocks.len()).collect();
            let logits: Vec<f32> = all
                .iter()
                .map(|(first, last)| weights.logit(&blocks[*first..=*last]))
                .collect();
            let worst = (0..all.len())
                .max_by(|a, b| logits[*a].total_cmp(&logits[*b]))
                .unwrap_or(0);
            let target = f32::from(u8::from(example.label));
            for (window, (first, last)) in all.iter().enumerate() {
                if epoch > 0 && window != worst {
                    continue;
                }
                let share = if epoch == 0 {
                    1.0 / all.len() as f32
                } else {
                    1.0
                };
                let error = target - super::probability(logits[window]);
                weights.step(
                    &blocks[*first..=*last],
                    rate * example.weight * share * error,
                );
            }
        }
        if epoch >= plan.epochs - kept {
            for (mean, raw) in average.iter_mut().zip(&weights.raw) {
                *mean += raw * weights.factor / kept as f32;
            }
            average_bias += weights.bias / kept as f32;
        }
    }
    for (mean, scale) in average.iter_mut().zip(&weights.scales) {
        *mean *= scale;
    }
    quantise(&average, average_bias, plan.windows)
}

/// The blocks of a text without a share of its features; which, the dice decide.
fn thinned<'f>(features: &'f Features, share: f32, dice: &mut Dice) -> Vec<Cow<'f, [u32]>> {
    let blocks = features.blocks().map(|(_, block)| block);
    if share <= 0.0 {
        return blocks.map(Cow::Borrowed).collect();
    }
    let salt = dice.roll() as u32;
    let least = (share * u32::MAX as f32) as u32;
    let stays = |hash: &u32| {
        let mixed = (hash ^ salt).wrapping_mul(0x9E37_79B1);
        (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B) >= least
    };
    let thin = |block: &[u32]| Cow::Owned(block.iter().copied().filter(stays).collect());
    blocks.map(thin).collect()
}

/// How much each feature counts while the model learns: by the logarithm of how rare it is, more if texts of one
/// label have it much more often; or alike.
/// The weights hold it afterwards, so that judging costs nothing more.
fn scales(examples: &[Example], plan: &Plan) -> Vec<f32> {
    let (size, shift) = (1 << plan.bits, 32 - plan.bits);
    if !plan.by_rarity {
        return vec![1.0; size];
    }
    // For each label, the features of its texts and their number.
    let mut labels = [
        (vec![0.0_f32; size], 1.0_f32),
        (vec![0.0_f32; size], 1.0_f32),
    ];
    let mut seen_in = vec![usize::MAX; size];
    for (index, example) in examples.iter().enumerate() {
        let (counts, total) = &mut labels[usize::from(example.label)];
        *total += example.weight;
        for hash in example.features.blocks().flat_map(|(_, block)| block) {
            let at = (hash >> shift) as usize;
            if seen_in[at] != index {
                seen_in[at] = index;
                counts[at] += example.weight;
            }
        }
    }
    let [(honest, all_honest), (hostile, all_hostile)] = &labels;
    let counts: Vec<f32> = honest.iter().zip(hostile).map(|(a, b)| a + b).collect();
    let mut scales: Vec<f32> = (0..size)
        .map(|at| {
            let rarity = ((all_honest + all_hostile) / (1.0 + counts[at])).ln();
            let ratio = (1.0 + hostile[at]) / all_hostile * all_honest / (1.0 + honest[at]);
            rarity * (1.0 + ratio.ln().abs())
        })
        .collect();
    let used = scales
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count > 0.0);
    let (sum, many) = used.fold((0.0_f32, 0.0_f32), |(sum, many), (scale, _)| {
        (sum + scale * scale, many + 1.0)
    });
    let mean = (sum / many.max(1.0)).sqrt().max(f32::MIN_POSITIVE);
    scales.iter_mut().for_each(|scale| *scale /= mean);
    scales
}

/// Eight bits a weight; the largest one in ten thousand is clipped.
fn quantise(values: &[f32], bias: f32, windows: Windows) -> Result<LinearModel, ModelError> {
    let mut sizes: Vec<f32> = values
        .iter()
        .map(|value| value.abs())
        .filter(|size| *size > 0.0)
        .collect();
    sizes.sort_by(f32::total_cmp);
    let largest = sizes
        .get(sizes.len().saturating_sub(1 + sizes.len() / 10_000))
        .copied()
        .unwrap_or(1.0);
    let scale = (largest / 127.0).max(f32::MIN_POSITIVE);
    let eight = |value: &f32| (value / scale).round().clamp(-127.0, 127.0) as i8;
    LinearModel::new(values.iter().map(eight).collect(), scale, bias, windows)
}
