//! Which requirement an item means, judged by its words, and how sure that is.

use std::collections::{BTreeMap, BTreeSet};

use self::examples::{Examples, ratio};
use self::likeness::Likeness;
use crate::requirement::Requirements;

mod examples;
mod likeness;

/// Nothing is matched that is less sure.
const LEAST_SURE: f64 = 0.86;

/// What checklists ask for and the catalogue does not have, among the ways to ask.
const NOTHING: &str = "-";

/// How the two ways to compare are added up.
const BY_EXAMPLE: f64 = 0.7;
const BY_LIKENESS: f64 = 0.48;

/// How sure a match is, as a logistic regression over items whose meaning is known says: the weight
/// of each sign, in the order of [`Signs`]. `cargo test -p seaworthy-verify checklists` shows how well
/// it does on items that it was not fitted to.
const WEIGHTS: [f64; 8] = [2.38, 3.12, 1.3, 2.52, -0.8, 0.06, 3.68, 1.36];
const BIAS: f64 = -3.84;

/// What speaks for or against a match.
struct Signs {
    score: f64,
    /// How far the second is behind, as a share.
    lead: f64,
    /// Both ways to compare put it first.
    agreed: f64,
    /// The share of the item that the requirement has words for.
    explained: f64,
    /// The share of words that nobody knows.
    strange: f64,
    /// How long the item is, up to twelve words.
    length: f64,
    by_example: f64,
    by_likeness: f64,
}

impl Signs {
    fn sureness(&self) -> f64 {
        let signs = [
            self.score,
            self.lead,
            self.agreed,
            self.explained,
            self.strange,
            self.length,
            self.by_example,
            self.by_likeness,
        ];
        let sum: f64 = WEIGHTS.iter().zip(signs).map(|(w, sign)| w * sign).sum();
        1.0 / (1.0 + (-(sum + BIAS)).exp())
    }
}

/// A requirement that an item probably means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub(super) id: String,
    /// How sure that is, from 0 to 1.
    pub(super) sure: f64,
}

/// Finds requirements by similarity.
#[derive(Debug)]
pub(super) struct Matcher {
    likeness: Likeness,
    examples: Examples,
}

impl Matcher {
    pub(super) fn new(requirements: &Requirements) -> Self {
        let likeness = Likeness::new(requirements);
        let examples = Examples::new(likeness.words(), requirements);
        Self { likeness, examples }
    }

    /// The requirement that the item means, if that is clear enough.
    pub(super) fn find(&self, text: &str, context: &[&str]) -> Option<Guess> {
        let guess = self.best(text, context)?;
        (guess.sure >= LEAST_SURE).then_some(guess)
    }

    /// The likeliest requirement, and how sure that is.
    fn best(&self, text: &str, context: &[&str]) -> Option<Guess> {
        /// Longer items say no more about themselves.
        const LONG: usize = 12;
        let text = without_label(text);
        let words = self.likeness.words();
        let item = self.likeness.query(text, context);
        let by_likeness = self.likeness.scores(&item);
        let by_example = self
            .examples
            .scores(&self.examples.read(words, text, context));
        let ids: BTreeSet<&str> = by_likeness
            .keys()
            .chain(by_example.keys())
            .copied()
            .collect();
        let of = |scores: &BTreeMap<&str, f64>, id: &str| scores.get(id).copied().unwrap_or(0.0);
        let mut ranked: Vec<(&str, f64)> = ids
            .into_iter()
            .map(|id| {
                let kind = match id {
                    NOTHING => 1.0,
                    _ => self.likeness.kind_factor(&item, id),
                };
                let examples = BY_EXAMPLE * kind * of(&by_example, id);
                (id, examples + BY_LIKENESS * of(&by_likeness, id))
            })
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let (id, score) = *ranked.first()?;
        if id == NOTHING || score <= 0.0 {
            return None;
        }
        let second = ranked.get(1).map_or(0.0, |(_, score)| *score);
        let own: BTreeSet<String> = words.of(text).into_iter().collect();
        let (explained, strange) = self.examples.coverage(&own, id);
        let agreed = [&by_likeness, &by_example]
            .iter()
            .all(|s| first(s) == Some(id));
        let signs = Signs {
            score,
            lead: (score - second) / score,
            agreed: f64::from(u8::from(agreed)),
            explained,
            strange,
            length: ratio(own.len().min(LONG), LONG),
            by_example: of(&by_example, id),
            by_likeness: of(&by_likeness, id),
        };
        Some(Guess {
            id: id.to_owned(),
            sure: signs.sureness(),
        })
    }
}

/// The one with the highest score.
fn first<'s>(scores: &BTreeMap<&'s str, f64>) -> Option<&'s str> {
    let best = scores.iter().filter(|(_, score)| **score > 0.0);
    let best = best.max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0)));
    best.map(|(id, _)| *id)
}

/// The text without the number that its list gave it, such as `REL-4:` or `LLM03`.
fn without_label(text: &str) -> &str {
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

/// `**Title** - explanation` and `Title — explanation`: the title says what is asked.
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
    for dash in [" - ", " – ", " — "] {
        if let Some((title, rest)) = text.split_once(dash)
            && (3..=40).contains(&title.len())
        {
            return (title, rest);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::without_label;

    #[test]
    fn numbers_of_lists_are_no_words() {
        for text in ["REL-4: Are", "RE:01 Are", "LLM03 Are", "OPS-1.2) Are"] {
            assert_eq!(without_label(text), "Are", "{text}");
        }
        for text in ["TLS 1.2 or newer", "S3 buckets", "Are"] {
            assert_eq!(without_label(text), text);
        }
    }
}
