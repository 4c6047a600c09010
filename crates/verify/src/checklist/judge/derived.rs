//! Items that ask about the other items: "all critical ones done", the state of an area, the verdict.

use super::super::{Answer, ItemStatus, JudgedItem, JudgedLine};
use super::{combined, same_part, verdict};
use crate::check::Severity;
use crate::report::Verdict;
use crate::requirement::EvidenceKind;

/// Answers the derived items from all others and returns the verdict over the checklist.
pub(super) fn settle(items: &mut [JudgedItem], lines: &mut [JudgedLine]) -> Verdict {
    let others: Vec<Answer> = items
        .iter()
        .flat_map(JudgedItem::counted)
        .chain(lines.iter().flat_map(|line| line.answers.iter().cloned()))
        .filter(|answer| answer.kind != EvidenceKind::Derived)
        .collect();
    let verdict = verdict(others.iter());
    // Each looks at all others, so that only those are asked which need it.
    let needs = |item: &JudgedItem| item.answers.iter().any(|a| a.id == "gate.area-status");
    let areas: Vec<Option<Outlook>> = items
        .iter()
        .map(|item| needs(item).then(|| area_outlook(items, item)).flatten())
        .collect();
    for (item, area) in items.iter_mut().zip(areas) {
        for answer in &mut item.answers {
            settle_one(answer, &others, verdict, area.as_ref());
        }
        item.status = item.meaning.status(&item.answers);
    }
    for line in lines {
        for answer in &mut line.answers {
            settle_one(answer, &others, verdict, None);
        }
        line.status = combined(&line.answers);
    }
    verdict
}

/// A status and the reason for it.
type Outlook = (ItemStatus, String);

fn settle_one(answer: &mut Answer, others: &[Answer], verdict: Verdict, area: Option<&Outlook>) {
    let decided = matches!(answer.status, ItemStatus::Waived | ItemStatus::Attested);
    if answer.kind != EvidenceKind::Derived || decided {
        return;
    }
    let of = |severity| others.iter().filter(move |a| a.severity == severity);
    let outlook = match answer.id.as_str() {
        "gate.critical-complete" => Some(outlook(of(Severity::Critical), "critical requirements")),
        "gate.high-complete" => Some(outlook(of(Severity::High), "high requirements")),
        "gate.validation-levels-pass" => {
            let validates = |a: &&Answer| {
                ["code.", "test.", "deps."]
                    .iter()
                    .any(|p| a.id.starts_with(p))
            };
            Some(outlook(
                others.iter().filter(validates),
                "requirements on code and tests",
            ))
        }
        "gate.status" => Some((
            ItemStatus::Pass,
            format!("the verdict is: {}", verdict.words()),
        )),
        "gate.area-status" => area.cloned(),
        _ => None,
    };
    if let Some((status, words)) = outlook {
        (answer.status, answer.words) = (status, words);
    }
}

/// What the items under the heading that this row names add up to.
fn area_outlook(items: &[JudgedItem], row: &JudgedItem) -> Option<Outlook> {
    let inside = |item: &&JudgedItem| {
        item.sections
            .iter()
            .any(|heading| same_part(heading, &row.text))
    };
    let answers: Vec<Answer> = items
        .iter()
        .filter(inside)
        .flat_map(JudgedItem::counted)
        .collect();
    (!answers.is_empty()).then(|| outlook(answers.iter(), "requirements of the area"))
}

fn outlook<'a>(answers: impl Iterator<Item = &'a Answer>, what: &str) -> Outlook {
    let (mut total, mut failed, mut unknown) = (0, 0, 0);
    for answer in answers {
        total += 1;
        failed += usize::from(answer.status == ItemStatus::Fail);
        unknown += usize::from(answer.status == ItemStatus::NotVerified);
    }
    let words = format!("of {total} {what}, {failed} failed and {unknown} are not verified");
    let status = match (total, failed, unknown) {
        (0, ..) => ItemStatus::NotVerified,
        (_, 0, 0) => ItemStatus::Pass,
        (_, 0, _) => ItemStatus::NotVerified,
        _ => ItemStatus::Fail,
    };
    (status, words)
}
