//! What readiness asks for: every requirement that a checklist item can mean, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::check::{Area, Severity, rows};

const FILES: [&str; 44] = [
    include_str!("../data/requirements/access.toml"),
    include_str!("../data/requirements/agent-limits.toml"),
    include_str!("../data/requirements/agents.toml"),
    include_str!("../data/requirements/alerts.toml"),
    include_str!("../data/requirements/audit.toml"),
    include_str!("../data/requirements/billing.toml"),
    include_str!("../data/requirements/capacity.toml"),
    include_str!("../data/requirements/clients.toml"),
    include_str!("../data/requirements/compose.toml"),
    include_str!("../data/requirements/content.toml"),
    include_str!("../data/requirements/continuity.toml"),
    include_str!("../data/requirements/cost.toml"),
    include_str!("../data/requirements/data.toml"),
    include_str!("../data/requirements/delivery.toml"),
    include_str!("../data/requirements/documents.toml"),
    include_str!("../data/requirements/duties.toml"),
    include_str!("../data/requirements/estate.toml"),
    include_str!("../data/requirements/evaluation.toml"),
    include_str!("../data/requirements/exposure.toml"),
    include_str!("../data/requirements/governance.toml"),
    include_str!("../data/requirements/hardening.toml"),
    include_str!("../data/requirements/hosts.toml"),
    include_str!("../data/requirements/kubernetes.toml"),
    include_str!("../data/requirements/launch.toml"),
    include_str!("../data/requirements/logs-and-traces.toml"),
    include_str!("../data/requirements/machine-learning.toml"),
    include_str!("../data/requirements/metrics.toml"),
    include_str!("../data/requirements/models.toml"),
    include_str!("../data/requirements/network.toml"),
    include_str!("../data/requirements/observing.toml"),
    include_str!("../data/requirements/organisation.toml"),
    include_str!("../data/requirements/outreach.toml"),
    include_str!("../data/requirements/people.toml"),
    include_str!("../data/requirements/people-and-data.toml"),
    include_str!("../data/requirements/performance.toml"),
    include_str!("../data/requirements/physical.toml"),
    include_str!("../data/requirements/platform.toml"),
    include_str!("../data/requirements/privacy.toml"),
    include_str!("../data/requirements/proof.toml"),
    include_str!("../data/requirements/quality.toml"),
    include_str!("../data/requirements/reliability.toml"),
    include_str!("../data/requirements/resilience.toml"),
    include_str!("../data/requirements/running.toml"),
    include_str!("../data/requirements/supply-chain.toml"),
];

/// One thing that a production system must have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// What holds when it is met.
    pub title: String,
    /// What goes wrong without it.
    pub why: String,
    /// How much its absence matters.
    pub severity: Severity,
    /// The part of readiness it belongs to.
    pub area: Area,
    /// What kind of evidence shows it.
    pub kind: EvidenceKind,
    /// How it is, or would be, verified.
    pub verified_by: String,
    /// What to do when it is not met.
    pub remedy: String,
    /// The words people use for it, for matching beside the phrasings of `data/phrases.tsv`.
    pub words: String,
    /// Too specific to be found by similarity: only a known item leads to it.
    #[serde(default)]
    pub specific: bool,
    /// The checks that together show it; without any, nothing verifies it yet.
    #[serde(default)]
    pub probes: Vec<String>,
}

/// What kind of evidence shows a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// The running server, probed.
    Live,
    /// Configuration and manifests, read.
    Configuration,
    /// The repository, read.
    Repository,
    /// Exports of a cloud, read.
    Cloud,
    /// A rehearsal.
    Drill,
    /// A person's word.
    Person,
    /// The other results.
    Derived,
}

impl EvidenceKind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 7] = [
        Self::Live,
        Self::Configuration,
        Self::Repository,
        Self::Cloud,
        Self::Drill,
        Self::Person,
        Self::Derived,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Configuration => "configuration",
            Self::Repository => "repository",
            Self::Cloud => "cloud",
            Self::Drill => "drill",
            Self::Person => "person",
            Self::Derived => "derived",
        }
    }
}

impl EvidenceKind {
    /// What shows it, in words.
    #[must_use]
    pub fn evidence(self) -> &'static str {
        match self {
            Self::Live => "a probe that does not exist yet",
            Self::Configuration | Self::Repository => "a look at files that does not exist yet",
            Self::Cloud => "an export of a cloud",
            Self::Drill => "a rehearsal",
            Self::Person => "a person's word",
            Self::Derived => "the other results",
        }
    }
}

/// Every requirement by its stable dotted ID.
#[derive(Debug, Clone)]
pub struct Requirements(BTreeMap<String, Requirement>);

/// The data of this crate does not parse; a test keeps that from being shipped.
#[derive(Debug, thiserror::Error)]
#[error("the built-in requirements cannot be read: {0}")]
pub struct RequirementsError(String);

impl Requirements {
    /// The requirements that this crate knows.
    ///
    /// # Errors
    /// When the data built into the program is damaged.
    pub fn builtin() -> Result<Self, RequirementsError> {
        let mut all = BTreeMap::new();
        let rows: BTreeSet<&str> = rows::ids().collect();
        for file in FILES {
            let some: BTreeMap<String, Requirement> =
                toml::from_str(file).map_err(|error| RequirementsError(error.to_string()))?;
            for (id, mut requirement) in some {
                if requirement.probes.is_empty() && rows.contains(id.as_str()) {
                    requirement.probes.push(id.clone());
                }
                if all.insert(id.clone(), requirement).is_some() {
                    return Err(RequirementsError(format!("{id} is defined twice")));
                }
            }
        }
        Ok(Self(all))
    }

    /// The requirement with this ID.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.0.get(id)
    }

    /// Every requirement, by ID.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Requirement)> {
        self.0
            .iter()
            .map(|(id, requirement)| (id.as_str(), requirement))
    }
}

static BUILTIN: LazyLock<Option<Requirements>> = LazyLock::new(|| Requirements::builtin().ok());

/// The built-in requirements for as long as the program runs.
pub(crate) fn builtin() -> Option<&'static Requirements> {
    BUILTIN.as_ref()
}

#[cfg(test)]
mod tests {
    use super::{EvidenceKind, Requirements};
    use crate::check::catalogue;

    #[test]
    fn every_requirement_explains_itself() {
        let requirements = Requirements::builtin().expect("the data parses");
        assert_eq!(requirements.iter().count(), 895);
        for (id, r) in requirements.iter() {
            for text in [&r.title, &r.why, &r.verified_by, &r.words] {
                assert!(!text.trim().is_empty(), "{id} leaves something out");
            }
            assert!(!r.remedy.trim().is_empty(), "{id} has no remedy");
        }
    }

    #[test]
    fn every_probe_exists_and_no_person_is_probed() {
        let requirements = Requirements::builtin().expect("the data parses");
        for (id, r) in requirements.iter() {
            for probe in &r.probes {
                assert!(catalogue().any(|c| c.id == probe), "{id}: no check {probe}");
                assert_ne!(r.kind, EvidenceKind::Person, "{id}");
            }
        }
    }
}
