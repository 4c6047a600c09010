//! Which requirement an item means, judged by its words, and how sure that is.
//!
//! Each requirement has frames: rows of words of which an item must have one each. A frame that fits
//! says what the item is about; how many of the item's telling words the requirement knows says
//! whether it is about something else besides. What is thin or fits two requirements is left to a
//! person, because a wrong match is a lie.

use std::collections::{BTreeMap, BTreeSet};

use self::frames::Frame;
use self::polarity::tells_a_lack;
use super::words::{is_filler, is_weak, stems};
use crate::requirement::{Requirement, Requirements};

mod frames;
mod polarity;

/// Nothing is matched that is less sure.
const LEAST_SURE: f64 = 0.75;

/// A fit as good as this stands by itself.
const GOOD: Fit = Fit {
    score: 0.5,
    known: 0.48,
    lead: 0.06,
};
/// One as good as this only when no other requirement comes near.
const FAIR: Fit = Fit {
    score: 0.4,
    known: 0.38,
    lead: 0.3,
};
/// The lead that is enough before a requirement of the same family.
const LEAD_IN_FAMILY: f64 = 0.02;
/// The least weight of the words of a fair fit.
const FAIR_WEIGHT: f64 = 2.2;

/// A word that nearly every item has counts this much of what its rarity says.
const WEAK: f64 = 0.35;
/// A word that no requirement has.
const STRANGE: f64 = 0.5;
/// What follows a title explains it.
const EXPLANATION: f64 = 0.6;
/// Half of the certainty that a frame can give needs this much of rare words.
const HALF: f64 = 3.0;
/// How much of the score what the frame leaves unsaid can take away.
const UNSAID: f64 = 0.65;
/// The most that headings add, and the weight of their words that adds it.
const HEADING: f64 = 0.08;
const HEADING_WEIGHT: f64 = 6.0;
/// What it costs when only the explanation says what is asked.
const NOT_IN_TITLE: f64 = 0.85;

/// How well a requirement fits an item.
#[derive(Debug, Clone, Copy)]
struct Fit {
    score: f64,
    /// The share of the item's telling words that the requirement knows.
    known: f64,
    /// How far the second is behind, as a share.
    lead: f64,
}

/// A requirement that an item probably means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub(super) id: String,
    /// How sure that is, from 0 to 1.
    pub(super) sure: f64,
}

/// Finds requirements by what items say.
#[derive(Debug)]
pub(super) struct Matcher {
    frames: BTreeMap<&'static str, Vec<Frame>>,
    /// Every word that a requirement knows.
    vocabulary: BTreeMap<String, BTreeSet<String>>,
    /// How much each word says.
    rarity: BTreeMap<String, f64>,
    strange: f64,
}

/// An item as it is compared.
struct Item {
    words: Vec<String>,
    weights: Vec<f64>,
    /// How many of the words are its title.
    title: usize,
    heading: Vec<String>,
}

/// A requirement with a frame that fits.
struct Candidate<'m> {
    id: &'m str,
    score: f64,
    known: f64,
    weight: f64,
}

impl Matcher {
    pub(super) fn new(requirements: &Requirements) -> Self {
        let mut frames = frames::frames();
        frames.retain(|id, _| requirements.get(id).is_some_and(|r| !r.specific));
        let mut spread: BTreeMap<String, usize> = BTreeMap::new();
        let mut vocabulary = BTreeMap::new();
        for (id, requirement) in requirements.iter() {
            let own = own_words(requirement);
            for word in &own {
                *spread.entry(word.clone()).or_default() += 1;
            }
            let mut all: BTreeSet<String> = stems(id).into_iter().chain(own).collect();
            let phrases = requirement.phrases.iter();
            all.extend(phrases.flat_map(|phrase| stems(phrase)));
            let ways = frames.get(id).into_iter().flatten();
            let groups = ways.flat_map(|way| &way.groups);
            all.extend(groups.flat_map(|g| g.phrases.iter().flatten().cloned()));
            vocabulary.insert(id.to_owned(), all);
        }
        let count = vocabulary.len();
        let rarity = spread.into_iter();
        let rarity = rarity.map(|(word, n)| (word, rare(n, count))).collect();
        Self {
            frames,
            vocabulary,
            rarity,
            strange: STRANGE * rare(1, count),
        }
    }

