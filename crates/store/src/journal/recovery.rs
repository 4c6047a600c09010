//! What an earlier process left behind.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use seaworthy_core::ledger::{Ending, Intent, Settlement};

use super::record::{self, Record};

/// Calls that the ledger may not hold yet. Settle them, then call [`Recovery::finish`]; a crash in
/// between repeats it, which changes nothing.
#[derive(Debug, Default)]
pub struct Recovery {
    files: Vec<PathBuf>,
    open: HashMap<String, (Intent, Option<Ending>)>,
    damaged_records: usize,
    /// The journal that was taken over, so that nobody else does.
    holder: Option<super::FileJournal>,
}

impl Recovery {
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let mut recovery = Self {
            files: super::files(folder)?,
            ..Self::default()
        };
        for path in recovery.files.clone() {
            recovery.read_file(&path)?;
        }
        Ok(recovery)
    }

    fn read_file(&mut self, path: &Path) -> io::Result<()> {
        for line in BufReader::new(fs::File::open(path)?).split(b'\n') {
            let line = line?;
            if line.first() == Some(&0) {
                // The rest of the file was never filled.
                return Ok(());
            }
            match record::parse(&line) {
                Some(Record::Intent(intent)) => {
                    self.open.insert(intent.call_id.clone(), (intent, None));
                }
                Some(Record::Ending(call_id, ending)) => {
                    if let Some((_, last)) = self.open.get_mut(&call_id) {
                        *last = Some(ending);
                    }
                }
                Some(Record::Void(call_id)) => {
                    self.open.remove(&call_id);
                }
                None => self.damaged_records += 1,
            }
        }
        Ok(())
    }

    /// The highest number of a file that was found.
    pub(super) fn last_number(&self) -> u64 {
        let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
        self.files.iter().filter_map(number).max().unwrap_or(0)
    }

    pub(super) fn held_by(self, journal: super::FileJournal) -> Self {
        Self {
            holder: Some(journal),
            ..self
        }
    }

    /// Calls whose end nobody saw.
    #[must_use]
    pub fn interrupted(&self) -> usize {
        self.open
            .values()
            .filter(|(_, ending)| ending.is_none())
            .count()
    }

    /// Records that a crash cut off or a disk garbled.
    #[must_use]
    pub fn damaged_records(&self) -> usize {
        self.damaged_records
    }

    /// The settlements of all calls that were found.
    #[must_use]
    pub fn settlements(&self) -> Vec<Settlement> {
        let settle = |(intent, ending): &(Intent, Option<Ending>)| match ending {
            Some(ending) => intent.clone().settled(*ending),
            None => intent.clone().interrupted(),
        };
        self.open.values().map(settle).collect()
    }

    /// Deletes the files: the ledger holds everything in them.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub fn finish(self) -> io::Result<()> {
        let Self { files, holder, .. } = self;
        files.iter().try_for_each(fs::remove_file)?;
        // Nobody else takes it over before the files are gone.
        drop(holder);
        Ok(())
    }
}
