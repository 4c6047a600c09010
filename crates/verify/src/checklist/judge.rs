//! From what an item means to whether it holds: results of checks first, people's words after.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::document::{Document, Item, Other};
use super::known::Known;
use super::matching::{self, Asked};
use super::text::{hash_in, normalise};
use super::{Answer, ItemStatus, Judged, JudgedItem, JudgedLine, Meaning};
use crate::check::{Need, Severity, catalogue};
use crate::decisions::Decisions;
use crate::outcome::Outcome;
use crate::report::{CheckResult, Report, Verdict};
use crate::requirement::{EvidenceKind, Requirement, Requirements};

mod derived;

/// Understands checklists and judges them by a run.
#[derive(Debug)]
pub struct Judge<'a> {
    requirements: &'a Requirements,
    known: Known,
}

/// What a checklist is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The run's results.
    pub report: &'a Report,
    /// What people decided.
    pub decisions: &'a Decisions,
    /// The day, in UTC.
    pub today: Date,
}

/// The run's results by the names of their checks.
type Results<'a> = BTreeMap<&'a str, &'a CheckResult>;

/// A checklist, and what its items mean. That takes longest, so it is found out once.
#[derive(Debug)]
pub struct Understood {
    /// The checklist.
    pub document: Document,
    /// What each of its items means, in their order.
    pub meanings: Vec<Meaning>,
}

impl<'a> Judge<'a> {
    /// Judges by these requirements.
    #[must_use]
    pub fn new(requirements: &'a Requirements) -> Self {
        Self {
            requirements,
            known: Known::new(),
        }
    }

    /// Finds out which requirements each item of a checklist means.
    #[must_use]
    pub fn understand(&self, document: Document) -> Understood {
        let meanings = self.meanings(&document);
        without_titles(Understood { document, meanings })
    }

    fn meanings(&self, document: &Document) -> Vec<Meaning> {
        let exact = |item: &Item| self.known.find(item.section(), &item.text);
        let exact: Vec<Option<Vec<String>>> = document.items.iter().map(exact).collect();
        if let Some(all) = exact.iter().cloned().collect::<Option<Vec<_>>>() {
            return all.into_iter().map(|ids| Meaning::Exact { ids }).collect();
        }
        let asked = document.items.iter().map(|item| Asked {
            text: &item.text,
            context: item.context(),
        });
        let guesses = matching::find(&asked.collect::<Vec<_>>());
        let both = exact.into_iter().zip(guesses);
        both.map(|both| match both {
            (Some(ids), _) => Meaning::Exact { ids },
            (None, Some(guess)) => Meaning::Similar {
                readings: guess.readings,
                score: guess.sure,
            },
            (None, None) => Meaning::Unknown,
        })
        .collect()
    }

    /// The checks that a checklist asks for.
    #[must_use]
    pub fn asks(&self, list: &Understood) -> BTreeSet<String> {
        let items = list.meanings.iter().map(Meaning::requirements);
        let lines = list.document.others.iter();
        let lines = lines.filter_map(|other| self.known.find_line(&other.section, &other.text));
        items
            .chain(lines)
            .flatten()
            .filter_map(|id| self.requirements.get(&id))
            .flat_map(|requirement| requirement.probes.iter().cloned())
            .collect()
    }

    /// Judges every item of a checklist.
    #[must_use]
    pub fn judge(&self, name: &str, list: Understood, basis: Basis<'_>) -> Judged {
        let Understood { document, meanings } = list;
        let results: &Results<'_> = &basis
            .report
            .results
            .iter()
            .map(|r| (r.check.id, r))
            .collect();
        let items = document.items.iter().zip(meanings);
        let mut items: Vec<JudgedItem> = items
            .map(|(item, meaning)| self.item(item, meaning, results, basis))
            .collect();
        let mut lines: Vec<JudgedLine> = document
            .others
            .iter()
            .filter_map(|other| {
                let ids = self.known.find_line(&other.section, &other.text)?;
                let answers = self.answers(&ids, results, basis);
                Some(JudgedLine {
                    line: other.line,
                    section: other.section.clone(),
                    status: combined(&answers),
                    answers,
                })
            })
            .collect();
        let verdict = derived::settle(&mut items, &mut lines);
        Judged {
            name: name.to_owned(),
            document,
            items,
            lines,
            verdict,
        }
    }

    fn item(
        &self,
        item: &Item,
        meaning: Meaning,
        results: &Results<'_>,
        basis: Basis<'_>,
    ) -> JudgedItem {
        let hash = hash_in(item.section(), &item.text);
        let mut answers = match &meaning {
            Meaning::Unknown => vec![needs_a_person(&hash)],
            known => self.answers(&known.requirements(), results, basis),
        };
        for answer in &mut answers {
            answer.decided_by(&hash, basis);
        }
        JudgedItem {
            line: item.line,
            section: item.section().to_owned(),
            sections: item.sections.clone(),
            text: item.text.clone(),
            hash,
            status: meaning.status(&answers),
            meaning,
            answers,
        }
    }

