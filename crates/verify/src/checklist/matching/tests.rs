//! Whether sureness tells the truth, and the command that learns it:
//! `SEAWORTHY_BLESS=1 cargo test -p seaworthy-verify --lib matching`, on the lists of the project and
//! those of the folders `SEAWORTHY_LISTS` and `SEAWORTHY_CHECKLISTS`, when these name any.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::sureness::{SIGNS, Signs, sureness};
use super::{INDEX, NONE, best, features, tells_a_lack};
use crate::checklist::known::Known;
use crate::checklist::{Document, Item};
use crate::requirement::Requirements;

/// What an item's match looks like, how sure it is, and whether it is right.
struct Example {
    signs: Signs,
    is_right: bool,
}

fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn example(item: &Item, accepted: &BTreeSet<String>) -> Option<Example> {
    let context = item.context();
    if tells_a_lack(features::without_label(&item.text), &context) {
        return None;
    }
    let read = INDEX.read(&item.text, &context.join(" "));
    let best = best(&INDEX, &read)?;
    let name = &INDEX.names[best.class];
    (name != NONE).then(|| Example {
        signs: best.signs,
        is_right: accepted.contains(name),
    })
}

/// The items of a folder whose table says what they mean.
fn labelled(folder: &Path, table: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(folder.join(table)).expect("the table");
    let mut examples = Vec::new();
    let mut read: Option<(String, Document)> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, number, ids, ..] = fields.as_slice() else {
            continue;
        };
        if read.as_ref().is_none_or(|(name, _)| name != file) {
            let list = std::fs::read_to_string(folder.join(file)).expect("the list");
            read = Some(((*file).to_owned(), Document::read(&list)));
        }
        let items = read.iter().flat_map(|(_, document)| &document.items);
        let accepted = ids.split(',').map(str::to_owned).collect();
        let here = items.filter(|item| item.line.to_string() == *number);
        examples.extend(here.filter_map(|item| example(item, &accepted)));
    }
    examples
}

/// The items of well-known checklists, whose meaning is part of the program.
fn known(folder: &Path) -> Vec<Example> {
    let known = Known::new();
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("text");
        for item in Document::read(&text).items {
            if let Some(ids) = known.find(item.section(), &item.text) {
                examples.extend(example(&item, &ids.into_iter().collect()));
            }
        }
    }
    examples
}

fn all() -> Vec<Example> {
    let mut examples = labelled(&package("tests/fixtures/checklists"), "meaning.tsv");
    if let Some(folder) = std::env::var_os("SEAWORTHY_LISTS") {
        examples.extend(labelled(Path::new(&folder), "gold.tsv"));
    }
    if let Some(folder) = std::env::var_os("SEAWORTHY_CHECKLISTS") {
        examples.extend(known(Path::new(&folder)));
    }
    examples
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
fn what_is_called_sure_is_right() {
    if std::env::var_os("SEAWORTHY_BLESS").is_some() {
        std::fs::write(package("data/sureness.tsv"), fitted(&all())).expect("written");
        return;
    }
    let examples = labelled(&package("tests/fixtures/checklists"), "meaning.tsv");
    for least in [0.81, 0.95] {
        let sure = examples.iter().filter(|e| sureness(&e.signs) >= least);
        let (right, wrong): (Vec<_>, Vec<_>) = sure.partition(|e| e.is_right);
        println!("{least}: {} right, {} wrong", right.len(), wrong.len());
        let share = right.len() as f64 / (right.len() + wrong.len()) as f64;
        assert!(
            share >= least,
            "{share:.3} of those called {least} sure are right"
        );
    }
}

/// The weights of a logistic regression over signs in standard deviations, kept small.
fn fitted(examples: &[Example]) -> String {
    const ROUNDS: usize = 4000;
    const RATE: f64 = 0.5;
    const SHRINK: f64 = 0.01;
    let count = examples.len() as f64;
    let mean: Signs =
        std::array::from_fn(|s| examples.iter().map(|e| e.signs[s]).sum::<f64>() / count);
    let spread: Signs = std::array::from_fn(|s| {
        let square = |e: &Example| (e.signs[s] - mean[s]).powi(2);
        (examples.iter().map(square).sum::<f64>() / count)
            .sqrt()
            .max(1e-9)
    });
    let rows: Vec<(Signs, f64)> = examples
        .iter()
        .map(|e| {
            let row = std::array::from_fn(|s| (e.signs[s] - mean[s]) / spread[s]);
            (row, f64::from(u8::from(e.is_right)))
        })
        .collect();
    let (mut weights, mut base): (Signs, f64) = ([0.0; SIGNS.len()], 0.0);
    for _ in 0..ROUNDS {
        let (mut slope, mut base_slope): (Signs, f64) = ([0.0; SIGNS.len()], 0.0);
        for (row, right) in &rows {
            let sum: f64 = row.iter().zip(&weights).map(|(a, b)| a * b).sum();
            let error = 1.0 / (1.0 + (-sum - base).exp()) - right;
            base_slope += error / count;
            for (slope, sign) in slope.iter_mut().zip(row) {
                *slope += error * sign / count;
            }
        }
        base -= RATE * base_slope;
        for (weight, slope) in weights.iter_mut().zip(slope) {
            *weight -= RATE * (slope + SHRINK * *weight);
        }
    }
    let mut table = format!(
        "# How much each sign says that a match is right, learned from {} items: see matching/tests.rs.\n",
        examples.len()
    );
    for (s, name) in SIGNS.iter().enumerate() {
        base -= weights[s] * mean[s] / spread[s];
        let _ = writeln!(table, "{name}\t{:.4}", weights[s] / spread[s]);
    }
    let _ = writeln!(table, "base\t{base:.4}");
    table
}
