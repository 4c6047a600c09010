//! The limits and budgets in force, and what a call under them costs at most.

use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;
use seaworthy_core::budget::{self, Amount, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Counters};
use seaworthy_core::ledger::{GroupBy, UsageTotal};
use seaworthy_core::limit::policy::{Attributes, Bound, BudgetRule, Demand, Policy, Scope};
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Extent, Price, UnknownPrice, Unpriced};
use seaworthy_core::principal::Principal;
use seaworthy_core::store::{self, Ledger, UsageQuery};
use seaworthy_core::usage::Usage;

use crate::exchange::Exchange;

/// Most combinations of caller, model and operation whose rules are remembered.
const CAPACITY: usize = 4_096;

/// Limits, budgets and what to do without a price.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Arc<Policy>,
    unknown_price: UnknownPrice,
    counts_by: CountsBy,
    bounds: Cache<BoundKey, Arc<Bound>>,
}

/// Which of the attributes that differ from call to call any rule counts by.
#[derive(Debug, Clone, Copy)]
struct CountsBy {
    ip: bool,
    agent: bool,
    session: bool,
}

/// What decides which rules apply: two calls that agree in it have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BoundKey {
    key: Arc<str>,
    user: Arc<str>,
    team: Option<Arc<str>>,
    model: Arc<str>,
    operation: &'static str,
    /// These only where a rule counts by them.
    ip: Option<IpAddr>,
    agent: Option<Arc<str>>,
    session: Option<Arc<str>>,
}

/// What a call is going to be charged with.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    /// `None` for a model without a price that may be called all the same.
    pub(crate) price: Option<Price>,
    /// What each call costs that has no price.
    pub(crate) flat: Micros,
}

impl Charge {
    /// What a call cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Micros {
        match &self.price {
            Some(price) => price::cost(usage, price),
            None => self.flat,
        }
    }

    /// The most that it can cost.
    pub(crate) fn worst_case(&self, usage: &Usage) -> Micros {
        let extent = Extent {
            max_input_tokens: usage.total_input(),
            max_output_tokens: usage.output_tokens,
            writes_cache: true,
            attempts: 1,
            ..Extent::default()
        };
        match &self.price {
            Some(price) => price::worst_case(&extent, price),
            None => self.flat,
        }
    }
}

impl Limits {
    pub(crate) fn new(policy: Policy, unknown_price: UnknownPrice) -> Self {
        let by = |wanted| scopes(&policy).any(|scope| scope == wanted);
        let counts_by = CountsBy {
            ip: by(Scope::Ip),
            agent: by(Scope::Agent),
            session: by(Scope::Session),
        };
        Self {
            counts_by,
            policy: Arc::new(policy),
            unknown_price,
            bounds: Cache::new(CAPACITY),
        }
    }

    /// The rules for a call of this caller.
    pub(crate) fn bind(
        &self,
        exchange: &Exchange,
        caller: &Principal,
        model: &Arc<str>,
        operation: &'static str,
    ) -> Arc<Bound> {
        let by = self.counts_by;
        let key = BoundKey {
            key: Arc::clone(&caller.key_id),
            user: Arc::clone(&caller.user_id),
            team: caller.team_id.clone(),
            model: Arc::clone(model),
            operation,
            ip: by.ip.then_some(exchange.peer),
            agent: exchange.agent.clone().filter(|_| by.agent),
            session: exchange.session.clone().filter(|_| by.session),
        };
        if let Some(bound) = self.bounds.get(&key) {
            return bound;
        }
        let ip = key.ip.map(|ip| ip.to_string());
        let attributes = Attributes {
            key: Some(&key.key),
            user: Some(&key.user),
            team: key.team.as_deref(),
            model: Some(model),
            agent: key.agent.as_deref(),
            session: key.session.as_deref(),
            ip: ip.as_deref(),
            operation: Some(operation),
        };
        let bound = Arc::new(self.policy.bind(&attributes));
        self.bounds.insert(key, Arc::clone(&bound));
        bound
    }

