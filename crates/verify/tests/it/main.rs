//! The verifier against scripted servers: good ones, broken ones, strangers, and none.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests stop at the first surprise and print their counts"
)]

mod checklists;
mod drills;
mod files;
mod imitations;
mod network;
mod promtool;
mod reports;
mod sabotage;
mod schema;
mod scratch;
mod strangers;
mod support;
