//! Opening a file: what is made, and what is said when it cannot be used.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use seaworthy_store::{OpenError, open};

use super::{files_in, open_in, raw_in, url_in};
use crate::fixtures::{key, settlement};

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    stores.keys.insert(key("ada")).await.unwrap();
    let names = files_in(folder.path());
    assert_eq!(names, ["s.db", "s.db-shm", "s.db-wal"]);
    for name in names {
        let mode = fs::metadata(folder.path().join(&name))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.db"), "").unwrap();
    open_in(folder.path());
    open_in(folder.path());
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&folder.path().join("missing"));
    assert!(matches!(error, OpenError::NoFolder { .. }), "{error:?}");
    assert!(error.to_string().contains("create it first"), "{error}");
}

#[test]
fn a_folder_is_not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("s.db")).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::NotAFile { .. }), "{error:?}");
}

/// Not by permissions, which do not hold back a test that runs as root.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_reason() {
    let error = refusal(Path::new("/sys"));
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains("/sys/s.db"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn another_kind_of_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a letter, and not a short one at that\n".repeat(100);
    fs::write(folder.path().join("s.db"), &text).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    let found = fs::read_to_string(folder.path().join("s.db")).unwrap();
    assert_eq!(found, text);
}

#[test]
fn the_database_of_another_program_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    raw_in(folder.path())
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = fs::read(folder.path().join("s.db")).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(folder.path().join("s.db")).unwrap(), before);
    assert_eq!(files_in(folder.path()), ["s.db"]);
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_in(folder.path()));
    raw_in(folder.path())
        .execute_batch("INSERT INTO schema_migrations VALUES (99, '0099_later', zeroblob(32))")
        .unwrap();
    let error = refusal(folder.path());
    assert!(
        matches!(error, OpenError::Newer { found, known, .. } if found > known),
        "{error:?}"
    );
}

#[tokio::test]
async fn damage_is_found_after_an_unclean_stop() {
    let folder = tempfile::tempdir().unwrap();
    let stores = open_in(folder.path());
    let batch = (0..500).map(|n| settlement(&format!("{n}"))).collect();
    stores.ledger.settle(Arc::new(batch)).await.unwrap();
    stores.lifecycle.close().await;

    let file = folder.path().join("s.db");
    let length = fs::metadata(&file).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0xAA; 4096 * 4], length / 2 / 4096 * 4096)
        .unwrap();
    // A log without a valid header is what a crash at its very start leaves.
    fs::write(folder.path().join("s.db-wal"), "torn").unwrap();

    let error = refusal(folder.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
}

fn refusal(folder: &Path) -> OpenError {
    open(&url_in(folder)).unwrap_err()
}
