//! Thresholds to judge by: one set for each well-known checklist, and the strictest of all.

use std::collections::BTreeSet;

use crate::checklist::known_items;

/// A named set of thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is made for.
    pub title: &'static str,
    /// The checklist whose thresholds these are, by the number that known items carry.
    pub checklist: Option<&'static str>,
    /// The highest share of errors that may pass without a critical alert.
    pub error_ratio: Option<f64>,
    /// The highest latency in seconds that may pass without an alert.
    pub latency_alert_seconds: Option<f64>,
    /// The highest 95th percentile of the latency, in seconds.
    pub p95_seconds: f64,
    /// The fewest replicas.
    pub replicas: u32,
    /// The lowest share of lines that tests reach.
    pub coverage: f64,
    /// The fewest days that a certificate must still hold.
    pub certificate_days: i64,
    /// The share of a budget at which an alert must have been sent.
    pub budget_alert: Option<f64>,
}

const DEFAULT: Profile = Profile {
    name: "default",
    title: "no checklist: a threshold must exist, and is not judged",
    checklist: None,
    error_ratio: None,
    latency_alert_seconds: None,
    p95_seconds: 30.0,
    replicas: 2,
    coverage: 0.8,
    certificate_days: 21,
    budget_alert: None,
};

/// Every profile; the last is the strictest.
pub const PROFILES: [Profile; 7] = [
    DEFAULT,
    Profile {
        name: "agent-system",
        title: "an agent system in general",
        checklist: Some("000"),
        error_ratio: Some(0.05),
        latency_alert_seconds: Some(10.0),
        p95_seconds: 10.0,
        budget_alert: Some(0.8),
        ..DEFAULT
    },
    Profile {
        name: "agent-service",
        title: "an agent service on Redis and Kubernetes",
        checklist: Some("001"),
        error_ratio: Some(0.10),
        latency_alert_seconds: Some(30.0),
        p95_seconds: 30.0,
        replicas: 3,
        budget_alert: Some(0.8),
        ..DEFAULT
    },
    Profile {
        name: "agentcore",
        title: "an application on AWS AgentCore",
        checklist: Some("002"),
        error_ratio: Some(0.05),
        latency_alert_seconds: Some(10.0),
        p95_seconds: 5.0,
        budget_alert: Some(0.8),
        ..DEFAULT
    },
    Profile {
        name: "asap",
        title: "an agent that speaks ASAP",
        checklist: Some("003"),
        error_ratio: Some(0.10),
        latency_alert_seconds: Some(1.0),
        p95_seconds: 1.0,
        ..DEFAULT
    },
    Profile {
        name: "agent-framework",
        title: "a deployment of Microsoft Agent Framework",
        checklist: Some("004"),
        error_ratio: Some(0.05),
        latency_alert_seconds: Some(5.0),
        p95_seconds: 5.0,
        replicas: 3,
        ..DEFAULT
    },
    Profile {
        name: "strictest",
        title: "every threshold at its strictest",
        error_ratio: Some(0.01),
        latency_alert_seconds: Some(1.0),
        p95_seconds: 1.0,
        replicas: 3,
        certificate_days: 30,
        budget_alert: Some(0.8),
        ..DEFAULT
    },
];

impl Default for Profile {
    fn default() -> Self {
        DEFAULT
    }
}

impl Profile {
    /// The profile with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// The requirements of its checklist; of all checklists for the strictest.
    #[must_use]
    pub fn requirements(&self) -> BTreeSet<&'static str> {
        let all = self.name == "strictest";
        known_items()
            .filter(|item| all || Some(item.checklist) == self.checklist)
            .flat_map(|item| item.requirements())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::PROFILES;

    #[test]
    fn the_strictest_is_at_least_as_strict_as_every_other() {
        let strictest = PROFILES.last().expect("the strictest");
        for other in &PROFILES {
            let stricter =
                |a: Option<f64>, b: Option<f64>| b.is_none_or(|b| a.is_some_and(|a| a <= b));
            assert!(stricter(strictest.error_ratio, other.error_ratio));
            assert!(stricter(
                strictest.latency_alert_seconds,
                other.latency_alert_seconds
            ));
            assert!(strictest.p95_seconds <= other.p95_seconds);
            assert!(stricter(strictest.budget_alert, other.budget_alert));
            assert!(strictest.replicas >= other.replicas && strictest.coverage >= other.coverage);
            assert!(strictest.certificate_days >= other.certificate_days);
        }
    }

    #[test]
    fn each_checklist_has_its_profile() {
        for profile in PROFILES.iter().filter(|p| p.name != "default") {
            assert!(!profile.requirements().is_empty(), "{}", profile.name);
        }
        assert!(super::Profile::named("default").is_some_and(|p| p.requirements().is_empty()));
    }
}
