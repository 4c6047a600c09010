//! Redis behind the traits of core: state that replicas share and that is quick to ask.
//!
//! [`Link`] is the way to the server, for everything here that speaks to it: a connection for each
//! thread, a deadline for each call. [`RedisCounters`] is limits and budgets in scripts that take all
//! or nothing. [`SharedCounters`] goes on, or refuses, while the server is lost, and brings it up to
//! date when it is back.

mod answers;
mod counters;
mod encode;
mod lease;
mod link;
mod local;
mod nonces;
mod openings;
mod patience;
mod set_aside;
mod shared;
mod shares;
#[cfg(test)]
mod testing;
mod tracked;

pub use answers::RedisAnswers;
pub use counters::{Ending, Epoch, Found, Presence, RedisCounters, Take};
pub use link::{Asked, Dial, Failure, Link, LinkError, Stream};
pub use nonces::RedisNonces;
pub use openings::RedisOpenings;
pub use shared::{OnLoss, SharedCounters, SharedOptions};
pub use shares::Touched;
