//! Follows symbolic links of references to files. What does not exist yet counts as it is written
//! below the deepest folder that does.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use seaworthy_guard::input::path::ResolveLinks;

/// So many files are looked for on behalf of one exchange: each takes calls of the system, and a text can name
/// a hundred thousand.
pub(crate) const MOST_FILES: usize = 10_000;

/// The file system of this machine, as one exchange sees it: each path is looked for once.
#[derive(Debug, Default)]
pub(super) struct RealLinks {
    known: Mutex<HashMap<PathBuf, Result<PathBuf, io::ErrorKind>>>,
}

impl RealLinks {
    fn once(&self, path: &Path, look: impl FnOnce() -> io::Result<PathBuf>) -> io::Result<PathBuf> {
        let mut known = self.known.lock();
        if let Some(found) = known.get(path) {
            return found.clone().map_err(io::Error::from);
        }
        if known.len() >= MOST_FILES {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let found = look();
        let kept = found.as_ref().map(PathBuf::clone).map_err(io::Error::kind);
        known.insert(path.to_owned(), kept);
        found
    }
}

impl ResolveLinks for RealLinks {
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.once(path, || upwards(path))
    }

    fn resolve_below(&self, folder: &Path, path: &Path) -> io::Result<PathBuf> {
        match path.strip_prefix(folder) {
            Ok(rest) => self.once(path, || downwards(folder, rest)),
            Err(_) => self.resolve(path),
        }
    }
}

/// Looks for the deepest folder that exists from the end on.
fn upwards(path: &Path) -> io::Result<PathBuf> {
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
                let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
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

/// Goes down from a folder without links, as far as there is something.
fn downwards(folder: &Path, rest: &Path) -> io::Result<PathBuf> {
    let mut found = folder.to_owned();
    let mut names = rest.components();
    while let Some(name) = names.next() {
        found.push(name);
        match found.symlink_metadata() {
            Ok(there) if there.is_symlink() => found = found.canonicalize()?,
            Ok(_) => {}
            Err(_) => {
                found.push(names.as_path());
                break;
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_from_above_as_from_below() {
        let folder = std::env::temp_dir().join(format!("seaworthy-links-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("deep/er")).unwrap();
        let folder = folder.canonicalize().unwrap();
        let link =
            |from: &str, to: &Path| std::os::unix::fs::symlink(to, folder.join(from)).unwrap();
        link("inside", Path::new("deep"));
        link("outside", Path::new("/"));
        link("nowhere", Path::new("missing"));
        link("circle", Path::new("circle"));
        let links = RealLinks::default();
        for name in [
            "",
            "deep",
            "deep/er",
            "deep/new/file.md",
            "inside/er",
            "inside/new.md",
            "outside/etc",
            "nowhere",
            "nowhere/file.md",
            "circle/file.md",
            "new/file.md",
        ] {
            let path = folder.join(name);
            let below = links.resolve_below(&folder, &path);
            let above = upwards(&path);
            assert_eq!(
                below.as_ref().ok(),
                above.as_ref().ok(),
                "{name}: {below:?} {above:?}"
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_exchange_looks_for_files_without_end() {
        let links = RealLinks::default();
        let root = Path::new("/");
        let many = |from: usize| (from..from + MOST_FILES).map(|n| format!("/no-such-folder/{n}"));
        for path in many(0) {
            assert!(links.resolve_below(root, path.as_ref()).is_ok());
        }
        for path in many(0) {
            assert!(
                links.resolve_below(root, path.as_ref()).is_ok(),
                "known ones count once"
            );
        }
        let more = many(MOST_FILES).next().unwrap();
        let refused = links.resolve_below(root, more.as_ref()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    }
}
