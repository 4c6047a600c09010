//! What is peculiar to SQLite: files, other processes, sudden death.

mod child;
mod durability;
mod opening;
mod sharing;

use std::path::Path;

use seaworthy_core::store::Stores;
use seaworthy_store::open;

fn open_in(folder: &Path) -> Stores {
    open(&url_in(folder)).unwrap()
}

fn url_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("s.db").display())
}

/// A connection past the store, for arranging and for looking.
fn raw_in(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("s.db")).unwrap()
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
