//! Which requirement an item means: the one whose phrasings it reads like, and how sure that is.
//!
//! Two voices judge each requirement: how probable its phrasings make the item's words, and how near
//! the item is to their middle. Of those that both like, the one that knows most of the item's words
//! is matched when that is sure enough; the rest is left to a person, because a wrong match is a lie.

use std::sync::LazyLock;

use self::index::{Index, NONE, Reading};
use self::polarity::tells_a_lack;
use self::sureness::{Signs, sureness};

mod features;
mod index;
mod polarity;
mod sureness;

/// Nothing is matched that is less sure.
const LEAST_SURE: f64 = 0.81;

/// So many are looked at closely, by how many of the item's words their phrasings know.
const CANDIDATES: usize = 5;
/// What it is worth to know all of the item's words, in standard deviations.
const KNOWN: f64 = 10.0;

static INDEX: LazyLock<Index> = LazyLock::new(Index::builtin);

/// A requirement that an item probably means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    pub(super) id: String,
    /// How sure that is, from 0 to 1.
    pub(super) sure: f64,
    /// The phrasing that the item reads like.
    pub(super) like: &'static str,
}

/// The best of all requirements, whether or not it is good.
struct Best {
    class: usize,
    signs: Signs,
}

/// The requirement that the item means, if that is clear enough.
pub(super) fn find(text: &str, context: &[&str]) -> Option<Guess> {
    if tells_a_lack(features::without_label(text), context) {
        return None;
    }
    let index = &*INDEX;
    let item = index.read(text, &context.join(" "));
    let best = best(index, &item)?;
    let sure = sureness(&best.signs);
    let name = index.names.get(best.class).filter(|name| *name != NONE)?;
    (sure >= LEAST_SURE).then(|| Guess {
        id: name.clone(),
        sure,
        like: index
            .nearest(&item, best.class)
            .map_or("", |phrase| phrase.text),
    })
}

fn best(index: &Index, item: &Reading) -> Option<Best> {
    let probable = in_deviations(&index.probable(item));
    let near = in_deviations(&index.near(item));
    let liked: Vec<f64> = probable.iter().zip(&near).map(|(a, b)| a + b).collect();
    let mut order: Vec<usize> = (0..liked.len()).collect();
    order.sort_by(|a, b| at(&liked, *b).total_cmp(&at(&liked, *a)).then(a.cmp(b)));
    let candidates = order.into_iter().take(CANDIDATES).map(|class| {
        let known = index.known(item, class);
        (at(&liked, class) + KNOWN * known, known, class)
    });
    let mut candidates: Vec<(f64, f64, usize)> = candidates.collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
    let [
        (score, known, class),
        (score_of_second, known_of_second, second),
        ..,
    ] = *candidates.as_slice()
    else {
        return None;
    };
    let none = index.names.iter().position(|name| name == NONE)?;
    let family = |class: usize| {
        index
            .names
            .get(class)
            .and_then(|name| name.split('.').next())
    };
    let signs = [
        at(&liked, class),
        score - score_of_second,
        lead(&probable, class),
        lead(&near, class),
        at(&near, class),
        at(&liked, class) - at(&liked, none),
        known,
        known - known_of_second,
        index.strange(item),
        length(item).ln_1p(),
        f64::from(u8::from(family(class) == family(second))),
    ];
    Some(Best { class, signs })
}

/// How far a class is before the best of the others.
fn lead(scores: &[f64], class: usize) -> f64 {
    let others = scores
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != class);
    let best = others
        .map(|(_, score)| *score)
        .fold(f64::NEG_INFINITY, f64::max);
    at(scores, class) - best
}

#[expect(clippy::cast_precision_loss, reason = "a few words")]
fn length(item: &Reading) -> f64 {
    item.len() as f64
}

fn at(scores: &[f64], class: usize) -> f64 {
    scores.get(class).copied().unwrap_or_default()
}

/// How far each score is from the middle of all, in standard deviations.
#[expect(clippy::cast_precision_loss, reason = "a few hundred requirements")]
fn in_deviations(scores: &[f64]) -> Vec<f64> {
    let count = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / count;
    let square = scores
        .iter()
        .map(|score| (score - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = square.sqrt().max(f64::MIN_POSITIVE);
    scores
        .iter()
        .map(|score| (score - mean) / deviation)
        .collect()
}

#[cfg(test)]
mod tests;
