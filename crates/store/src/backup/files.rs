//! Files of a backup: copied whole, readable by their owner only, with checksums, on the disk before
//! anybody is told so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BackupError, FileEntry, Manifest};

const FILE_MODE: u32 = 0o600;
const BLOCK_BYTES: usize = 64 * 1024;

/// Copies a file into a folder and tells its name; `None` if it is no longer there.
pub(super) fn copy_into(file: &Path, folder: &Path) -> Result<Option<String>, BackupError> {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
        return Ok(None);
    };
    match copy(file, &folder.join(name)) {
        Ok(()) => Ok(Some(name.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BackupError::io(file)(error)),
    }
}

/// Copies a file to a place where nothing is yet.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut copy = new_file(to)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
}

/// Writes the manifest.
pub(super) fn write(path: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let written = || -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        let mut file = new_file(path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    written().map_err(BackupError::io(path))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// A file below `folder`, as the manifest lists it.
pub(super) fn checksummed(folder: &Path, path: &str) -> Result<FileEntry, BackupError> {
    let file = folder.join(path);
    let (bytes, sha256) = sha256(&file).map_err(BackupError::io(&file))?;
    Ok(FileEntry {
        path: path.to_owned(),
        bytes,
        sha256,
    })
}

fn sha256(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let read = file.read(&mut block)?;
        let Some(block) = block.get(..read).filter(|block| !block.is_empty()) else {
            let digits = hash.finalize();
            let hex = digits.iter().map(|byte| format!("{byte:02x}"));
            return Ok((bytes, hex.collect()));
        };
        hash.update(block);
        bytes += read as u64;
    }
}

/// Makes the names in a folder survive a loss of power.
pub(super) fn fsync_folder(folder: Option<&Path>) -> Result<(), BackupError> {
    let folder = match folder {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(BackupError::io(folder))
}
