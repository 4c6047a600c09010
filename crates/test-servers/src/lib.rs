//! Real PostgreSQL and Redis servers for tests: from Debian's packages, on free ports, in folders of
//! their own. A test can kill one, stop it in its tracks and start it again with its data.
//!
//! `cargo xtask test` installs the packages. A server ends with the test process, however that ends.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test, a failure to arrange is a failure"
)]

mod postgres;
mod process;
mod redis;

pub use postgres::Postgres;
pub use redis::Redis;
