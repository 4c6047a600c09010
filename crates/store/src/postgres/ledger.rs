//! Settlements in PostgreSQL.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::Object;
use seaworthy_core::budget::Amount;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{Coordinates, GroupBy, Settlement, UsageTotal};
use seaworthy_core::money::Micros;
use seaworthy_core::store::{Fate, Ledger, Result, UsageQuery};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::{Database, PATIENT, text, unavailable};

/// One statement for a whole batch: all of it or nothing, and no transaction that could stay open.
/// Rows are locked in the order of their IDs by everybody, so that two batches cannot wait for each
/// other. A call that somebody gave up as interrupted and that did end after all gets its real end.
const SETTLE: &str = "
    WITH batch AS (
        SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS row (
            call_id TEXT, request_id TEXT, settled_at BIGINT, duration_ms BIGINT, key_id TEXT,
            user_id TEXT, team_id TEXT, agent_id TEXT, session_id TEXT, operation TEXT, model TEXT,
            target TEXT, stream BOOLEAN, attempt BIGINT, outcome TEXT, status INTEGER,
            input_tokens BIGINT, cached_read_tokens BIGINT, cache_write_5m_tokens BIGINT,
            cache_write_1h_tokens BIGINT, output_tokens BIGINT, reasoning_tokens BIGINT,
            audio_input_tokens BIGINT, audio_output_tokens BIGINT, images BIGINT, tool_calls BIGINT,
            estimated BOOLEAN, unpriced BOOLEAN, over_reserved BOOLEAN, cost_micros BIGINT)
    ), settled AS (
        INSERT INTO settlements AS known (
            call_id, request_id, settled_at, duration_ms, key_id, user_id, team_id, agent_id,
            session_id, operation, model, target, stream, attempt, outcome, status, input_tokens,
            cached_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens,
            reasoning_tokens, audio_input_tokens, audio_output_tokens, images, tool_calls,
            estimated, unpriced, over_reserved, cost_micros)
        SELECT * FROM batch ORDER BY call_id
        ON CONFLICT (call_id) DO UPDATE SET
            settled_at = EXCLUDED.settled_at, duration_ms = EXCLUDED.duration_ms,
            outcome = EXCLUDED.outcome, status = EXCLUDED.status,
            input_tokens = EXCLUDED.input_tokens,
            cached_read_tokens = EXCLUDED.cached_read_tokens,
            cache_write_5m_tokens = EXCLUDED.cache_write_5m_tokens,
            cache_write_1h_tokens = EXCLUDED.cache_write_1h_tokens,
            output_tokens = EXCLUDED.output_tokens, reasoning_tokens = EXCLUDED.reasoning_tokens,
            audio_input_tokens = EXCLUDED.audio_input_tokens,
            audio_output_tokens = EXCLUDED.audio_output_tokens, images = EXCLUDED.images,
            tool_calls = EXCLUDED.tool_calls, estimated = EXCLUDED.estimated,
            unpriced = EXCLUDED.unpriced, over_reserved = EXCLUDED.over_reserved,
            cost_micros = EXCLUDED.cost_micros
        WHERE known.outcome = 'interrupted' AND EXCLUDED.outcome <> 'interrupted'
    )
    DELETE FROM intents WHERE call_id IN (
        SELECT intents.call_id FROM intents JOIN batch ON batch.call_id = intents.call_id
        ORDER BY intents.call_id FOR UPDATE OF intents)";

const FATES: &str = "
    SELECT asked.place, settlements.input_tokens::numeric + settlements.cached_read_tokens
               + settlements.cache_write_5m_tokens + settlements.cache_write_1h_tokens
               + settlements.output_tokens AS tokens,
           settlements.cost_micros, intents.call_id IS NOT NULL AS is_open
    FROM unnest($1::text[]) WITH ORDINALITY AS asked (call_id, place)
    LEFT JOIN settlements USING (call_id) LEFT JOIN intents USING (call_id)
    ORDER BY asked.place";

