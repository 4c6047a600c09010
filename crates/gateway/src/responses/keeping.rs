//! A response that is going to be stored: its name, what it answers, and how it is written down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seaworthy_core::objects::{Finished, Inserted, Kind, Object};
use seaworthy_core::store;
use serde_json::{Map, Value, json};

use super::background::LEASE;
use super::{INPUT, OUTPUT, dress};
use crate::gateway::Gateway;
use seaworthy_core::error::chain;

/// How often a change is tried again that another one came before.
const MAX_TRIES: usize = 8;

/// What is known of a response before it is made.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) id: String,
    pub(crate) owner: Arc<str>,
    /// The response that it continues.
    pub(crate) previous: Option<String>,
    /// The model as the caller named it.
    pub(crate) model: String,
    /// What the request says that its response repeats.
    pub(crate) settings: Map<String, Value>,
    /// The conversation, all earlier turns included, as JSON.
    pub(crate) input: Bytes,
    /// Whether the caller comes back for it.
    pub(crate) is_background: bool,
    pub(crate) retention: Duration,
}

impl Keeping {
    /// Puts the name and the settings of the request into a response.
    pub(crate) fn dress(&self, response: &mut Value) {
        let Value::Object(response) = response else {
            return;
        };
        dress::repeat(&self.settings, response);
        response.insert("id".to_owned(), json!(self.id));
        response.insert("store".to_owned(), json!(true));
        response.insert("background".to_owned(), json!(self.is_background));
        response.insert("previous_response_id".to_owned(), json!(self.previous));
    }

    /// The response as it stands before anything is known of the answer.
    pub(crate) fn blank(&self, gateway: &Gateway, status: &str) -> Value {
        let created = gateway.clock.now().0.div_euclid(1000);
        let mut response = Value::Object(dress::blank(&self.model, created));
        self.dress(&mut response);
        response["status"] = json!(status);
        response
    }

    fn object(&self, gateway: &Gateway, is_open: bool) -> Object {
        let now = gateway.clock.now();
        let worker = match is_open {
            true => gateway.responses.worker(),
            false => "",
        };
        Object {
            kind: Kind::Response,
            id: self.id.clone(),
            owner: self.owner.to_string(),
            created_at: now,
            expires_at: now.plus(self.retention),
            is_open,
            worker: worker.to_owned(),
            lease_until: now.plus(LEASE),
            version: 0,
            bytes: 0,
            head: Bytes::from(json!({"background": self.is_background}).to_string()),
        }
    }

    /// Writes down that the response is being worked on.
    pub(crate) async fn open(
        &self,
        gateway: &Gateway,
        finished: Option<Finished>,
    ) -> store::Result<()> {
        let response = self.blank(gateway, "in_progress");
        let object = self.object(gateway, true);
        self.insert(gateway, object, &response, finished).await
    }

    /// Writes the response down.
    pub(crate) async fn store(
        &self,
        gateway: &Gateway,
        response: &Value,
        finished: Option<Finished>,
    ) -> store::Result<()> {
        if self.is_background {
            return self.close(gateway, response).await;
        }
        let object = self.object(gateway, false);
        self.insert(gateway, object, response, finished).await
    }

    async fn insert(
        &self,
        gateway: &Gateway,
        object: Object,
        response: &Value,
        finished: Option<Finished>,
    ) -> store::Result<()> {
        let parts = vec![
            (INPUT, self.input.clone()),
            (OUTPUT, Bytes::from(response.to_string())),
        ];
        let inserted = gateway.stores.objects.insert(object, parts, None, finished);
        match inserted.await? {
            Inserted::Done | Inserted::Full => Ok(()),
        }
    }

    /// Ends a response that was written down as being worked on. One that was cancelled or deleted
    /// by then stays so.
    async fn close(&self, gateway: &Gateway, response: &Value) -> store::Result<()> {
        for _ in 0..MAX_TRIES {
            let found = gateway
                .stores
                .objects
                .get(Kind::Response, &self.id, gateway.clock.now());
            let Some(mut object) = found.await?.filter(|object| object.is_open) else {
                return Ok(());
            };
            object.is_open = false;
            let part = (OUTPUT, Bytes::from(response.to_string()));
            if gateway.stores.objects.update(object, vec![part]).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes down that a response in the background came to nothing.
    pub(crate) async fn give_up(&self, gateway: &Gateway, status: u16, answer: &[u8]) {
        if !self.is_background {
            return;
        }
        let mut response = self.blank(gateway, "failed");
        dress::fail_like(&mut response, status, answer);
        if let Err(error) = self.close(gateway, &response).await {
            let cause = chain(&error);
            tracing::error!(cause, "the failure of a response could not be stored");
        }
    }
}
