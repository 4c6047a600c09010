//! The server and the client on real sockets of the loopback interface; what takes minutes, on
//! connections in memory and on paused time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod client;
mod http2;
mod server;
mod shedding;
mod support;
mod tls;
