//! The fake provider over real sockets: dialects, each fault, the control API.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod control;
mod dialects;
mod faults;
mod reference;
mod support;
