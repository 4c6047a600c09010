//! Detectors and the streaming guard engine: pure functions over bytes.

pub mod cursor;
pub mod custom;
pub mod detector;
pub mod engine;
pub mod finding;

pub mod injection;
pub mod input;
mod invisible;
pub mod leak;
pub mod linear;
pub mod moderation;
pub mod normalise;
pub mod pii;
pub mod policy;
mod render;
pub mod secrets;
mod shown;
pub mod stream;
pub mod testing;
pub mod trigger;
pub mod vault;

pub use detector::Detector;
pub use engine::{Engine, EngineError, Outcome};
pub use finding::{Category, Finding, Severity};
pub use policy::{Action, Place, Policy, Verdict};
pub use shown::Shown;
pub use stream::{Flow, StreamGuard};
pub use vault::{Hider, Restorer, Vault, VaultKey};
