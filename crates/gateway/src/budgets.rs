//! How the budgets stand: their subjects are those that the ledger knows of in the running window.

use std::collections::HashMap;
use std::sync::Arc;

use seaworthy_core::budget::{self, Account, Window, watch};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Counters};
use seaworthy_core::ledger::{GroupBy, UsageTotal};
use seaworthy_core::limit::policy::{Attributes, BudgetRule, Policy, Scope};
use seaworthy_core::store::{self, KeyStore, Ledger, UsageQuery};
use serde_json::{Value, json};

use crate::metrics::Fullest;
use crate::routes::behind_batch;

/// One budget of one subject in the running window.
struct Known<'a> {
    rule: &'a BudgetRule,
    subject: String,
    account: AccountKey,
    /// What the ledger says was spent.
    spent: u64,
}

/// What is known of what was spent, and of the keys that it was spent with.
#[derive(Clone, Copy)]
pub(crate) struct Books<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) keys: &'a dyn KeyStore,
}

/// Raises the budgets of the windows that are running to what the ledger knows was spent in them.
pub(crate) async fn restore(
    policy: &Arc<Policy>,
    books: Books<'_>,
    counters: &dyn Counters,
    (now, fullest): (UnixMillis, &Fullest),
) -> store::Result<()> {
    let mut spent = Vec::new();
    let until = counters.ledger_counts_until();
    for rule in &policy.budgets {
        let known = known(policy, rule, books, (now, until)).await?;
        for known in &known {
            fullest.note(&rule.name, known.account.window, known.spent);
        }
        spent.extend(known.into_iter().map(|known| (known.account, known.spent)));
    }
    counters.restore(&spent).await
}

/// Every budget whose rule has this name, or all of them, as the counters say it stands.
pub(crate) async fn report(
    policy: &Arc<Policy>,
    books: Books<'_>,
    counters: &dyn Counters,
    (now, wanted): (UnixMillis, Option<&str>),
) -> store::Result<Vec<Value>> {
    let mut standings = Vec::new();
    let mut rules = policy.budgets.iter();
    while let Some(rule) = rules.find(|rule| wanted.is_none_or(|name| *rule.name == *name)) {
        let known = known(policy, rule, books, (now, None)).await?;
        let keys: Vec<AccountKey> = known.iter().map(|known| known.account.clone()).collect();
        let accounts = counters.snapshot(&keys).await?;
        let shown = known.iter().zip(accounts);
        standings.extend(shown.map(|(known, account)| show(known, account, now)));
    }
    Ok(standings)
}

fn show(known: &Known<'_>, account: Account, now: UnixMillis) -> Value {
    let rule = known.rule;
    let account = Account {
        limit: rule.limit,
        ..account
    };
    let window = known.account.window;
    let end = (window.end.0 < i64::MAX).then(|| window.end.to_string());
    let projected = end
        .is_some()
        .then(|| watch::projection(account.spent, window, now))
        .flatten();
    json!({
        "budget": &*rule.name,
        "scope": rule.subjects.scope.as_str(),
        "subject": known.subject,
        "unit": rule.unit.as_str(),
        "limit": account.limit,
        "spent": account.spent,
        "reserved": account.reserved,
        "remaining": account.remaining(),
        "window": {
            "kind": rule.window.as_str(),
            "start": window.start.to_string(),
            "end": end,
        },
        "projected": projected,
        "projected_over_limit": projected.is_some_and(|projected| projected > account.limit),
        "thresholds_reached": rule
            .thresholds
            .iter()
            .filter(|share| account.spent >= share.of(account.limit))
            .map(|share| share.ten_thousandths() / 100)
            .collect::<Vec<_>>(),
    })
}

