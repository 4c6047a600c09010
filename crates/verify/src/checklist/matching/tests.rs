//! Whether sureness tells the truth, and that every requirement can be meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::index::listed;
use super::{INDEX, NONE, find};
use crate::checklist::Document;
use crate::requirement::Requirements;

mod learning;

fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// How sure each match in the project's own lists is, and whether it is right.
fn matches() -> Vec<(f64, bool)> {
    let folder = package("tests/fixtures/checklists");
    let table = std::fs::read_to_string(folder.join("meaning.tsv")).expect("the table");
    let mut matches = Vec::new();
    let mut read: Option<(String, Document)> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, number, ids, ..] = fields.as_slice() else {
            continue;
        };
        if read.as_ref().is_none_or(|(name, _)| name != file) {
            let list = std::fs::read_to_string(folder.join(file)).expect("the list");
            read = Some(((*file).to_owned(), Document::read(&list)));
        }
        let items = read.iter().flat_map(|(_, document)| &document.items);
        let accepted: BTreeSet<&str> = ids.split(',').collect();
        for item in items.filter(|item| item.line.to_string() == *number) {
            if let Some(guess) = find(&item.text, &item.context()) {
                let mut readings = guess.readings.iter();
                let is_right = readings.any(|reading| accepted.contains(reading.id.as_str()));
                matches.push((guess.sure, is_right));
            }
        }
    }
    matches
}

#[test]
fn every_requirement_has_phrasings_and_every_phrasing_a_requirement() {
    let requirements = Requirements::builtin().expect("the data parses");
    let names: BTreeSet<&str> = INDEX.names.iter().map(String::as_str).collect();
    assert_eq!(names.len(), INDEX.names.len(), "each name stands once");
    for (id, _) in requirements.iter().filter(|(_, r)| !r.specific) {
        assert!(names.contains(id), "{id}: no phrasings");
    }
    for name in names {
        let requirement = requirements.get(name);
        assert!(
            name == NONE || requirement.is_some_and(|r| !r.specific),
            "{name}: no such requirement"
        );
    }
}

#[test]
fn every_item_of_a_list_names_requirements_that_have_phrasings() {
    let names: BTreeSet<&str> = INDEX.names.iter().map(String::as_str).collect();
    for item in listed() {
        assert!(!item.list.is_empty(), "{}: in no list", item.text);
        for answer in item.answers() {
            assert!(names.contains(answer), "{answer}: {}", item.text);
        }
    }
}

#[test]
fn what_is_called_sure_is_right() {
    let matches = matches();
    for least in [super::LEAST_SURE, 0.95] {
        let sure = matches.iter().filter(|(sure, _)| *sure >= least);
        let (right, wrong): (Vec<_>, Vec<_>) = sure.copied().partition(|(_, is_right)| *is_right);
        println!("{least}: {} right, {} wrong", right.len(), wrong.len());
        let share = right.len() as f64 / (right.len() + wrong.len()) as f64;
        assert!(
            share >= least,
            "{share:.3} of those called {least} sure are right"
        );
    }
}
