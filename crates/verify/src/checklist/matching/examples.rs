//! How people ask for a requirement, and how much an item is like that.

use std::collections::{BTreeMap, BTreeSet};

use super::super::words::Words;
use super::{NOTHING, split_title};
use crate::requirement::{Requirement, Requirements};

const ASKS: &str = include_str!("../../../data/asks.tsv");

/// How much words of an explanation and of headings count beside those of the item itself.
const EXPLANATION: f64 = 0.6;
const HEADING: f64 = 0.3;
/// A word that no requirement has, beside one that a single requirement has.
const UNKNOWN: f64 = 0.5;
/// A word that nearly every item has.
const WEAK: f64 = 0.35;
/// How much of an item's words its own requirement may explain beyond the example.
const BY_DOCUMENT: f64 = 0.5;
/// Half of the certainty that an example can give needs this much of rare words.
const HALF: f64 = 2.0;

/// One way to ask for a requirement.
#[derive(Debug)]
struct Example {
    id: String,
    words: BTreeSet<String>,
    weight: f64,
}

/// All ways to ask for something.
#[derive(Debug)]
pub(super) struct Examples {
    examples: Vec<Example>,
    /// Where each word is asked for.
    by_word: BTreeMap<String, Vec<usize>>,
    /// Every word of a requirement and of the ways to ask for it.
    documents: BTreeMap<String, BTreeSet<String>>,
    rarity: BTreeMap<String, f64>,
    unknown: f64,
}

/// An item as it is compared: its words and their weights.
pub(super) struct Asked {
    words: BTreeMap<String, f64>,
    around: BTreeSet<String>,
    weight: f64,
}