    /// The requirement that the item means, if that is clear enough.
    pub(super) fn find(&self, text: &str, context: &[&str]) -> Option<Guess> {
        let text = without_label(text);
        if tells_a_lack(text, context) {
            return None;
        }
        let item = self.read(text, context);
        let mut fitting = self.fitting(&item);
        fitting.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(b.id)));
        let best = fitting.first()?;
        let second = fitting.get(1);
        let fit = Fit {
            score: best.score,
            known: best.known,
            lead: second.map_or(1.0, |second| (best.score - second.score) / best.score),
        };
        let related = second.is_some_and(|second| family(second.id) == family(best.id));
        let sure = sureness(fit, related, best.weight);
        (sure >= LEAST_SURE).then(|| Guess {
            id: best.id.to_owned(),
            sure,
        })
    }

    /// How much a word says.
    fn weight(&self, word: &str) -> f64 {
        if is_filler(word) {
            return 0.0;
        }
        let rarity = self.rarity.get(word).copied().unwrap_or(self.strange);
        rarity * if is_weak(word) { WEAK } else { 1.0 }
    }

    fn read(&self, text: &str, context: &[&str]) -> Item {
        let (title, explanation) = split_title(text);
        let mut words = stems(title);
        let title = words.len();
        words.extend(stems(explanation));
        let weights = words
            .iter()
            .enumerate()
            .map(|(at, word)| self.weight(word) * if at < title { 1.0 } else { EXPLANATION });
        Item {
            weights: weights.collect(),
            title,
            words,
            heading: context.iter().flat_map(|text| stems(text)).collect(),
        }
    }

    /// Every requirement with a frame that fits, each with its best one.
    fn fitting(&self, item: &Item) -> Vec<Candidate<'_>> {
        let all: f64 = item.weights.iter().sum();
        if all <= 0.0 {
            return Vec::new();
        }
        let of = |(id, ways): (&&'static str, &Vec<Frame>)| {
            let known = self.vocabulary.get(*id)?;
            let fits = ways.iter().filter_map(|way| {
                let used = way.places(&item.words, &item.heading, |word| self.weight(word))?;
                Some(self.candidate(id, item, &used, known))
            });
            fits.max_by(|a, b| a.score.total_cmp(&b.score))
        };
        self.frames.iter().filter_map(of).collect()
    }

    fn candidate<'m>(
        &self,
        id: &'m str,
        item: &Item,
        used: &BTreeSet<usize>,
        vocabulary: &BTreeSet<String>,
    ) -> Candidate<'m> {
        let all: f64 = item.weights.iter().sum();
        let parts = || item.words.iter().zip(&item.weights).enumerate();
        let weight: f64 = parts()
            .filter(|(at, _)| used.contains(at))
            .map(|(_, (_, w))| w)
            .sum();
        let known: f64 = parts()
            .filter(|(at, (word, _))| used.contains(at) || vocabulary.contains(*word))
            .map(|(_, (_, w))| w)
            .sum();
        let known = known / all;
        let heading: BTreeSet<&String> = item.heading.iter().collect();
        let heading: f64 = heading
            .into_iter()
            .filter(|word| vocabulary.contains(*word))
            .map(|word| self.weight(word))
            .sum();
        let in_title = used.first().is_some_and(|at| *at < item.title);
        let score = weight / (weight + HALF)
            * (1.0 - UNSAID + UNSAID * known)
            * if in_title { 1.0 } else { NOT_IN_TITLE }
            * (1.0 + HEADING * (heading / HEADING_WEIGHT).min(1.0));
        Candidate {
            id,
            score,
            known,
            weight,
        }
    }
}

