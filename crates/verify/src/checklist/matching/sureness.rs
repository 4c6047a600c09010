//! How sure a match is: what its signs were worth on lists with known answers.

use std::sync::LazyLock;

const WEIGHTS: &str = include_str!("../../../data/sureness.tsv");

/// What tells a right match from a wrong one, in the order of [`SIGNS`].
pub(super) type Signs = [f64; SIGNS.len()];

/// The names of the signs.
pub(super) const SIGNS: [&str; 11] = [
    "score",
    "lead",
    "lead by probability",
    "lead by nearness",
    "nearness",
    "lead over nothing",
    "known",
    "lead by what is known",
    "strange",
    "length",
    "same family",
];

/// A line of the table for each sign, and one for what holds without any.
#[derive(Debug)]
struct Weights {
    signs: Signs,
    base: f64,
}

static BUILTIN: LazyLock<Weights> = LazyLock::new(|| read(WEIGHTS));

fn read(table: &str) -> Weights {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.filter_map(|line| line.split_once('\t'));
    let mut weights = Weights {
        signs: [0.0; SIGNS.len()],
        base: 0.0,
    };
    for (name, weight) in rows {
        let weight = weight.parse().unwrap_or_default();
        match SIGNS.iter().position(|sign| *sign == name) {
            Some(at) => weights
                .signs
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|w| *w = weight),
            None => weights.base = weight,
        }
    }
    weights
}

/// How probable it is that a match with these signs is right.
pub(super) fn sureness(signs: &Signs) -> f64 {
    let weights = &*BUILTIN;
    let parts = signs.iter().zip(&weights.signs);
    let sum: f64 = parts.map(|(sign, weight)| sign * weight).sum();
    1.0 / (1.0 + (-sum - weights.base).exp())
}
