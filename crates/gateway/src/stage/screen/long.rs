//! Long requests are screened by a thread of their own, so that their worker serves others meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;

use crate::exchange::Exchange;
use crate::guards::input::{Asked, Passed, Purpose, Refused};
use crate::guards::verdicts::Verdicts;
use crate::guards::{Rules, Who};
use crate::refusal::Refusal;

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

    fn screen(self, rules: &Arc<Rules>) -> (Result<Passed, Refused>, Verdicts) {
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

/// Screens a long request when there is a place, and waits for that no longer than its caller does. A
/// place is taken until the work is done, whoever has left.
pub(super) async fn screen_beside(
    exchange: &mut Exchange,
    rules: Arc<Rules>,
    long: Long,
) -> Result<Result<Passed, Refused>, Refusal> {
    let places = Arc::clone(&exchange.gateway.screening);
    let screened = async move {
        let place = places.acquire_owned().await;
        let screen = move || {
            let screened = long.screen(&rules);
            drop(place);
            screened
        };
        tokio::task::spawn_blocking(screen).await
    };
    let screened = match exchange.deadline {
        None => screened.await,
        Some(until) => tokio::time::timeout_at(until, screened)
            .await
            .map_err(|_elapsed| too_late())?,
    };
    match screened {
        Ok((passed, verdicts)) => {
            exchange.verdicts.append(verdicts);
            Ok(passed)
        }
        // It is told like a panic of the worker.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Refusal::new(
            Code::ShuttingDown,
            "This replica is shutting down and takes no new work. Try again: another one answers.",
        )),
    }
}

fn too_late() -> Refusal {
    Refusal::new(
        Code::DeadlineExceeded,
        "The guards did not get through the request within the time limit of the request. Send less \
         text or allow more time.",
    )
}