/// How sure a match is: the share of right ones among those like it, on lists of others that nobody
/// had seen before; on lists of a known kind nearly all are right.
fn sureness(fit: Fit, related: bool, weight: f64) -> f64 {
    let reaches =
        |bar: Fit, lead: f64| fit.score >= bar.score && fit.known >= bar.known && fit.lead >= lead;
    let lead = if related { LEAD_IN_FAMILY } else { GOOD.lead };
    if reaches(GOOD, lead) {
        if fit.score >= 0.55 { 0.95 } else { 0.85 }
    } else if reaches(FAIR, FAIR.lead) && weight >= FAIR_WEIGHT {
        0.75
    } else {
        0.0
    }
}

/// What requirements of one kind share.
fn family(id: &str) -> &str {
    id.split('.').next().unwrap_or(id)
}

fn own_words(requirement: &Requirement) -> BTreeSet<String> {
    let texts = [&requirement.title, &requirement.words];
    texts.into_iter().flat_map(|text| stems(text)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred requirements")]
fn rare(spread: usize, requirements: usize) -> f64 {
    (1.0 + requirements as f64 / (0.5 + spread as f64)).ln()
}

/// The text without the number that its list gave it, such as `REL-4:` or `LLM03`, and without
/// the points that it gives, such as `(5 pts)`.
fn without_label(text: &str) -> &str {
    let text = without_points(text);
    let Some((label, rest)) = text.split_once(' ') else {
        return text;
    };
    let label = label.trim_end_matches([':', '.', ')']);
    let letters = label.chars().take_while(char::is_ascii_uppercase).count();
    let number = label.get(letters..).unwrap_or_default();
    let number = number.trim_start_matches(['-', '.', '_', ':']);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let is_label =
        (2..=8).contains(&letters) && !number.is_empty() && number.chars().all(is_number);
    if is_label { rest.trim_start() } else { text }
}

fn without_points(text: &str) -> &str {
    let Some((before, points)) = text.trim_end().rsplit_once('(') else {
        return text;
    };
    let points = points.trim_end_matches(')');
    let is_points = |(n, unit): (&str, &str)| {
        n.chars().all(|c| c.is_ascii_digit()) && ["pt", "pts", "points", "point"].contains(&unit)
    };
    if points.split_once(' ').is_some_and(is_points) {
        before.trim_end()
    } else {
        text
    }
}

/// `**Title** - explanation`, `Title — explanation`, `Title: explanation` and `Title (explanation)`.
fn split_title(text: &str) -> (&str, &str) {
    if let Some((title, rest)) = text
        .strip_prefix("**")
        .and_then(|rest| rest.split_once("**"))
    {
        let rest = rest.trim_start_matches([' ', '-', '–', '—', ':']);
        if !rest.is_empty() {
            return (title, rest);
        }
        return (text, "");
    }
    for dash in [" - ", " – ", " — ", ": ", "; "] {
        if let Some((title, rest)) = text.split_once(dash)
            && (3..=60).contains(&title.len())
            && title.contains(' ')
        {
            return (title, rest);
        }
    }
    let end = text.trim_end().trim_end_matches('.');
    if let Some((title, rest)) = end.strip_suffix(')').and_then(|text| text.split_once('('))
        && title.len() >= 8
    {
        return (title, rest);
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::{split_title, without_label};

    #[test]
    fn numbers_and_points_of_lists_are_no_words() {
        for text in [
            "REL-4: Are",
            "RE:01 Are",
            "LLM03 Are",
            "OPS-1.2) Are",
            "Are (5 pts)",
        ] {
            assert_eq!(without_label(text), "Are", "{text}");
        }
        for text in ["TLS 1.2 or newer", "S3 buckets", "Are", "Are (p95 points)"] {
            assert_eq!(without_label(text), text);
        }
    }

    #[test]
    fn a_title_says_more_than_its_explanation() {
        for text in [
            "**Rate limits** - per key",
            "Rate limits: per key",
            "Rate limits (per key)",
        ] {
            assert_eq!(split_title(text).0.trim(), "Rate limits", "{text}");
        }
        assert_eq!(
            split_title("Rate limits per key"),
            ("Rate limits per key", "")
        );
    }
}
