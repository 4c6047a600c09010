//! The journal of calls: append-only files that a killed process leaves for the next one to settle.
//!
//! Each worker thread appends to a file of its own, which is mapped into memory, so that recording a
//! call costs a copy and no system call. A file that is full is left behind and deleted when the
//! ledger holds everything in it. What a killed process leaves is read at the next start:
//! calls with an ending are settled as they ended, calls without one at their worst case, flagged.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use seaworthy_core::ledger::{Ending, Intent};
use seaworthy_core::store::{Journal, JournalEntry};
use seaworthy_mapped_file::MappedFile;

pub(crate) mod record;
mod recovery;

pub use recovery::Recovery;

/// A file takes new calls up to this size.
const MAX_SEGMENT_BYTES: usize = 1024 * 1024;
/// What a file holds in all: the endings of its calls come after it takes no new ones.
const SEGMENT_CAPACITY_BYTES: usize = 2 * MAX_SEGMENT_BYTES;
/// Most processes on one machine whose journals lie side by side.
const MAX_JOURNALS: usize = 256;
const EXTENSION: &str = "calls";
pub(crate) const LOCK_FILE: &str = "lock";

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("another process uses the journal {0:?}: one gateway works with one database file")]
    InUse(PathBuf),
    /// The folder or a file in it cannot be used.
    #[error("expected to be able to write the journal {folder:?}: let this user write it")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The folder of the journal that belongs to a store URL; `None` if the store keeps nothing.
#[must_use]
pub fn journal_folder(store_url: &str) -> Option<PathBuf> {
    store_url
        .strip_prefix("sqlite:")
        .map(|path| PathBuf::from(format!("{path}-calls")))
}

/// The files of the journal in a folder, oldest first; none if the folder does not exist.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(EXTENSION)) {
            files.push(path);
        }
    }
    // Numbers have a fixed width: by name is by age.
    files.sort();
    Ok(files)
}

/// A journal in a folder.
#[derive(Debug)]
pub struct FileJournal {
    folder: PathBuf,
    lanes: Vec<Mutex<Arc<Segment>>>,
    next_number: AtomicU64,
    /// Held as long as the journal is open.
    _lock: File,
}

/// One file of the journal. It is deleted with the last entry that needs it.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    pages: Mutex<MappedFile>,
    /// Calls that the ledger does not hold yet.
    unsettled: AtomicUsize,
}

impl FileJournal {
    /// Opens the journal for `lanes` threads and returns what an earlier process left behind.
    ///
    /// # Errors
    /// When another process has it or the folder cannot be used.
    pub fn open(folder: &Path, lanes: usize) -> Result<(Self, Recovery), JournalError> {
        let failed = |source| JournalError::Io {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(LOCK_FILE))
            .map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => JournalError::InUse(folder.to_owned()),
            fs::TryLockError::Error(source) => failed(source),
        })?;
        let recovery = Recovery::read(folder).map_err(failed)?;
        let first_number = recovery.last_number() + 1;
        let journal = Self {
            folder: folder.to_owned(),
            lanes: Vec::new(),
            next_number: AtomicU64::new(first_number),
            _lock: lock,
        };
        let segments = (0..lanes.max(1)).map(|_| journal.new_segment().map(Mutex::new));
        let lanes = segments.collect::<io::Result<_>>().map_err(failed)?;
        Ok((Self { lanes, ..journal }, recovery))
    }

    /// Opens the first journal below `base` that nobody has, and takes over those that others have
    /// left there. For several processes on one machine, whose stores are elsewhere.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open_free(base: &Path, lanes: usize) -> Result<(Self, Vec<Recovery>), JournalError> {
        let mut own = None;
        let mut found = Vec::new();
        for number in 0..MAX_JOURNALS {
            let folder = base.join(number.to_string());
            if own.is_some() && !folder.exists() {
                break;
            }
            match Self::open(&folder, lanes) {
                Ok((journal, recovery)) if own.is_none() => {
                    own = Some(journal);
                    found.push(recovery);
                }
                Ok((left, recovery)) => found.push(recovery.held_by(left)),
                Err(JournalError::InUse(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match own {
            Some(journal) => Ok((journal, found)),
            None => Err(JournalError::InUse(base.to_owned())),
        }
    }

    fn new_segment(&self) -> io::Result<Arc<Segment>> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number:020}.{EXTENSION}"));
        let pages = Mutex::new(MappedFile::create(&path, SEGMENT_CAPACITY_BYTES)?);
        Ok(Arc::new(Segment {
            path,
            pages,
            unsettled: AtomicUsize::new(0),
        }))
    }
}

impl Journal for FileJournal {
    fn record(&self, lane: usize, intent: &Intent) -> io::Result<Box<dyn JournalEntry>> {
        let line = record::intent(intent);
        let mut current = self.lanes[lane % self.lanes.len()].lock();
        if current.is_full() {
            *current = self.new_segment()?;
        }
        let segment = Arc::clone(&current);
        segment.unsettled.fetch_add(1, Ordering::Relaxed);
        let written = segment.append(&line);
        drop(current);
        if let Err(error) = written {
            segment.unsettled.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        Ok(Box::new(Entry {
            call_id: intent.call_id.clone(),
            segment,
        }))
    }
}

impl Segment {
    fn is_full(&self) -> bool {
        self.pages.lock().filled_bytes() >= MAX_SEGMENT_BYTES
    }

    /// What does not fit any more goes to a file beside, one `write` in append mode a record.
    fn append(&self, line: &[u8]) -> io::Result<()> {
        if self.pages.lock().append(line) {
            return Ok(());
        }
        let overflow = self.overflow_path();
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(overflow)?
            .write_all(line)
    }

    fn overflow_path(&self) -> PathBuf {
        self.path.with_extension(format!("more.{EXTENSION}"))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if *self.unsettled.get_mut() > 0 {
            return;
        }
        for path in [self.path.clone(), self.overflow_path()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let path = path.display();
                    tracing::warn!(%error, %path, "a journal file could not be deleted");
                }
                _ => {}
            }
        }
    }
}

/// A call in the journal.
#[derive(Debug)]
struct Entry {
    call_id: String,
    segment: Arc<Segment>,
}

impl JournalEntry for Entry {
    fn end(&self, ending: &Ending) -> io::Result<()> {
        self.segment.append(&record::ending(&self.call_id, ending))
    }

    fn void(&self) -> io::Result<()> {
        self.segment.append(&record::void(&self.call_id))
    }

    fn forget(self: Box<Self>) {
        self.segment.unsettled.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
