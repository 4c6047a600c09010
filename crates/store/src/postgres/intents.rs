//! Intents where every replica finds them, so that the calls of one that never comes back are settled
//! by the others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Object;
use seaworthy_core::crash::{self, Point};
use seaworthy_core::ledger::{Intent, Settlement};
use seaworthy_core::store::{Result, SharedJournal};
use tokio_postgres::types::ToSql;

use super::{Database, PATIENT, QUICK, text, unavailable};
use crate::journal::record;

/// Quick, because nothing waits for the disk: what a killed replica has written survives it, and
/// the disk of the replica holds the same.
const OPEN: &str = "
    INSERT INTO intents (call_id, replica, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ORDER BY 1
    ON CONFLICT DO NOTHING";
const VOID: &str = "
    DELETE FROM intents WHERE call_id IN (
        SELECT call_id FROM intents WHERE call_id = ANY ($1) ORDER BY call_id FOR UPDATE)";
const BEAT: &str = "
    INSERT INTO replicas (replica, seen_at) VALUES ($1, now())
    ON CONFLICT (replica) DO UPDATE SET seen_at = now()";
const ABANDONED: &str = "
    SELECT body FROM intents LEFT JOIN replicas USING (replica)
    WHERE replicas.seen_at IS NULL OR replicas.seen_at < now() - make_interval(secs => $1)
    ORDER BY call_id LIMIT 500";
/// A replica that is gone for long and has left nothing is forgotten.
const FORGET: &str = "
    DELETE FROM replicas WHERE seen_at < now() - interval '1 day'
    AND NOT EXISTS (SELECT FROM intents WHERE intents.replica = replicas.replica)";

/// The intents of one replica, among those of others.
#[derive(Debug)]
pub(super) struct Intents {
    pub(super) database: Arc<Database>,
    pub(super) replica: String,
}

#[async_trait]
impl SharedJournal for Intents {
    async fn open(&self, intents: Arc<Vec<Intent>>) -> Result<()> {
        let replica = self.replica.clone();
        let work = async move |mut client: Object| {
            let ids: Vec<_> = intents
                .iter()
                .map(|intent| text::stored(&intent.call_id))
                .collect();
            let replicas = vec![replica.as_str(); intents.len()];
            let bodies: Vec<_> = intents.iter().map(record::intent).collect();
            let open = client.prepare_cached(OPEN).await.map_err(unavailable)?;
            let transaction = client.transaction().await.map_err(unavailable)?;
            let relaxed = transaction.batch_execute("SET LOCAL synchronous_commit = off");
            let values: [&(dyn ToSql + Sync); 3] = [&ids, &replicas, &bodies];
            let opened = transaction.execute(&open, &values);
            // Sent together: one round trip for both.
            let (relaxed, opened) = tokio::join!(relaxed, opened);
            relaxed.map_err(unavailable)?;
            opened.map_err(unavailable)?;
            crash::point(Point::CommitDue);
            transaction.commit().await.map_err(unavailable)
        };
        self.database.run("open_calls", QUICK, work).await
    }

    async fn void(&self, call_ids: Arc<Vec<String>>) -> Result<()> {
        let work = async move |client: Object| {
            let ids: Vec<_> = call_ids.iter().map(|id| text::stored(id)).collect();
            let voided = client.execute(VOID, &[&ids]).await;
            voided.map(drop).map_err(unavailable)
        };
        self.database.run("void_calls", PATIENT, work).await
    }

    async fn beat(&self) -> Result<()> {
        let replica = self.replica.clone();
        let work = async move |client: Object| {
            client
                .execute(BEAT, &[&replica])
                .await
                .map_err(unavailable)?;
            client
                .execute(FORGET, &[])
                .await
                .map(drop)
                .map_err(unavailable)
        };
        self.database.run("beat", PATIENT, work).await
    }

    async fn abandoned(&self, unheard_for: Duration) -> Result<Vec<Settlement>> {
        let seconds = unheard_for.as_secs_f64();
        let work = async move |client: Object| {
            let rows = client
                .query(ABANDONED, &[&seconds])
                .await
                .map_err(unavailable)?;
            let bodies = rows.iter().map(|row| row.get::<_, &[u8]>(0));
            Ok(bodies.filter_map(interrupted).collect())
        };
        self.database.run("abandoned", PATIENT, work).await
    }
}

fn interrupted(body: &[u8]) -> Option<Settlement> {
    match record::parse(body.strip_suffix(b"\n").unwrap_or(body))? {
        record::Record::Intent(intent) => Some(intent.interrupted()),
        _ => None,
    }
}
