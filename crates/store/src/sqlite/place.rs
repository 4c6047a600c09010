//! Whether the file that is open is still the one that lies at its path. SQLite goes on in a file that was
//! moved, replaced or removed, without a word: what is written there is lost for whoever looks at the path.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Error, ffi};

/// Where the open file lay when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Identity,
}

/// What a file keeps whatever its name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Place {
    /// The place of a file that was opened just now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // A later change of the working directory does not move the file.
        let path = fs::canonicalize(path)?;
        let file = Identity::of(&fs::metadata(&path)?);
        Ok(Self { path, file })
    }

    /// Whether the file is still there. Where nobody may look, it is taken for granted.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        let what = match fs::metadata(&self.path) {
            Ok(found) if Identity::of(&found) == self.file => return Ok(()),
            Ok(_) => {
                "another file lies there now; start again to use it, or put the first one back"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "nothing lies there now; put the file back, or start again with a new one"
            }
            Err(_) => return Ok(()),
        };
        let path = self.path.display();
        Err(Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED),
            Some(format!(
                "the database at {path} was moved or removed: {what}"
            )),
        ))
    }
}
