//! Every back end is held to the same contract; then what is peculiar to each.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test, a failure to arrange is a failure"
)]

mod answers;
mod backends;
mod counters;
mod fixtures;
mod model;
mod nonces;
mod openings;
mod postgres;
mod pressure;
mod shares;
mod simulation;
mod sqlite;
mod suite;

/// A back end joins by one line here and one function in `backends`.
pub(crate) mod contract {
    crate::suite::conformance!(memory);
    crate::suite::conformance!(sqlite);
    crate::suite::conformance!(postgres);
}
