//! A file that is written by copying into memory: what was copied survives the end of the process,
//! as if it had been written, at a fraction of the cost of a system call.
//!
//! It does not survive the loss of power before the kernel writes the pages back.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use memmap2::{MmapMut, MmapOptions};

/// A new file of fixed size that is filled from its start. The rest is zeros.
#[derive(Debug)]
pub struct MappedFile {
    map: MmapMut,
    filled: usize,
}

impl MappedFile {
    /// Creates the file with all of its blocks allocated, so that filling it cannot fail later.
    ///
    /// # Errors
    /// When it exists already, or the disk has no room for it.
    pub fn create(path: &Path, capacity_bytes: usize) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        allocate(&file, capacity_bytes)?;
        #[expect(
            unsafe_code,
            reason = "mapping a file is sound only while nobody truncates it"
        )]
        // SAFETY: the file was created just now under a name that only this process uses, in a
        // folder that its owner locks. Nobody else writes or shortens it while it is mapped.
        let map = unsafe { MmapOptions::new().len(capacity_bytes).map_mut(&file)? };
        Ok(Self { map, filled: 0 })
    }

    /// Appends the bytes, all or none of them. Says whether there was room.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let end = self.filled.saturating_add(bytes.len());
        match self.map.get_mut(self.filled..end) {
            None => false,
            Some(room) => {
                room.copy_from_slice(bytes);
                self.filled = end;
                true
            }
        }
    }

    /// How much was appended.
    #[must_use]
    pub fn filled_bytes(&self) -> usize {
        self.filled
    }
}

/// A page of a sparse file that finds no block when it is first written kills the process.
fn allocate(file: &File, capacity_bytes: usize) -> io::Result<()> {
    let length = i64::try_from(capacity_bytes).map_err(io::Error::other)?;
    nix::fcntl::posix_fallocate(file, 0, length).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_can_be_read_as_a_file_and_nothing_overflows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut file = MappedFile::create(&path, 8).unwrap();
        assert!(file.append(b"abc"));
        assert!(file.append(b"de"));
        assert!(!file.append(b"fghi"));
        assert_eq!(file.filled_bytes(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"abcde\0\0\0");
        assert!(file.append(b"fgh"));
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdefgh");
        assert!(MappedFile::create(&path, 8).is_err());
    }
}
