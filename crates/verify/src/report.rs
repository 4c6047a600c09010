//! The result of a run, and the rule by which it becomes a verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::check::{Check, Severity};
use crate::checklist::Judged;
use crate::decisions::Signature;
use crate::evidence::Evidence;
use crate::outcome::{Outcome, Status};
use crate::profile::Profile;
use crate::session::millis;

pub mod baseline;
pub mod catalogue;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod oscal;
pub mod pretty;
pub mod risks;
pub mod sarif;
pub mod seal;

/// Everything that a run found out.
#[derive(Debug)]
pub struct Report {
    /// What was judged.
    pub subject: Subject,
    /// When the run began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: f64,
    /// The verdict, by the rule of [`Verdict`].
    pub verdict: Verdict,
    /// Why it is not better, the gravest first.
    pub reasons: Vec<String>,
    /// One result a check, in the order of the catalogue.
    pub results: Vec<CheckResult>,
    /// The thresholds by which it was judged.
    pub profile: &'static str,
    /// Who signed for which role, for the table at the end.
    pub signatures: Vec<Signature>,
    /// Checks whose failure somebody accepts, and who, until when and why.
    pub waived: BTreeMap<String, String>,
    /// The checklists that were judged by these results.
    pub checklists: Vec<Judged>,
}

/// What was judged, as far as it introduced itself.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Its base URL, or the folders when only files were read.
    pub url: String,
    /// It is a Seaworthy server.
    pub seaworthy: bool,
    /// The version it states.
    pub version: Option<String>,
    /// The hash of its effective configuration, if it states one.
    pub config_hash: Option<String>,
}

/// One check's result.
#[derive(Debug)]
pub struct CheckResult {
    /// The check.
    pub check: &'static Check,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration_ms: f64,
    /// What was done and seen, in order.
    pub evidence: Vec<Evidence>,
}

/// The verdict on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every critical and high check passed or does not apply, and nothing else failed.
    Ready,
    /// A high check could not be verified, or a check below high failed.
    ReadyWithRisks,
    /// A critical check failed or could not be verified, or a high check failed.
    NotReady,
}

impl Verdict {
    /// Its words in reports.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ready => "Ready for production",
            Self::ReadyWithRisks => "Ready with risks",
            Self::NotReady => "Not ready",
        }
    }
}

/// What makes `check` exit with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailOn {
    /// A critical check failed or was not verified.
    Critical,
    /// Also a high check that failed: exactly [`Verdict::NotReady`].
    #[default]
    High,
    /// Any check that failed or was not verified.
    Any,
}

/// How many checks ended in each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seen to work.
    pub pass: usize,
    /// Seen not to work.
    pub fail: usize,
    /// The question does not arise.
    pub not_applicable: usize,
    /// Not known.
    pub not_verified: usize,
}

impl Report {
    pub(crate) fn new(
        subject: Subject,
        started_at: Timestamp,
        took: Duration,
        results: Vec<CheckResult>,
    ) -> Self {
        let endings: Vec<_> = results
            .iter()
            .map(|r| (r.check.severity, r.outcome.status()))
            .collect();
        let (verdict, reasons) = judge(&endings);
        Self {
            subject,
            started_at,
            duration_ms: millis(took),
            verdict,
            reasons,
            results,
            profile: Profile::default().name,
            signatures: Vec::new(),
            waived: BTreeMap::new(),
            checklists: Vec::new(),
        }
    }

    /// Counts over all checks.
    #[must_use]
    pub fn counts(&self) -> Counts {
        count(self.results.iter())
    }

    /// Counts over the checks of one severity.
    #[must_use]
    pub fn counts_of(&self, severity: Severity) -> Counts {
        count(self.results.iter().filter(|r| r.check.severity == severity))
    }

    /// Who accepts that a check does not hold, until when and why; none where it holds.
    pub(crate) fn waiver_for(&self, result: &CheckResult) -> Option<&str> {
        let holds = matches!(
            result.outcome.status(),
            Status::Pass | Status::NotApplicable
        );
        let waiver = self.waived.get(result.check.id).filter(|_| !holds);
        waiver.map(String::as_str)
    }

