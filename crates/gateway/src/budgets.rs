//! How the budgets stand: their subjects are those that the ledger knows of in the running window.

use std::sync::Arc;

use seaworthy_core::budget::{self, Account, Window, watch};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::{AccountKey, Counters};
use seaworthy_core::ledger::{GroupBy, UsageTotal};
use seaworthy_core::limit::policy::{Attributes, BudgetRule, Policy, Scope};
use seaworthy_core::store::{self, Ledger, UsageQuery};
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

/// Raises the budgets of the windows that are running to what the ledger knows was spent in them.
pub(crate) async fn restore(
    policy: &Arc<Policy>,
    ledger: &dyn Ledger,
    counters: &dyn Counters,
    (now, fullest): (UnixMillis, &Fullest),
) -> store::Result<()> {
    let mut spent = Vec::new();
    let until = counters.ledger_counts_until();
    for rule in &policy.budgets {
        let known = known(policy, rule, ledger, (now, until)).await?;
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
    ledger: &dyn Ledger,
    counters: &dyn Counters,
    (now, wanted): (UnixMillis, Option<&str>),
) -> store::Result<Vec<Value>> {
    let mut standings = Vec::new();
    let mut rules = policy.budgets.iter();
    while let Some(rule) = rules.find(|rule| wanted.is_none_or(|name| *rule.name == *name)) {
        let known = known(policy, rule, ledger, (now, None)).await?;
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
    ledger: &dyn Ledger,
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
    let totals = ledger.usage(query).await?;
    let in_unit = |total: &UsageTotal| match rule.unit {
        budget::Unit::Tokens => total.tokens(),
        budget::Unit::Micros => total.cost.0,
    };
    let known = |subject: &str, spent| {
        Some(Known {
            rule,
            subject: subject.to_owned(),
            account: account(policy, rule, subject, window)?,
            spent,
        })
    };
    if scope == Scope::Global {
        let sum = totals.iter().map(in_unit).fold(0, u64::saturating_add);
        return Ok(known("all", sum).into_iter().collect());
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

fn account(
    policy: &Arc<Policy>,
    rule: &BudgetRule,
    subject: &str,
    window: Window,
) -> Option<AccountKey> {
    let bound = policy.bind(&Attributes::only(rule.subjects.scope, subject));
    let (_, key) = bound.budgets().find(|(known, _)| known.name == rule.name)?;
    Some(AccountKey {
        key: key.clone(),
        window,
    })
}
