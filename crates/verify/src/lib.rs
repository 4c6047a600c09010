//! The readiness verifier: judges a running server from outside, with evidence.
//!
//! [`run`] sends the probes of the [`catalogue`] to one server over HTTP and returns a [`Report`]:
//! data only, rendered by [`report::pretty`] or [`report::json`]. The crate depends on none of the
//! gateway's own crates, so it can judge any deployment; it prints nothing.
//!
//! [`checklist`] judges anybody's Markdown checklist by such a report and by people's
//! [`decisions`]; [`requirement`] says what its items can ask for.
//!
//! Reading order: [`check`] (what a check is), one file of probes such as `check/auth.rs`, `session`
//! (what a probe may do), [`run`](mod@run), [`report`].

pub mod check;
pub mod checklist;
pub mod decisions;
pub mod drill;
pub mod evidence;
mod facts;
mod files;
mod http;
mod metrics;
pub mod options;
pub mod outcome;
pub mod profile;
pub mod report;
pub mod requirement;
pub mod run;
mod scratch;
mod secrets;
mod session;
mod sse;

pub use check::{Area, Check, Kind, Need, Severity, catalogue};
pub use drill::{DRILLS, Drill, DrillOptions, DrillReport};
pub use evidence::{Action, Evidence, Observed};
pub use options::{Asked, ModelCalls, Options, Scope};
pub use outcome::{Outcome, Status};
pub use profile::{PROFILES, Profile};
pub use report::{CheckResult, FailOn, Report, Verdict};
pub use requirement::{EvidenceKind, Requirement, Requirements};
pub use run::{Progress, RunError, exit_code, run};
