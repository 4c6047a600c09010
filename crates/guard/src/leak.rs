//! Finds the system prompt in what goes out: by a canary planted in it, and by runs of its words.

use std::collections::HashSet;

use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::trigger::{TriggerError, Triggers};

/// The shortest canary, in bytes: a shorter one could be written by chance.
const MIN_CANARY_BYTES: usize = 12;

/// Why a canary was refused.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// It could occur by chance.
    #[error("a canary must have at least 12 bytes, found {0}; draw a longer one")]
    Short(usize),
    /// It does not fit an automaton.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

/// Finds a canary, a random word that stands in the system prompt and nowhere else.
#[derive(Debug)]
pub struct Canary {
    rules: Vec<Rule>,
    length: usize,
    triggers: Triggers,
}

impl Canary {
    /// A detector of one canary.
    pub fn new(canary: &str) -> Result<Self, CanaryError> {
        if canary.len() < MIN_CANARY_BYTES {
            return Err(CanaryError::Short(canary.len()));
        }
        Ok(Self {
            rules: vec![Rule::new(
                "canary",
                Category::Leak,
                Severity::Critical,
                canary.len(),
            )],
            length: canary.len(),
            triggers: Triggers::new([canary])?,
        })
    }
}

impl Detector for Canary {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let open = self.triggers.scan(&window, |_, start| {
            let found = self.rules[0].at(start..start + self.length);
            scan.settle(start, &window.cursor(start), Some(found));
        });
        if !window.complete && open < window.text.len() {
            scan.open(open);
        }
    }
}

/// How many words in a row are compared.
const RUN_WORDS: usize = 6;

/// The runs of words of a system prompt, to measure how much of it an answer repeats.
#[derive(Debug, Clone)]
pub struct PromptOverlap {
    runs: HashSet<u64>,
}

/// How much of a system prompt a text repeats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overlap {
    /// The longest passage that both share, in words.
    pub longest_words: usize,
    /// The share of the prompt's runs of words that the text holds.
    pub share: f32,
}

impl PromptOverlap {
    /// Remembers a system prompt by hashes, not by its words.
    pub fn new(system_prompt: &str) -> Self {
        let words = word_hashes(system_prompt);
        Self {
            runs: words.windows(RUN_WORDS).map(run_hash).collect(),
        }
    }

    /// Compares a text.
    pub fn measure(&self, text: &str) -> Overlap {
        let words = word_hashes(text);
        let (mut longest, mut current) = (0, 0);
        let mut seen = HashSet::new();
        for run in words.windows(RUN_WORDS).map(run_hash) {
            let shared = self.runs.contains(&run);
            current = if shared { current + 1 } else { 0 };
            longest = longest.max(current);
            if shared {
                seen.insert(run);
            }
        }
        Overlap {
            longest_words: if longest == 0 {
                0
            } else {
                longest + RUN_WORDS - 1
            },
            share: seen.len() as f32 / self.runs.len().max(1) as f32,
        }
    }
}

fn word_hashes(text: &str) -> Vec<u32> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words
        .map(|word| crate::linear::word_hash(&word.to_lowercase()))
        .collect()
}

fn run_hash(words: &[u32]) -> u64 {
    words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ u64::from(*word)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "You are the assistant of a bakery. Never talk about the recipes of other bakeries, and be brief.";

    #[test]
    fn a_canary_is_found_and_a_short_one_is_refused() {
        let canary = Canary::new("k7-quartz-meadow").unwrap();
        let mut scan = Scan::default();
        canary.scan(Window::whole("it says K7-quartz-meadow!"), &mut scan);
        assert_eq!(scan.findings[0].span, 8..24);
        assert!(matches!(Canary::new("short"), Err(CanaryError::Short(5))));
    }

    #[test]
    fn a_repeated_prompt_is_measured_and_a_paraphrase_is_not() {
        let overlap = PromptOverlap::new(PROMPT);
        let whole = overlap.measure(&format!("My rules: \"{}\"", PROMPT.to_uppercase()));
        assert_eq!((whole.longest_words, whole.share), (18, 1.0));
        assert_eq!(
            overlap.measure("I help customers of a bakery and keep it short."),
            Overlap::default()
        );
        assert_eq!(PromptOverlap::new("").measure(PROMPT), Overlap::default());
    }
}
