//! Notices that a configuration file has changed.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::load::read;

/// What a file's text was at one moment. The text itself is hashed, not its dates or its inode:
/// files are small, and mounts, editors and `git` set dates as they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the file at `path`, following symbolic links.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self::of_text(&read(path)?))
    }

    /// Of a text that was read already.
    pub fn of_text(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_through_a_swapped_symbolic_link_and_a_touch_is_not_one() {
        let dir = tempfile::tempdir().unwrap();
        let (link, one, two) = (
            dir.path().join("c"),
            dir.path().join("1"),
            dir.path().join("2"),
        );
        std::fs::write(&one, "a = 1").unwrap();
        std::fs::write(&two, "a = 2").unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let before = Fingerprint::of(&link).unwrap();
        std::fs::write(&one, "a = 1").unwrap();
        assert_eq!(Fingerprint::of(&link).unwrap(), before);
        std::fs::remove_file(&link).unwrap();
        assert!(Fingerprint::of(&link).is_err());
        std::os::unix::fs::symlink(&two, &link).unwrap();
        assert_ne!(Fingerprint::of(&link).unwrap(), before);
    }
}
