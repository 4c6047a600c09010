//! Time that moves when nobody has anything to do, as several clocks show it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use seaworthy_core::clock::{Clock, UnixMillis};
use tokio::time::Instant;

/// When a run begins, on every wall.
const START_MS: i64 = 1_800_000_000_000;

/// The time of a run.
#[derive(Debug, Clone)]
pub(super) struct Time {
    began: Instant,
    /// How far the clock of the Redis server is off.
    server_offset: Arc<AtomicI64>,
}

impl Time {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            server_offset: Arc::default(),
        }
    }

    pub(super) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    pub(super) fn server_ms(&self) -> i64 {
        START_MS + self.elapsed_ms() + self.server_offset.load(Ordering::Relaxed)
    }

    pub(super) fn shift_server(&self, by_ms: i64) {
        self.server_offset.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// A clock that is off by so much.
    pub(super) fn clock(&self, offset_ms: i64) -> Arc<Shifted> {
        Arc::new(Shifted {
            time: self.clone(),
            offset: AtomicI64::new(offset_ms),
        })
    }
}

/// The clock of a machine, which can be set.
#[derive(Debug)]
pub(super) struct Shifted {
    time: Time,
    offset: AtomicI64,
}

impl Shifted {
    pub(super) fn jump(&self, by_ms: i64) {
        self.offset.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> UnixMillis {
        UnixMillis(START_MS + self.time.elapsed_ms() + self.offset.load(Ordering::Relaxed))
    }
}
