//! What is written down of calls: by their replica, and where all replicas read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use seaworthy_core::budget::Amount;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Claim, Close};
use seaworthy_core::money::Micros;

/// How long the ledger takes a replica for alive that it does not hear of.
const UNHEARD_MS: i64 = 30_000;

#[derive(Default)]
pub(super) struct Ledger {
    calls: BTreeMap<Arc<str>, Call>,
    /// When replicas were heard of.
    heard: BTreeMap<String, i64>,
    /// What calls were settled above what they turned out to have used.
    pub(super) corrected: u64,
}

struct Call {
    replica: String,
    claim: Arc<Claim>,
    opened_at: UnixMillis,
    /// As the journal on the disk of the replica has it.
    ended: Option<(UnixMillis, u64)>,
    settled: Option<Settled>,
}

#[derive(Clone, Copy)]
struct Settled {
    at: UnixMillis,
    used: u64,
    is_interrupted: bool,
}

/// A call that used this much.
pub(super) fn used(micros: u64) -> Close {
    Close::Used {
        amount: Amount {
            tokens: micros,
            cost: Micros(micros),
        },
        rate_tokens: 0,
    }
}

fn most(claim: &Claim) -> u64 {
    claim.budgets[0].amount
}

impl Ledger {
    pub(super) fn hear_of(&mut self, replica: &str, now_ms: i64) {
        self.heard.insert(replica.to_owned(), now_ms);
    }

    /// The intent of a call.
    pub(super) fn open(&mut self, replica: &str, claim: &Arc<Claim>, opened_at: UnixMillis) {
        let call = Call {
            replica: replica.to_owned(),
            claim: Arc::clone(claim),
            opened_at,
            ended: None,
            settled: None,
        };
        self.calls.insert(Arc::clone(&claim.id), call);
    }

    /// The call did not leave.
    pub(super) fn void(&mut self, id: &str) {
        self.calls.remove(id);
    }

    /// Its end, on the disk of its replica.
    pub(super) fn end(&mut self, id: &str, at: UnixMillis, used: u64) {
        if let Some(call) = self.calls.get_mut(id) {
            call.ended = Some((at, used));
        }
    }

    /// Its end, for all to see.
    pub(super) fn settle(&mut self, id: &str) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some((at, used)) = call.ended else { return };
        match call.settled {
            Some(settled) if !settled.is_interrupted => return,
            Some(settled) => self.corrected += settled.used.saturating_sub(used),
            None => {}
        }
        call.settled = Some(Settled {
            at,
            used,
            is_interrupted: false,
        });
    }

    /// A replica starts anew with the journal of one before: the rest is settled at its worst case.
    pub(super) fn recover(&mut self, replica: &str) {
        let of = |(id, call): (&Arc<str>, &mut Call)| {
            (call.replica == replica).then(|| {
                if call.ended.is_none() {
                    call.interrupt();
                }
                Arc::clone(id)
            })
        };
        let ids: Vec<_> = self.calls.iter_mut().filter_map(of).collect();
        ids.iter().for_each(|id| self.settle(id));
    }

    /// Settles the calls of replicas that nobody hears of any more.
    pub(super) fn bury(&mut self, now_ms: i64) {
        let heard = &self.heard;
        let is_dead = |replica: &str| {
            let heard = heard.get(replica).copied().unwrap_or(i64::MIN / 2);
            now_ms - heard > UNHEARD_MS
        };
        for call in self.calls.values_mut() {
            if is_dead(&call.replica) {
                call.interrupt();
            }
        }
    }

    /// What becomes of a claim that nobody renews; `None` while its call is open.
    pub(super) fn fate(&self, id: &str) -> Option<Close> {
        match self.calls.get(id) {
            None => Some(Close::Unused),
            Some(call) => call.settled.map(|settled| used(settled.used)),
        }
    }

    /// What was spent of every account by calls that ended before a moment.
    pub(super) fn says(&self, until: Option<UnixMillis>) -> Vec<(AccountKey, u64)> {
        let mut sums: BTreeMap<String, (AccountKey, u64)> = BTreeMap::new();
        for call in self.calls.values() {
            let Some(settled) = call.settled else {
                continue;
            };
            if until.is_some_and(|until| settled.at >= until) {
                continue;
            }
            for budget in &call.claim.budgets {
                let account = AccountKey {
                    key: budget.key.clone(),
                    window: budget.window,
                };
                let sum = sums.entry(budget.key.as_str().to_owned());
                sum.or_insert((account, 0)).1 += settled.used;
            }
        }
        sums.into_values().collect()
    }

    /// By how much calls are settled above what they used, because their replica died before it could
    /// write down their end where others see it. The server may have heard of it.
    pub(super) fn overstated(&self) -> u64 {
        let by = |call: &Call| {
            let settled = call.settled.filter(|settled| settled.is_interrupted)?;
            let (_, used) = call.ended?;
            Some(settled.used.saturating_sub(used))
        };
        self.calls.values().filter_map(by).sum()
    }

    pub(super) fn open_calls(&self) -> usize {
        let open = self.calls.values().filter(|call| call.settled.is_none());
        open.count()
    }
}

impl Call {
    fn interrupt(&mut self) {
        self.settled.get_or_insert(Settled {
            at: self.opened_at,
            used: most(&self.claim),
            is_interrupted: true,
        });
    }
}
