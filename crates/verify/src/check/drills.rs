//! Requirements that only a rehearsal shows: what reports of drills say, while they are recent.

use jiff::Timestamp;

use super::rows::Row;
use super::{Kind, Need};
use crate::drill::DRILLS;
use crate::drill::evidence::Record;
use crate::options::Scope;
use crate::outcome::{Probed, Status, fail, not_verified};
use crate::session::Session;

/// A row on the reports of drills that answer its requirement.
macro_rules! rehearsed {
    ($id:literal) => {
        Row {
            id: $id,
            needs: &[Need::Drills],
            kind: Kind::Files,
            how: "The newest report of a drill that answers it, on this deployment or with this \
                  version of the program, not older than --drill-days.",
            probe: |s| Box::pin(async move { newest(s, $id) }),
        }
    };
}

pub(super) static ROWS: &[Row] = &[
    rehearsed!("dr.failover-tested"),
    rehearsed!("chaos.provider-rate-limited"),
    rehearsed!("chaos.network-partition"),
    rehearsed!("chaos.redis-failure"),
    Row {
        id: "chaos.recovery-validated",
        needs: &[Need::Drills],
        kind: Kind::Files,
        how: "The newest reports of all drills with faults: at least three, each with its recovery in time.",
        probe: |s| Box::pin(async move { recovered(s) }),
    },
    rehearsed!("chaos.pod-eviction"),
    rehearsed!("deploy.zero-downtime"),
    rehearsed!("rollback.tested"),
    rehearsed!("backup.restore-tested"),
    rehearsed!("secrets.zero-downtime-rotation"),
    rehearsed!("tls.certificate-reload"),
    rehearsed!("alert.tested"),
    rehearsed!("budget.enforcement-tested"),
    rehearsed!("load.test-performed"),
    rehearsed!("perf.throughput-measured"),
    rehearsed!("limits.validated-under-load"),
];

/// Faults that must have been rehearsed for recovery to count as shown.
const LEAST_FAULTS: usize = 3;

/// Whether a report speaks of what this run looks at: the deployment itself, or, for one of ours, the
/// same version of the program. A run that looks at files alone has nothing else to go by.
fn is_about(record: &Record, s: &Session<'_>) -> bool {
    let (options, facts) = (s.options(), s.facts());
    if options.scope == Scope::Files {
        return true;
    }
    if record.scratch {
        return facts.seaworthy && record.version.is_some() && record.version == facts.version;
    }
    record.subject.trim_end_matches('/') == s.base().url()
}

fn age_in_days(record: &Record) -> i64 {
    let seconds = Timestamp::now().as_second() - record.started_at.as_second();
    seconds.div_euclid(24 * 60 * 60)
}

/// The newest report of each drill that answers a requirement.
fn reports<'a>(s: &Session<'a>, id: &str) -> Vec<&'a Record> {
    let records = &s.context.files.drills.good;
    let mut all: Vec<&Record> = records
        .iter()
        .filter(|record| record.answers.iter().any(|answer| answer == id) && is_about(record, s))
        .collect();
    all.sort_by_key(|record| std::cmp::Reverse(record.started_at));
    let mut seen = Vec::new();
    all.retain(|record| {
        let is_first = !seen.contains(&record.drill);
        seen.push(record.drill.clone());
        is_first
    });
    all
}

/// What a report shows, if it is recent.
fn shown(s: &Session<'_>, record: &Record) -> Probed {
    let days = age_in_days(record);
    s.found_at(&record.path, 1, &record.words);
    if days < 0 {
        return not_verified(format!(
            "{} with a time that is not in the future",
            record.path
        ));
    }
    let limit = s.options().drill_days;
    if days > i64::from(limit) {
        return not_verified(format!(
            "a drill of the last {limit} days: {} is {days} days old; run `seaworthy drill {}`",
            record.path, record.drill
        ));
    }
    let words = format!(
        "drill {} of {}: {}",
        record.drill, record.started_at, record.words
    );
    match record.status {
        Status::Pass => Ok(words),
        Status::Fail => fail("a drill that passes", words),
        Status::NotApplicable | Status::NotVerified => not_verified(format!(
            "a drill that could be carried out: {} needed {}",
            record.path, record.words
        )),
    }
}

fn newest(s: &Session<'_>, id: &str) -> Probed {
    match reports(s, id).first() {
        Some(record) => shown(s, record),
        None => not_verified(absent(s, id)),
    }
}

/// What to do for a report.
fn absent(s: &Session<'_>, id: &str) -> String {
    let names: Vec<String> = DRILLS
        .iter()
        .filter(|drill| drill.can_answer(id))
        .map(|drill| format!("`seaworthy drill {}`", drill.name))
        .collect();
    let mut words = format!("a drill: run {}", names.join(" or "));
    for (path, why) in &s.context.files.drills.bad {
        words = format!("{words}; {path} does not count, because {why}");
    }
    words
}

fn recovered(s: &Session<'_>) -> Probed {
    const ID: &str = "chaos.recovery-validated";
    let all = reports(s, ID);
    let mut words = Vec::new();
    for record in &all {
        words.push(shown(s, record)?);
    }
    if words.len() < LEAST_FAULTS {
        return not_verified(format!(
            "drills of at least {LEAST_FAULTS} faults, and there are {}: {}",
            words.len(),
            absent(s, ID)
        ));
    }
    Ok(format!(
        "after each of {} faults the service was back in time",
        words.len()
    ))
}