    fn answers(&self, ids: &[String], results: &Results<'_>, basis: Basis<'_>) -> Vec<Answer> {
        ids.iter()
            .filter_map(|id| Some((id, self.requirements.get(id)?)))
            .map(|(id, requirement)| {
                let mut answer = from_results(id, requirement, results);
                answer.decided_by(id, basis);
                answer
            })
            .collect()
    }
}

/// Takes out the items that are titles: without a box, meaning nothing known, and with several items
/// nested in them ("1. Before the launch").
fn without_titles(list: Understood) -> Understood {
    let Understood {
        mut document,
        meanings,
    } = list;
    let items = std::mem::take(&mut document.items);
    let after = |at| items.get(at + 1..).unwrap_or_default();
    let heads: Vec<bool> = items
        .iter()
        .enumerate()
        .map(|(at, item)| heads(item, after(at)))
        .collect();
    let mut kept = Vec::new();
    for ((item, meaning), heads) in items.into_iter().zip(meanings).zip(heads) {
        if heads && meaning == Meaning::Unknown {
            document.others.push(Other::from(item));
        } else {
            document.items.push(item);
            kept.push(meaning);
        }
    }
    document.others.sort_by_key(|other| other.line);
    Understood {
        document,
        meanings: kept,
    }
}

/// Whether several of the items that follow are nested in this one, which has no box.
fn heads(item: &Item, following: &[Item]) -> bool {
    let nested = following
        .iter()
        .take_while(|next| next.indent > item.indent);
    let children = nested.filter(|next| next.parent.as_ref() == Some(&item.text));
    item.mark.is_none() && !item.row && children.count() > 1
}

/// What the run's results say about a requirement.
fn from_results(id: &str, requirement: &Requirement, results: &Results<'_>) -> Answer {
    let (mut status, mut words, mut seen) = (ItemStatus::Pass, Vec::new(), Vec::new());
    let mut all_idle = !requirement.probes.is_empty();
    for probe in &requirement.probes {
        let Some(result) = results.get(probe.as_str()) else {
            (all_idle, status) = (false, status.max(ItemStatus::NotVerified));
            words.push(not_run(probe));
            continue;
        };
        let (each, text) = match &result.outcome {
            Outcome::Pass { found } => (ItemStatus::Pass, found.clone()),
            Outcome::Fail { expected, found } => (
                ItemStatus::Fail,
                format!("expected {expected}; found {found}"),
            ),
            Outcome::NotApplicable { why } => (ItemStatus::NotApplicable, why.clone()),
            Outcome::NotVerified { missing } => {
                (ItemStatus::NotVerified, format!("needs {missing}"))
            }
        };
        all_idle &= each == ItemStatus::NotApplicable;
        // A part that does not apply leaves the judgement to the other parts.
        if each != ItemStatus::NotApplicable {
            status = status.max(each);
        }
        words.push(text);
        seen.push(probe.clone());
    }
    if requirement.probes.is_empty() {
        status = ItemStatus::NotVerified;
        words.push(missing(id, requirement));
    } else if all_idle {
        status = ItemStatus::NotApplicable;
    }
    Answer {
        id: id.to_owned(),
        severity: requirement.severity,
        kind: requirement.kind,
        status,
        words: words.join("; "),
        checks: seen,
    }
}

/// What would have made the run include a check.
fn not_run(probe: &str) -> String {
    let needs = catalogue()
        .find(|check| check.id == probe)
        .map_or(&[][..], |check| check.needs);
    let given = [
        Need::Repository,
        Need::Cloud,
        Need::Prometheus,
        Need::Manifests,
        Need::Settings,
        Need::Network,
    ];
    let first = given.into_iter().find(|need| needs.contains(need));
    let what = first.map_or("a running server", Need::words);
    format!("needs {what} for {probe}")
}

/// What would have to exist for a verification.
fn missing(id: &str, requirement: &Requirement) -> String {
    let how = &requirement.verified_by;
    match requirement.kind {
        EvidenceKind::Person => {
            format!("needs a person's word: seaworthy attest {id} --by NAME --until DATE")
        }
        EvidenceKind::Cloud => {
            format!("needs an export of the cloud's settings and a check: {how}")
        }
        EvidenceKind::Drill => format!("needs a drill: {how}"),
        EvidenceKind::Derived => "needs the other results".to_owned(),
        EvidenceKind::Live | EvidenceKind::Configuration | EvidenceKind::Repository => {
            format!("needs a check that does not exist yet: {how}")
        }
    }
}

fn needs_a_person(hash: &str) -> Answer {
    Answer {
        id: String::new(),
        severity: Severity::Medium,
        kind: EvidenceKind::Person,
        status: ItemStatus::NotVerified,
        words: format!("needs a person: seaworthy attest {hash} --by NAME --until DATE"),
        checks: Vec::new(),
    }
}

