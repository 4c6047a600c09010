//! The wire formats against recorded traffic and against arbitrary bytes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod cross;
mod errors;
mod events;
mod fields;
mod framings;
mod golden;
mod holes;
mod imitators;
mod media;
mod properties;
mod replies;
mod requests;
mod stops;
mod streams;
mod support;
mod words;
