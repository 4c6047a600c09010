//! The end of a run: all of what is left can be spent, nothing is held any more, and everybody agrees.

use std::sync::atomic::Ordering;
use std::time::Duration;

use seaworthy_core::budget::{Account, Window};
use seaworthy_core::counters::{AccountKey, Counters as _, Outcome};
use tokio::time::sleep;

use super::replica::refused;
use super::{REPLICAS, World};

/// What a call at the end costs: less cannot be spent.
const LEAST: u64 = 10;
/// How often a call that is held, or that nobody decides on, is made again.
const MOST_TRIES: usize = 80;
const PAUSE: Duration = Duration::from_millis(250);

impl World {
    pub(super) async fn drain(&mut self) {
        let open = self.shared.ledger.borrow().open_calls();
        if open > 0 {
            return self
                .shared
                .violate(format!("{open} calls are open at the end"));
        }
        self.spend_most_at_once().await;
        for slot in 0..REPLICAS {
            if !self.spend_to_the_end(slot).await {
                return;
            }
        }
        self.compare().await;
    }

    /// A call that needs more than is not set aside for anybody gets it, as soon as it is given back.
    async fn spend_most_at_once(&self) {
        let Some(replica) = self.replicas.iter().flatten().next() else {
            return;
        };
        let all = AccountKey {
            key: self.shared.limits[0].0.clone(),
            window: Window::TOTAL,
        };
        let Ok(found) = replica.counters.snapshot(&[all]).await else {
            return self.shared.violate("the server is lost again".to_owned());
        };
        let left = self.shared.limits[0].1.saturating_sub(found[0].spent);
        let amount = left - left / 8;
        if found[0].reserved > 0 || amount < LEAST {
            return;
        }
        for call in 0..MOST_TRIES {
            let id = format!("most-{call}");
            if let Ok(Outcome::Taken(_)) = replica.call_now(&id, amount).await {
                return;
            }
            sleep(PAUSE).await;
        }
        self.shared.violate(format!(
            "{amount} of the {left} that are left are given to nobody"
        ));
    }

    /// Makes calls until they are refused for good; `false` where they are held for ever.
    async fn spend_to_the_end(&self, slot: usize) -> bool {
        let Some(replica) = &self.replicas[slot] else {
            return true;
        };
        let mut tries = 0;
        for call in 0.. {
            let id = format!("last-{slot}-{call}");
            let said = match replica.call_now(&id, LEAST).await {
                Ok(Outcome::Taken(_)) if self.shared.is_violated() => return false,
                Ok(Outcome::Taken(_)) => {
                    tries = 0;
                    continue;
                }
                Ok(Outcome::Refused(refusal, _)) => refused(refusal.reason),
                Err(_) => "nobody could say",
            };
            if said == "exhausted" {
                break;
            }
            tries += 1;
            if tries == MOST_TRIES {
                let name = &replica.name;
                let status = replica.counters.status();
                self.shared
                    .violate(format!("{name}: {said}, and it does not end: {status:?}"));
                return false;
            }
            sleep(PAUSE).await;
        }
        true
    }

    /// What the server says of every budget is what the ledger says.
    async fn compare(&self) {
        let accounts = self.shared.limits.each_ref().map(|(key, _)| AccountKey {
            key: key.clone(),
            window: Window::TOTAL,
        });
        let replica = self.replicas.iter().flatten().next();
        let Some(replica) = replica else { return };
        let Ok(found) = replica.counters.snapshot(&accounts).await else {
            return self.shared.violate("the server is lost again".to_owned());
        };
        let ledger = self.shared.ledger.borrow();
        let says = ledger.says(None);
        // The share of one that died while it spent counts as spent, whatever it had spent of it.
        let died_spending = self.decisions.died_spending.load(Ordering::Relaxed) > 0;
        for ((at, account), (_, limit)) in accounts.iter().zip(&found).zip(&self.shared.limits) {
            let spent = says.iter().find(|(known, _)| known == at);
            let spent = spent.map_or(0, |(_, spent)| *spent);
            let most = match died_spending {
                true => u64::MAX,
                false => spent + ledger.corrected,
            };
            let least = spent.saturating_sub(ledger.overstated());
            let is_right = (least..=most).contains(&account.spent) || !self.shared.is_strict();
            if account.reserved > 0 || !is_right {
                let key = at.key.as_str();
                self.shared.violate(format!(
                    "{key}: {account:?} at the end, the ledger says {spent} of {limit}"
                ));
            }
        }
        self.is_spent(found[0]);
    }

    fn is_spent(&self, account: Account) {
        let limit = self.shared.limits[0].1;
        if account.spent + LEAST <= limit {
            self.shared.violate(format!(
                "{account:?}: refused while there is something left of {limit}"
            ));
        }
    }
}
