//! The real program: started, signalled, killed and asked, as its users do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod backup;
mod breakers;
mod configuration;
mod dev_mode;
mod drills;
mod fault_matrix;
mod fleet;
mod ill_providers;
mod judge;
mod keys;
mod kills;
mod leavers;
mod migrating;
mod outages;
mod reconciling;
mod reload;
mod replicas;
mod rolling;
mod round_trips;
mod sandbox;
mod secrets;
mod shutdown;
mod spend;
mod support;
mod terminal;
mod tls;
mod too_busy;
mod watch;
