//! Where phrasings and items lie as vectors, and what lies near.

use std::sync::OnceLock;

use super::super::features::pieces;
use super::super::mean;
use super::super::vectors::{Vectors, dot, unit};
use super::{HEADING, Index, LIKEST, Phrase, Reading};

/// How much the pieces of an item's words say together beside the words themselves.
const PIECES: f32 = 0.7;

/// The vectors, by the numbers of the index.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) vectors: Vectors,
    /// The vector of each feature and of each requirement, if it has one.
    rows: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
    /// Where each requirement's phrasings lie, once somebody asked.
    phrases: Vec<OnceLock<Vec<Vec<f32>>>>,
}

impl Index {
    /// Places everything by these vectors.
    pub(in super::super) fn take(&mut self, vectors: Vectors) {
        let mut rows = vec![None; self.features.len()];
        for (name, number) in &self.numbers {
            if let Some(row) = rows.get_mut(*number) {
                *row = vectors.words.row(name);
            }
        }
        let outputs = self.names.iter().map(|name| vectors.classes.row(name));
        self.places = Places {
            rows,
            outputs: outputs.collect(),
            phrases: self.names.iter().map(|_| OnceLock::new()).collect(),
            vectors,
        };
    }

    /// The features that as many phrasings have, in their order.
    #[cfg(test)]
    pub(in super::super) fn common(&self, least: f64) -> Vec<&str> {
        let mut names: Vec<(usize, &str)> = Vec::new();
        for (name, number) in &self.numbers {
            let feature = self.features.get(*number);
            if feature.is_some_and(|feature| feature.phrases >= least) {
                names.push((*number, name));
            }
        }
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// The rows of the vectors of what an item and its heading say, and how much each counts.
    pub(in super::super) fn rows(&self, own: &[usize], heading: &[usize]) -> Vec<(usize, f32)> {
        let row = |number: &usize| self.places.rows.get(*number).copied().flatten();
        let mut rows = Vec::with_capacity(own.len() + heading.len());
        for (numbers, share) in [(own, 1.0), (heading, HEADING)] {
            let placed = numbers
                .iter()
                .filter_map(|n| Some((row(n)?, self.weight(*n))));
            let placed: Vec<(usize, f64)> = placed.collect();
            let length = placed.iter().map(|(_, w)| w * w).sum::<f64>().sqrt();
            rows.extend(
                placed
                    .into_iter()
                    .map(|(row, w)| (row, single(w / length * share))),
            );
        }
        rows
    }

    /// The same for the pieces of the item's words.
    pub(in super::super) fn pieces(&self, text: &str) -> Vec<(usize, f32)> {
        let rows = pieces(text);
        let rows = rows
            .iter()
            .filter_map(|piece| self.places.vectors.words.row(piece));
        let rows: Vec<usize> = rows.collect();
        let share = PIECES / count(rows.len()).sqrt();
        rows.into_iter().map(|row| (row, share)).collect()
    }

    /// The vector of a text and its heading.
    pub(in super::super) fn place(&self, text: &str, own: &[usize], heading: &[usize]) -> Vec<f32> {
        let rows = self.rows(own, heading).into_iter();
        self.places.vectors.sum(rows.chain(self.pieces(text)))
    }

    /// How much the item's vector speaks for each requirement; for one that nothing was learned
    /// about as much as for a middling one.
    pub(in super::super) fn speaks(&self, item: &Reading) -> Vec<f64> {
        let speaks = |class: usize| f64::from(self.places.vectors.speaks(&item.place, class));
        let known = self
            .places
            .outputs
            .iter()
            .flatten()
            .map(|class| speaks(*class));
        let known: Vec<f64> = known.collect();
        let middling = mean(&known);
        let outputs = self.places.outputs.iter();
        outputs
            .map(|class| class.map_or(middling, speaks))
            .collect()
    }

    /// How near the item's vector is to those of the nearest phrasings of a requirement.
    pub(in super::super) fn alike(&self, item: &Reading, class: usize) -> f64 {
        let Some(places) = self.places.phrases.get(class) else {
            return 0.0;
        };
        let phrases = self.phrases.get(class).into_iter().flatten();
        let place = |phrase: &Phrase| unit(self.place(phrase.text, &phrase.own, &phrase.heading));
        let places = places.get_or_init(|| phrases.map(place).collect());
        let here = unit(item.place.clone());
        let near = places.iter().map(|place| f64::from(dot(&here, place)));
        let mut near: Vec<f64> = near.collect();
        near.sort_by(|a, b| b.total_cmp(a));
        near.truncate(LIKEST);
        mean(&near)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a weight, about 1")]
fn single(weight: f64) -> f32 {
    weight as f32
}

#[expect(clippy::cast_precision_loss, reason = "a few pieces")]
fn count(pieces: usize) -> f32 {
    pieces as f32
}
