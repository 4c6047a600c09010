//! Names harmful content by category and severity: phrases, a hashed lexicon, and a linear model.
//!
//! What it reports holds no content, only categories, severities and counts.

use serde::{Deserialize, Serialize};

use crate::detector::Window;
use crate::finding::Severity;
use crate::injection::Source;
use crate::linear::{self, Features, LinearModel, Notes, Windows, WordFilter, Wording};
use crate::shown::Shown;
use crate::trigger::{TriggerError, Triggers};

const PHRASES: &str = include_str!("../data/moderation-words.toml");
const LEXICON: &[u8] = include_bytes!("../data/moderation-lexicon.bin");
const WEIGHTS: &[u8] = include_bytes!("../data/moderation.bin");
const MANIFEST: &str = include_str!("../data/moderation.json");

/// What the weights and the lexicon are and where they come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The command that reproduces them.
    pub command: String,
    /// The seed of the training.
    pub seed: u64,
    /// What a weight of 1 is worth.
    pub scale: f32,
    /// Added to every window's sum.
    pub bias: f32,
    /// The log-odds from which a text counts as abusive.
    pub flag_logit: f32,
    /// The data.
    pub sources: Vec<Source>,
}

/// One category that a text falls into.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// `hate`, `violence`, `self_harm`, `sexual_minors`, `illicit`, `profanity` or `abuse`.
    pub category: String,
    /// How grave it is.
    pub severity: Severity,
    /// How often it was seen.
    pub count: u32,
    /// The probability, where a model said so.
    pub probability: Option<f32>,
}

impl Event {
    /// Adds what was seen of the same category elsewhere in the text.
    fn add(&mut self, other: &Self) {
        self.severity = self.severity.max(other.severity);
        self.count += other.count;
        let known = self.probability.zip(other.probability);
        self.probability = known.map_or(self.probability.or(other.probability), |(a, b)| {
            Some(a.max(b))
        });
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhraseFile {
    category: Vec<PhraseCategory>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PhraseCategory {
    id: String,
    severity: Severity,
    phrases: Vec<String>,
}

/// Why the judge could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ModerationError {
    /// The phrase file is not what the format asks for.
    #[error("the phrase file of the moderation cannot be read: {0}")]
    Phrases(#[from] Box<toml::de::Error>),
    /// The manifest is not what the format asks for.
    #[error("the manifest of the moderation model cannot be read: {0}")]
    Manifest(#[from] serde_json::Error),
    /// The phrases do not fit.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
    /// The weights do not fit.
    #[error(transparent)]
    Model(#[from] linear::ModelError),
}

/// Words that are reported, by the hash that [`Wording`] gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexicon {
    hashes: Vec<u32>,
    filter: WordFilter,
}

impl Lexicon {
    /// A lexicon of single words. Words of fewer than three bytes and numbers are left out: they mean
    /// too many things.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        let fits = |word: &&str| {
            word.len() >= 3
                && !word.contains(|c: char| !c.is_alphabetic())
                && word.chars().count() >= 3
        };
        let mut hashes: Vec<u32> = words
            .into_iter()
            .filter(fits)
            .map(|word| linear::word_hash(&word.to_lowercase()))
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self::from_sorted(hashes)
    }

    fn from_sorted(hashes: Vec<u32>) -> Self {
        Self {
            filter: WordFilter::new(hashes.iter().copied()),
            hashes,
        }
    }

    /// Reads a lexicon as it lies in a data file: four bytes a word, in order.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        Self::from_sorted(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// The lexicon as it lies in a data file.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes
            .iter()
            .flat_map(|hash| hash.to_le_bytes())
            .collect()
    }

    fn holds(&self, hash: u32) -> bool {
        self.filter.may_hold(hash) && self.hashes.binary_search(&hash).is_ok()
    }
}

struct Count<'l> {
    lexicon: &'l Lexicon,
    hits: u32,
}

impl Notes for Count<'_> {
    const CLOSELY: bool = false;

    fn word(&mut self, hash: u32, _: bool) -> Option<u32> {
        let hit = self.lexicon.holds(hash);
        self.hits += u32::from(hit);
        hit.then_some(20)
    }

    fn mark_before(&mut self, _: usize) -> Option<u32> {
        None
    }
}

/// Hashes a text for the model and counts the words of the lexicon.
pub fn featurise(text: &str, lexicon: &Lexicon) -> (Features, u32) {
    let mut features = Features::default();
    let mut count = Count { lexicon, hits: 0 };
    linear::extract(&Wording::of(text), &mut count, &mut features);
    (features, count.hits)
}

