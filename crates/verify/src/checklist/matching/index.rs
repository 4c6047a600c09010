//! Every phrasing of every requirement, counted: how like each requirement an item is.

use std::collections::HashMap;

use super::company::Company;
use super::features::{Features, features};
use super::lists::listed;
use super::vectors::Vectors;
use crate::requirement;

use places::Places;

mod places;

const PHRASES: &str = include_str!("../../../data/phrases.tsv");
/// The name under which the phrasings stand that no requirement answers.
pub(super) const NONE: &str = "none";

/// How much a heading says beside its item.
const HEADING: f64 = 0.45;
/// The mass that each requirement is taken to have of everything before anything was counted.
const PRIOR: f64 = 6.0;
/// A requirement knows a word when as many of its phrasings have it.
const KNOWN_FROM: f64 = 2.0;
/// So many phrasings of a requirement are compared with an item, the likest ones.
const LIKEST: usize = 3;

/// One way of asking.
#[derive(Debug)]
pub(super) struct Phrase {
    pub(super) text: &'static str,
    pub(super) own: Vec<usize>,
    pub(super) heading: Vec<usize>,
    /// Further requirements that are right, for what is learned.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read where vectors are learned")
    )]
    pub(super) also: Vec<usize>,
    /// The lengths of both, and of the whole.
    lengths: (f64, f64, f64),
}

/// What a requirement has of a feature.
#[derive(Debug, Clone, Copy)]
struct Posting {
    class: usize,
    /// The sum of its weights.
    mass: f64,
    /// How much more probable it makes the feature.
    gain: f64,
    /// How many phrasings have it.
    phrases: f64,
}

/// A word, two neighbours or a word of a heading.
#[derive(Debug, Default)]
struct Feature {
    /// How many phrasings have it.
    phrases: f64,
    /// How much it says.
    weight: f64,
    mass: f64,
    postings: Vec<Posting>,
}

/// All phrasings, by requirement.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The requirements, and [`NONE`].
    pub(super) names: Vec<String>,
    pub(super) phrases: Vec<Vec<Phrase>>,
    numbers: HashMap<String, usize>,
    features: Vec<Feature>,
    /// The mass of each requirement, and the length of its vector.
    classes: Vec<(f64, f64)>,
    mass: f64,
    count: f64,
    pub(super) company: Company,
    places: Places,
}

/// An item as the index sees it.
#[derive(Debug)]
pub(super) struct Reading {
    /// By number.
    vector: Vec<(usize, f64)>,
    /// Where it lies among the phrasings.
    place: Vec<f32>,
    /// Its words, where the index has them, and how much each tells.
    words: Vec<(Option<usize>, f64)>,
}

impl Index {
    /// Counts the built-in phrasings, and what the requirements say of themselves.
    pub(super) fn builtin() -> Self {
        let mut index = Self::of(|_| true);
        index.take(Vectors::builtin());
        index
    }

