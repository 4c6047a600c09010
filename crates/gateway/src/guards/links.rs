//! Follows symbolic links of references to files. What does not exist yet counts as it is written
//! below the deepest folder that does.

use std::io;
use std::path::{Path, PathBuf};

use seaworthy_guard::input::path::ResolveLinks;

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct RealLinks;

impl ResolveLinks for RealLinks {
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut existing = path;
        let mut rest: Vec<&std::ffi::OsStr> = Vec::new();
        loop {
            // A link that leads nowhere exists and cannot be followed.
            let is_there = existing.symlink_metadata().is_ok();
            match existing.canonicalize() {
                Ok(mut found) => {
                    found.extend(rest.iter().rev());
                    return Ok(found);
                }
                Err(error) if is_there => return Err(error),
                Err(error) => {
                    let (Some(parent), Some(name)) = (existing.parent(), existing.file_name())
                    else {
                        return Err(error);
                    };
                    rest.push(name);
                    existing = match parent.as_os_str().is_empty() {
                        true => Path::new("."),
                        false => parent,
                    };
                }
            }
        }
    }
}
