//! What operators may ask of usage and budgets, and callers of their own usage.

use std::collections::HashMap;
use std::time::Duration;

use seaworthy_core::budget::{WindowKind, watch};
use seaworthy_core::code::Code;
use seaworthy_core::ledger::report::{self, MAX_PAGE};
use seaworthy_core::ledger::{GroupBy, Only, UsageTotal};
use seaworthy_core::store::{self, UsageQuery};
use serde_json::{Value, json};

use crate::budgets::{self, Books};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::snapshot::Snapshot;

/// Groups of a page, if nobody says how many.
const PAGE: usize = 100;
/// How far back callers may ask for their own usage: any of them may ask, and each time the ledger is
/// read from there.
const FURTHEST_BACK: Duration = Duration::from_secs(31 * 24 * 3600);

/// What the query of a request asks for.
struct Asked(HashMap<String, Vec<String>>);

impl Asked {
    /// Reads a query in which only these names are known.
    fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut asked = HashMap::new();
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let names = known.join(", ");
                return Err(wrong(name, &format!("unknown; expected one of {names}")));
            }
            let values: &mut Vec<String> = asked.entry(name.to_owned()).or_default();
            values.push(decoded(value));
        }
        Ok(Self(asked))
    }

    fn get<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        Ok(self.all(name, read)?.pop())
    }

    fn all<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Refusal> {
        let values = self.0.get(name).into_iter().flatten();
        let values: Result<_, _> = values.map(|value| read(value)).collect();
        values.map_err(|error| wrong(name, &error))
    }

    /// Where a page begins and how many groups it has.
    fn page(&self) -> Result<(usize, usize), Refusal> {
        let number = |text: &str| {
            let number = text.parse::<usize>();
            number.map_err(|_| format!("expected a whole number, found {text:?}"))
        };
        let limit = self.get("limit", |text| match number(text)? {
            limit @ 1..=MAX_PAGE => Ok(limit),
            other => Err(format!("expected 1 to {MAX_PAGE}, found {other}")),
        })?;
        let offset = self.get("offset", number)?;
        Ok((offset.unwrap_or(0), limit.unwrap_or(PAGE)))
    }
}

/// What was used, summed from the ledger.
pub(crate) async fn usage(gateway: &Gateway, query: Option<&str>) -> Result<Answer, Refusal> {
    let known = ["by", "since", "until", "only", "limit", "offset", "format"];
    let asked = Asked::read(query, &known)?;
    let now = gateway.clock.now();
    let by = asked.get("by", str::parse)?.unwrap_or(GroupBy::Model);
    let since = asked.get("since", |text| report::moment(text, now))?;
    let until = asked.get("until", |text| report::moment(text, now))?;
    let (offset, limit) = asked.page()?;
    let is_csv = asked.get("format", |text| match text {
        "csv" => Ok(true),
        "json" => Ok(false),
        other => Err(format!("expected json or csv, found {other:?}")),
    })?;
    let only = asked.all("only", str::parse)?;
    let query = UsageQuery {
        by,
        since,
        until,
        only,
    };
    let totals = gateway.ledger_of_all_ended().await.usage(query).await;
    let page = report::page(totals.map_err(unavailable)?, by, offset, limit);
    if is_csv == Some(true) {
        let text = report::csv(by, &page.totals);
        let mut answer = Answer::text(200, "text/csv; charset=utf-8", text);
        if let Some(next) = page.next {
            answer
                .headers
                .insert("x-seaworthy-next-offset", next.into());
        }
        return Ok(answer);
    }
    let data: Vec<Value> = page.totals.iter().map(total).collect();
    let body = json!({
        "by": by.as_str(),
        "since": since.map(|at| at.to_string()),
        "until": until.map(|at| at.to_string()),
        "data": data,
        "next_offset": page.next,
    });
    Ok(Answer::json(200, body.to_string()))
}

