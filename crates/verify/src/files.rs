//! Files that a run reads: a repository and a folder of manifests, each read once and bounded.

use std::path::{Path, PathBuf};

use crate::drill::evidence::Records;
use crate::options::Options;

pub(crate) mod cloud;
pub(crate) mod manifests;
pub(crate) mod repository;
pub(crate) mod secret_names;
pub(crate) mod secret_shapes;
pub(crate) mod settings;
pub(crate) mod source;
pub(crate) mod yaml;

use cloud::Cloud;
use manifests::Manifests;
use repository::Repository;

/// What was given to read.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) repository: Option<Repository>,
    pub(crate) manifests: Option<Manifests>,
    pub(crate) cloud: Option<Cloud>,
    pub(crate) drills: Records,
}

/// A folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {cause}; give what exists")]
pub(crate) struct FilesError {
    path: PathBuf,
    cause: std::io::Error,
}

impl Files {
    /// Reads what was asked for.
    pub(crate) fn read(options: &Options) -> Result<Self, FilesError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| FilesError { path, cause }
        };
        let (repository, manifests) = (options.repository.as_deref(), options.manifests.as_deref());
        for path in [repository, manifests].into_iter().flatten() {
            std::fs::read_dir(path).map_err(failed(path))?;
        }
        for path in &options.cloud {
            std::fs::metadata(path).map_err(failed(path))?;
        }
        Ok(Self {
            repository: repository.map(Repository::read),
            manifests: manifests.map(Manifests::read),
            drills: options
                .drills
                .as_deref()
                .map(Records::read)
                .unwrap_or_default(),
            cloud: (!options.cloud.is_empty()).then(|| Cloud::read(&options.cloud)),
        })
    }
}

/// A line in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Relative to the folder that was given, with `/`.
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is no file has no lines.
        match self.line {
            0 => f.write_str(&self.path),
            line => write!(f, "{}:{line}", self.path),
        }
    }
}

/// Something wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) place: Place,
    pub(crate) found: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, found: impl Into<String>) -> Self {
        Self {
            place: Place {
                path: path.to_owned(),
                line,
            },
            found: found.into(),
        }
    }
}

/// The path below `root`, with `/`.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_string_lossy().replace('\\', "/")
}
