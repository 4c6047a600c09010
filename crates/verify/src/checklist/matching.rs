//! Which requirements an item means: those whose phrasings it reads like, and how sure that is.
//!
//! Seven voices put the requirements in an order: how probable a requirement's phrasings make the
//! item's words, how near the item is to their middle, how much of the item they know, how like the
//! likest of them are, what vectors of words say for it, how near the item lies to the nearest
//! phrasings as vectors, and what the items around it are about. The first is matched when that is
//! sure enough; where only the first two or three together are, the item is matched to all of these,
//! and holds when each of them holds. The rest is left to a person, because a wrong match is a lie.

use std::sync::LazyLock;

use self::company::NEAR;
use self::index::{Index, NONE, Reading};
use self::polarity::tells_a_lack;
use self::sureness::{BUILTIN, COMPANY, Learned, MOST, Signs, Voices};

mod company;
mod features;
mod index;
mod lists;
mod polarity;
mod sureness;
mod vectors;

/// How sure it has to be that the first is meant, or one of the first two, or one of the first
/// three: with a higher bar for one alone, many more items show a second and a third beside what they
/// mean, and few are wrong less.
const LEAST_SURE: [f64; MOST] = [0.91, 0.93, 0.9];

/// So many items of a list are in memory as vectors at once.
const AT_ONCE: usize = 256;
/// So many are looked at closely.
const CANDIDATES: usize = 15;
/// Shares are counted in tenths, so that the voices are about as loud as each other.
const LOUDNESS: f64 = 10.0;
/// What the company says is counted so many times, for the same reason.
const LOUDNESS_OF_COMPANY: f64 = 3.0;

static INDEX: LazyLock<Index> = LazyLock::new(Index::builtin);

/// The requirements that an item probably means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guess {
    /// The likeliest first.
    pub(super) readings: Vec<super::Likeness>,
    /// How sure it is that one of them is meant, from 0 to 1.
    pub(super) sure: f64,
}

/// A requirement that was looked at closely.
#[derive(Debug)]
struct Candidate {
    class: usize,
    voices: Voices,
    score: f64,
    /// How near the item is to the middle of the phrasings, as an angle's cosine.
    middle: f64,
    known: f64,
    /// How like the phrasings are, the likest first.
    like: Vec<f64>,
}

/// What several candidates share of all that speaks for any.
struct Looked {
    candidates: Vec<Candidate>,
    strange: f64,
    words: f64,
}

/// An item, and what stands above it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) text: &'a str,
    pub(super) context: Vec<&'a str>,
}

/// The requirements that each item of a list means, if that is clear enough.
pub(super) fn find(list: &[Asked<'_>]) -> Vec<Option<Guess>> {
    let starts = (0..list.len()).step_by(AT_ONCE);
    starts.flat_map(|start| find_some(list, start)).collect()
}

/// The same for some of them, which are read with those around them.
fn find_some(list: &[Asked<'_>], start: usize) -> Vec<Option<Guess>> {
    let index = &*INDEX;
    let from = start.saturating_sub(NEAR);
    let end = list.len().min(start + AT_ONCE);
    let list = list.iter().take(end + NEAR).skip(from);
    let read = |asked: &Asked<'_>| index.read(asked.text, &asked.context.join(" "));
    let items: Vec<Reading> = list.clone().map(read).collect();
    let looked = items.iter().map(|item| look(index, item));
    let mut looked: Vec<Looked> = looked.collect();
    settle(index, &mut looked, &BUILTIN);
    let all = list.zip(&items).zip(&looked);
    all.skip(start - from)
        .take(end - start)
        .map(|((asked, item), looked)| {
            if tells_a_lack(features::without_label(asked.text), &asked.context) {
                return None;
            }
            guess(index, item, looked)
        })
        .collect()
}

fn guess(index: &Index, item: &Reading, looked: &Looked) -> Option<Guess> {
    let (several, sure) = enough(index, looked, &BUILTIN, &LEAST_SURE)?;
    let readings = looked.candidates.iter().take(several).map(|candidate| {
        let likest = index.likest(item, candidate.class);
        super::Likeness {
            id: index.name(candidate.class).to_owned(),
            like: likest.first().map_or("", |(_, phrase)| phrase.text),
        }
    });
    Some(Guess {
        readings: readings.collect(),
        sure,
    })
}

/// How many of the first are sure together, and how sure.
fn enough(
    index: &Index,
    looked: &Looked,
    learned: &Learned,
    least: &[f64; MOST],
) -> Option<(usize, f64)> {
    let mut sure = 0.0_f64;
    for (several, least) in (1..).zip(least) {
        let (meant, rest) = looked.candidates.split_at_checked(several)?;
        // What may well be nothing of ours is not matched to anything beside.
        if rest.is_empty() || meant.iter().any(|c| index.name(c.class) == NONE) {
            return None;
        }
        // One of three is meant at least as surely as one of the first two of them.
        sure = sure.max(learned.sureness(several, &signs(index, looked, several)));
        if sure >= *least {
            return Some((several, sure));
        }
    }
    None
}

/// The best candidates, and all voices but that of the company.
fn look(index: &Index, item: &Reading) -> Looked {
    let probable = in_deviations(&index.probable(item));
    let middle = index.near(item);
    let near = in_deviations(&middle);
    let spoken = in_deviations(&index.speaks(item));
    let liked = probable.iter().zip(&near).zip(&spoken);
    let liked: Vec<f64> = liked.map(|((a, b), c)| a + b + c).collect();
    let mut order: Vec<usize> = (0..liked.len()).collect();
    order.sort_by(|a, b| at(&liked, *b).total_cmp(&at(&liked, *a)).then(a.cmp(b)));
    let candidates = order.into_iter().take(CANDIDATES).map(|class| {
        let known = index.known(item, class);
        let likest = index.likest(item, class);
        let like: Vec<f64> = likest.into_iter().map(|(like, _)| like).collect();
        let voices = [
            at(&probable, class),
            at(&near, class),
            LOUDNESS * known,
            LOUDNESS * mean(&like),
            at(&spoken, class),
            LOUDNESS * index.alike(item, class),
            0.0,
        ];
        Candidate {
            class,
            voices,
            score: 0.0,
            middle: at(&middle, class),
            known,
            like,
        }
    });
    Looked {
        candidates: candidates.collect(),
        strange: index.strange(item),
        words: length(item).ln_1p(),
    }
}

/// Puts the candidates of each item of a list in their order, when the items around it had their say.
fn settle(index: &Index, list: &mut [Looked], learned: &Learned) {
    let shares: Vec<Vec<(usize, f64)>> = list
        .iter_mut()
        .map(|looked| {
            for candidate in &mut looked.candidates {
                candidate.voices[COMPANY] = 0.0;
            }
            shares(looked, learned)
        })
        .collect();
    for (item, looked) in list.iter_mut().enumerate() {
        let from = item.saturating_sub(NEAR);
        let around = shares
            .iter()
            .enumerate()
            .skip(from)
            .take(item + NEAR + 1 - from);
        let around: Vec<&Vec<(usize, f64)>> = around
            .filter(|(other, _)| *other != item)
            .map(|(_, shares)| shares)
            .collect();
        for candidate in &mut looked.candidates {
            let say = around
                .iter()
                .map(|shares| index.company.speaks(shares, candidate.class));
            let say: Vec<f64> = say.collect();
            candidate.voices[COMPANY] = LOUDNESS_OF_COMPANY * mean(&say);
            candidate.score = learned.score(&candidate.voices);
        }
        let candidates = &mut looked.candidates;
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.class.cmp(&b.class)));
    }
}

