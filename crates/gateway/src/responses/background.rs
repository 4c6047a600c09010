//! Responses that are made while nobody waits for them.
//!
//! Each is written down as being worked on before it is begun, with a lease that the process which
//! makes it renews. One whose lease is over belongs to a process that is gone: it has failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use seaworthy_core::code::Code;
use seaworthy_core::objects::{Kind, Object};
use seaworthy_core::store::Result as StoreResult;
use seaworthy_core::trace::RequestId;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{OUTPUT, dress, read, shown};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::objects::{failed, find, head};
use crate::refusal::Refusal;
use crate::reply::Answer;
use seaworthy_core::error::chain;

/// How long a process may be silent before its responses count as lost.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// How often it is looked whether one was cancelled, and whether leases are due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a cancellation is tried again that another change came before.
const MAX_TRIES: usize = 8;

/// The responses that this process makes in the background.
#[derive(Debug)]
pub(crate) struct Background {
    /// Names this process.
    worker: String,
    running: Mutex<HashMap<String, Arc<Notify>>>,
}

impl Default for Background {
    fn default() -> Self {
        Self {
            worker: RequestId::generate().as_str().to_owned(),
            running: Mutex::default(),
        }
    }
}

impl Background {
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    /// Lists a response as being made, as long as what is returned lives.
    pub(crate) fn begin(self: &Arc<Self>, id: &str) -> Running {
        let stop = Arc::new(Notify::new());
        self.running.lock().insert(id.to_owned(), Arc::clone(&stop));
        Running {
            background: Arc::clone(self),
            id: id.to_owned(),
            stop,
        }
    }

    /// Stops the making of a response, if it is made here.
    pub(crate) fn wake(&self, id: &str) {
        if let Some(stop) = self.running.lock().get(id) {
            stop.notify_one();
        }
    }

    /// Watches over what is made here, and ends what was made by processes that are gone. Runs until
    /// it is dropped.
    pub(crate) async fn run(&self, gateway: &Gateway) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let ids: Vec<String> = self.running.lock().keys().cloned().collect();
            for id in &ids {
                if let Err(error) = self.look_after(gateway, id).await {
                    let cause = chain(&error);
                    tracing::warn!(cause, "a response in the background cannot be looked after");
                }
            }
            if let Err(error) = self.bury_one(gateway).await {
                let cause = chain(&error);
                tracing::warn!(cause, "lost responses cannot be looked for");
            }
        }
    }

    async fn look_after(&self, gateway: &Gateway, id: &str) -> StoreResult<()> {
        let objects = &gateway.stores.objects;
        let now = gateway.clock.now();
        let found = objects.get(Kind::Response, id, now).await?;
        let Some(mut object) = found.filter(|object| object.is_open) else {
            self.wake(id);
            return Ok(());
        };
        if object.lease_until.since(now) < LEASE / 2 {
            object.lease_until = now.plus(LEASE);
            objects.update(object, Vec::new()).await?;
        }
        Ok(())
    }

    /// Ends a response whose process is gone.
    async fn bury_one(&self, gateway: &Gateway) -> StoreResult<()> {
        let objects = &gateway.stores.objects;
        let now = gateway.clock.now();
        let lost = objects.claim(Kind::Response, &self.worker, now, now.plus(LEASE));
        let Some(mut object) = lost.await? else {
            return Ok(());
        };
        let parts = objects.parts(&object.id, OUTPUT, u64::MAX).await?;
        let response = parts.first().map(|(_, part)| &part[..]);
        let mut response: Value =
            serde_json::from_slice(response.unwrap_or_default()).unwrap_or(json!({}));
        dress::lose(&mut response);
        tracing::warn!(id = object.id, "a response was lost with its gateway");
        object.is_open = false;
        let part = (OUTPUT, Bytes::from(response.to_string()));
        objects.update(object, vec![part]).await.map(drop)
    }
}

/// A response that is being made.
#[derive(Debug)]
pub(crate) struct Running {
    background: Arc<Background>,
    id: String,
    stop: Arc<Notify>,
}

impl Running {
    /// Waits until it is to be made no more.
    pub(crate) async fn stopped(&self) {
        self.stop.notified().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.background.running.lock().remove(&self.id);
    }
}

/// Ends a response in the background. One that has ended already stays as it is.
pub(crate) async fn cancel(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    for _ in 0..MAX_TRIES {
        let object = find(exchange, Kind::Response, id).await?;
        if head(&object)["background"] != true {
            let message = "Only a response that was made with `background` can be cancelled.";
            return Err(Refusal::new(Code::InvalidRequest, message));
        }
        let mut response = read(exchange, &object).await?;
        if !object.is_open || response["status"] == "failed" {
            return Ok(shown(response.to_string()));
        }
        response["status"] = json!("cancelled");
        let closed = Object {
            is_open: false,
            ..object
        };
        let gateway = &exchange.gateway;
        let part = (OUTPUT, Bytes::from(response.to_string()));
        let changed = gateway.stores.objects.update(closed, vec![part]).await;
        if changed.map_err(|error| failed(&error))? {
            gateway.responses.wake(id);
            return Ok(shown(response.to_string()));
        }
    }
    let message = "The response changes all the time. Try again.";
    Err(Refusal::new(Code::Internal, message))
}
