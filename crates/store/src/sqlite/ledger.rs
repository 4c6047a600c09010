//! Settlements in SQLite.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use seaworthy_core::budget::Amount;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{
    Charged, Coordinates, Flags, GroupBy, Outcome, Settlement, UsageTotal,
};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::store::{Fate, Ledger, Result, UsageQuery};
use seaworthy_core::usage::Usage;

use super::{Database, unavailable};

const INSERT: &str = "
    INSERT INTO settlements (
        call_id, request_id, settled_at, duration_ms, key_id, user_id, operation, model, target,
        stream, outcome, status, input_tokens, cached_read_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens,
        audio_output_tokens, estimated, cost_micros, team_id, agent_id, session_id, images,
        tool_calls, unpriced, over_reserved, attempt)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
            ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)
    ON CONFLICT (call_id) DO UPDATE SET
        settled_at = excluded.settled_at, duration_ms = excluded.duration_ms,
        outcome = excluded.outcome, status = excluded.status, input_tokens = excluded.input_tokens,
        cached_read_tokens = excluded.cached_read_tokens,
        cache_write_5m_tokens = excluded.cache_write_5m_tokens,
        cache_write_1h_tokens = excluded.cache_write_1h_tokens,
        output_tokens = excluded.output_tokens, reasoning_tokens = excluded.reasoning_tokens,
        audio_input_tokens = excluded.audio_input_tokens,
        audio_output_tokens = excluded.audio_output_tokens, estimated = excluded.estimated,
        cost_micros = excluded.cost_micros, images = excluded.images,
        tool_calls = excluded.tool_calls, unpriced = excluded.unpriced,
        over_reserved = excluded.over_reserved
    WHERE settlements.outcome = 'interrupted' AND excluded.outcome <> 'interrupted'";

/// A ledger in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteLedger(pub(super) Arc<Database>);

#[async_trait]
impl Ledger for SqliteLedger {
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()> {
        let work = move |db: &Connection| insert(db, &batch).map_err(unavailable);
        self.0.writer.write(work).await
    }

    async fn fates(&self, call_ids: Arc<Vec<Arc<str>>>) -> Result<Vec<Fate>> {
        let work = move |db: &Connection| call_ids.iter().map(|id| fate(db, id)).collect();
        self.0.reports.read(work).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>> {
        let work = move |db: &Connection| sum(db, &query);
        self.0.reports.read(work).await
    }
}

fn insert(db: &Connection, batch: &[Settlement]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(INSERT)?;
    for settlement in batch {
        let usage = &settlement.usage;
        let attribution = &settlement.attribution;
        insert.execute(params![
            settlement.call_id,
            settlement.request_id,
            settlement.settled_at.0,
            stored(settlement.duration_ms),
            settlement.key_id,
            settlement.user_id,
            &*settlement.operation,
            settlement.model,
            settlement.target,
            settlement.stream,
            settlement.outcome.as_str(),
            settlement.status,
            stored(usage.input_tokens),
            stored(usage.cached_read_tokens),
            stored(usage.cache_write_5m_tokens),
            stored(usage.cache_write_1h_tokens),
            stored(usage.output_tokens),
            stored(usage.reasoning_tokens),
            stored(usage.audio_input_tokens),
            stored(usage.audio_output_tokens),
            usage.estimated,
            stored(settlement.cost.0),
            attribution.team.as_deref().unwrap_or_default(),
            attribution.agent.as_deref().unwrap_or_default(),
            attribution.session.as_deref().unwrap_or_default(),
            stored(settlement.extras.images),
            stored(settlement.extras.tool_calls),
            settlement.flags.unpriced,
            settlement.flags.over_reserved,
            settlement.attempt,
        ])?;
    }
    Ok(())
}

fn fate(db: &Connection, call_id: &str) -> rusqlite::Result<Fate> {
    let mut select = db.prepare_cached(
        "SELECT input_tokens + cached_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
                + output_tokens, cost_micros
         FROM settlements WHERE call_id = ?1",
    )?;
    let amount = |row: &Row<'_>| {
        // A sum that overflows is a real number there, and absurd.
        let tokens = row.get::<_, f64>(0)?;
        Ok(Amount {
            tokens: tokens as u64,
            cost: Micros(row.get::<_, i64>(1)?.max(0).cast_unsigned()),
        })
    };
    let found = select.query_row([call_id], amount).optional()?;
    Ok(found.map_or(Fate::Unknown, Fate::Settled))
}

