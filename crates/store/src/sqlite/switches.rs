//! What people have switched, in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::store::{Result, Switch, Switches};

use super::{Database, unavailable};

const SET: &str = "
    INSERT INTO switches (name, value, set_by, set_at) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (name) DO UPDATE SET value = ?2, set_by = ?3, set_at = ?4";
const RELEASE: &str = "DELETE FROM switches WHERE name = ?1";
const LIST: &str = "SELECT name, value, set_by, set_at FROM switches ORDER BY name";

/// Switches in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteSwitches(pub(super) Arc<Database>);

#[async_trait]
impl Switches for SqliteSwitches {
    async fn set(&self, switch: Switch) -> Result<()> {
        let work = move |db: &Connection| {
            let Switch {
                name,
                value,
                by,
                at,
            } = &switch;
            let mut query = db.prepare_cached(SET).map_err(unavailable)?;
            query
                .execute(params![name, value, by, at.0])
                .map(drop)
                .map_err(unavailable)
        };
        self.0.writer.write(work).await
    }

    async fn release(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let work = move |db: &Connection| {
            let mut query = db.prepare_cached(RELEASE).map_err(unavailable)?;
            query.execute([&name]).map(drop).map_err(unavailable)
        };
        self.0.writer.write(work).await
    }

    async fn list(&self) -> Result<Vec<Switch>> {
        let work = |db: &Connection| {
            let mut query = db.prepare_cached(LIST)?;
            query.query_map([], switch)?.collect()
        };
        self.0.lookups.read(work).await
    }
}

fn switch(row: &Row<'_>) -> rusqlite::Result<Switch> {
    Ok(Switch {
        name: row.get(0)?,
        value: row.get(1)?,
        by: row.get(2)?,
        at: UnixMillis(row.get(3)?),
    })
}
