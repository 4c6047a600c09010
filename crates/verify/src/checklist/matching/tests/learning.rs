//! The command that learns `data/sureness.tsv` and `data/vectors.bin` anew, from the phrasings and
//! lists of the repository alone: `SEAWORTHY_BLESS=1 cargo test --release -p seaworthy-verify --lib learned`.
//!
//! Each list is judged by phrasings that do not hold it, so that sureness is told by lists that the
//! matcher had not seen.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::package;
use super::training::train;
use crate::checklist::matching::index::{Index, NONE};
use crate::checklist::matching::lists::{Listed, listed};
use crate::checklist::matching::sureness::{Learned, MOST, SIGNS, Signs, VOICES, Voices};
use crate::checklist::matching::{Candidate, LEAST_SURE, Looked, enough, look, settle, signs};

/// So many times some of the lists are held out.
const FOLDS: usize = 4;
/// Before anything is learned, each voice counts so much.
const ALL_ALIKE: Voices = [0.3; VOICES.len()];

/// A list that was held out, by what was learned without it.
struct Held<'a> {
    index: &'a Index,
    looked: Vec<Looked>,
    /// What is right for each of its items.
    right: Vec<BTreeSet<&'static str>>,
}

/// An item of such a list.
#[derive(Clone, Copy)]
struct Example<'a> {
    index: &'a Index,
    looked: &'a Looked,
    right: &'a BTreeSet<&'static str>,
}

impl Example<'_> {
    fn is_right(&self, candidate: &Candidate) -> bool {
        let name = self.index.name(candidate.class);
        name != NONE && self.right.contains(name)
    }

    fn one_is_right(&self, several: usize) -> bool {
        let first = self.looked.candidates.iter().take(several);
        first.into_iter().any(|candidate| self.is_right(candidate))
    }

    fn first_are_ours(&self, several: usize) -> bool {
        let mut first = self.looked.candidates.iter().take(several);
        first.all(|c| self.index.name(c.class) != NONE)
    }
}

fn examples<'a>(held: &'a [Held<'_>]) -> Vec<Example<'a>> {
    let of = |list: &'a Held<'_>| {
        let items = list.looked.iter().zip(&list.right);
        items.map(|(looked, right)| Example {
            index: list.index,
            looked,
            right,
        })
    };
    held.iter().flat_map(of).collect()
}

/// For each part of the lists, what is learned without it.
fn indices(fold: impl Fn(&str) -> usize) -> Vec<Index> {
    let without = |out: usize| {
        let mut index = Index::of(|list| fold(list) != out);
        train(&mut index);
        println!("learned without part {} of {FOLDS}", out + 1);
        index
    };
    (0..FOLDS).map(without).collect()
}

fn hold<'a>(index: &'a Index, list: &[Listed]) -> Held<'a> {
    let items = list.iter();
    let looked = items.map(|item| look(index, &index.read(item.text, item.heading)));
    Held {
        index,
        looked: looked.collect(),
        right: list.iter().map(|item| item.answers().collect()).collect(),
    }
}

#[test]
fn what_is_learned_from_lists_held_out_is_written_when_asked_for() {
    if std::env::var_os("SEAWORTHY_BLESS").is_none() {
        println!("nothing learned: SEAWORTHY_BLESS is not set");
        return;
    }
    let items: Vec<Listed> = listed().collect();
    let lists: BTreeSet<&str> = items.iter().map(|item| item.list).collect();
    let fold = |list: &str| lists.iter().position(|l| *l == list).unwrap_or(0) % FOLDS;
    let indices = indices(fold);
    let lists = items.chunk_by(|a, b| a.list == b.list);
    let mut held: Vec<Held<'_>> = lists
        .map(|list| hold(&indices[fold(list[0].list)], list))
        .collect();
    let mut learned = Learned {
        order: ALL_ALIKE,
        ..Learned::default()
    };
    // What the company says depends on how loud the others are, and the other way round.
    for _ in 0..3 {
        for list in &mut held {
            settle(list.index, &mut list.looked, &learned);
        }
        learned.order = order(&examples(&held));
    }
    for list in &mut held {
        settle(list.index, &mut list.looked, &learned);
    }
    let examples = examples(&held);
    for several in 1..=MOST {
        let ours = examples.iter().filter(|e| e.first_are_ours(several));
        let row = |e: &Example<'_>| (signs(e.index, e.looked, several), e.one_is_right(several));
        let rows: Vec<(Signs, bool)> = ours.map(row).collect();
        let (weights, base) = fitted(&rows);
        learned.signs[several - 1] = weights;
        learned.base[several - 1] = base;
    }
    println!("{} lists held out", held.len());
    told(&examples, &learned);
    let table = table(&learned, examples.len());
    std::fs::write(package("data/sureness.tsv"), table).expect("written");
    let vectors = train(&mut Index::of(|_| true));
    std::fs::write(package("data/vectors.bin"), vectors.written()).expect("written");
}

/// What would be matched, and how much of it is wrong, by how sure it has to be.
fn told(examples: &[Example<'_>], learned: &Learned) {
    let all = examples.len() as f64;
    println!("{} items held out", examples.len());
    let first = [1, 2, 3].map(|n| examples.iter().filter(|e| e.one_is_right(n)).count());
    println!("right among the first, the first two, the first three: {first:?}");
    let alike = [0.7, 0.8, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96];
    for least in alike.map(|least| [least; MOST]).iter().chain([&LEAST_SURE]) {
        let (mut matched, mut several, mut wrong) = (0, 0, 0);
        for example in examples {
            let Some((n, _)) = enough(example.index, example.looked, learned, least) else {
                continue;
            };
            matched += 1;
            several += usize::from(n > 1);
            wrong += usize::from(!example.one_is_right(n));
        }
        let share = |n: usize| n as f64 * 100.0 / all;
        println!(
            "{least:?}: {:.1} % matched, {:.1} % to several, {:.1} % wrong",
            share(matched),
            share(several),
            share(wrong)
        );
    }
}

/// How loud each voice has to be for the right requirements to come first.
fn order(examples: &[Example<'_>]) -> Voices {
    const ROUNDS: usize = 300;
    const RATE: f64 = 0.02;
    const SHRINK: f64 = 0.01;
    const MOMENTUM: f64 = 0.9;
    let judged = |e: &Example<'_>| -> Vec<(Voices, bool)> {
        let candidates = e.looked.candidates.iter();
        candidates.map(|c| (c.voices, e.is_right(c))).collect()
    };
    let judged = examples.iter().map(judged);
    let told: Vec<Vec<(Voices, bool)>> = judged.filter(|e| e.iter().any(|(_, r)| *r)).collect();
    let (mut weights, mut speed): (Voices, Voices) = (ALL_ALIKE, [0.0; VOICES.len()]);
    for _ in 0..ROUNDS {
        let mut slope: Voices = weights.map(|weight| weight * SHRINK);
        for example in &told {
            let score = |v: &Voices| v.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>();
            let scores: Vec<f64> = example.iter().map(|(voices, _)| score(voices)).collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let all: f64 = shares.iter().sum();
            let right = shares.iter().zip(example).filter(|(_, (_, r))| *r);
            let right: f64 = right.map(|(s, _)| s).sum();
            for (share, (voices, is_right)) in shares.iter().zip(example) {
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
         # SEAWORTHY_BLESS=1 cargo test --release -p seaworthy-verify --lib learned\n\
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
