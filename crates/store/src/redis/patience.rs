//! How long an answer is waited for. A server is not blamed for time in which this process itself
//! stood still, nor for a line that moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::link::Failure;

/// A wait is cut into so many slices, each of which is judged by itself.
const SLICES: u32 = 5;
/// All in all a wait takes at most so many slices, whoever is to blame.
const MOST_SLICES: u32 = 7;

/// Answers that a connection has brought.
#[derive(Debug, Default)]
pub(super) struct Heard(AtomicU64);

impl Heard {
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits until `ask` is answered or the server was silent for the deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    heard: &Heard,
    ask: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let slice = deadline / SLICES;
    let gives_up_at = Instant::now() + slice * MOST_SLICES;
    let mut silent = 0;
    let mut ask = std::pin::pin!(ask);
    loop {
        let (slice_began, known) = (Instant::now(), heard.count());
        let until = gives_up_at.min(slice_began + slice);
        if let Ok(answer) = timeout_at(until, ask.as_mut()).await {
            return answer;
        }
        let took = slice_began.elapsed();
        // What has arrived while this thread was busy is read first.
        tokio::task::yield_now().await;
        if let Ok(answer) = timeout(Duration::ZERO, ask.as_mut()).await {
            return answer;
        }
        silent += u32::from(is_silence(slice, took, heard.count() - known));
        if silent >= SLICES || Instant::now() >= gives_up_at {
            return Err(Failure::Timeout(deadline));
        }
    }
}

/// Whether a slice without the answer speaks against the server: not when this thread woke late,
/// and not when others on the same connection were answered.
fn is_silence(slice: Duration, took: Duration, answers: u64) -> bool {
    answers == 0 && took < slice * 3 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(50);

    async fn never() -> Result<(), Failure> {
        std::future::pending().await
    }

    #[test]
    fn a_slice_counts_only_when_the_thread_was_awake_and_nobody_was_answered() {
        let slice = Duration::from_millis(10);
        assert!(is_silence(slice, Duration::from_millis(11), 0));
        assert!(!is_silence(slice, Duration::from_millis(11), 1));
        assert!(!is_silence(slice, Duration::from_millis(40), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_at_the_deadline() {
        let began = Instant::now();
        let answer = within(QUICK, &Heard::default(), never()).await;
        assert!(matches!(answer, Err(Failure::Timeout(_))));
        let took = began.elapsed();
        assert!((50..60).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_brings_answers_is_waited_for_a_little_longer() {
        let heard = Heard::default();
        let others = async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                heard.note();
            }
        };
        let began = Instant::now();
        tokio::select! {
            answer = within(QUICK, &heard, never()) => assert!(answer.is_err()),
            () = others => {}
        }
        let took = began.elapsed();
        assert!((70..80).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test]
    async fn an_answer_that_came_while_the_thread_stood_still_is_taken() {
        let (tell, told) = tokio::sync::oneshot::channel();
        // As the driver of a connection: a task of the same thread.
        tokio::spawn(async move {
            std::thread::sleep(Duration::from_millis(200));
            let _answer = tell.send(());
        });
        let ask = async {
            told.await
                .map_err(|error| Failure::Connection(error.into()))
        };
        assert!(within(QUICK, &Heard::default(), ask).await.is_ok());
    }
}
