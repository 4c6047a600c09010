//! Fixtures and the snapshots beside them, compared byte for byte.
//!
//! `SEAWORTHY_BLESS=1` writes the snapshots anew; the diff is then for a person to read.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every fixture of a dialect and a kind, such as `request`, in the order of their names.
pub(crate) fn fixtures(dialect: &str, kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(dialect)
        .join(kind);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension != "snap")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {}", folder.display());
    files
}

/// Compares with the snapshot beside the fixture, or writes it.
pub(crate) fn matches_snapshot(fixture: &Path, found: &str) {
    matches_file(&fixture.with_extension("snap"), found);
}

/// Compares with a file, or writes it.
pub(crate) fn matches_file(path: &Path, found: &str) {
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        fs::write(path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(path)
        .unwrap_or_else(|e| panic!("{}: {e}; run with SEAWORTHY_BLESS=1", path.display()));
    assert!(
        expected == found,
        "{} differs\n--- expected\n{expected}\n--- found\n{found}",
        path.display()
    );
}