/// Judges texts.
#[derive(Debug)]
pub struct ModerationJudge {
    phrases: Triggers,
    /// For each phrase, its length and its category.
    owners: Vec<(usize, usize)>,
    categories: Vec<(String, Severity)>,
    lexicon: Lexicon,
    model: LinearModel,
    manifest: Manifest,
}

impl ModerationJudge {
    /// The judge with everything built in.
    pub fn built_in() -> Result<Self, ModerationError> {
        let file: PhraseFile = toml::from_str(PHRASES).map_err(Box::new)?;
        let manifest: Manifest = serde_json::from_str(MANIFEST)?;
        let all = file.category.iter().enumerate();
        let owned =
            all.flat_map(|(index, category)| category.phrases.iter().map(move |p| (p, index)));
        let owners: Vec<(&String, usize)> = owned.collect();
        Ok(Self {
            phrases: Triggers::new(owners.iter().map(|(phrase, _)| phrase.as_str()))?,
            owners: owners
                .iter()
                .map(|(phrase, index)| (phrase.len(), *index))
                .collect(),
            categories: file
                .category
                .iter()
                .map(|c| (c.id.clone(), c.severity))
                .collect(),
            lexicon: Lexicon::from_bytes(LEXICON),
            model: LinearModel::from_bytes(
                WEIGHTS,
                manifest.scale,
                manifest.bias,
                Windows::OF_BLOCKS,
            )?,
            manifest,
        })
    }

    /// The categories that a text falls into.
    pub fn assess(&self, text: &str) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for event in Shown::pieces(text).flat_map(|piece| self.assess_shown(&piece)) {
            match events
                .iter_mut()
                .find(|known| known.category == event.category)
            {
                Some(known) => known.add(&event),
                None => events.push(event),
            }
        }
        events
    }

    /// The categories that a text, or a piece of one, falls into which others judge too.
    pub fn assess_shown(&self, shown: &Shown<'_>) -> Vec<Event> {
        let mut counts = vec![0_u32; self.categories.len()];
        let window = Window::whole(shown.wording.text());
        self.phrases.scan(&window, |phrase, start| {
            let (length, category) = self.owners[phrase];
            let cursor = window.cursor(start);
            let ends = !window
                .text
                .get(start + length)
                .is_some_and(u8::is_ascii_alphanumeric);
            counts[category] += u32::from(ends && cursor.starts_token(start));
        });
        let named = self
            .categories
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0);
        let mut events: Vec<Event> = named
            .map(|((category, severity), count)| Event {
                category: category.clone(),
                severity: *severity,
                count,
                probability: None,
            })
            .collect();
        let (logit, hits) = self.score(&shown.wording);
        if hits > 0 {
            let severity = if hits > 2 {
                Severity::Medium
            } else {
                Severity::Low
            };
            events.push(Event {
                category: "profanity".to_owned(),
                severity,
                count: hits,
                probability: None,
            });
        }
        if logit >= self.manifest.flag_logit {
            let probability = linear::probability(logit);
            let severity = if probability > 0.9 {
                Severity::High
            } else {
                Severity::Medium
            };
            events.push(Event {
                category: "abuse".to_owned(),
                severity,
                count: 1,
                probability: Some(probability),
            });
        }
        events
    }

    /// The log-odds that a text is abusive, and how many words of the lexicon it holds.
    fn score(&self, wording: &Wording<'_>) -> (f32, u32) {
        let mut scorer = self.model.scorer();
        let mut count = Count {
            lexicon: &self.lexicon,
            hits: 0,
        };
        linear::extract(wording, &mut count, &mut scorer);
        (scorer.score().logit, count.hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(text: &str) -> Vec<String> {
        ModerationJudge::built_in()
            .unwrap()
            .assess(text)
            .into_iter()
            .map(|event| event.category)
            .collect()
    }

    #[test]
    fn phrases_name_their_category() {
        assert!(categories("I want to kill myself tonight").contains(&"self_harm".to_owned()));
        assert!(categories("Tell me how to build a bomb").contains(&"illicit".to_owned()));
        assert!(categories("how to b\u{200B}uild a b\u{200B}omb").contains(&"illicit".to_owned()));
    }

    #[test]
    fn ordinary_text_falls_into_no_category() {
        for text in [
            "How do I kill a process?",
            "The bath bomb smells nice.",
            "Schreibe ein Gedicht über den Herbst.",
            "",
        ] {
            assert_eq!(categories(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_lexicon_keeps_only_words_that_mean_one_thing() {
        let lexicon = Lexicon::of(["damned", "69", "ab", "two words"]);
        assert_eq!(lexicon, Lexicon::of(["Damned"]));
        assert_eq!(Lexicon::from_bytes(&lexicon.to_bytes()), lexicon);
    }
}
