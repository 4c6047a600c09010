//! What a check is: data that anyone can read, and a probe that finds out.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::outcome::Probed;
use crate::session::Session;

mod auth;
mod declared;
mod dialect;
mod drills;
mod errors;
mod files;
mod health;
mod input;
mod lifecycle;
mod limits;
mod metrics;
mod models;
mod ping;
mod prometheus;
mod promises;
mod protocol;
mod replay;
pub(crate) mod rows;
mod secrets;
mod series;
mod tls;
mod trace;

/// One question about a server, with everything needed to understand the answer.
#[derive(Debug)]
pub struct Check {
    /// Stable dotted name, `area.what-holds`; never used again for something else.
    pub id: &'static str,
    /// What holds when the check passes.
    pub title: &'static str,
    /// What goes wrong in production without it.
    pub why: &'static str,
    /// How much a failure matters.
    pub severity: Severity,
    /// The parts of readiness it speaks to; the first one groups it in reports.
    pub areas: &'static [Area],
    /// What must be given for the check to run.
    pub needs: &'static [Need],
    /// How the answer is found.
    pub verified_by: &'static str,
    /// What to do when it fails.
    pub remedy: &'static str,
    /// How it is run.
    pub kind: Kind,
    /// Part of every run; the others run when a checklist, a profile or the caller asks for them.
    pub standard: bool,
    pub(crate) probe: Probe,
}

impl Check {
    /// Whether it belongs to a run only when files or exports were given.
    #[must_use]
    pub fn reads_files(&self) -> bool {
        let files = |need: &Need| {
            use Need::{Cloud, Drills, Manifests, Prometheus, Repository, Settings};
            matches!(
                need,
                Repository | Manifests | Cloud | Settings | Prometheus | Drills
            )
        };
        self.needs.iter().any(files)
    }
}

/// The function behind a check.
pub(crate) type Probe = for<'a> fn(&'a Session<'a>) -> ProbeFuture<'a>;

/// What a probe runs as.
pub(crate) type ProbeFuture<'a> = Pin<Box<dyn Future<Output = Probed> + Send + 'a>>;

/// How a check is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests to the server, beside other checks.
    Live,
    /// Requests to the server while no other check runs, because load of our own would blur it.
    LiveAlone,
    /// A scratch instance of the server's program on this machine.
    Scratch,
    /// Files only; the server is not asked.
    Files,
}

impl Kind {
    /// What is looked at, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live, beside others",
            Self::LiveAlone => "live, alone",
            Self::Scratch => "a scratch instance",
            Self::Files => "files",
        }
    }
}

/// How much a failure matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Do not serve users like this.
    Critical,
    /// Someone will be woken up because of it.
    High,
    /// Makes operating or using it harder.
    Medium,
    /// Good manners.
    Low,
}

impl Severity {
    /// Every severity, the gravest first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// A part of readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Who may do what, and what must stay secret.
    Security,
    /// Staying up, and coming back.
    Reliability,
    /// Seeing what happens.
    Observability,
    /// Speaking the protocols as clients expect.
    Compatibility,
    /// Starting, changing and stopping it.
    Operations,
    /// Code, dependencies, tests and behaviour.
    Quality,
    /// Speed and capacity.
    Performance,
    /// Money.
    Cost,
    /// Law and contracts.
    Compliance,
}

impl Area {
    /// Every area, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Security,
        Self::Reliability,
        Self::Observability,
        Self::Compatibility,
        Self::Operations,
        Self::Quality,
        Self::Performance,
        Self::Cost,
        Self::Compliance,
    ];

    /// Its heading in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Security => "Security",
            Self::Reliability => "Reliability",
            Self::Observability => "Observability",
            Self::Compatibility => "Compatibility",
            Self::Operations => "Operations",
            Self::Quality => "Quality",
            Self::Performance => "Performance",
            Self::Cost => "Cost",
            Self::Compliance => "Compliance",
        }
    }
}

/// Something that must be given for a check to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// An API key of the data plane.
    Key,
    /// A key of the admin API.
    AdminKey,
    /// A model that may be called at no cost.
    Model,
    /// The server's program on this machine.
    LocalBinary,
    /// A repository.
    Repository,
    /// A folder of manifests.
    Manifests,
    /// Exports of a cloud's settings, or a Terraform plan.
    Cloud,
    /// Settings: manifests, or the configuration that the server says is in force.
    Settings,
    /// Reports of drills.
    Drills,
    /// A Prometheus server.
    Prometheus,
    /// A server that is reached over TLS, or at least not over the loopback.
    Network,
}

impl Need {
    /// What to give, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Key => "an API key (--key)",
            Self::AdminKey => "a key of the admin API (--admin-key)",
            Self::Model => "a model that may be called (--model)",
            Self::LocalBinary => "the server's program on this machine",
            Self::Repository => "a repository (--repo)",
            Self::Manifests => "manifests (--manifests)",
            Self::Cloud => "exports of a cloud (--cloud)",
            Self::Settings => "manifests (--manifests), or a server that shows its configuration",
            Self::Drills => "a recent drill (seaworthy drill)",
            Self::Prometheus => "a Prometheus server (--prometheus)",
            Self::Network => "a server over TLS or not on this machine (--url)",
        }
    }
}

/// Every check, in the order of reports.
pub fn catalogue() -> impl Iterator<Item = &'static Check> {
    [
        auth::CHECKS,
        secrets::CHECKS,
        health::CHECKS,
        ping::CHECKS,
        limits::CHECKS,
        input::CHECKS,
        errors::CHECKS,
        metrics::CHECKS,
        trace::CHECKS,
        protocol::CHECKS,
        models::CHECKS,
        lifecycle::CHECKS,
    ]
    .into_iter()
    .flatten()
    .chain(files::checks())
    .chain(rows::checks())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Kind, Need, catalogue};

    #[test]
    fn every_id_is_unique_and_well_formed() {
        let mut seen = BTreeSet::new();
        for check in catalogue() {
            assert!(seen.insert(check.id), "{} appears twice", check.id);
            let (area, name) = check.id.split_once('.').expect("a dot");
            for part in [area, name] {
                let well_formed = !part.is_empty()
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                assert!(
                    well_formed,
                    "{} is not lower-case words with hyphens",
                    check.id
                );
            }
        }
    }

    #[test]
    fn every_check_explains_itself() {
        for check in catalogue() {
            for (name, text) in [
                ("title", check.title),
                ("why", check.why),
                ("verified_by", check.verified_by),
                ("remedy", check.remedy),
            ] {
                assert!(
                    text.split_whitespace().count() >= 2,
                    "{}: {name} says little",
                    check.id
                );
            }
            assert!(!check.areas.is_empty(), "{} has no area", check.id);
            assert_eq!(
                check.kind == Kind::Scratch,
                check.needs.contains(&Need::LocalBinary),
                "{}: a scratch check needs the local binary, and no other does",
                check.id
            );
        }
    }
}
