//! Nonces in Redis: a sorted set for each caller, by when each can be forgotten on the server's clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::nonces::{Nonces, Seen, Use};
use seaworthy_core::store::Result;

use super::Link;

/// How long an answer is awaited.
const DEADLINE: Duration = Duration::from_millis(500);
/// How much of a fingerprint tells two nonces of a caller apart.
const NAME_BYTES: usize = 16;

/// Nonces on a server that replicas share.
#[derive(Debug)]
pub struct RedisNonces {
    link: Arc<Link>,
    /// What all keys begin with.
    prefix: String,
    use_up: Script,
}

impl RedisNonces {
    /// The nonces of a deployment.
    #[must_use]
    pub fn new(link: Arc<Link>, deployment: &str) -> Self {
        Self {
            link,
            prefix: format!("sw:{{{deployment}}}:nonces:"),
            use_up: Script::new(include_str!("scripts/nonce.lua")),
        }
    }
}

#[async_trait]
impl Nonces for RedisNonces {
    async fn use_up(&self, used: &Use, _now: UnixMillis) -> Result<Seen> {
        let mut call = self.use_up.prepare_invoke();
        let keep_ms = u64::try_from(used.keep.as_millis()).unwrap_or(u64::MAX);
        call.key(format!("{}{}", self.prefix, used.caller.hex()))
            .arg(&used.nonce.0[..NAME_BYTES])
            .arg(keep_ms)
            .arg(used.most);
        let seen: u8 = self.link.call(&call, DEADLINE).await?;
        Ok(match seen {
            0 => Seen::Never,
            1 => Seen::Before,
            _ => Seen::NoRoom,
        })
    }
}