/// Sums that may exceed what an integer holds.
const SUMS: &str = "
    min(settled_at), count(*), count(*) FILTER (WHERE outcome <> 'success'),
    count(*) FILTER (WHERE estimated), count(*) FILTER (WHERE unpriced),
    count(*) FILTER (WHERE over_reserved), sum(input_tokens)::text,
    sum(cached_read_tokens)::text,
    sum(cache_write_5m_tokens::numeric + cache_write_1h_tokens)::text, sum(output_tokens)::text,
    sum(reasoning_tokens)::text, sum(images)::text, sum(tool_calls)::text, sum(cost_micros)::text";

/// A ledger in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresLedger(pub(super) Arc<Database>);

#[async_trait]
impl Ledger for PostgresLedger {
    async fn settle(&self, batch: Arc<Vec<Settlement>>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let batch = encode(&batch)?;
        let work = async move |client: Object| {
            let settle = client.prepare_cached(SETTLE).await.map_err(unavailable)?;
            let settled = client.execute(&settle, &[&batch]).await;
            settled.map(drop).map_err(unavailable)
        };
        self.0.run("settle", PATIENT, work).await
    }

    async fn fates(&self, call_ids: Arc<Vec<Arc<str>>>) -> Result<Vec<Fate>> {
        let ids: Vec<String> = call_ids
            .iter()
            .map(|id| text::stored(id).into_owned())
            .collect();
        let work = async move |client: Object| {
            // As text, because the client reads no arbitrary numbers.
            let sql =
                format!("SELECT place, tokens::text, cost_micros, is_open FROM ({FATES}) found");
            let rows = client.query(&sql, &[&ids]).await.map_err(unavailable)?;
            Ok(rows.iter().map(fate).collect())
        };
        self.0.run("fates", PATIENT, work).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageTotal>> {
        let first = query.since.unwrap_or(UnixMillis(i64::MIN)).0;
        let last = query.until.map_or(Some(i64::MAX), |at| at.0.checked_sub(1));
        let Some(last) = last else {
            return Ok(Vec::new());
        };
        let work = async move |client: Object| {
            let group = column(query.by);
            let only: String = (3..)
                .zip(&query.only)
                .map(|(place, only)| format!(" AND {} = ${place}", column(only.by())))
                .collect();
            let sql = format!(
                "SELECT {group}, {SUMS} FROM settlements WHERE settled_at BETWEEN $1 AND $2{only}
                 GROUP BY 1"
            );
            let names = query.only.iter().map(|only| text::stored(only.name()));
            let names: Vec<String> = names.map(Cow::into_owned).collect();
            let mut values: Vec<&(dyn ToSql + Sync)> = vec![&first, &last];
            values.extend(names.iter().map(|name| name as &(dyn ToSql + Sync)));
            let rows = client.query(&sql, &values).await.map_err(unavailable)?;
            Ok(totals(&rows, query.by))
        };
        self.0.run("usage", PATIENT, work).await
    }
}

fn fate(row: &Row) -> Fate {
    if let Some(cost) = row.get::<_, Option<i64>>(2) {
        return Fate::Settled(Amount {
            tokens: sum(row, 1),
            cost: Micros(cost.max(0).cast_unsigned()),
        });
    }
    match row.get(3) {
        true => Fate::Open,
        false => Fate::Unknown,
    }
}

fn totals(rows: &[Row], by: GroupBy) -> Vec<UsageTotal> {
    let count = |row: &Row, at: usize| row.get::<_, i64>(at).max(0).cast_unsigned();
    let mut totals = BTreeMap::new();
    for row in rows {
        let text = text::read(row.get(0));
        let coordinates = Coordinates {
            settled_at: UnixMillis(row.get(1)),
            text: &text,
        };
        let group = coordinates.group(by).into_owned();
        let total = UsageTotal {
            group: group.clone(),
            calls: count(row, 2),
            unsuccessful_calls: count(row, 3),
            estimated_calls: count(row, 4),
            unpriced_calls: count(row, 5),
            over_reserved_calls: count(row, 6),
            input_tokens: sum(row, 7),
            cached_read_tokens: sum(row, 8),
            cache_write_tokens: sum(row, 9),
            output_tokens: sum(row, 10),
            reasoning_tokens: sum(row, 11),
            images: sum(row, 12),
            tool_calls: sum(row, 13),
            cost: Micros(sum(row, 14)),
        };
        totals.insert(group, total);
    }
    let mut totals: Vec<UsageTotal> = totals.into_values().collect();
    totals.sort_by_key(|total| std::cmp::Reverse(total.tokens()));
    totals
}

/// A sum, cut to what is counted here.
fn sum(row: &Row, at: usize) -> u64 {
    let text = row.get::<_, Option<&str>>(at).unwrap_or("0");
    let sum: u128 = text.parse().unwrap_or(0);
    u64::try_from(sum).unwrap_or(u64::MAX)
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
        GroupBy::Hour => "floor(settled_at / 3600000.0)::text",
        GroupBy::Day => "floor(settled_at / 86400000.0)::text",
    }
}

