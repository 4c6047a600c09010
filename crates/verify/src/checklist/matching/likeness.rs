//! How much an item is like what a requirement says of itself: words, pairs of neighbours, phrases.

use std::collections::{BTreeMap, BTreeSet};

use super::super::words::Words;
use super::split_title;
use crate::requirement::{Requirement, Requirements};

/// Weights of a requirement's texts, and of what stands around an item.
const OWN_WORDS: f64 = 1.0;
const HOW_VERIFIED: f64 = 0.3;
const EXPLANATION: f64 = 0.7;
const HEADING: f64 = 0.3;
const PAIR: f64 = 0.4;

/// Words that say what kind of thing is asked for: a runbook about errors is not an alert on errors.
const FACETS: &str =
    "alert dashboard runbook audit test docs retention rotation probe review metric";
const MEANING_TEST: &str = "rehearsed practised practiced tried exercised drill proven";
/// Families of requirements that need their word in the item or its heading.
const FAMILIES: [(&str, &str); 4] = [
    ("alert.", "alert"),
    ("dash.", "dashboard"),
    ("runbook.", "runbook"),
    ("audit.", "audit"),
];
/// What a missing kind word costs.
const WRONG_KIND: f64 = 0.75;

/// What every requirement says of itself.
#[derive(Debug)]
pub(super) struct Likeness {
    words: Words,
    profiles: BTreeMap<String, Profile>,
    /// How many requirements have a feature.
    spread: BTreeMap<String, usize>,
    facets: BTreeSet<String>,
    testing: BTreeSet<String>,
}

/// What a requirement looks like to the matcher.
#[derive(Debug)]
struct Profile {
    features: Features,
    norm: f64,
    phrases: Vec<BTreeSet<String>>,
    facets: BTreeSet<String>,
}

/// Words and pairs of neighbours with their weight.
type Features = BTreeMap<String, f64>;

impl Likeness {
    pub(super) fn new(requirements: &Requirements) -> Self {
        let words = Words::new();
        let facets = words.of(FACETS).into_iter().collect();
        let testing = words.of(MEANING_TEST).into_iter().collect();
        let mut likeness = Self {
            words,
            profiles: BTreeMap::new(),
            spread: BTreeMap::new(),
            facets,
            testing,
        };
        for (id, requirement) in requirements.iter() {
            let profile = likeness.profile(id, requirement);
            for (feature, weight) in &profile.features {
                if *weight > HOW_VERIFIED * PAIR {
                    *likeness.spread.entry(feature.clone()).or_default() += 1;
                }
            }
            likeness.profiles.insert(id.to_owned(), profile);
        }
        let norms: Vec<f64> = likeness
            .profiles
            .values()
            .map(|p| likeness.norm(&p.features))
            .collect();
        for (profile, norm) in likeness.profiles.values_mut().zip(norms) {
            profile.norm = norm;
        }
        // Their spread counts above, but similarity never leads to them.
        for (id, _) in requirements.iter().filter(|(_, r)| r.specific) {
            likeness.profiles.remove(id);
        }
        likeness
    }

    /// The comparable words of a text.
    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    /// An item and what stands around it, as it is compared.
    pub(super) fn query(&self, text: &str, context: &[&str]) -> Query {
        let mut own = Features::new();
        let (title, explanation) = split_title(text);
        self.add(&mut own, title, OWN_WORDS);
        self.add(&mut own, explanation, EXPLANATION);
        let mut all = Features::new();
        for heading in context {
            self.add(&mut all, heading, HEADING);
        }
        for (feature, weight) in &own {
            let known = all.entry(feature.clone()).or_default();
            *known = known.max(*weight);
        }
        let around: BTreeSet<String> = context.iter().flat_map(|c| self.words.of(c)).collect();
        let words: BTreeSet<String> = self.words.of(text).into_iter().collect();
        Query {
            norm: self.norm(&all),
            own,
            all,
            around,
            words,
        }
    }

    /// The requirements that share a word with the item, and how much it is like them.
    pub(super) fn scores(&self, item: &Query) -> BTreeMap<&str, f64> {
        let scored = self.profiles.iter().filter_map(|(id, profile)| {
            let score =
                0.5 * self.bag_score(item, profile) + 0.5 * self.phrase_score(item, profile);
            (score > 0.0).then(|| (id.as_str(), score * self.kind_factor(item, id)))
        });
        scored.collect()
    }

