//! The bounds of replay protection.

use super::Check;
use crate::value::{SharedStateUrl, StorageUrl};

impl Check<'_> {
    pub(super) fn replay_protection(&mut self) {
        let replay = &self.config.replay_protection;
        let day = std::time::Duration::from_secs(86_400);
        for (key, length) in [("window", replay.window), ("clock_skew", replay.clock_skew)] {
            if length.as_std() > day {
                self.error(
                    &["replay_protection", key],
                    format!("expected at most a day, found `{length}`"),
                    "nonces are remembered for as long as a request counts as fresh",
                );
            }
        }
        if !replay.routes.is_empty()
            && matches!(self.config.storage.url, StorageUrl::Postgres(_))
            && self.config.shared_state.url == SharedStateUrl::Memory
        {
            self.warn(
                &["replay_protection", "routes"],
                "each replica remembers its own nonces: a request can be repeated at another one",
                "set `shared_state.url` to a Redis server, unless there is one replica only",
            );
        }
        for route in &replay.routes {
            if !route.starts_with('/') && route != "*" {
                self.error(
                    &["replay_protection", "routes"],
                    format!("expected a path such as `/v1/chat/completions`, found `{route}`"),
                    "the routes are in docs/reference/http.md",
                );
            }
        }
    }
}