    /// How a call of a model with or without a price is charged; `None` if it must not leave.
    pub(crate) fn charge(&self, price: Option<&Price>, bound: &Bound) -> Option<Charge> {
        if let Some(price) = price {
            return Some(Charge {
                price: Some(*price),
                flat: Micros::ZERO,
            });
        }
        match self.unknown_price.decide(bound.draws_on_money()) {
            Unpriced::Refused => None,
            Unpriced::Flagged(flat) => Some(Charge { price: None, flat }),
        }
    }
}

/// Whom the rules of a policy are kept apart by.
fn scopes(policy: &Policy) -> impl Iterator<Item = Scope> {
    let rates = policy.rates.iter().map(|rule| rule.subjects.scope);
    let slots = policy.slots.iter().map(|rule| rule.subjects.scope);
    let budgets = policy.budgets.iter().map(|rule| rule.subjects.scope);
    rates.chain(slots).chain(budgets)
}

/// What a call that uses this much takes of budgets and of limits of tokens.
pub(crate) fn demand(usage: &Usage, cost: Micros) -> Demand {
    let tokens = usage.total();
    Demand {
        amount: Amount { tokens, cost },
        rate_tokens: tokens,
    }
}

/// Raises the budgets of the windows that are running to what the ledger knows was spent in them.
pub(crate) async fn restore(
    policy: &Arc<Policy>,
    ledger: &dyn Ledger,
    counters: &dyn Counters,
    now: UnixMillis,
) -> store::Result<()> {
    let mut spent = Vec::new();
    for rule in &policy.budgets {
        let window = policy.calendar.window(rule.window, now);
        let (by, is_global) = match rule.subjects.scope {
            Scope::Global => (GroupBy::Operation, true),
            Scope::Key => (GroupBy::Key, false),
            Scope::User => (GroupBy::User, false),
            Scope::Model => (GroupBy::Model, false),
            Scope::Operation => (GroupBy::Operation, false),
            Scope::Team => (GroupBy::Team, false),
            Scope::Agent => (GroupBy::Agent, false),
            Scope::Session => (GroupBy::Session, false),
            // No budget can be kept by address.
            Scope::Ip => continue,
        };
        let query = UsageQuery {
            by,
            since: Some(window.start),
            until: None,
        };
        let totals = ledger.usage(query).await?;
        let in_unit = |total: &UsageTotal| match rule.unit {
            budget::Unit::Tokens => total.tokens(),
            budget::Unit::Micros => total.cost.0,
        };
        if is_global {
            let sum = totals.iter().map(in_unit).fold(0, u64::saturating_add);
            spent.extend(account(policy, rule, "all", window).map(|account| (account, sum)));
        } else {
            // Without a name, no rule of the scope has counted the call.
            let named = totals.iter().filter(|total| !total.group.is_empty());
            spent.extend(named.filter_map(|total| {
                let account = account(policy, rule, &total.group, window)?;
                Some((account, in_unit(total)))
            }));
        }
    }
    counters.restore(&spent).await
}

fn account(
    policy: &Arc<Policy>,
    rule: &BudgetRule,
    subject: &str,
    window: Window,
) -> Option<AccountKey> {
    let subject = Some(subject);
    let attributes = match rule.subjects.scope {
        Scope::Key => Attributes {
            key: subject,
            ..Attributes::default()
        },
        Scope::User => Attributes {
            user: subject,
            ..Attributes::default()
        },
        Scope::Model => Attributes {
            model: subject,
            ..Attributes::default()
        },
        Scope::Operation => Attributes {
            operation: subject,
            ..Attributes::default()
        },
        Scope::Team => Attributes {
            team: subject,
            ..Attributes::default()
        },
        Scope::Agent => Attributes {
            agent: subject,
            ..Attributes::default()
        },
        Scope::Session => Attributes {
            session: subject,
            ..Attributes::default()
        },
        Scope::Global | Scope::Ip => Attributes::default(),
    };
    let bound = policy.bind(&attributes);
    let (_, key) = bound.budgets().find(|(known, _)| known.name == rule.name)?;
    Some(AccountKey {
        key: key.clone(),
        window,
    })
}