/// How probable each candidate is by the item alone.
fn shares(looked: &Looked, learned: &Learned) -> Vec<(usize, f64)> {
    let scores = looked.candidates.iter().map(|c| learned.score(&c.voices));
    let scores: Vec<f64> = scores.collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = scores.iter().map(|score| (score - most).exp()).sum();
    let each = looked.candidates.iter().zip(&scores);
    each.map(|(c, score)| (c.class, (score - most).exp() / all))
        .collect()
}

/// The signs of whether one of the first so many is right.
fn signs(index: &Index, looked: &Looked, several: usize) -> Signs {
    let all = looked.candidates.as_slice();
    let (Some((meant, rest)), Some(first)) = (all.split_at_checked(several), all.first()) else {
        return [0.0; sureness::SIGNS.len()];
    };
    let shares: Vec<f64> = all.iter().map(|c| (c.score - first.score).exp()).collect();
    let total: f64 = shares.iter().sum();
    let share = shares.iter().take(several).sum::<f64>() / total;
    let nothing = all.iter().zip(&shares);
    let nothing = nothing.filter(|(c, _)| index.name(c.class) == NONE);
    let best = |of: &[Candidate], what: fn(&Candidate) -> f64| {
        of.iter().map(what).fold(f64::NEG_INFINITY, f64::max)
    };
    let lead = |what: fn(&Candidate) -> f64| best(meant, what) - best(rest, what);
    let next = |what: fn(&Candidate) -> f64| rest.first().map_or(0.0, what);
    let family = |c: &Candidate| index.name(c.class).split('.').next().unwrap_or_default();
    let same = all
        .iter()
        .take(several + 1)
        .all(|c| family(c) == family(first));
    [
        (share / (1.0 - share + 1e-6) + 1e-6).ln(),
        meant.last().map_or(0.0, |c| c.score) - next(|c| c.score),
        first.score - next(|c| c.score),
        lead(|c| c.voices[0]),
        lead(|c| c.voices[1]),
        first.score,
        best(meant, |c| c.known),
        first.known - next(|c| c.known),
        looked.strange,
        looked.words,
        best(meant, |c| mean(&c.like)),
        best(meant, |c| at(&c.like, 0)),
        best(meant, |c| c.middle),
        f64::from(u8::from(same)),
        nothing.map(|(_, share)| share).sum::<f64>() / total,
        meant.iter().map(|c| c.known).fold(1.0, f64::min),
        first.known * looked.words,
        lead(|c| c.voices[4]),
        best(meant, |c| c.voices[4]),
        lead(|c| c.voices[5]),
        best(meant, |c| c.voices[5]),
        lead(|c| c.voices[COMPANY]),
        best(meant, |c| c.voices[COMPANY]),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a few words")]
fn length(item: &Reading) -> f64 {
    item.len() as f64
}

fn at(scores: &[f64], class: usize) -> f64 {
    scores.get(class).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred requirements")]
fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / (scores.len() as f64).max(1.0)
}

/// How far each score is from the middle of all, in standard deviations.
fn in_deviations(scores: &[f64]) -> Vec<f64> {
    let middle = mean(scores);
    let squares: Vec<f64> = scores.iter().map(|s| (s - middle).powi(2)).collect();
    let deviation = mean(&squares).sqrt().max(f64::MIN_POSITIVE);
    let deviations = scores.iter().map(|score| (score - middle) / deviation);
    deviations.collect()
}

#[cfg(test)]
mod tests;