/// What the caller itself used. Somebody else's usage is not found, whoever asks here.
pub(crate) async fn own_usage(exchange: &Exchange, query: Option<&str>) -> Result<Answer, Refusal> {
    let gateway = &exchange.gateway;
    let asked = Asked::read(query, &["since", "until", "user"])?;
    let user = match &exchange.principal {
        Some(caller) => &*caller.user_id,
        None => return Err(nobody()),
    };
    let named = asked.all("user", |name| Ok(name.to_owned()))?;
    if named.iter().any(|name| name != user) {
        return Err(nobody());
    }
    let now = gateway.clock.now();
    let since = asked.get("since", |text| {
        let since = report::moment(text, now)?;
        match now.since(since) <= FURTHEST_BACK {
            true => Ok(since),
            false => Err("expected at most 31 days ago".to_owned()),
        }
    })?;
    let calendar = &exchange.snapshot.limits.policy.calendar;
    let since = since.unwrap_or_else(|| calendar.window(WindowKind::Day, now).start);
    let until = asked.get("until", |text| report::moment(text, now))?;
    let query = UsageQuery {
        by: GroupBy::User,
        since: Some(since),
        until,
        only: Only::new(GroupBy::User, user).into_iter().collect(),
    };
    let totals = gateway.ledger_of_all_ended().await.usage(query).await;
    let own = totals.map_err(unavailable)?.pop();
    let mut body = total(&own.unwrap_or_default());
    if let Some(fields) = body.as_object_mut() {
        fields.remove("group");
        fields.insert("user".to_owned(), json!(user));
        fields.insert("since".to_owned(), json!(since.to_string()));
        fields.insert("until".to_owned(), json!(until.map(|at| at.to_string())));
    }
    Ok(Answer::json(200, body.to_string()))
}

fn nobody() -> Refusal {
    Refusal::new(
        Code::NotFound,
        "There is no usage of this user to be seen here.",
    )
    .at("user".to_owned())
}

fn total(total: &UsageTotal) -> Value {
    let mut value = serde_json::to_value(total).unwrap_or(Value::Null);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("cost_usd".to_owned(), json!(total.cost.to_string()));
        fields.insert("total_tokens".to_owned(), json!(total.tokens()));
    }
    value
}

/// How the budgets stand.
pub(crate) async fn budgets(
    gateway: &Gateway,
    snapshot: &Snapshot,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let asked = Asked::read(query, &["budget", "limit", "offset"])?;
    let (offset, limit) = asked.page()?;
    let name = asked.get("budget", |name| Ok(name.to_owned()))?;
    let books = Books {
        ledger: gateway.ledger_of_all_ended().await,
        keys: &*gateway.stores.keys,
    };
    let counters = &*gateway.counters;
    let wanted = (gateway.clock.now(), name.as_deref());
    let all = budgets::report(&snapshot.limits.policy, books, counters, wanted).await;
    let all = all.map_err(unavailable)?;
    let next = Some(offset.saturating_add(limit)).filter(|next| *next < all.len());
    let data: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let body = json!({"data": data, "next_offset": next});
    Ok(Answer::json(200, body.to_string()))
}

/// Where the day and the month are heading, and who spends unlike before.
pub(crate) async fn projection(
    gateway: &Gateway,
    snapshot: &Snapshot,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let asked = Asked::read(query, &["limit", "offset"])?;
    let (offset, limit) = asked.page()?;
    let now = gateway.clock.now();
    let mut windows = serde_json::Map::new();
    let ledger = gateway.ledger_of_all_ended().await;
    for kind in [WindowKind::Day, WindowKind::Month] {
        let window = snapshot.limits.policy.calendar.window(kind, now);
        let query = UsageQuery {
            by: GroupBy::Operation,
            since: Some(window.start),
            until: None,
            only: Vec::new(),
        };
        let totals = ledger.usage(query).await.map_err(unavailable)?;
        let tokens = totals.iter().map(UsageTotal::tokens);
        let tokens = tokens.fold(0, u64::saturating_add);
        let cost = totals.iter().map(|total| total.cost.0);
        let cost = cost.fold(0, u64::saturating_add);
        let value = json!({
            "start": window.start.to_string(),
            "end": window.end.to_string(),
            "tokens": tokens,
            "projected_tokens": watch::projection(tokens, window, now),
            "cost_micros": cost,
            "projected_cost_micros": watch::projection(cost, window, now),
        });
        windows.insert(kind.as_str().to_owned(), value);
    }
    let users = gateway.spend.report(now);
    let next = Some(offset.saturating_add(limit)).filter(|next| *next < users.len());
    let users: Vec<Value> = users.into_iter().skip(offset).take(limit).collect();
    windows.insert("users".to_owned(), Value::Array(users));
    windows.insert("next_offset".to_owned(), json!(next));
    Ok(Answer::json(200, Value::Object(windows).to_string()))
}

/// A value without its escapes. What is no escape stays as it is.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| *first == b'%');
        let escape = escape.and_then(|digits| str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wrong(name: &str, error: &str) -> Refusal {
    let message = format!("The parameter `{name}` of the query: {error}.");
    Refusal::new(Code::InvalidRequest, message).at(name.to_owned())
}

fn unavailable(error: store::Error) -> Refusal {
    let message = "The ledger cannot be read now. Try again shortly.";
    Refusal::new(Code::StoreUnavailable, message)
        .retry_after(Duration::from_secs(2))
        .because(&error)
}