/// The subjects of a rule that the ledger knows of, and what each has spent until some moment.
async fn known<'a>(
    policy: &Arc<Policy>,
    rule: &'a BudgetRule,
    books: Books<'_>,
    (now, until): (UnixMillis, Option<UnixMillis>),
) -> store::Result<Vec<Known<'a>>> {
    let window = policy.calendar.window(rule.window, now);
    let scope = rule.subjects.scope;
    let Some(by) = group_of(scope) else {
        return Ok(Vec::new());
    };
    let query = UsageQuery {
        by,
        since: Some(window.start),
        until,
        only: Vec::new(),
    };
    let totals = books.ledger.usage(query).await?;
    let in_unit = |total: &UsageTotal| match rule.unit {
        budget::Unit::Tokens => total.tokens(),
        budget::Unit::Micros => total.cost.0,
    };
    let known = |subject: &str, spent| {
        let attributes = Attributes::only(scope, subject);
        known_by(policy, rule, &attributes, (window, spent))
    };
    if scope == Scope::Global {
        let sum = totals.iter().map(in_unit).fold(0, u64::saturating_add);
        return Ok(known("all", sum).into_iter().collect());
    }
    if scope == Scope::Key {
        let successions = books.keys.successions().await?;
        let spent = totals.iter().filter_map(|total| {
            let earlier_keys: Vec<_> = successions.before(&total.group).collect();
            let attributes = Attributes {
                earlier_keys: &earlier_keys,
                ..Attributes::only(scope, &total.group)
            };
            known_by(policy, rule, &attributes, (window, in_unit(total)))
        });
        return Ok(joined(spent));
    }
    let of = totals.iter().map(|total| (&*total.group, in_unit(total)));
    let sums = match scope {
        Scope::Operation => with_batches(of),
        _ => of.collect(),
    };
    // Without a name, no rule of the scope has counted the call.
    let named = sums.iter().filter(|(subject, _)| !subject.is_empty());
    Ok(named
        .filter_map(|(subject, spent)| known(subject, *spent))
        .collect())
}

/// What somebody spent under a rule, if it is a rule for them.
fn known_by<'a>(
    policy: &Arc<Policy>,
    rule: &'a BudgetRule,
    attributes: &Attributes<'_>,
    (window, spent): (Window, u64),
) -> Option<Known<'a>> {
    let bound = policy.bind(attributes);
    let (_, key) = bound.budgets().find(|(known, _)| known.name == rule.name)?;
    Some(Known {
        rule,
        subject: bound.subject_of(key).to_owned(),
        account: AccountKey {
            key: key.clone(),
            window,
        },
        spent,
    })
}

/// Each account once, what spent most first: keys that took the place of each other have the same one.
fn joined<'a>(spent: impl Iterator<Item = Known<'a>>) -> Vec<Known<'a>> {
    let mut sums: Vec<Known<'a>> = Vec::new();
    let mut places: HashMap<AccountKey, usize> = HashMap::new();
    for one in spent {
        let place = *places.entry(one.account.clone()).or_insert(sums.len());
        match sums.get_mut(place) {
            Some(sum) => sum.spent = sum.spent.saturating_add(one.spent),
            None => sums.push(one),
        }
    }
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.spent));
    sums
}

/// Sums by operation, what batches asked for among what others did: a budget has counted both.
fn with_batches<'a>(totals: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (recorded, spent) in totals {
        let operation = behind_batch(recorded);
        match sums.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, sum)) => *sum = sum.saturating_add(spent),
            None => sums.push((operation, spent)),
        }
    }
    sums
}

/// What the ledger tells the subjects of a scope apart by.
fn group_of(scope: Scope) -> Option<GroupBy> {
    match scope {
        Scope::Global | Scope::Operation => Some(GroupBy::Operation),
        Scope::Key => Some(GroupBy::Key),
        Scope::User | Scope::UserOrSession => Some(GroupBy::User),
        Scope::Team => Some(GroupBy::Team),
        Scope::Model => Some(GroupBy::Model),
        Scope::Agent => Some(GroupBy::Agent),
        Scope::Session => Some(GroupBy::Session),
        // No budget can be kept by address.
        Scope::Ip => None,
    }
}