/// A settlement as one object of the batch.
#[derive(Serialize)]
struct Line<'a> {
    call_id: Cow<'a, str>,
    request_id: Cow<'a, str>,
    settled_at: i64,
    duration_ms: i64,
    key_id: Cow<'a, str>,
    user_id: Cow<'a, str>,
    team_id: Cow<'a, str>,
    agent_id: Cow<'a, str>,
    session_id: Cow<'a, str>,
    operation: Cow<'a, str>,
    model: Cow<'a, str>,
    target: Cow<'a, str>,
    stream: bool,
    attempt: u32,
    outcome: &'static str,
    status: u16,
    input_tokens: i64,
    cached_read_tokens: i64,
    cache_write_5m_tokens: i64,
    cache_write_1h_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    audio_input_tokens: i64,
    audio_output_tokens: i64,
    images: i64,
    tool_calls: i64,
    estimated: bool,
    unpriced: bool,
    over_reserved: bool,
    cost_micros: i64,
}

/// The batch as JSON, each call once: its first settlement, unless that gave it up.
fn encode(batch: &[Settlement]) -> Result<String> {
    let mut lines: BTreeMap<&str, &Settlement> = BTreeMap::new();
    for settlement in batch {
        use seaworthy_core::ledger::Outcome::Interrupted;
        let known = lines.entry(&settlement.call_id).or_insert(settlement);
        if known.outcome == Interrupted && settlement.outcome != Interrupted {
            *known = settlement;
        }
    }
    let lines: Vec<Line<'_>> = lines.into_values().map(line).collect();
    serde_json::to_string(&lines).map_err(unavailable)
}

fn line(settlement: &Settlement) -> Line<'_> {
    let usage = &settlement.usage;
    let attribution = &settlement.attribution;
    let optional = |name: &'_ Option<Arc<str>>| -> String {
        text::stored(name.as_deref().unwrap_or_default()).into_owned()
    };
    Line {
        call_id: text::stored(&settlement.call_id),
        request_id: text::stored(&settlement.request_id),
        settled_at: settlement.settled_at.0,
        duration_ms: stored(settlement.duration_ms),
        key_id: text::stored(&settlement.key_id),
        user_id: text::stored(&settlement.user_id),
        team_id: optional(&attribution.team).into(),
        agent_id: optional(&attribution.agent).into(),
        session_id: optional(&attribution.session).into(),
        operation: text::stored(&settlement.operation),
        model: text::stored(&settlement.model),
        target: text::stored(&settlement.target),
        stream: settlement.stream,
        attempt: settlement.attempt,
        outcome: settlement.outcome.as_str(),
        status: settlement.status,
        input_tokens: stored(usage.input_tokens),
        cached_read_tokens: stored(usage.cached_read_tokens),
        cache_write_5m_tokens: stored(usage.cache_write_5m_tokens),
        cache_write_1h_tokens: stored(usage.cache_write_1h_tokens),
        output_tokens: stored(usage.output_tokens),
        reasoning_tokens: stored(usage.reasoning_tokens),
        audio_input_tokens: stored(usage.audio_input_tokens),
        audio_output_tokens: stored(usage.audio_output_tokens),
        images: stored(settlement.extras.images),
        tool_calls: stored(settlement.extras.tool_calls),
        estimated: usage.estimated,
        unpriced: settlement.flags.unpriced,
        over_reserved: settlement.flags.over_reserved,
        cost_micros: stored(settlement.cost.0),
    }
}

/// There are no unsigned integers: what only a broken provider can report is cut to the largest.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
