//! Long texts are guarded by a thread of their own, so that their worker serves others meanwhile.

use std::sync::Arc;

use seaworthy_core::code::Code;

use crate::exchange::Exchange;
use crate::refusal::Refusal;

/// A body of so many bytes is guarded beside its worker, which others wait for meanwhile: guards take
/// milliseconds for it, and seconds for the longest ones that are full of what they look for. Shorter
/// ones are not worth the way.
pub(crate) const LONG_BYTES: usize = 256 << 10;

/// Does the work when there is a place, and waits for that no longer than the caller does. A place is taken
/// until the work is done, whoever has left. `what` is guarded.
pub(crate) async fn beside<T: Send + 'static>(
    exchange: &Exchange,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let places = Arc::clone(&exchange.gateway.screening);
    let done = async move {
        let place = places.acquire_owned().await;
        let work = move || {
            let done = work();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(work).await
    };
    let done = match exchange.deadline {
        None => done.await,
        Some(until) => tokio::time::timeout_at(until, done)
            .await
            .map_err(|_elapsed| too_late(what))?,
    };
    match done {
        Ok(done) => Ok(done),
        // It is told like a panic of the worker.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Refusal::new(
            Code::ShuttingDown,
            "This replica is shutting down and takes no new work. Try again: another one answers.",
        )),
    }
}

fn too_late(what: &str) -> Refusal {
    let message = format!(
        "The guards did not get through the {what} within the time limit of the request. Send or ask for \
         less text or allow more time."
    );
    Refusal::new(Code::DeadlineExceeded, message)
}