    /// Whether the gate holds, for every check that is not waived and for everything that the
    /// checklists ask.
    #[must_use]
    pub fn meets(&self, gate: FailOn) -> bool {
        let counting = |r: &&CheckResult| !self.waived.contains_key(r.check.id);
        let results = self.results.iter().filter(counting);
        let results = results.map(|r| (r.check.severity, r.outcome.status()));
        let answers = self
            .checklists
            .iter()
            .flat_map(Judged::answers)
            .map(|answer| (answer.severity, answer.status.as_outcome()));
        !results
            .chain(answers)
            .any(|(severity, status)| match (gate, status) {
                (_, Status::Pass | Status::NotApplicable) => false,
                (FailOn::Any, _) => true,
                (FailOn::High, Status::Fail) => severity <= Severity::High,
                (FailOn::High | FailOn::Critical, _) => severity == Severity::Critical,
            })
    }
}

fn count<'a>(results: impl Iterator<Item = &'a CheckResult>) -> Counts {
    results.fold(Counts::default(), |mut counts, result| {
        match result.outcome.status() {
            Status::Pass => counts.pass += 1,
            Status::Fail => counts.fail += 1,
            Status::NotApplicable => counts.not_applicable += 1,
            Status::NotVerified => counts.not_verified += 1,
        }
        counts
    })
}

/// The written rule: see [`Verdict`].
fn judge(endings: &[(Severity, Status)]) -> (Verdict, Vec<String>) {
    let mut verdict = Verdict::Ready;
    let mut reasons = Vec::new();
    for severity in Severity::ALL {
        for (status, what) in [
            (Status::Fail, "failed"),
            (Status::NotVerified, "not verified"),
        ] {
            let n = endings
                .iter()
                .filter(|ending| **ending == (severity, status))
                .count();
            let weight = match (severity, status) {
                (Severity::Critical, _) | (Severity::High, Status::Fail) => Verdict::NotReady,
                (Severity::High, _) | (_, Status::Fail) => Verdict::ReadyWithRisks,
                _ => Verdict::Ready,
            };
            if n == 0 || weight == Verdict::Ready {
                continue;
            }
            if verdict != Verdict::NotReady {
                verdict = weight;
            }
            let checks = if n == 1 { "check" } else { "checks" };
            reasons.push(format!("{n} {} {checks} {what}", severity.name()));
        }
    }
    (verdict, reasons)
}

#[cfg(test)]
mod tests {
    use super::{Severity, Status, Verdict, judge};

    #[test]
    fn is_ready_when_everything_passes_or_does_not_apply() {
        let endings = [
            (Severity::Critical, Status::Pass),
            (Severity::High, Status::NotApplicable),
        ];
        assert_eq!(judge(&endings), (Verdict::Ready, vec![]));
    }

    #[test]
    fn an_unverified_critical_check_is_never_ready() {
        let (verdict, reasons) = judge(&[(Severity::Critical, Status::NotVerified)]);
        assert_eq!(verdict, Verdict::NotReady);
        assert_eq!(reasons, ["1 critical check not verified"]);
    }

    #[test]
    fn a_failed_high_check_is_not_ready_and_an_unverified_one_a_risk() {
        assert_eq!(
            judge(&[(Severity::High, Status::Fail)]).0,
            Verdict::NotReady
        );
        assert_eq!(
            judge(&[(Severity::High, Status::NotVerified)]).0,
            Verdict::ReadyWithRisks
        );
    }

    #[test]
    fn a_lesser_failure_is_a_risk_and_does_not_soften_a_graver_one() {
        assert_eq!(
            judge(&[(Severity::Low, Status::Fail)]).0,
            Verdict::ReadyWithRisks
        );
        let both = [
            (Severity::Critical, Status::Fail),
            (Severity::Low, Status::Fail),
        ];
        assert_eq!(judge(&both).0, Verdict::NotReady);
    }
}
