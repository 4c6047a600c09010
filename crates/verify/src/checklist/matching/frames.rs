//! How people ask for a requirement: rows of words of which an item must have one each.

use std::collections::{BTreeMap, BTreeSet};

use super::super::words::stem;

const FRAMES: &str = include_str!("../../../data/frames.tsv");

/// Neighbouring words.
pub(super) type Phrase = Vec<String>;

/// Words of which one is enough.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) phrases: Vec<Phrase>,
    /// The heading may have it instead of the item.
    in_heading: bool,
}

/// One way to ask.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) groups: Vec<Group>,
    /// What an item that means this does not say.
    without: Vec<Phrase>,
}

/// A phrase in an item: whether it adds a word, how long it is, what it says, and where it stands.
type Found = (bool, usize, f64, BTreeSet<usize>);

/// All ways to ask, by requirement.
pub(super) fn frames() -> BTreeMap<&'static str, Vec<Frame>> {
    let lines = || FRAMES.lines().filter(|line| !line.starts_with('#'));
    let named: BTreeMap<&str, Vec<Phrase>> = lines()
        .filter_map(|line| line.strip_prefix('@')?.split_once('\t'))
        .map(|(name, words)| (name, words.split_whitespace().map(phrase).collect()))
        .collect();
    lines()
        .filter(|line| !line.starts_with('@'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(id, ways)| {
            let ways = ways.split(" | ").map(|way| frame(way, &named));
            (id, ways.collect())
        })
        .collect()
}

fn frame(way: &str, named: &BTreeMap<&str, Vec<Phrase>>) -> Frame {
    let mut frame = Frame {
        groups: Vec::new(),
        without: Vec::new(),
    };
    for group in way.split_whitespace() {
        if let Some(word) = group.strip_prefix('!') {
            frame.without.push(phrase(word));
            continue;
        }
        let words = group.trim_start_matches('^');
        let phrases = words.split('/').flat_map(|word| {
            let of_name = word.strip_prefix('@').and_then(|name| named.get(name));
            of_name.cloned().unwrap_or_else(|| vec![phrase(word)])
        });
        frame.groups.push(Group {
            phrases: phrases.collect(),
            in_heading: words.len() < group.len(),
        });
    }
    frame
}

fn phrase(words: &str) -> Phrase {
    let words = words.split('_').filter(|word| !word.is_empty());
    words.map(stem).collect()
}

impl Frame {
    /// Where the item has the words of this frame, if it has one of each group and none that it must
    /// not have.
    pub(super) fn places(
        &self,
        item: &[String],
        heading: &[String],
        weight: impl Fn(&str) -> f64,
    ) -> Option<BTreeSet<usize>> {
        let possible = |phrase: &Phrase| phrase.first().is_some_and(|word| item.contains(word));
        let possible = |group: &Group| group.in_heading || group.phrases.iter().any(possible);
        if !self.groups.iter().all(possible)
            || self.without.iter().any(|phrase| is_in(phrase, item))
        {
            return None;
        }
        let mut used = BTreeSet::new();
        for group in &self.groups {
            let found = group.phrases.iter().filter_map(|phrase| {
                let places = places_of(phrase, item);
                let is_new = places.difference(&used).next().is_some();
                let weight: f64 = phrase.iter().map(|word| weight(word)).sum();
                (!places.is_empty()).then_some((is_new, phrase.len(), weight, places))
            });
            match found.max_by(better) {
                // Each group needs a word of its own.
                Some((true, _, _, places)) => used.extend(places),
                Some(_) => return None,
                None if group.in_heading && group.phrases.iter().any(|p| is_in(p, heading)) => {}
                None => return None,
            }
        }
        Some(used)
    }
}

fn better(a: &Found, b: &Found) -> std::cmp::Ordering {
    (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))
}

fn is_in(phrase: &[String], words: &[String]) -> bool {
    words
        .windows(phrase.len().max(1))
        .any(|here| here == phrase)
}

fn places_of(phrase: &[String], words: &[String]) -> BTreeSet<usize> {
    let starts = words.windows(phrase.len().max(1)).enumerate();
    let starts = starts.filter(|(_, here)| *here == phrase);
    starts.flat_map(|(at, _)| at..at + phrase.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::frames;
    use crate::requirement::Requirements;

    #[test]
    fn every_requirement_has_a_frame_and_every_frame_a_requirement() {
        let requirements = Requirements::builtin().expect("the data parses");
        let frames = frames();
        for id in frames.keys() {
            assert!(requirements.get(id).is_some(), "{id}: no such requirement");
        }
        for (id, _) in requirements.iter().filter(|(_, r)| !r.specific) {
            assert!(frames.contains_key(id), "{id}: no frame");
        }
    }

    #[test]
    fn every_name_of_a_group_is_defined() {
        for (id, ways) in frames() {
            for group in ways.iter().flat_map(|way| &way.groups) {
                for word in group.phrases.iter().flatten() {
                    assert!(!word.starts_with('@'), "{id}: {word}");
                }
            }
        }
    }
}
