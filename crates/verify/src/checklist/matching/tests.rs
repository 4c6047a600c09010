//! Whether sureness tells the truth, and that every requirement can be meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::lists::listed;
use super::sureness::MOST;
use super::vectors::Vectors;
use super::{Asked, BUILTIN, Guess, INDEX, NONE, find, look, settle};
use crate::checklist::Document;
use crate::requirement::Requirements;

mod learning;
mod training;

fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn asked(document: &Document) -> Vec<Asked<'_>> {
    let items = document.items.iter();
    let asked = items.map(|item| Asked {
        text: &item.text,
        context: item.context(),
    });
    asked.collect()
}

/// How sure each match in the project's own lists is, and whether it is right.
fn matches() -> Vec<(f64, bool)> {
    let folder = package("tests/fixtures/checklists");
    let table = std::fs::read_to_string(folder.join("meaning.tsv")).expect("the table");
    let mut matches = Vec::new();
    let mut read: Option<(String, Document, Vec<Option<Guess>>)> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, number, ids, ..] = fields.as_slice() else {
            continue;
        };
        if read.as_ref().is_none_or(|(name, ..)| name != file) {
            let list = std::fs::read_to_string(folder.join(file)).expect("the list");
            let document = Document::read(&list);
            let guesses = find(&asked(&document));
            read = Some(((*file).to_owned(), document, guesses));
        }
        let items = read
            .iter()
            .flat_map(|(_, document, guesses)| document.items.iter().zip(guesses));
        let accepted: BTreeSet<&str> = ids.split(',').collect();
        for (_, guess) in items.filter(|(item, _)| item.line.to_string() == *number) {
            if let Some(guess) = guess {
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
fn every_requirement_has_a_vector() {
    let vectors = Vectors::builtin();
    for name in &INDEX.names {
        assert!(
            vectors.classes.row(name).is_some(),
            "{name}: learn data/vectors.bin anew, as docs/TESTING.md says"
        );
    }
}

#[test]
fn what_stands_around_an_item_tells_which_of_several_it_means() {
    let among = |others: [&'static str; 4]| {
        let [a, b, c, d] = others;
        let list = [a, b, "Retention", c, d].map(|text| Asked {
            text,
            context: Vec::new(),
        });
        let index = &*INDEX;
        let items = list.iter().map(|asked| index.read(asked.text, ""));
        let mut looked: Vec<_> = items.map(|item| look(index, &item)).collect();
        settle(index, &mut looked, &BUILTIN);
        let first = looked[2].candidates.first().expect("candidates");
        index.name(first.class).to_owned()
    };
    let logs = among([
        "Logs are structured as JSON",
        "Log levels can be changed at run time",
        "Logs are shipped to one place",
        "No secrets in logs",
    ]);
    let people = among([
        "Users can have their personal data deleted",
        "Personal data can be exported on request",
        "Consent is asked for before data are processed",
        "The privacy notice is public",
    ]);
    assert_eq!(
        (logs.as_str(), people.as_str()),
        ("log.retention", "privacy.data-retention")
    );
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
    for least in [super::LEAST_SURE[MOST - 1], 0.95] {
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
