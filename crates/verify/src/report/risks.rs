//! The register of risks and the table of signatures, as checklists end with them.

use std::collections::BTreeMap;

use super::Report;
use crate::check::Severity;
use crate::checklist::{ItemStatus, Judged};
use crate::outcome::Status;

/// Something critical or high that is not shown to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// The check or requirement.
    pub id: String,
    /// What does not hold, or is not known to.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// Failed, not verified, or waived.
    pub status: &'static str,
    /// What to do.
    pub mitigation: String,
    /// Who answers for it; nobody, unless somebody waived it.
    pub owner: String,
}

/// One line of the table of signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOff {
    /// The role.
    pub role: String,
    /// Who signed, and until when it counts; nobody yet, if empty.
    pub signed: Option<(String, String)>,
}

/// The roles that sign, with their names.
const ROLES: [(&str, &str); 6] = [
    ("engineering-lead", "Engineering lead"),
    ("devops-lead", "DevOps lead"),
    ("security-lead", "Security lead"),
    ("product-manager", "Product manager"),
    ("area-reviewer", "Area reviewer"),
    ("final-approval", "Final approval"),
];

/// Every risk of a report, the gravest first, each once.
#[must_use]
pub fn risks(report: &Report) -> Vec<Risk> {
    let mut all: BTreeMap<String, Risk> = BTreeMap::new();
    for result in &report.results {
        let status = match result.outcome.status() {
            Status::Fail => "failed",
            Status::NotVerified => "not verified",
            Status::Pass | Status::NotApplicable => continue,
        };
        let check = result.check;
        let risk = Risk {
            id: check.id.to_owned(),
            title: check.title.to_owned(),
            severity: check.severity,
            status,
            mitigation: check.remedy.to_owned(),
            owner: String::new(),
        };
        all.insert(risk.id.clone(), risk);
    }
    for (item, answer) in report.checklists.iter().flat_map(asked) {
        let status = match answer.status {
            ItemStatus::Fail => "failed",
            ItemStatus::NotVerified => "not verified",
            ItemStatus::Waived => "waived",
            _ => continue,
        };
        let known = crate::requirement::builtin().and_then(|all| all.get(&answer.id));
        let owner = answer.words.strip_prefix("waived by ").unwrap_or_default();
        let owner = owner.split(" until ").next().unwrap_or_default();
        let risk = Risk {
            id: answer.id.clone(),
            title: known.map_or_else(|| item.to_owned(), |r| r.title.clone()),
            severity: answer.severity,
            status,
            mitigation: known
                .map_or_else(|| "a person must judge".to_owned(), |r| r.remedy.clone()),
            owner: owner.to_owned(),
        };
        let id = if risk.id.is_empty() {
            item.to_owned()
        } else {
            risk.id.clone()
        };
        all.insert(id, risk);
    }
    let mut risks: Vec<Risk> = all
        .into_values()
        .filter(|risk| risk.severity <= Severity::High)
        .collect();
    risks.sort_by(|a, b| (a.severity, a.status, &a.id).cmp(&(b.severity, b.status, &b.id)));
    risks
}

/// Every answer with the words of its item.
fn asked(judged: &Judged) -> impl Iterator<Item = (&str, crate::checklist::Answer)> {
    judged.items.iter().flat_map(|item| {
        item.counted()
            .map(move |answer| (item.text.as_str(), answer))
    })
}

/// The table of signatures: every role, signed or not.
#[must_use]
pub fn sign_offs(report: &Report) -> Vec<SignOff> {
    let sign_off = |(role, name): (&str, &str)| {
        let signed = report.signatures.iter().find(|s| s.role == role);
        SignOff {
            role: name.to_owned(),
            signed: signed.map(|s| (s.name.clone(), s.until.to_string())),
        }
    };
    ROLES.into_iter().map(sign_off).collect()
}
