//! Runs code that nobody trusts in a process that can do nothing but compute.
//!
//! The [`Launcher`] starts a worker, which is the same program with another argument. The worker takes
//! away from itself what a process can do: files, network, children, memory beyond its bound. Only then
//! does it read the code, and run it in an interpreter with bounds of its own. Where the kernel lacks
//! something of that, nothing runs.

mod frame;
mod javascript;
mod job;
mod launcher;
pub mod lockdown;
pub mod worker;

pub use job::{Exit, Job, Language, Limits, Outcome, Thrown};
pub use launcher::{LaunchError, Launcher};
