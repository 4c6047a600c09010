//! What the messages look like: each file in `golden/` beside the text that it gets as an answer.

use std::fmt::Write as _;
use std::path::PathBuf;

use seaworthy_config::{Format, Overrides, load_str};

#[test]
fn every_bad_file_gets_the_answer_that_was_agreed_on() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| Format::of(path).is_some())
        .collect();
    files.sort();
    assert!(files.len() >= 25, "only {} files", files.len());
    let mut wrong = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let format = Format::of(&path).unwrap();
        let answer = match load_str(&text, format, name, &Overrides::default()) {
            Ok(loaded) => format!("accepted\n{}", loaded.warnings),
            Err(problems) => problems.to_string(),
        };
        assert!(!answer.starts_with("accepted\n\n"), "{name} has no problem");
        let golden = path.with_extension(format!(
            "{}.txt",
            path.extension().unwrap().to_str().unwrap()
        ));
        if std::env::var_os("SEAWORTHY_BLESS").is_some() {
            std::fs::write(&golden, &answer).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if answer != expected {
            let _ = writeln!(wrong, "--- {name}\nexpected:\n{expected}\nfound:\n{answer}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
