//! What replicas tell each other of targets that keep failing.

use async_trait::async_trait;

use crate::store::Result;

/// The circuit breaker of a target is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// `provider/model`.
    pub target: String,
    /// For how long still.
    pub left_ms: u64,
}

/// Where openings are told. Losing one is no fault: every replica finds out by itself.
#[async_trait]
pub trait Openings: Send + Sync + std::fmt::Debug {
    /// Tells the others what was found here, and returns what any replica has found that still
    /// holds, what is told now included.
    async fn exchange(&self, found: &[Opening]) -> Result<Vec<Opening>>;
}
