//! A copy of everything that is kept, taken while the gateway serves, and the way back.
//!
//! A backup is a folder: the database as one sound file, the journal of calls that the ledger may
//! not hold yet, and [`MANIFEST`], which says what is there and with which checksums. The journal is
//! copied first: a call that is settled in between is then in both, and the ledger takes the better
//! of the two. The other way round it could be in neither.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use seaworthy_core::clock::Clock;
use serde::{Deserialize, Serialize};

mod files;
mod restore;

pub use restore::{Restored, restore};

use crate::journal::{self, journal_folder};
use crate::open::OpenError;
use crate::sqlite;
use files::{checksummed, copy_into, fsync_folder};

/// What describes a backup, within its folder.
pub const MANIFEST: &str = "backup.json";
/// The only form of a backup so far.
const FORM: u32 = 1;
const DATABASE: &str = "seaworthy.db";
const JOURNAL: &str = "calls";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which form of backup this is.
    pub form: u32,
    /// The version of the program that made it.
    pub version: String,
    /// When copying began, in RFC 3339: what was settled before is in it.
    pub began_at: String,
    /// When it ended.
    pub ended_at: String,
    /// How many migrations the database has.
    pub schema: usize,
    /// How many settled calls it holds.
    pub settlements: u64,
    /// How many keys it holds.
    pub keys: u64,
    /// The files: the database, then those of the journal.
    pub files: Vec<FileEntry>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path within the folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

impl Manifest {
    /// The size of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Why a backup could not be made or brought back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store is no file of ours.
    #[error(
        "expected a store of the form `sqlite:PATH`, found {found}: {}",
        elsewhere(found)
    )]
    NotAFile {
        /// The kind of store.
        found: &'static str,
    },
    /// There is nothing to copy.
    #[error("expected a database at {0:?}, found nothing: check `storage.url`")]
    NoDatabase(PathBuf),
    /// Something is in the way.
    #[error("expected nothing at {0:?} yet: choose another folder, or move it away")]
    Occupied(PathBuf),
    /// There is a database where the backup would go.
    #[error(
        "expected no database at {0:?} yet: say `--replace` to move it aside, or restore into \
         another place"
    )]
    WouldReplace(PathBuf),
    /// A gateway runs on the database.
    #[error("expected no gateway to use {0:?}: stop it first, or restore into another place")]
    InUse(PathBuf),
    /// The folder holds no backup.
    #[error("expected a backup in {folder:?}, with a readable {MANIFEST}: {reason}")]
    NoBackup {
        /// The folder.
        folder: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A newer program made the backup.
    #[error("expected a backup of form {FORM}, found {found}: use the Seaworthy that made it")]
    Newer {
        /// Its form.
        found: u32,
    },
    /// A file is not as it was.
    #[error(
        "expected {path:?} of the backup to be as it was written, found {found}: use another backup"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file or folder cannot be used.
    #[error("expected to be able to use {path:?}, which failed")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What to do with a store that is not a file.
fn elsewhere(found: &str) -> &'static str {
    match found {
        "PostgreSQL" => {
            "`pg_dump --format=custom` copies it while the gateway serves, `pg_restore` brings it \
             back; a replica that starts on it settles the calls that were open"
        }
        _ => "what is kept in memory ends with the process",
    }
}

/// Copies the store at `url` into `folder`, which must not exist. A gateway may serve meanwhile.
///
/// # Errors
///
/// [`BackupError`]; nothing is left at `folder` then.
pub fn back_up(
    url: &str,
    folder: &Path,
    version: &str,
    clock: &dyn Clock,
) -> Result<Manifest, BackupError> {
    let database = database_path(url)?;
    if !database.is_file() {
        return Err(BackupError::NoDatabase(database));
    }
    if folder.exists() {
        return Err(BackupError::Occupied(folder.to_owned()));
    }
    let draft = with_suffix(folder, ".partial");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(BackupError::io(&draft))?;
    }
    let manifest = copy(url, (&database, &draft), version, clock).inspect_err(|_| {
        // What is left of it has the suffix that says so, and the next attempt removes it.
        let _removed = fs::remove_dir_all(&draft);
    })?;
    fs::rename(&draft, folder).map_err(BackupError::io(folder))?;
    fsync_folder(folder.parent())?;
    Ok(manifest)
}

fn copy(
    url: &str,
    (database, draft): (&Path, &Path),
    version: &str,
    clock: &dyn Clock,
) -> Result<Manifest, BackupError> {
    let began_at = clock.now().to_string();
    let journal = draft.join(JOURNAL);
    fs::create_dir_all(&journal).map_err(BackupError::io(&journal))?;
    let mut files = Vec::new();
    if let Some(source) = journal_folder(url) {
        for file in journal::files(&source).map_err(BackupError::io(&source))? {
            // A file that the ledger has caught up with may vanish at any time: nothing in it is missed.
            if let Some(name) = copy_into(&file, &journal)? {
                files.push(format!("{JOURNAL}/{name}"));
            }
        }
    }
    let copied = draft.join(DATABASE);
    let contents = sqlite::copy(database, &copied)?;
    files.insert(0, DATABASE.to_owned());
    let entries = files.iter().map(|path| checksummed(draft, path));
    let manifest = Manifest {
        form: FORM,
        version: version.to_owned(),
        began_at,
        ended_at: clock.now().to_string(),
        schema: contents.schema,
        settlements: contents.settlements,
        keys: contents.keys,
        files: entries.collect::<Result<_, _>>()?,
    };
    files::write(&draft.join(MANIFEST), &manifest)?;
    fsync_folder(Some(&journal))?;
    fsync_folder(Some(draft))?;
    Ok(manifest)
}

/// The file of a store.
fn database_path(url: &str) -> Result<PathBuf, BackupError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(PathBuf::from(path)),
        Some(("postgres" | "postgresql", _)) => Err(BackupError::NotAFile {
            found: "PostgreSQL",
        }),
        _ => Err(BackupError::NotAFile { found: "memory" }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
