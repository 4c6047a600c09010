//! Settlements in SQLite.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{GroupBy, Outcome, Settlement, UsageTotal};
use seaworthy_core::money::Micros;
use seaworthy_core::store::{Ledger, Result, UsageQuery};
use seaworthy_core::usage::Usage;

use super::{Database, unavailable};

const INSERT: &str = "
    INSERT INTO settlements (
        call_id, request_id, settled_at, duration_ms, key_id, user_id, operation, model, target,
        stream, outcome, status, input_tokens, cached_read_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens,
        audio_output_tokens, estimated, cost_micros)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
            ?20, ?21, ?22)
    ON CONFLICT (call_id) DO NOTHING";

/// A ledger in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteLedger(pub(super) Arc<Database>);

#[async_trait]
impl Ledger for SqliteLedger {
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()> {
        let work = move |db: &Connection| insert(db, &batch).map_err(unavailable);
        self.0.writer.write(work).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>> {
        let work = move |db: &Connection| sum(db, query);
        self.0.reports.read(work).await
    }
}

fn insert(db: &Connection, batch: &[Settlement]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(INSERT)?;
    for settlement in batch {
        let usage = &settlement.usage;
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
        ])?;
    }
    Ok(())
}

/// SQLite has no unsigned integers: what only a broken provider can report is cut to the largest.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Sums here and not in SQL: `sum()` fails for good once it overflows, and grouping sorts every row
/// into memory or a temporary file, whereas this holds one total for each group.
fn sum(db: &Connection, query: UsageQuery) -> rusqlite::Result<Vec<UsageTotal>> {
    let first = query.since.unwrap_or(UnixMillis(i64::MIN)).0;
    let last = query.until.map_or(Some(i64::MAX), |at| at.0.checked_sub(1));
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    let mut totals: HashMap<String, UsageTotal> = HashMap::new();
    let mut select = db.prepare_cached(&format!(
        "SELECT {group}, outcome, input_tokens, cached_read_tokens, cache_write_5m_tokens,
                cache_write_1h_tokens, output_tokens, reasoning_tokens, audio_input_tokens,
                audio_output_tokens, estimated, cost_micros
         FROM settlements WHERE settled_at BETWEEN ?1 AND ?2",
        group = column(query.by),
    ))?;
    let mut rows = select.query([first, last])?;
    while let Some(row) = rows.next()? {
        let group = row.get_ref(0)?.as_str()?;
        let (outcome, usage, cost) = call(row)?;
        match totals.get_mut(group) {
            Some(total) => total.add_call(outcome, &usage, cost),
            None => {
                let mut total = UsageTotal {
                    group: group.to_owned(),
                    ..UsageTotal::default()
                };
                total.add_call(outcome, &usage, cost);
                totals.insert(group.to_owned(), total);
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
    }
}

/// The columns after the group.
fn call(row: &Row<'_>) -> rusqlite::Result<(Outcome, Usage, Micros)> {
    let count = |column| {
        row.get(column)
            .map(|count: i64| count.max(0).cast_unsigned())
    };
    let outcome = row.get_ref(1)?.as_str()?;
    let outcome = outcome.parse().map_err(|error: String| {
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
    Ok((outcome, usage, Micros(count(11)?)))
}