    /// Cosine of the features, tempered by how much of the item is explained at all.
    fn bag_score(&self, item: &Query, profile: &Profile) -> f64 {
        let shared: f64 = item
            .all
            .iter()
            .filter_map(|(f, w)| Some(w * profile.features.get(f)? * self.rarity(f).powi(2)))
            .sum();
        if shared == 0.0 {
            return 0.0;
        }
        let cosine = shared / (item.norm * profile.norm);
        let single = || item.own.iter().filter(|(f, _)| !f.contains(' '));
        let mass: f64 = single().map(|(f, w)| w * self.rarity(f)).sum();
        let explained: f64 = single()
            .filter_map(|(f, w)| Some(w * self.rarity(f) * profile.features.get(f)?.min(1.0)))
            .sum();
        let coverage = if mass > 0.0 { explained / mass } else { 0.0 };
        cosine.powf(0.6) * coverage.powf(0.4)
    }

    /// How much a phrase of the requirement, found in the item, says about it.
    fn phrase_score(&self, item: &Query, profile: &Profile) -> f64 {
        let found = profile.phrases.iter().map(|phrase| {
            let here = phrase.iter().filter(|w| item.words.contains(*w)).count();
            let somewhere = |w: &String| item.words.contains(w) || item.around.contains(w);
            let share = if here == phrase.len() {
                1.0
            } else if here >= 1 && here + 1 == phrase.len() && phrase.iter().all(somewhere) {
                0.6
            } else {
                0.0
            };
            share * phrase.iter().map(|word| self.rarity(word)).sum::<f64>()
        });
        let weight = found.fold(0.0, f64::max);
        if weight <= 0.0 {
            return 0.0;
        }
        let mass: f64 = item.words.iter().map(|word| self.rarity(word)).sum();
        weight / (weight + 4.0) * (0.5 + 0.5 * (weight / mass).min(1.0))
    }

    /// What it costs a requirement when the item asks for another kind of thing.
    pub(super) fn kind_factor(&self, item: &Query, id: &str) -> f64 {
        let asked = self.facets_of(&item.words);
        let missing = self
            .profiles
            .get(id)
            .map_or(0, |profile| asked.difference(&profile.facets).count());
        let around = self.facets_of(&item.around);
        let stray = FAMILIES.iter().any(|(family, word)| {
            id.starts_with(family) && !asked.contains(*word) && !around.contains(*word)
        });
        (0..missing + usize::from(stray)).fold(1.0, |factor, _| factor * WRONG_KIND)
    }

    fn profile(&self, id: &str, requirement: &Requirement) -> Profile {
        let id_words = id.replace(['.', '-'], " ");
        let mut features = Features::new();
        for text in [&id_words, &requirement.title, &requirement.words] {
            self.add(&mut features, text, OWN_WORDS);
        }
        self.add(&mut features, &requirement.verified_by, HOW_VERIFIED);
        let phrases: Vec<BTreeSet<String>> = requirement
            .phrases
            .iter()
            .map(|phrase| self.words.of(phrase).into_iter().collect())
            .filter(|phrase: &BTreeSet<String>| !phrase.is_empty())
            .collect();
        let mut words: BTreeSet<String> = [&id_words, &requirement.title, &requirement.words]
            .into_iter()
            .flat_map(|text| self.words.of(text))
            .collect();
        words.extend(phrases.iter().flatten().cloned());
        if id.starts_with("dash.") {
            words.insert("dashboard".to_owned());
        }
        Profile {
            features,
            norm: 0.0,
            phrases,
            facets: self.facets_of(&words),
        }
    }

    fn facets_of(&self, words: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = words.intersection(&self.facets).cloned().collect();
        if !words.is_disjoint(&self.testing) {
            found.insert("test".to_owned());
        }
        found
    }

    fn add(&self, features: &mut Features, text: &str, weight: f64) {
        let words = self.words.of(text);
        let mut keep = |feature: String, weight: f64| {
            let known = features.entry(feature).or_default();
            *known = known.max(weight);
        };
        for pair in words.windows(2) {
            if let [a, b] = pair {
                let (a, b) = if a <= b { (a, b) } else { (b, a) };
                keep(format!("{a} {b}"), weight * PAIR);
            }
        }
        for word in words {
            keep(word, weight);
        }
    }

    /// Rare features say more; weak words say little.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred requirements")]
    fn rarity(&self, feature: &str) -> f64 {
        let spread = self.spread.get(feature).copied().unwrap_or(0);
        let rarity = (1.0 + REQUIREMENTS / (1.0 + spread as f64)).ln();
        rarity
            * if self.words.is_weak(feature) {
                0.35
            } else {
                1.0
            }
    }

    fn norm(&self, features: &Features) -> f64 {
        let squares = features.iter().map(|(f, w)| (w * self.rarity(f)).powi(2));
        squares.sum::<f64>().sqrt()
    }
}

/// About how many requirements there are: the scale of rarity, fixed so that thresholds stay put.
const REQUIREMENTS: f64 = 429.0;

/// An item as it is compared.
pub(super) struct Query {
    own: Features,
    all: Features,
    norm: f64,
    words: BTreeSet<String>,
    around: BTreeSet<String>,
}
