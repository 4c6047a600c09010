//! Credentials and repeated requests that were refused, and the ages of keys.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;
use crate::key_survey::{Finding, PRACTICES};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AuthFailureLabels {
    credential: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReplayLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct KeyLabels {
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PracticeLabels {
    practice: &'static str,
}

impl Metrics {
    /// Counts a credential that was not accepted.
    pub(crate) fn count_auth_failure(&self, credential: &'static str, reason: &'static str) {
        let labels = AuthFailureLabels { credential, reason };
        self.auth_failures.get_or_create(&labels).inc();
    }

    /// Counts a request that was not known to be fresh.
    pub(crate) fn count_replay(&self, reason: &'static str) {
        self.replays.get_or_create(&ReplayLabels { reason }).inc();
    }

    /// Shows the ages of the oldest live keys, and which practices how many of all break.
    pub(crate) fn note_keys(&self, oldest_first: &[Finding], most: usize) {
        let seconds = |age: Duration| i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let oldest = oldest_first.first().map_or(0, |one| seconds(one.age));
        self.oldest_key.set(oldest);
        self.key_ages.clear();
        for finding in oldest_first.iter().take(most) {
            let key = finding.key.clone();
            let gauge = self.key_ages.get_or_create_owned(&KeyLabels { key });
            gauge.set(seconds(finding.age));
        }
        for practice in PRACTICES {
            let breaks = |finding: &&Finding| finding.broken.contains(&practice);
            let count = oldest_first.iter().filter(breaks).count();
            let gauge = self
                .broken_practices
                .get_or_create_owned(&PracticeLabels { practice });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
