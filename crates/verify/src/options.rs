//! What a run is told: the server, the credentials, and the bounds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use crate::profile::Profile;

/// Everything that the caller decides about a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base URL of the server, `http://` or `https://`; a path in it is kept as a prefix.
    pub url: String,
    /// API key of the data plane.
    pub key: Option<String>,
    /// Key of the admin API.
    pub admin_key: Option<String>,
    /// Model for probes that need an answer; without it, `echo` when the server lists it.
    pub model: Option<String>,
    /// Whether probes may call a model.
    pub model_calls: ModelCalls,
    /// The server's program on this machine, for checks that start a scratch instance of it.
    pub local_binary: Option<PathBuf>,
    /// What the run looks at.
    pub scope: Scope,
    /// A repository to read.
    pub repository: Option<PathBuf>,
    /// A folder of manifests to read.
    pub manifests: Option<PathBuf>,
    /// Exports of a cloud to read: files or folders.
    pub cloud: Vec<PathBuf>,
    /// The folder of reports of drills.
    pub drills: Option<PathBuf>,
    /// How old a drill may be to count, in days.
    pub drill_days: u32,
    /// Base URL of a Prometheus server that watches the server.
    pub prometheus: Option<String>,
    /// Certificate authorities to trust beside those of this machine, as PEM.
    pub authorities: Option<PathBuf>,
    /// Where the server is reached without TLS, if not on port 80 of its host.
    pub plain_url: Option<String>,
    /// Checks to run beside the standard ones.
    pub asked: Asked,
    /// The thresholds to judge by.
    pub profile: Profile,
    /// Longest wait for one answer.
    pub request_timeout: Duration,
    /// How long a client that never finishes its headers is watched.
    pub patience: Duration,
    /// Longest time of the whole run; checks that it cuts off are reported as not verified.
    pub total_timeout: Duration,
    /// Bytes sent without a declared length to see whether the size limit holds.
    pub oversize_bytes: usize,
    /// How many checks run at the same time.
    pub concurrency: usize,
}

impl Options {
    /// Options for a server with the default bounds and no credentials.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key: None,
            admin_key: None,
            model: None,
            model_calls: ModelCalls::Auto,
            local_binary: None,
            scope: Scope::Everything,
            repository: None,
            manifests: None,
            cloud: Vec::new(),
            drills: None,
            drill_days: 90,
            prometheus: None,
            authorities: None,
            plain_url: None,
            asked: Asked::Standard,
            profile: Profile::default(),
            request_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(15),
            total_timeout: Duration::from_secs(60),
            oversize_bytes: 32 * 1024 * 1024,
            concurrency: 4,
        }
    }
}

/// Which checks a run holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The standard ones.
    Standard,
    /// The standard ones, and those named here.
    Also(BTreeSet<String>),
    /// Every one.
    All,
    /// Those named here and no other.
    Only(BTreeSet<String>),
}

impl Asked {
    /// Whether a check belongs to the run.
    pub(crate) fn includes(&self, id: &str, standard: bool) -> bool {
        match self {
            Self::Standard => standard,
            Self::Also(ids) => standard || ids.contains(id),
            Self::All => true,
            Self::Only(ids) => ids.contains(id),
        }
    }
}

/// What a run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The server, and the files that are given.
    Everything,
    /// The files alone; the server is not asked, and nothing is said about it.
    Files,
}

/// Whether probes may call a model, which can cost money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelCalls {
    /// Only the model named in [`Options::model`], or `echo` when the server lists it.
    Auto,
    /// Any model: the first one listed when none is named.
    Allow,
    /// None at all.
    Never,
}
