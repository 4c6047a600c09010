//! The house rules as tests: each failure names the place and says what to do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod cli;
mod manifests;
mod pages;
mod sources;
mod tree;

/// Fails with everything that breaks a rule, and with what to do about it.
fn verdict(rule: &str, remedy: &str, broken: Vec<String>) {
    assert!(
        broken.is_empty(),
        "{rule}\n  {}\nWhat to do: {remedy}",
        broken.join("\n  ")
    );
}

/// Compares a generated page with the committed one, or writes it when `SEAWORTHY_BLESS` is set.
fn generated(page: &str, wanted: &str) {
    let path = tree::root().join(page);
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed
        .lines()
        .zip(wanted.lines())
        .position(|(old, new)| old != new)
        .unwrap_or(committed.lines().count().min(wanted.lines().count()));
    assert!(
        committed == wanted,
        "{page} is stale from line {} on.\nWhat to do: SEAWORTHY_BLESS=1 cargo test -p seaworthy --test tidy",
        differs + 1
    );
}
