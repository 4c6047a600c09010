//! The words of the domain and every decision that can be made without I/O.
//!
//! Nothing here opens a socket or a file. Time comes in through [`clock::Clock`]; [`clock`], [`key`],
//! [`trace`] and [`resilience`] are the only places of the workspace that read the wall clock or
//! draw randomness.

pub mod budget;
pub mod cache;
pub mod call;
pub mod clock;
pub mod code;
pub mod condition;
pub mod counters;
pub mod crash;
pub mod degradation;
pub mod dialect;
pub mod error;
pub mod feature;
pub mod fingerprint;
pub mod idempotency;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod money;
pub mod nonces;
pub mod objects;
pub mod price;
pub mod principal;
pub mod resilience;
pub mod signals;
pub mod sigv4;
pub mod store;
pub mod trace;
pub mod usage;