impl Answer {
    /// Lets a person's decision count: a waiver for what does not hold, a word for what nothing
    /// verified. A word never outweighs a check that failed.
    fn decided_by(&mut self, item: &str, basis: Basis<'_>) {
        let undecided = matches!(self.status, ItemStatus::Fail | ItemStatus::NotVerified);
        if !undecided {
            return;
        }
        let found = self.status;
        if let Some(waiver) = basis.decisions.waiver_of(item, self.severity, basis.today) {
            self.status = ItemStatus::Waived;
            self.words = format!(
                "waived by {} until {} because {} ({}: {})",
                waiver.by,
                waiver.until,
                waiver.reason,
                found.name(),
                self.words
            );
        } else if let Some((by, until, evidence)) = basis.decisions.word_for(item, basis.today) {
            let evidence = evidence.map(|e| format!(" ({e})")).unwrap_or_default();
            if found == ItemStatus::Fail {
                self.words = format!(
                    "{}; {by} says otherwise, but a check outweighs a word",
                    self.words
                );
            } else {
                self.status = ItemStatus::Attested;
                self.words = format!("attested by {by} until {until}{evidence}");
            }
        }
    }
}

/// An item holds when everything it asks for holds; otherwise the worst part speaks for it.
pub(super) fn combined(answers: &[Answer]) -> ItemStatus {
    let judged = answers.iter().map(|answer| answer.status);
    // What does not apply says nothing beside what does.
    let applicable = judged
        .clone()
        .filter(|s| *s != ItemStatus::NotApplicable)
        .max();
    applicable
        .or_else(|| judged.max())
        .unwrap_or(ItemStatus::NotVerified)
}

impl Meaning {
    /// The requirements that an item asks for, or one of which it asks for.
    fn requirements(&self) -> Vec<String> {
        match self {
            Self::Exact { ids } => ids.clone(),
            Self::Similar { readings, .. } => readings.iter().map(|r| r.id.clone()).collect(),
            Self::Unknown => Vec::new(),
        }
    }

    /// Whether the item holds. Where it is not clear which of several requirements is meant, none of
    /// them decides alone, to the good or to the bad: one that fails, or does not apply, beside one
    /// that holds may not be the one.
    pub(super) fn status(&self, answers: &[Answer]) -> ItemStatus {
        if !self.is_one_of_several() {
            return combined(answers);
        }
        let all = || answers.iter().map(|answer| answer.status);
        let differs = |from| all().any(|s| s == from) && all().any(|s| s != from);
        if differs(ItemStatus::Fail) || differs(ItemStatus::NotApplicable) {
            return ItemStatus::NotVerified;
        }
        all().max().unwrap_or(ItemStatus::NotVerified)
    }

    /// Whether one of several requirements is meant, and it is not clear which.
    fn is_one_of_several(&self) -> bool {
        matches!(self, Self::Similar { readings, .. } if readings.len() > 1)
    }
}

impl JudgedItem {
    /// Whether it is not clear which of several requirements is meant, and they disagree.
    pub(crate) fn is_undecided(&self) -> bool {
        let first = self.answers.first().map(|answer| answer.status);
        let differ = self.answers.iter().any(|a| Some(a.status) != first);
        self.meaning.is_one_of_several() && self.status == ItemStatus::NotVerified && differ
    }

    /// Its answers as they count: the failure of what may not have been meant is not known to be one.
    pub(crate) fn counted(&self) -> impl Iterator<Item = Answer> + '_ {
        let undecided = self.is_undecided();
        self.answers.iter().cloned().map(move |mut answer| {
            if undecided && answer.status == ItemStatus::Fail {
                answer.status = ItemStatus::NotVerified;
            }
            answer
        })
    }
}

/// The rule of [`Verdict`] over the items of a checklist.
pub(super) fn verdict<'a>(answers: impl Iterator<Item = &'a Answer>) -> Verdict {
    let weight = |answer: &Answer| match (answer.severity, answer.status) {
        (_, ItemStatus::Pass | ItemStatus::NotApplicable) => Verdict::Ready,
        (Severity::Critical, ItemStatus::Fail | ItemStatus::NotVerified)
        | (Severity::High, ItemStatus::Fail) => Verdict::NotReady,
        (Severity::Critical | Severity::High, ItemStatus::Attested) => {
            // A person's word is all there is for some requirements, and a risk for the others.
            if answer.kind == EvidenceKind::Person {
                Verdict::Ready
            } else {
                Verdict::ReadyWithRisks
            }
        }
        (Severity::Critical | Severity::High, _) | (_, ItemStatus::Fail) => Verdict::ReadyWithRisks,
        _ => Verdict::Ready,
    };
    answers.map(weight).max().unwrap_or(Verdict::NotReady)
}

/// Whether a heading names the same part as a row of an overview does.
pub(super) fn same_part(heading: &str, row: &str) -> bool {
    normalise(heading) == normalise(row)
}
