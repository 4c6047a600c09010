//! Storage back ends behind the traits of seaworthy-core: the only crate that contains SQL.
//!
//! [`open()`] turns a URL into [`Stores`](seaworthy_core::store::Stores). Callers see traits only, so
//! that one conformance suite (`tests/it/suite`) can hold every back end to the meaning that the
//! memory store of the core gives them.

pub mod backup;
mod journal;
pub mod observe;
mod open;
mod postgres;
pub mod redis;
pub mod schema;
mod sqlite;
pub mod tls;

pub use journal::{FileJournal, JournalError, Recovery, journal_folder};
pub use open::{OpenError, open, open_with};
pub use postgres::PostgresOptions;
