//! What the benchmark programs share: request bodies, a blocking HTTP client, process accounting.
//!
//! `floorproxy` is the yardstick: a bare hyper reverse proxy. `loadgen` offers load, measures latency,
//! and samples the CPU time and memory of the process under test. `crowd` asks at a constant rate whatever
//! becomes of it, or is slow on purpose. `cargo xtask bench` runs them.

pub mod client;
pub mod payload;
pub mod process;
