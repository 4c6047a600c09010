//! What is needed to screen a long request beside its worker.

use std::sync::Arc;

use bytes::Bytes;
use seaworthy_core::dialect::Dialect;

use crate::guards::input::{Asked, Passed, Purpose, Refused};
use crate::guards::verdicts::Verdicts;
use crate::guards::{Rules, Who};

/// A request that any thread can screen.
#[derive(Debug)]
pub(super) struct Long {
    body: Bytes,
    dialect: Dialect,
    purpose: Purpose,
    model: String,
    configured: String,
    user: String,
    key: String,
    earlier_keys: Vec<Arc<str>>,
    confirmed: Vec<String>,
}

impl Long {
    /// What is asked with this body.
    pub(super) fn of(asked: &Asked<'_>, body: Bytes) -> Self {
        Self {
            body,
            dialect: asked.dialect,
            purpose: asked.purpose,
            model: asked.who.model.to_owned(),
            configured: asked.who.configured.to_owned(),
            user: asked.who.user.to_owned(),
            key: asked.who.key.to_owned(),
            earlier_keys: asked.who.earlier_keys.to_vec(),
            confirmed: asked.confirmed.clone(),
        }
    }

    pub(super) fn screen(self, rules: &Arc<Rules>) -> (Result<Passed, Refused>, Verdicts) {
        let mut verdicts = Verdicts::default();
        let Ok(body) = str::from_utf8(&self.body) else {
            return (Err(Refused::Unreadable), verdicts);
        };
        let asked = Asked {
            body,
            dialect: self.dialect,
            purpose: self.purpose,
            who: Who {
                model: &self.model,
                configured: &self.configured,
                user: &self.user,
                key: &self.key,
                earlier_keys: &self.earlier_keys,
            },
            confirmed: self.confirmed,
        };
        (rules.screen(asked, &mut verdicts), verdicts)
    }
}
