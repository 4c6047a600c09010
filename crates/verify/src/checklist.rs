//! Anybody's checklist, judged item by item with the evidence of a run and people's signed words.
//!
//! [`Document::read`] finds the items, [`Judge`] says what each means and whether it holds, and
//! [`write_back`] returns the same document with boxes ticked and the evidence beneath.

use serde::Serialize;

use crate::check::Severity;
use crate::outcome::Status;
use crate::report::Verdict;
use crate::requirement::EvidenceKind;

pub mod document;
mod encoding;
mod judge;
pub mod known;
mod matching;
pub mod text;
mod words;
mod write;

pub use document::{Document, Item};
pub use judge::{Basis, Judge, Understood};
pub use known::{KnownItem, known_items};
pub(crate) use write::{confidence, reads_like};
pub use write::{write_back, write_back_bytes};

/// A checklist with its judgement.
#[derive(Debug)]
pub struct Judged {
    /// Its file name.
    pub name: String,
    /// What it says.
    pub document: Document,
    /// Its items, in order.
    pub items: Vec<JudgedItem>,
    /// Lines without a box that state a requirement, where the checklist is a known one.
    pub lines: Vec<JudgedLine>,
    /// The verdict over all of it.
    pub verdict: Verdict,
}

/// One item with its judgement.
#[derive(Debug, Serialize)]
pub struct JudgedItem {
    /// Its line, from 1.
    pub line: usize,
    /// The nearest heading.
    #[serde(skip)]
    pub section: String,
    /// Every heading above it.
    #[serde(skip)]
    pub sections: Vec<String>,
    /// Its words.
    pub text: String,
    /// Its hash: the name by which it can be attested or waived.
    pub hash: String,
    /// What it means.
    pub meaning: Meaning,
    /// Whether it holds.
    pub status: ItemStatus,
    /// The answer to each thing that it asks for.
    pub answers: Vec<Answer>,
}

/// A requirement that an item reads like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Likeness {
    /// The requirement.
    pub id: String,
    /// The phrasing of it that the item is most like.
    pub like: &'static str,
}

/// A line that states a requirement, with its judgement.
#[derive(Debug, Serialize)]
pub struct JudgedLine {
    /// Its number, from 1.
    pub line: usize,
    /// The nearest heading.
    #[serde(skip)]
    pub section: String,
    /// Whether it holds.
    pub status: ItemStatus,
    /// The answer to each thing that it asks for.
    pub answers: Vec<Answer>,
}

/// What an item means, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Meaning {
    /// It is known word for word.
    Exact {
        /// The requirements that together answer it.
        ids: Vec<String>,
    },
    /// It reads like the phrasings of a requirement, or of two or three that are much alike: it
    /// holds when each of them holds.
    Similar {
        /// The requirements, the likeliest first.
        readings: Vec<Likeness>,
        /// How sure it is that one of them is meant, from 0 to 1; what is less sure than
        /// `LEAST_SURE` in `matching.rs` is not matched.
        score: f64,
    },
    /// Nothing is clearly like it: a person must judge.
    Unknown,
}

/// Whether one requirement of an item holds.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The requirement; empty when the item is not understood.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// What kind of evidence shows it.
    pub kind: EvidenceKind,
    /// Whether it holds.
    pub status: ItemStatus,
    /// What was seen, who said so, or what is missing.
    pub words: String,
    /// The checks whose results these are.
    pub checks: Vec<String>,
}

/// Whether an item holds, from the best to the worst; never merged into one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Checks saw it hold.
    Pass,
    /// The question does not arise.
    NotApplicable,
    /// A person says that it holds.
    Attested,
    /// A person accepts that it may not hold.
    Waived,
    /// Nobody knows.
    NotVerified,
    /// A check saw that it does not hold.
    Fail,
}

impl ItemStatus {
    /// Every status, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Pass,
        Self::Fail,
        Self::Attested,
        Self::Waived,
        Self::NotApplicable,
        Self::NotVerified,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotApplicable => "not applicable",
            Self::Attested => "attested",
            Self::Waived => "waived",
            Self::NotVerified => "not verified",
            Self::Fail => "fail",
        }
    }

    /// The same for a gate: what a person answers for does not stop a release.
    pub(crate) fn as_outcome(self) -> Status {
        match self {
            Self::Pass | Self::Attested | Self::Waived => Status::Pass,
            Self::NotApplicable => Status::NotApplicable,
            Self::NotVerified => Status::NotVerified,
            Self::Fail => Status::Fail,
        }
    }

    /// Whether its box is ticked: somebody or something vouches for it.
    #[must_use]
    pub fn is_satisfied(self) -> bool {
        matches!(self, Self::Pass | Self::Attested)
    }
}

impl Judged {
    /// How many items have each status, in the order of [`ItemStatus::ALL`].
    #[must_use]
    pub fn counts(&self) -> [(ItemStatus, usize); 6] {
        ItemStatus::ALL.map(|status| {
            let n = self
                .items
                .iter()
                .filter(|item| item.status == status)
                .count();
            (status, n)
        })
    }

    /// Every answer in it, as it counts.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        let items = self.items.iter().flat_map(JudgedItem::counted);
        items.chain(
            self.lines
                .iter()
                .flat_map(|line| line.answers.iter().cloned()),
        )
    }

    /// How many items are understood.
    #[must_use]
    pub fn matched(&self) -> usize {
        let known = |item: &&JudgedItem| item.meaning != Meaning::Unknown;
        self.items.iter().filter(known).count()
    }
}
