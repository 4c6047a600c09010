//! The command that learns `data/sureness.tsv` anew, from the lists of the repository alone:
//! `SEAWORTHY_BLESS=1 cargo test -p seaworthy-verify --lib learned`.
//!
//! Each list is judged by phrasings that do not hold it, so that sureness is told by lists that the
//! matcher had not seen.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::package;
use crate::checklist::matching::index::{Index, Listed, NONE, listed};
use crate::checklist::matching::sureness::{BUILTIN, Learned, MOST, SIGNS, Signs, VOICES, Voices};
use crate::checklist::matching::{LEAST_SURE, Looked, enough, look, signs};

/// So many times some of the lists are held out.
const FOLDS: usize = 4;

/// An item of a list that was held out.
struct Example {
    item: Listed,
    looked: Looked,
    /// Which of the candidates are right, in their order.
    right: Vec<bool>,
}

fn examples(index: &Index, items: &[Listed], learned: &Learned) -> Vec<Example> {
    let of = |item: &Listed| {
        let looked = look(index, &index.read(item.text, item.heading), learned);
        let accepted: BTreeSet<&str> = item.answers().collect();
        let names = looked.candidates.iter().map(|c| index.name(c.class));
        let right = names.map(|name| name != NONE && accepted.contains(name));
        Example {
            item: *item,
            right: right.collect(),
            looked,
        }
    };
    items.iter().map(of).collect()
}

/// Every item of every list, judged without its list.
fn held_out() -> Vec<Example> {
    let items: Vec<Listed> = listed().collect();
    let lists: BTreeSet<&str> = items.iter().map(|item| item.list).collect();
    let fold = |list: &str| lists.iter().position(|l| *l == list).unwrap_or(0) % FOLDS;
    let mut all = Vec::new();
    for out in 0..FOLDS {
        let index = Index::of(|list| fold(list) != out);
        let here: Vec<Listed> = items
            .iter()
            .filter(|item| fold(item.list) == out)
            .copied()
            .collect();
        all.extend(examples(&index, &here, &BUILTIN));
    }
    all
}

#[test]
fn what_is_learned_from_lists_held_out_is_written_when_asked_for() {
    if std::env::var_os("SEAWORTHY_BLESS").is_none() {
        println!("nothing learned: SEAWORTHY_BLESS is not set");
        return;
    }
    // Names of requirements are the same in every index.
    let index = Index::of(|_| false);
    let mut examples = held_out();
    let mut learned = Learned {
        order: order(&examples),
        ..Learned::default()
    };
    for example in &mut examples {
        sort_anew(example, &learned);
    }
    for several in 1..=MOST {
        let rows: Vec<(Signs, bool)> = examples
            .iter()
            .filter(|e| first_are_ours(&index, e, several))
            .map(|e| {
                let right = e.right.iter().take(several).any(|right| *right);
                (signs(&index, &e.looked, several), right)
            })
            .collect();
        let (weights, base) = fitted(&rows);
        learned.signs[several - 1] = weights;
        learned.base[several - 1] = base;
    }
    told(&index, &examples, &learned);
    let table = table(&learned, examples.len());
    std::fs::write(package("data/sureness.tsv"), table).expect("written");
}

fn first_are_ours(index: &Index, example: &Example, several: usize) -> bool {
    let first = example.looked.candidates.iter().take(several);
    first.into_iter().all(|c| index.name(c.class) != NONE)
}

fn sort_anew(example: &mut Example, learned: &Learned) {
    let candidates = std::mem::take(&mut example.looked.candidates);
    let mut both: Vec<_> = candidates
        .into_iter()
        .zip(example.right.drain(..))
        .collect();
    for (candidate, _) in &mut both {
        candidate.score = learned.score(&candidate.voices);
    }
    both.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score).then(a.class.cmp(&b.class)));
    (example.looked.candidates, example.right) = both.into_iter().unzip();
}

/// What would be matched, and how much of it is wrong, by how sure it has to be.
fn told(index: &Index, examples: &[Example], learned: &Learned) {
    let all = examples.len() as f64;
    let lists: BTreeSet<&str> = examples.iter().map(|e| e.item.list).collect();
    println!("{} items of {} lists held out", examples.len(), lists.len());
    for least in [0.6, 0.7, 0.75, 0.8, LEAST_SURE, 0.9, 0.93, 0.95, 0.97] {
        let (mut matched, mut several, mut wrong) = (0, 0, 0);
        for example in examples {
            let Some((n, _)) = enough(index, &example.looked, learned, least) else {
                continue;
            };
            matched += 1;
            several += usize::from(n > 1);
            wrong += usize::from(!example.right.iter().take(n).any(|right| *right));
        }
        let share = |n: usize| n as f64 * 100.0 / all;
        println!(
            "{least}: {:.1} % matched, {:.1} % to several, {:.1} % wrong",
            share(matched),
            share(several),
            share(wrong)
        );
    }
}

