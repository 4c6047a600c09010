//! Openings of circuit breakers in Redis: one sorted set, by when each ends on the server's clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use seaworthy_core::resilience::openings::{Opening, Openings};
use seaworthy_core::store::Result;

use super::Link;

/// How long an answer is awaited. No request waits for it.
const DEADLINE: Duration = Duration::from_millis(500);

/// Openings on a server that replicas share.
#[derive(Debug)]
pub struct RedisOpenings {
    link: Arc<Link>,
    key: String,
    exchange: Script,
}

impl RedisOpenings {
    /// The openings of a deployment.
    #[must_use]
    pub fn new(link: Arc<Link>, deployment: &str) -> Self {
        Self {
            link,
            key: format!("sw:{{{deployment}}}:openings"),
            exchange: Script::new(include_str!("scripts/openings.lua")),
        }
    }
}

#[async_trait]
impl Openings for RedisOpenings {
    async fn exchange(&self, found: &[Opening]) -> Result<Vec<Opening>> {
        let mut call = self.exchange.prepare_invoke();
        call.key(&self.key);
        for opening in found {
            call.arg(&opening.target).arg(opening.left_ms);
        }
        let open: Vec<(String, u64)> = self.link.call(&call, DEADLINE).await?;
        let openings = open.into_iter();
        Ok(openings
            .map(|(target, left_ms)| Opening { target, left_ms })
            .collect())
    }
}