impl Examples {
    pub(super) fn new(words: &Words, requirements: &Requirements) -> Self {
        let asks = asks();
        let mut documents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, requirement) in requirements.iter() {
            let own = [id.replace(['.', '-'], " "), requirement.words.clone()];
            let texts = own.iter().map(String::as_str).chain(ways(requirement));
            let texts = texts.chain(asks.get(id).into_iter().flatten().copied());
            let all = texts.flat_map(|text| words.of(text)).collect();
            documents.insert(id.to_owned(), all);
        }
        let mut spread: BTreeMap<&str, usize> = BTreeMap::new();
        for word in documents.values().flatten() {
            *spread.entry(word).or_default() += 1;
        }
        let elsewhere = asks.get(NOTHING).into_iter().flatten();
        let elsewhere: BTreeSet<String> = elsewhere.flat_map(|text| words.of(text)).collect();
        for word in &elsewhere {
            spread.entry(word).or_insert(1);
        }
        let rarity = spread.iter().map(|(word, n)| {
            let weak = if words.is_weak(word) { WEAK } else { 1.0 };
            ((*word).to_owned(), weak * rare(*n, documents.len()))
        });
        let (rarity, unknown) = (rarity.collect(), UNKNOWN * rare(1, documents.len()));
        documents.insert(NOTHING.to_owned(), elsewhere);
        let mut all = Self {
            examples: Vec::new(),
            by_word: BTreeMap::new(),
            documents,
            rarity,
            unknown,
        };
        for (id, requirement) in requirements.iter().filter(|(_, r)| !r.specific) {
            let asked = asks.get(id).into_iter().flatten().copied();
            all.add(words, id, ways(requirement).chain(asked));
        }
        let nothing = asks.get(NOTHING).into_iter().flatten().copied();
        all.add(words, NOTHING, nothing);
        all
    }

    fn add<'t>(&mut self, words: &Words, id: &str, texts: impl Iterator<Item = &'t str>) {
        let sets: BTreeSet<BTreeSet<String>> = texts
            .map(|text| words.of(text).into_iter().collect())
            .collect();
        for words in sets.into_iter().filter(|words| !words.is_empty()) {
            let weight = words.iter().map(|word| self.rarity(word)).sum();
            for word in &words {
                let places = self.by_word.entry(word.clone()).or_default();
                places.push(self.examples.len());
            }
            self.examples.push(Example {
                id: id.to_owned(),
                words,
                weight,
            });
        }
    }

    fn rarity(&self, word: &str) -> f64 {
        self.rarity.get(word).copied().unwrap_or(self.unknown)
    }

    pub(super) fn read(&self, words: &Words, text: &str, context: &[&str]) -> Asked {
        let (title, explanation) = split_title(text);
        let mut all = BTreeMap::new();
        for word in words.of(explanation) {
            all.insert(word.clone(), EXPLANATION * self.rarity(&word));
        }
        for word in words.of(title) {
            all.insert(word.clone(), self.rarity(&word));
        }
        Asked {
            weight: all.values().sum(),
            words: all,
            around: context.iter().flat_map(|text| words.of(text)).collect(),
        }
    }

    /// Every requirement that is asked for in words of the item, and how much so.
    pub(super) fn scores(&self, item: &Asked) -> BTreeMap<&str, f64> {
        let mut best: BTreeMap<&str, f64> = BTreeMap::new();
        if item.weight <= 0.0 {
            return best;
        }
        let mut shared: BTreeMap<usize, f64> = BTreeMap::new();
        for (word, weight) in &item.words {
            for place in self.by_word.get(word).into_iter().flatten() {
                *shared.entry(*place).or_default() += weight;
            }
        }
        for (place, shared) in shared {
            let Some(example) = self.examples.get(place) else {
                continue;
            };
            let score = self.score(item, example, shared);
            let known = best.entry(&example.id).or_default();
            *known = known.max(score);
        }
        best
    }

    fn score(&self, item: &Asked, example: &Example, shared: f64) -> f64 {
        let missing = example
            .words
            .iter()
            .filter(|w| !item.words.contains_key(*w));
        let around = missing.filter(|word| item.around.contains(*word));
        let around: f64 = around.map(|word| HEADING * self.rarity(word)).sum();
        let here = example.words.iter().filter(|w| item.words.contains_key(*w));
        let found: f64 = here.map(|word| self.rarity(word)).sum::<f64>() + around;
        let explained = self.explained(item, &example.id);
        let fits = (1.0 - BY_DOCUMENT) * shared / item.weight + BY_DOCUMENT * explained;
        (found / example.weight).powf(0.6) * fits.powf(0.4) * shared / (shared + HALF)
    }

    /// The share of the item that a requirement has words for.
    fn explained(&self, item: &Asked, id: &str) -> f64 {
        let Some(document) = self.documents.get(id) else {
            return 0.0;
        };
        let known = item
            .words
            .iter()
            .filter(|(word, _)| document.contains(*word));
        known.map(|(_, weight)| weight).sum::<f64>() / item.weight
    }

    /// The same, of all words alike, and the share of words that nobody knows.
    pub(super) fn coverage(&self, words: &BTreeSet<String>, id: &str) -> (f64, f64) {
        let weight = |word: &String| self.rarity(word);
        let all: f64 = words.iter().map(weight).sum();
        let document = self.documents.get(id);
        let known = words
            .iter()
            .filter(|w| document.is_some_and(|d| d.contains(*w)));
        let known: f64 = known.map(weight).sum();
        let strange = words
            .iter()
            .filter(|w| !self.rarity.contains_key(*w))
            .count();
        let share = if all > 0.0 { known / all } else { 0.0 };
        (share, ratio(strange, words.len().max(1)))
    }
}

fn asks() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut asks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in ASKS.lines().filter(|line| !line.starts_with('#')) {
        if let Some((id, ways)) = line.split_once('\t') {
            asks.entry(id).or_default().extend(ways.split('|'));
        }
    }
    asks
}

/// Texts of a requirement that are ways to ask for it.
fn ways(requirement: &Requirement) -> impl Iterator<Item = &str> {
    let title = std::iter::once(requirement.title.as_str());
    title.chain(requirement.phrases.iter().map(String::as_str))
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred requirements")]
fn rare(spread: usize, documents: usize) -> f64 {
    (1.0 + documents as f64 / (0.5 + spread as f64)).ln()
}

#[expect(clippy::cast_precision_loss, reason = "a few words")]
pub(super) fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

#[cfg(test)]
mod tests {
    use super::{NOTHING, asks};
    use crate::requirement::Requirements;

    #[test]
    fn every_way_to_ask_leads_to_a_requirement() {
        let requirements = Requirements::builtin().expect("the data parses");
        for (id, ways) in asks() {
            assert!(id == NOTHING || requirements.get(id).is_some(), "{id}");
            assert!(
                ways.iter().all(|way| way.trim().len() > 2),
                "{id}: {ways:?}"
            );
        }
    }
}
