//! From a backup to a database that a gateway can start on.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::path::{Component, Path, PathBuf};

use seaworthy_core::clock::Clock;

use super::files::{checksummed, copy, fsync_folder};
use super::{BackupError, DATABASE, FORM, JOURNAL, MANIFEST, Manifest, database_path, with_suffix};
use crate::journal::{self, journal_folder};
use crate::sqlite;

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where the database lies now.
    pub database: PathBuf,
    /// Where what was there before lies now.
    pub moved_to: Option<PathBuf>,
}

/// Brings the backup in `folder` back as the store at `url`. What is there already is kept beside it
/// when `replace` is set, and an error otherwise. The calls that were open are settled when a gateway
/// starts on it.
///
/// # Errors
///
/// [`BackupError`]; what was there before is untouched then.
pub fn restore(
    folder: &Path,
    url: &str,
    replace: bool,
    clock: &dyn Clock,
) -> Result<Restored, BackupError> {
    let database = database_path(url)?;
    let journal = journal_folder(url);
    let manifest = read(folder)?;
    for entry in &manifest.files {
        verify(folder, entry)?;
    }
    sqlite::inspect(&folder.join(DATABASE))?;
    let occupied = database.exists() || journal.as_deref().is_some_and(holds_calls);
    if occupied && !replace {
        return Err(BackupError::WouldReplace(database));
    }
    let _lock = journal.as_deref().map(lock).transpose()?.flatten();
    let draft = with_suffix(&database, ".restoring");
    if draft.exists() {
        fs::remove_file(&draft).map_err(BackupError::io(&draft))?;
    }
    copy(&folder.join(DATABASE), &draft).map_err(BackupError::io(&draft))?;
    let moved_to = match occupied {
        true => Some(move_aside(&database, journal.as_deref(), clock)?),
        false => None,
    };
    if let Some(journal) = journal {
        fs::create_dir_all(&journal).map_err(BackupError::io(&journal))?;
        let calls = manifest.files.iter().filter(|entry| entry.path != DATABASE);
        for entry in calls {
            let name = Path::new(&entry.path).file_name().unwrap_or_default();
            let to = journal.join(name);
            copy(&folder.join(&entry.path), &to).map_err(BackupError::io(&to))?;
        }
        fsync_folder(Some(&journal))?;
    }
    fs::rename(&draft, &database).map_err(BackupError::io(&database))?;
    fsync_folder(database.parent())?;
    Ok(Restored {
        manifest,
        database,
        moved_to,
    })
}

fn read(folder: &Path) -> Result<Manifest, BackupError> {
    let nothing = |reason: String| BackupError::NoBackup {
        folder: folder.to_owned(),
        reason,
    };
    let text = fs::read(folder.join(MANIFEST)).map_err(|error| nothing(error.to_string()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| nothing(error.to_string()))?;
    if manifest.form != FORM {
        return Err(BackupError::Newer {
            found: manifest.form,
        });
    }
    let is_ours =
        |entry: &super::FileEntry| entry.path == DATABASE || in_journal(Path::new(&entry.path));
    match manifest.files.iter().find(|entry| !is_ours(entry)) {
        Some(entry) => Err(nothing(format!("it lists {:?}", entry.path))),
        None => Ok(manifest),
    }
}

/// Whether a path is `calls/NAME.calls`, and nothing that leads out of the folder.
fn in_journal(path: &Path) -> bool {
    let parts: Vec<Component<'_>> = path.components().collect();
    matches!(parts.as_slice(), [Component::Normal(folder), Component::Normal(_)] if *folder == OsStr::new(JOURNAL))
}

fn verify(folder: &Path, entry: &super::FileEntry) -> Result<(), BackupError> {
    let altered = |found| BackupError::Altered {
        path: PathBuf::from(&entry.path),
        found,
    };
    let path = folder.join(&entry.path);
    let file = fs::metadata(&path).map_err(|_| altered("nothing"))?;
    if file.len() != entry.bytes {
        return Err(altered("another size"));
    }
    match checksummed(folder, &entry.path)? == *entry {
        true => Ok(()),
        false => Err(altered("another checksum")),
    }
}

fn holds_calls(journal: &Path) -> bool {
    journal::files(journal).is_ok_and(|files| !files.is_empty())
}

/// Holds off a gateway as long as the result lives; `None` if there never was one.
fn lock(journal: &Path) -> Result<Option<File>, BackupError> {
    let path = journal.join(journal::LOCK_FILE);
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BackupError::io(&path)(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Err(BackupError::InUse(journal.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(BackupError::io(&path)(error)),
    }
}

/// Renames the database, its log and its journal, so that they stay together.
fn move_aside(
    database: &Path,
    journal: Option<&Path>,
    clock: &dyn Clock,
) -> Result<PathBuf, BackupError> {
    let to = with_suffix(
        database,
        &format!(".before-restore-{}", clock.now().seconds()),
    );
    for suffix in ["", "-wal", "-shm", "-calls"] {
        let from = match (suffix, journal) {
            ("-calls", Some(journal)) => journal.to_owned(),
            _ => with_suffix(database, suffix),
        };
        let to = with_suffix(&to, suffix);
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(BackupError::io(&from)(error));
            }
            _ => {}
        }
    }
    Ok(to)
}