    /// The same with some of the lists, and without vectors.
    pub(super) fn of(keeps: impl Fn(&str) -> bool) -> Self {
        let mut index = Self::default();
        let mut class = 0;
        for line in PHRASES.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('@') {
                class = index.class(name);
                let own = requirement::builtin().and_then(|all| all.get(name));
                for text in own.iter().flat_map(|r| [&r.title, &r.words]) {
                    index.add(class, Vec::new(), "", text);
                }
            } else if let Some((heading, text)) = line.split_once('\t') {
                index.add(class, Vec::new(), heading, text);
            }
        }
        let names: HashMap<String, usize> = index.names.iter().cloned().zip(0..).collect();
        let mut items = Vec::new();
        for item in listed().filter(|item| keeps(item.list)) {
            let mut answers = item.answers().map(|name| names.get(name).copied());
            let first = answers.next().flatten();
            let also = answers.flatten().collect();
            items.push((item, first));
            if let Some(class) = first {
                index.add(class, also, item.heading, item.text);
            }
        }
        index.company = Company::of(index.names.len(), &items);
        index.weigh();
        index
    }

    /// The name of a requirement, or [`NONE`].
    pub(super) fn name(&self, class: usize) -> &str {
        self.names.get(class).map_or("", String::as_str)
    }

    fn class(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.phrases.push(Vec::new());
        self.names.len() - 1
    }

    fn add(&mut self, class: usize, also: Vec<usize>, heading: &str, text: &'static str) {
        let read = features(text, heading);
        let own = read.words.into_iter().chain(read.pairs);
        let phrase = Phrase {
            text,
            also,
            own: own.map(|name| self.number(name)).collect(),
            heading: read
                .heading
                .iter()
                .map(|word| self.number(above(word)))
                .collect(),
            lengths: (0.0, 0.0, 0.0),
        };
        self.count += 1.0;
        if let Some(phrases) = self.phrases.get_mut(class) {
            phrases.push(phrase);
        }
    }

    fn number(&mut self, name: String) -> usize {
        let next = self.features.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.features.push(Feature::default());
        }
        if let Some(feature) = self.features.get_mut(number) {
            feature.phrases += 1.0;
        }
        number
    }

    /// Sums the phrasings up when all are known.
    fn weigh(&mut self) {
        for feature in &mut self.features {
            let rarity = ((1.0 + self.count) / (1.0 + feature.phrases)).ln() + 1.0;
            feature.weight = rarity.sqrt();
        }
        let mut classes = std::mem::take(&mut self.phrases);
        for (class, phrases) in classes.iter_mut().enumerate() {
            for phrase in phrases {
                let (own, heading) = (self.length(&phrase.own), self.length(&phrase.heading));
                let whole = if phrase.heading.is_empty() {
                    1.0
                } else {
                    HEADING.hypot(1.0)
                };
                phrase.lengths = (own, heading, whole);
                for (number, weight) in self.vector(&phrase.own, &phrase.heading) {
                    if let Some(feature) = self.features.get_mut(number) {
                        feature.count(class, weight);
                    }
                }
            }
        }
        self.phrases = classes;
        self.classes = vec![(0.0, 0.0); self.names.len()];
        for feature in &mut self.features {
            for posting in &feature.postings {
                feature.mass += posting.mass;
                if let Some((mass, length)) = self.classes.get_mut(posting.class) {
                    *mass += posting.mass;
                    *length += posting.mass * posting.mass;
                }
            }
            self.mass += feature.mass;
        }
        for (_, length) in &mut self.classes {
            *length = length.sqrt();
        }
        for feature in &mut self.features {
            let prior = PRIOR * feature.mass / self.mass;
            for posting in &mut feature.postings {
                posting.gain = ((posting.mass + prior) / prior).ln();
            }
        }
    }

    /// What an item and its heading say, each with a length of its own.
    fn vector(&self, own: &[usize], heading: &[usize]) -> Vec<(usize, f64)> {
        let mut vector = Vec::with_capacity(own.len() + heading.len());
        for (numbers, share) in [(own, 1.0), (heading, HEADING)] {
            let length = self.length(numbers);
            let weighed = numbers
                .iter()
                .map(|n| (*n, self.weight(*n) / length * share));
            vector.extend(weighed);
        }
        vector
    }

    fn length(&self, numbers: &[usize]) -> f64 {
        let squares = numbers.iter().map(|n| self.weight(*n).powi(2));
        squares.sum::<f64>().sqrt()
    }

    fn weight(&self, number: usize) -> f64 {
        self.features
            .get(number)
            .map_or(0.0, |feature| feature.weight)
    }

    /// Reads an item beneath a heading.
    pub(super) fn read(&self, text: &str, heading: &str) -> Reading {
        let Features {
            words,
            pairs,
            heading,
        } = features(text, heading);
        let find = |name: &String| self.numbers.get(name).copied();
        let own: Vec<usize> = words.iter().chain(&pairs).filter_map(find).collect();
        let above: Vec<usize> = heading
            .iter()
            .filter_map(|word| find(&above(word)))
            .collect();
        let tells = |number: Option<usize>| {
            let feature = number.and_then(|number| self.features.get(number));
            (self.count / feature.map_or(1.0, |feature| feature.phrases)).ln()
        };
        let words = words.iter().map(find);
        let mut vector = self.vector(&own, &above);
        vector.sort_unstable_by_key(|(number, _)| *number);
        Reading {
            vector,
            place: self.place(text, &own, &above),
            words: words.map(|number| (number, tells(number))).collect(),
        }
    }

    /// How probable each requirement makes the item, by the words of its phrasings.
    pub(super) fn probable(&self, item: &Reading) -> Vec<f64> {
        let all: f64 = item.vector.iter().map(|(_, weight)| weight).sum();
        let unseen = |(mass, _): &(f64, f64)| all * (PRIOR / (mass + PRIOR)).ln();
        let mut scores: Vec<f64> = self.classes.iter().map(unseen).collect();
        for (number, weight) in &item.vector {
            let postings = self.features.get(*number).map(|feature| &feature.postings);
            for posting in postings.into_iter().flatten() {
                if let Some(score) = scores.get_mut(posting.class) {
                    *score += weight * posting.gain;
                }
            }
        }
        scores
    }

    /// How near the item is to the middle of each requirement's phrasings.
    pub(super) fn near(&self, item: &Reading) -> Vec<f64> {
        let mut scores = vec![0.0; self.classes.len()];
        for (number, weight) in &item.vector {
            let postings = self.features.get(*number).map(|feature| &feature.postings);
            for posting in postings.into_iter().flatten() {
                if let Some(score) = scores.get_mut(posting.class) {
                    *score += weight * posting.mass;
                }
            }
        }
        let lengths = self.classes.iter().map(|(_, length)| length);
        scores
            .iter()
            .zip(lengths)
            .map(|(score, length)| score / length)
            .collect()
    }

    /// The share of what the item tells that the requirement's phrasings know.
    pub(super) fn known(&self, item: &Reading, class: usize) -> f64 {
        let knows = |number: Option<usize>| {
            let feature = number.and_then(|number| self.features.get(number));
            let posting = feature.and_then(|f| f.posting(class));
            posting.map_or(0.0, |posting| (posting.phrases / KNOWN_FROM).min(1.0))
        };
        let known: f64 = item
            .words
            .iter()
            .map(|(number, tells)| tells * knows(*number))
            .sum();
        known / item.all().max(f64::MIN_POSITIVE)
    }

    /// The share of what the item tells that no phrasing knows.
    pub(super) fn strange(&self, item: &Reading) -> f64 {
        let strange = item.words.iter().filter(|(number, _)| number.is_none());
        strange.map(|(_, tells)| tells).sum::<f64>() / item.all().max(f64::MIN_POSITIVE)
    }

    /// The phrasings of a requirement that the item is most like, the likest first, and how like
    /// they are, from 0 to 1.
    pub(super) fn likest(&self, item: &Reading, class: usize) -> Vec<(f64, &Phrase)> {
        let phrases = self.phrases.get(class).into_iter().flatten();
        let length = item.vector.iter().map(|(_, w)| w * w).sum::<f64>().sqrt();
        let told = |number: &usize| {
            let at = item
                .vector
                .binary_search_by_key(number, |(number, _)| *number);
            item.vector.get(at.ok()?).map(|(_, weight)| weight)
        };
        let dot = |numbers: &[usize], length: f64| {
            let both = numbers.iter().filter_map(|n| Some((n, told(n)?)));
            let sum: f64 = both.map(|(n, weight)| self.weight(*n) * weight).sum();
            sum / length.max(f64::MIN_POSITIVE)
        };
        let scored = phrases.map(|phrase| {
            let (own, heading, whole) = phrase.lengths;
            let sum = dot(&phrase.own, own) + HEADING * dot(&phrase.heading, heading);
            (sum / whole / length.max(f64::MIN_POSITIVE), phrase)
        });
        let mut scored: Vec<(f64, &Phrase)> = scored.collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.truncate(LIKEST);
        scored
    }
}

impl Feature {
    fn posting(&self, class: usize) -> Option<&Posting> {
        let at = self
            .postings
            .binary_search_by_key(&class, |posting| posting.class);
        self.postings.get(at.ok()?)
    }

    /// Phrasings come by requirement.
    fn count(&mut self, class: usize, weight: f64) {
        match self.postings.last_mut().filter(|last| last.class == class) {
            Some(last) => {
                last.mass += weight;
                last.phrases += 1.0;
            }
            None => self.postings.push(Posting {
                class,
                mass: weight,
                gain: 0.0,
                phrases: 1.0,
            }),
        }
    }
}

impl Reading {
    /// How many telling words it has.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    fn all(&self) -> f64 {
        self.words.iter().map(|(_, tells)| tells).sum()
    }
}

/// A word of a heading is another feature than the same word of an item.
fn above(word: &str) -> String {
    format!("^{word}")
}
