//! Words as the matcher compares them: synonyms joined, filler dropped, endings cut.

use std::collections::{BTreeMap, BTreeSet};

use super::text::normalise;

const SYNONYMS: &str = include_str!("../../data/synonyms.tsv");

const FILLER: &str = "a an the of for and or is are be been to in on with all each every by at \
    that it its this from as has have can will your our we any if when which must should ensure \
    make sure use used using set place properly proper there they their so do does done was were \
    what who how than then into per via etc e g i more one no never not without only up out also \
    before after during over under between them you us would";

/// Words that nearly every item has, and that say little.
const WEAK: &str = "configure configured define defined implement implemented enable enabled \
    verify verified check checked exist exists available appropriate appropriately required \
    service system application production running run runs added add works work data user users \
    new good";

const ENDINGS: [&str; 22] = [
    "ations", "ation", "ating", "ated", "ates", "ate", "izing", "ized", "ize", "ising", "ised",
    "ise", "ions", "ion", "ings", "ing", "ments", "ment", "ed", "ies", "es", "e",
];

/// The longest synonym, in words.
const LONGEST: usize = 5;

/// Turns text into comparable words.
#[derive(Debug)]
pub(super) struct Words {
    synonyms: BTreeMap<String, &'static str>,
    filler: BTreeSet<&'static str>,
    weak: BTreeSet<String>,
}

impl Words {
    pub(super) fn new() -> Self {
        let mut synonyms = BTreeMap::new();
        for line in SYNONYMS.lines().filter(|line| !line.starts_with('#')) {
            let Some((word, variants)) = line.split_once('\t') else {
                continue;
            };
            for variant in variants.split('|') {
                synonyms.entry(normalise(variant)).or_insert(word);
            }
        }
        Self {
            synonyms,
            filler: FILLER.split_whitespace().collect(),
            weak: WEAK.split_whitespace().map(stem).collect(),
        }
    }

    /// The comparable words of a text, in order.
    pub(super) fn of(&self, text: &str) -> Vec<String> {
        let text = normalise(text);
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let mut out = Vec::with_capacity(words.len());
        let mut rest = words.as_slice();
        while let Some((first, after)) = rest.split_first() {
            let joined = (1..=LONGEST.min(rest.len())).rev().find_map(|n| {
                let (head, tail) = rest.split_at_checked(n)?;
                self.synonyms.get(&head.join(" ")).map(|word| (*word, tail))
            });
            if let Some((word, tail)) = joined {
                out.push(word.to_owned());
                rest = tail;
                continue;
            }
            if !self.filler.contains(first) {
                out.push(stem(first));
            }
            rest = after;
        }
        out
    }

    /// Words that nearly every item has.
    pub(super) fn is_weak(&self, word: &str) -> bool {
        self.weak.contains(word)
    }
}

/// Cuts the ending off a word, so that "validates" meets "validation".
fn stem(word: &str) -> String {
    let keep = word.len() <= 3
        || !word.is_ascii()
        || word.ends_with("ss")
        || word.bytes().any(|b| b.is_ascii_digit());
    let cut = ENDINGS
        .iter()
        .chain(&["s", "y"])
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.len() >= 3);
    cut.filter(|_| !keep).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn different_forms_and_synonyms_meet() {
        let words = Words::new();
        assert_eq!(
            words.of("Validates the configuration"),
            words.of("validation of config")
        );
        assert_eq!(words.of("rolling back"), ["rollback"]);
        assert_eq!(words.of("k8s on-call"), ["kubernetes", "oncall"]);
    }
}
