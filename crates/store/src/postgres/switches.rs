//! What people have switched, in PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::store::{Result, Switch, Switches};
use tokio_postgres::Row;

use super::{Database, PATIENT, QUICK, unavailable};

const SET: &str = "
    INSERT INTO switches (name, value, set_by, set_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO UPDATE SET value = $2, set_by = $3, set_at = $4";
const RELEASE: &str = "DELETE FROM switches WHERE name = $1";
const LIST: &str = "SELECT name, value, set_by, set_at FROM switches ORDER BY name COLLATE \"C\"";

/// Switches in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresSwitches(pub(super) Arc<Database>);

#[async_trait]
impl Switches for PostgresSwitches {
    async fn set(&self, switch: Switch) -> Result<()> {
        let work = async move |client: deadpool_postgres::Object| {
            let Switch {
                name,
                value,
                by,
                at,
            } = &switch;
            let set = client.execute(SET, &[name, value, by, &at.0]).await;
            set.map(drop).map_err(unavailable)
        };
        self.0.run("set_switch", PATIENT, work).await
    }

    async fn release(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let work = async move |client: deadpool_postgres::Object| {
            let released = client.execute(RELEASE, &[&name]).await;
            released.map(drop).map_err(unavailable)
        };
        self.0.run("release_switch", PATIENT, work).await
    }

    async fn list(&self) -> Result<Vec<Switch>> {
        let work = async move |client: deadpool_postgres::Object| {
            let list = client.prepare_cached(LIST).await.map_err(unavailable)?;
            let rows = client.query(&list, &[]).await.map_err(unavailable)?;
            rows.iter().map(switch).collect()
        };
        self.0.run("list_switches", QUICK, work).await
    }
}

fn switch(row: &Row) -> Result<Switch> {
    let text = |index| row.try_get::<usize, String>(index).map_err(unavailable);
    Ok(Switch {
        name: text(0)?,
        value: text(1)?,
        by: text(2)?,
        at: UnixMillis(row.try_get(3).map_err(unavailable)?),
    })
}
