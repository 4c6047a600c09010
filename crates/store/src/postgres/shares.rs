//! Who may spend a share of a budget, decided by the row that all replicas see.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use seaworthy_core::counters::shares::{Left, ShareRegistry, Standing};
use seaworthy_core::store::Result;
use tokio_postgres::types::ToSql;

use super::{Database, QUICK, unavailable};

/// Nobody asks for one that was decided on so long ago.
const FORGET: &str = "
    DELETE FROM share_holders
    WHERE state IN ('released', 'dead', 'recalled') AND seen_at < now() - interval '1 day'";
const REGISTER: &str = "
    INSERT INTO share_holders (holder, state, seen_at) VALUES ($1, 'asking', now())";
const BEAT: &str = "
    UPDATE share_holders SET seen_at = now(),
        state = CASE WHEN $2 AND state = 'asking' THEN 'alone' ELSE state END
    WHERE holder = $1 RETURNING state";
const FINISH: &str = "
    DELETE FROM share_holders
    WHERE holder = $1 AND state IN ('asking', 'alone', 'recalled')";
const RELEASE: &str = "
    UPDATE share_holders SET state = CASE
        WHEN state = 'asking' THEN 'released'
        WHEN state IN ('alone', 'recalled')
            AND seen_at < now() - make_interval(secs => $2) THEN 'dead'
        ELSE state END
    WHERE holder = $1 RETURNING state";
const RECALL: &str = "
    WITH ended AS (
        SELECT holder FROM share_holders WHERE state IN ('asking', 'alone')
        ORDER BY holder FOR UPDATE)
    UPDATE share_holders SET state = CASE
        WHEN state = 'asking' THEN 'released'
        WHEN state = 'alone' AND seen_at < now() - make_interval(secs => $1) THEN 'dead'
        WHEN state = 'alone' THEN 'recalled'
        ELSE state END
    FROM ended WHERE share_holders.holder = ended.holder";
const SPENDING: &str = "
    SELECT count(*) FROM share_holders
    WHERE state = 'recalled' AND seen_at >= now() - make_interval(secs => $1)";

/// The registry in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresShares(pub(super) Arc<Database>);

#[async_trait]
impl ShareRegistry for PostgresShares {
    async fn register(&self, holder: &str) -> Result<()> {
        let holder = holder.to_owned();
        let work = async move |client: Object| {
            client.execute(FORGET, &[]).await.map_err(unavailable)?;
            let registered = client.execute(REGISTER, &[&holder]).await;
            registered.map(drop).map_err(unavailable)
        };
        self.0.run("register_share", QUICK, work).await
    }

    async fn beat(&self, holder: &str, wants_alone: bool) -> Result<Standing> {
        let holder = holder.to_owned();
        let work = async move |client: Object| {
            let state = changed(&client, BEAT, &[&holder, &wants_alone]).await?;
            Ok(match state.as_deref() {
                Some("asking") => Standing::Asking,
                Some("alone") => Standing::Alone,
                _ => Standing::Ended,
            })
        };
        self.0.run("share_beat", QUICK, work).await
    }

    async fn finish(&self, holder: &str) -> Result<()> {
        let holder = holder.to_owned();
        let work = async move |client: Object| {
            let finished = client.execute(FINISH, &[&holder]).await;
            finished.map(drop).map_err(unavailable)
        };
        self.0.run("finish_share", QUICK, work).await
    }

    async fn release(&self, holder: &str, unheard_for: Duration) -> Result<Left> {
        let (holder, seconds) = (holder.to_owned(), unheard_for.as_secs_f64());
        let work = async move |client: Object| {
            let state = changed(&client, RELEASE, &[&holder, &seconds]).await?;
            Ok(match state.as_deref() {
                Some("dead") => Left::Unknown,
                // A server that asks for one that was recalled knows its shares: it was recalled by mistake.
                Some("alone" | "recalled") => Left::InUse,
                _ => Left::Unspent,
            })
        };
        self.0.run("release_share", QUICK, work).await
    }

    async fn recall(&self, unheard_for: Duration) -> Result<usize> {
        let seconds = unheard_for.as_secs_f64();
        let work = async move |client: Object| {
            let recalled = client.execute(RECALL, &[&seconds]).await;
            recalled.map_err(unavailable)?;
            let spending = client.query_one(SPENDING, &[&seconds]).await;
            let spending: i64 = spending.map_err(unavailable)?.get(0);
            Ok(usize::try_from(spending).unwrap_or(usize::MAX))
        };
        self.0.run("recall_shares", QUICK, work).await
    }
}

/// The state of a holder after a statement that may have changed it.
async fn changed(
    client: &Object,
    statement: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Option<String>> {
    let statement = client.prepare_cached(statement).await;
    let statement = statement.map_err(unavailable)?;
    let row = client.query_opt(&statement, values).await;
    Ok(row.map_err(unavailable)?.map(|row| row.get(0)))
}
