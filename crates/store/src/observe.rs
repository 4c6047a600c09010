//! How calls to stores over a network went, told to whoever counts them.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// One call that has come to an end.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The technology, `redis` or `postgres`.
    pub backend: &'static str,
    /// What was asked for.
    pub operation: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Whether there was an answer.
    pub succeeded: bool,
}

/// Where calls are told. The default tells nobody.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<dyn Fn(Call) + Send + Sync>>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    /// Tells every call to `tell`.
    pub fn new(tell: impl Fn(Call) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// Runs a call and tells how it went.
    pub(crate) async fn watch<T, E>(
        &self,
        backend: &'static str,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let answer = call.await;
        if let Some(tell) = &self.0 {
            tell(Call {
                backend,
                operation,
                took: started.elapsed(),
                succeeded: answer.is_ok(),
            });
        }
        answer
    }
}
