//! Every manager over real HTTP, played by a server that does what a test says, faults included.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod authorities;
mod faults;
mod managers;
mod support;