/// SQLite has no unsigned integers: what only a broken provider can report is cut to the largest.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Sums here and not in SQL: `sum()` fails for good once it overflows, and grouping sorts every row
/// into memory or a temporary file, whereas this holds one total for each group.
fn sum(db: &Connection, query: &UsageQuery) -> rusqlite::Result<Vec<UsageTotal>> {
    let first = query.since.unwrap_or(UnixMillis(i64::MIN)).0;
    let last = query.until.map_or(Some(i64::MAX), |at| at.0.checked_sub(1));
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    let mut totals: HashMap<String, UsageTotal> = HashMap::new();
    let only: String = (3..)
        .zip(&query.only)
        .map(|(place, only)| format!(" AND {} = ?{place}", column(only.by())))
        .collect();
    let mut select = db.prepare_cached(&format!(
        "SELECT {group}, outcome, input_tokens, cached_read_tokens, cache_write_5m_tokens,
                cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens,
                audio_output_tokens, estimated, cost_micros, images, tool_calls, unpriced,
                over_reserved, settled_at
         FROM settlements WHERE settled_at BETWEEN ?1 AND ?2{only}",
        group = column(query.by),
    ))?;
    let names = query
        .only
        .iter()
        .map(|only| Value::from(only.name().to_owned()));
    let values = [Value::from(first), Value::from(last)]
        .into_iter()
        .chain(names);
    let mut rows = select.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let coordinates = Coordinates {
            settled_at: UnixMillis(row.get(16)?),
            text: row.get_ref(0)?.as_str()?,
        };
        let group = coordinates.group(query.by);
        let charged = charged(row)?;
        match totals.get_mut(&*group) {
            Some(total) => total.add_call(&charged),
            None => {
                let mut total = UsageTotal {
                    group: group.clone().into_owned(),
                    ..UsageTotal::default()
                };
                total.add_call(&charged);
                totals.insert(group.into_owned(), total);
            }
        }
    }
    let mut totals: Vec<UsageTotal> = totals.into_values().collect();
    totals.sort_by(|a, b| (b.tokens(), &a.group).cmp(&(a.tokens(), &b.group)));
    Ok(totals)
}

fn column(by: GroupBy) -> &'static str {
    match by {
        GroupBy::User => "user_id",
        GroupBy::Model => "model",
        GroupBy::Operation => "operation",
        GroupBy::Key => "key_id",
        GroupBy::Team => "team_id",
        GroupBy::Agent => "agent_id",
        GroupBy::Session => "session_id",
        GroupBy::Target => "target",
        GroupBy::Hour | GroupBy::Day => "''",
    }
}

/// The columns after the group.
fn charged(row: &Row<'_>) -> rusqlite::Result<Charged> {
    let count = |column| {
        row.get(column)
            .map(|count: i64| count.max(0).cast_unsigned())
    };
    let outcome: Outcome = row.get_ref(1)?.as_str()?.parse().map_err(|error: String| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error.into())
    })?;
    let usage = Usage {
        input_tokens: count(2)?,
        cached_read_tokens: count(3)?,
        cache_write_5m_tokens: count(4)?,
        cache_write_1h_tokens: count(5)?,
        output_tokens: count(6)?,
        reasoning_tokens: count(7)?,
        audio_input_tokens: count(8)?,
        audio_output_tokens: count(9)?,
        estimated: row.get(10)?,
    };
    Ok(Charged {
        outcome,
        usage,
        extras: Extras {
            images: count(12)?,
            tool_calls: count(13)?,
        },
        cost: Micros(count(11)?),
        flags: Flags {
            unpriced: row.get(14)?,
            over_reserved: row.get(15)?,
        },
    })
}
