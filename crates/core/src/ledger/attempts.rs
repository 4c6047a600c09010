//! Calls that share a claim: what a failed attempt did not use is kept for the next one.
//!
//! A claim has the ID of the call that it was taken for. Further calls under it have IDs that are
//! made from it, so that whoever finds the claim alone finds all of its calls.

use std::sync::Arc;

use crate::budget::Amount;
use crate::store::Fate;

/// The last attempt that may go on with a claim of an earlier one.
pub const LAST: u32 = 16;

/// The ID of a call that goes on with a claim.
#[must_use]
pub fn call_id(claim: &str, attempt: u32) -> String {
    format!("{claim}.{attempt}")
}

/// The IDs of all calls that can have been made under a claim.
pub fn call_ids(claim: &Arc<str>) -> impl Iterator<Item = Arc<str>> {
    let further = (2..=LAST).map(|attempt| Arc::from(call_id(claim, attempt)));
    std::iter::once(Arc::clone(claim)).chain(further)
}

/// How many IDs [`call_ids`] gives.
pub const CALLS: usize = LAST as usize;

/// What is known of a claim whose calls these are: all that they came to, once none is open.
#[must_use]
pub fn fate(calls: &[Fate]) -> Fate {
    let mut settled: Option<Amount> = None;
    for call in calls {
        match call {
            Fate::Open => return Fate::Open,
            Fate::Unknown => {}
            Fate::Settled(amount) => {
                let sum = settled.unwrap_or_default();
                settled = Some(Amount {
                    tokens: sum.tokens.saturating_add(amount.tokens),
                    cost: sum.cost.plus(amount.cost),
                });
            }
        }
    }
    settled.map_or(Fate::Unknown, Fate::Settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Micros;

    fn settled(tokens: u64) -> Fate {
        Fate::Settled(Amount {
            tokens,
            cost: Micros(tokens * 2),
        })
    }

    #[test]
    fn a_claim_comes_to_what_all_of_its_calls_came_to() {
        assert_eq!(fate(&[Fate::Unknown, Fate::Unknown]), Fate::Unknown);
        assert_eq!(fate(&[settled(0), settled(7), Fate::Unknown]), settled(7));
        assert_eq!(fate(&[settled(0), Fate::Open]), Fate::Open);
    }

    #[test]
    fn every_call_of_a_claim_is_among_its_ids() {
        let ids: Vec<_> = call_ids(&Arc::from("a")).collect();
        assert_eq!(ids.len(), CALLS);
        assert_eq!((&*ids[0], &*ids[1]), ("a", "a.2"));
        assert!(ids.contains(&Arc::from(call_id("a", LAST))));
    }
}