/// How loud each voice has to be for the right requirements to come first.
fn order(examples: &[Example]) -> Voices {
    const ROUNDS: usize = 300;
    const RATE: f64 = 0.02;
    const SHRINK: f64 = 0.01;
    const MOMENTUM: f64 = 0.9;
    let told: Vec<&Example> = examples
        .iter()
        .filter(|e| e.right.contains(&true))
        .collect();
    let (mut weights, mut speed): (Voices, Voices) = ([0.3; VOICES.len()], [0.0; VOICES.len()]);
    for _ in 0..ROUNDS {
        let mut slope: Voices = weights.map(|weight| weight * SHRINK);
        for example in &told {
            let voices = || example.looked.candidates.iter().map(|c| &c.voices);
            let score = |v: &Voices| v.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = voices().map(score).collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let all: f64 = shares.iter().sum();
            let right = shares.iter().zip(&example.right);
            let right: f64 = right.filter(|(_, r)| **r).map(|(s, _)| s).sum();
            for ((voices, share), is_right) in voices().zip(&shares).zip(&example.right) {
                let wanted = if *is_right { share / right } else { 0.0 };
                let error = (share / all - wanted) / told.len() as f64;
                for (slope, voice) in slope.iter_mut().zip(voices) {
                    *slope += error * voice;
                }
            }
        }
        for ((weight, speed), slope) in weights.iter_mut().zip(&mut speed).zip(slope) {
            *speed = MOMENTUM * *speed + slope;
            *weight -= RATE * *speed;
        }
    }
    weights
}

/// The weights of a logistic regression over signs in standard deviations, kept small.
fn fitted(rows: &[(Signs, bool)]) -> (Signs, f64) {
    const ROUNDS: usize = 3000;
    const RATE: f64 = 0.5;
    const SHRINK: f64 = 0.003;
    let count = rows.len() as f64;
    let mean: Signs = std::array::from_fn(|s| rows.iter().map(|(r, _)| r[s]).sum::<f64>() / count);
    let spread: Signs = std::array::from_fn(|s| {
        let squares = rows.iter().map(|(r, _)| (r[s] - mean[s]).powi(2));
        (squares.sum::<f64>() / count).sqrt().max(1e-9)
    });
    let rows: Vec<(Signs, f64)> = rows
        .iter()
        .map(|(row, right)| {
            let row = std::array::from_fn(|s| (row[s] - mean[s]) / spread[s]);
            (row, f64::from(u8::from(*right)))
        })
        .collect();
    let (mut weights, mut base): (Signs, f64) = ([0.0; SIGNS.len()], 0.0);
    for _ in 0..ROUNDS {
        let (mut slope, mut base_slope): (Signs, f64) = ([0.0; SIGNS.len()], 0.0);
        for (row, right) in &rows {
            let sum: f64 = row.iter().zip(&weights).map(|(a, b)| a * b).sum();
            let error = 1.0 / (1.0 + (-sum - base).exp()) - right;
            base_slope += error / count;
            for (slope, sign) in slope.iter_mut().zip(row) {
                *slope += error * sign / count;
            }
        }
        base -= RATE * base_slope;
        for (weight, slope) in weights.iter_mut().zip(slope) {
            *weight -= RATE * (slope + SHRINK * *weight);
        }
    }
    for (s, weight) in weights.iter_mut().enumerate() {
        *weight /= spread[s];
        base -= *weight * mean[s];
    }
    (weights, base)
}

fn table(learned: &Learned, items: usize) -> String {
    let mut table = format!(
        "# What {items} items of the lists in lists.tsv taught, each judged without its own list, by the command\n\
         # SEAWORTHY_BLESS=1 cargo test -p seaworthy-verify --lib learned\n\
         # How much each voice counts in the order of requirements; then how much each sign says that\n\
         # the first requirement is right, or one of the first two, or one of the first three.\n"
    );
    for (name, weight) in VOICES.iter().zip(learned.order) {
        let _ = writeln!(table, "order by {name}\t{weight:.4}");
    }
    for (s, name) in SIGNS.iter().enumerate() {
        let weights = learned.signs.map(|signs| format!("{:.4}", signs[s]));
        let _ = writeln!(table, "{name}\t{}", weights.join("\t"));
    }
    let base = learned.base.map(|base| format!("{base:.4}"));
    let _ = writeln!(table, "base\t{}", base.join("\t"));
    table
}
