//! Items of well-known checklists, by hash: what they mean is settled, and their words stay theirs.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{hash, hash_in};

const ITEMS: &str = include_str!("../../data/items.tsv");

/// One known item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownItem {
    /// The checklist it stands in.
    pub checklist: &'static str,
    /// Its line there.
    pub line: usize,
    /// What kind of line it is.
    pub form: Form,
    /// The hash of heading and words.
    pub context_hash: &'static str,
    /// The hash of the words.
    pub text_hash: &'static str,
    /// What it asks for.
    requirements: &'static str,
}

impl KnownItem {
    /// The requirements that together answer it.
    pub fn requirements(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.requirements.split(';')
    }
}

/// The kind of line that an item stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An item of a list with a box of its own.
    Box,
    /// A row of a table.
    Row,
    /// A line of a code block, a sign-off, a plain bullet.
    Line,
}

/// Every known item.
pub fn known_items() -> impl Iterator<Item = KnownItem> {
    ITEMS.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Some(KnownItem {
            checklist: next()?,
            line: next()?.parse().ok()?,
            form: match next()? {
                "box" => Form::Box,
                "row" => Form::Row,
                _ => Form::Line,
            },
            context_hash: next()?,
            text_hash: next()?,
            requirements: next()?,
        })
    })
}

/// Looks items up by what they say.
#[derive(Debug)]
pub(super) struct Known {
    /// Boxes and rows by heading and words, and by words alone where these have one meaning.
    items: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// Other lines by heading and words.
    lines: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Known {
    pub(super) fn new() -> Self {
        let (mut items, mut lines) = (BTreeMap::new(), BTreeMap::new());
        for item in known_items() {
            let table: &mut BTreeMap<_, BTreeSet<_>> = match item.form {
                Form::Box | Form::Row => &mut items,
                Form::Line => &mut lines,
            };
            for hash in [item.context_hash, item.text_hash] {
                table.entry(hash).or_default().insert(item.requirements);
            }
        }
        Self { items, lines }
    }

    /// What an item asks for.
    pub(super) fn find(&self, section: &str, text: &str) -> Option<Vec<String>> {
        let one_meaning = |hash: &str| {
            let meanings = self.items.get(hash)?;
            meanings.first().filter(|_| meanings.len() == 1).copied()
        };
        let found = one_meaning(&hash_in(section, text)).or_else(|| one_meaning(&hash(text)))?;
        Some(found.split(';').map(str::to_owned).collect())
    }

    /// What a line without a box asks for: everything that this line means under this heading.
    pub(super) fn find_line(&self, section: &str, text: &str) -> Option<Vec<String>> {
        let meanings = self.lines.get(hash_in(section, text).as_str())?;
        let ids: BTreeSet<&str> = meanings.iter().flat_map(|m| m.split(';')).collect();
        Some(ids.into_iter().map(str::to_owned).collect())
    }
}
