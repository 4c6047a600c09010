//! How sure a match is: what its signs were worth on lists that had been held out.

use std::sync::LazyLock;

const LEARNED: &str = include_str!("../../../data/sureness.tsv");

/// An item is never matched to more requirements.
pub(super) const MOST: usize = 3;

/// What speaks for one requirement before another, in the order of [`VOICES`].
pub(super) type Voices = [f64; VOICES.len()];

/// What tells a right match from a wrong one, in the order of [`SIGNS`].
pub(super) type Signs = [f64; SIGNS.len()];

/// The names of the voices that put the requirements in an order.
pub(super) const VOICES: [&str; 7] = [
    "probability",
    "nearness",
    "known",
    "likeness",
    "vector",
    "vectors of phrasings",
    "company",
];

/// Which of them is that of the items around.
pub(super) const COMPANY: usize = 6;

/// The names of the signs.
pub(super) const SIGNS: [&str; 23] = [
    "odds",
    "lead of the last",
    "lead of the first",
    "lead by probability",
    "lead by nearness",
    "score",
    "known",
    "lead by what is known",
    "strange",
    "length",
    "likeness",
    "likest",
    "middle",
    "same family",
    "nothing",
    "known by all",
    "known of many",
    "lead by vector",
    "vector",
    "lead by vectors of phrasings",
    "vectors of phrasings",
    "lead by company",
    "company",
];

/// What was learned, as the table holds it.
#[derive(Debug, Default)]
pub(super) struct Learned {
    pub(super) order: Voices,
    /// For one requirement, for the first two, and so on.
    pub(super) signs: [Signs; MOST],
    pub(super) base: [f64; MOST],
}

pub(super) static BUILTIN: LazyLock<Learned> = LazyLock::new(|| Learned::read(LEARNED));

impl Learned {
    fn read(table: &str) -> Self {
        let mut learned = Self::default();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let name = fields.next().unwrap_or_default();
            let numbers: Vec<f64> = fields.filter_map(|n| n.parse().ok()).collect();
            if let Some(voice) = name.strip_prefix("order by ") {
                let at = VOICES.iter().position(|v| *v == voice);
                set(at.and_then(|at| learned.order.get_mut(at)), numbers.first());
            } else if name == "base" {
                for (base, number) in learned.base.iter_mut().zip(&numbers) {
                    *base = *number;
                }
            } else if let Some(at) = SIGNS.iter().position(|sign| *sign == name) {
                for (signs, number) in learned.signs.iter_mut().zip(&numbers) {
                    set(signs.get_mut(at), Some(number));
                }
            }
        }
        learned
    }

    /// How good a requirement is by all voices.
    pub(super) fn score(&self, voices: &Voices) -> f64 {
        let parts = voices.iter().zip(&self.order);
        parts.map(|(voice, weight)| voice * weight).sum()
    }

    /// How probable it is that one of the first so many is right.
    pub(super) fn sureness(&self, several: usize, signs: &Signs) -> f64 {
        let at = several.saturating_sub(1);
        let (Some(weights), Some(base)) = (self.signs.get(at), self.base.get(at)) else {
            return 0.0;
        };
        let sum: f64 = signs.iter().zip(weights).map(|(s, w)| s * w).sum();
        1.0 / (1.0 + (-sum - base).exp())
    }
}

fn set(place: Option<&mut f64>, number: Option<&f64>) {
    if let (Some(place), Some(number)) = (place, number) {
        *place = *number;
    }
}
