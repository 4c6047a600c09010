//! Checks as rows: they answer one requirement and take their words from it.

use std::sync::LazyLock;

use super::{
    Area, Check, Kind, Need, Probe, declared, drills, prometheus, promises, replay, series, tls,
};
use crate::requirement::{Requirements, builtin};

/// A check that answers the requirement with the same ID.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) kind: Kind,
    /// What exactly is looked at.
    pub(crate) how: &'static str,
    pub(crate) probe: Probe,
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [
        tls::ROWS,
        prometheus::ROWS,
        promises::ROWS,
        replay::ROWS,
        series::ROWS,
        drills::ROWS,
        declared::ROWS,
    ]
    .into_iter()
    .flatten()
    .chain(super::files::rows())
}

/// The IDs of all rows, which need no requirement to be known.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    rows().map(|row| row.id)
}

static CHECKS: LazyLock<Vec<Check>> = LazyLock::new(|| {
    let Some(requirements) = builtin() else {
        return Vec::new();
    };
    rows().filter_map(|row| check(row, requirements)).collect()
});

/// Every row as a check.
pub(super) fn checks() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter()
}

fn check(row: &'static Row, requirements: &'static Requirements) -> Option<Check> {
    let requirement = requirements.get(row.id)?;
    Some(Check {
        id: row.id,
        title: &requirement.title,
        why: &requirement.why,
        severity: requirement.severity,
        areas: alone(requirement.area),
        needs: row.needs,
        verified_by: row.how,
        remedy: &requirement.remedy,
        kind: row.kind,
        standard: row.needs.contains(&Need::Network),
        probe: row.probe,
    })
}

/// A list of one area that lives for ever.
fn alone(area: Area) -> &'static [Area] {
    static ALL: [Area; 9] = Area::ALL;
    let at = ALL.iter().position(|other| *other == area);
    at.and_then(|at| ALL.get(at..=at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{checks, rows};

    #[test]
    fn every_row_answers_a_requirement() {
        let made: Vec<_> = checks().map(|check| check.id).collect();
        let written: Vec<_> = rows().map(|row| row.id).collect();
        assert_eq!(made, written);
    }
}
