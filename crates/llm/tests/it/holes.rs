//! The golden files from one list: every dialect of callers, every dialect of providers, whole and
//! streamed, with and without tools. A hole is a missing file, or a missing part of one.

use crate::support::DIALECTS;
use std::{fs, path::Path};

/// What is recorded of each dialect: the request, and the answer to it.
const CASES: [(&str, &str); 2] = [("plain", "text"), ("tools", "tools")];

/// The part of a snapshot that is for a dialect; nothing if there is none.
fn part(file: &Path, dialect: &str) -> Option<String> {
    let snapshot = fs::read_to_string(file).ok()?;
    let mut parts = snapshot.split("\n=== ").skip(1);
    parts
        .find(|part| part.split_whitespace().next() == Some(dialect))
        .map(|part| {
            part.split_once('\n')
                .unwrap_or_default()
                .1
                .trim()
                .to_owned()
        })
}

#[test]
fn no_pair_of_dialects_lacks_a_golden_file() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut holes = Vec::new();
    let mut files = 0;
    for caller in DIALECTS.map(|dialect| dialect.as_str()) {
        for provider in DIALECTS.map(|dialect| dialect.as_str()) {
            for (request, answer) in CASES {
                // The way there is of both, the way back is one of whole answers and one of streams.
                for (owner, kind, name, other) in [
                    (caller, "request", request, provider),
                    (provider, "reply", answer, caller),
                    (provider, "stream", answer, caller),
                ] {
                    let file = fixtures.join(owner).join(kind).join(format!("{name}.snap"));
                    let found = part(&file, other).unwrap_or_default();
                    files += 1;
                    if found.is_empty() || found.starts_with("refused") {
                        holes.push(format!("{}: nothing for {other}", file.display()));
                    }
                }
            }
        }
    }
    assert!(holes.is_empty(), "{}", holes.join("\n"));
    assert_eq!(files, DIALECTS.len() * DIALECTS.len() * CASES.len() * 3);
}
