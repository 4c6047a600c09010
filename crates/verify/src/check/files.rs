//! Checks that read files: a repository, a folder of manifests, and whether they fit the server.

use crate::check::rows::Row;
use crate::check::{Check, ProbeFuture};
use crate::files::Problem;
use crate::files::cloud::Cloud;
use crate::files::manifests::Manifests;
use crate::files::repository::Repository;
use crate::files::settings::Settings;
use crate::outcome::{Probed, Stop, fail, not_applicable, not_verified};
use crate::profile::Profile;
use crate::session::Session;

mod alerts;
mod clouds;
mod cluster;
mod code;
mod command;
mod compose;
mod configured;
mod delivered;
mod dockerfile;
mod documents;
mod endpoints;
mod firing;
mod idle;
mod images;
mod locked;
mod pipeline;
mod pods;
mod policies;
mod results;
mod rules;
mod served;
mod shapes;
mod thresholds;
mod unread;
mod written;

use idle::is_idle;
pub(in crate::check) use served::plain_query;

pub(super) fn checks() -> impl Iterator<Item = &'static Check> {
    [
        pods::CHECKS,
        cluster::CHECKS,
        alerts::CHECKS,
        served::CHECKS,
        code::CHECKS,
        dockerfile::CHECKS,
        pipeline::CHECKS,
        documents::CHECKS,
        firing::CHECKS,
        endpoints::CHECKS,
        unread::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// A row that reads files: its ID, needs, reader, what is expected, how, and the question.
macro_rules! row {
    ($id:literal, $needs:expr, $reader:ident, $expected:literal, $how:literal, $look:expr) => {
        $crate::check::rows::Row {
            id: $id,
            needs: $needs,
            kind: $crate::check::Kind::Files,
            how: $how,
            probe: |s| $crate::check::files::$reader(s, $expected, $look),
        }
    };
}
use row;

/// Rows that read files.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        rules::ROWS,
        shapes::ROWS,
        configured::ROWS,
        delivered::ROWS,
        clouds::ROWS,
        results::ROWS,
        written::ROWS,
        compose::ROWS,
        locked::ROWS,
        pipeline::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// What reading files showed.
pub(in crate::check) enum Looked {
    /// The question was answered: what was looked at, and what is wrong with it.
    At(String, Vec<Problem>),
    /// There is nothing that the question is about.
    Nothing(&'static str),
    /// What was read does not say; this is missing.
    Unknown(String),
}

/// Problems shown in a sentence and kept as evidence.
const SHOWN: usize = 5;

/// Turns what was seen into an outcome with evidence.
pub(in crate::check) fn conclude(session: &Session<'_>, expected: &str, looked: Looked) -> Probed {
    let (examined, problems) = match looked {
        Looked::At(examined, problems) => (examined, problems),
        Looked::Nothing(why) => return not_applicable(why),
        Looked::Unknown(missing) => return not_verified(missing),
    };
    if problems.is_empty() {
        return Ok(examined);
    }
    for problem in problems.iter().take(SHOWN) {
        session.found_at(&problem.place.path, problem.place.line, &problem.found);
    }
    let mut words: Vec<String> = problems
        .iter()
        .take(SHOWN)
        .map(|p| format!("{} {}", p.place, p.found))
        .collect();
    if problems.len() > SHOWN {
        words.push(format!("and {} more", problems.len() - SHOWN));
    }
    fail(expected, words.join("; "))
}

fn missing<T>(what: &str) -> Result<T, Stop> {
    Err(Stop::NotVerified {
        missing: what.to_owned(),
    })
}

/// Runs a check that reads the manifests.
pub(super) fn in_manifests<'a>(
    session: &'a Session<'a>,
    expected: &'static str,
    look: fn(&Manifests) -> Looked,
) -> ProbeFuture<'a> {
    Box::pin(async move {
        match session.manifests() {
            Some(manifests) => conclude(session, expected, look(manifests)),
            None => missing("a folder of manifests"),
        }
    })
}

/// Runs a check that reads the repository.
pub(super) fn in_repository<'a>(
    session: &'a Session<'a>,
    expected: &'static str,
    look: fn(&Repository) -> Looked,
) -> ProbeFuture<'a> {
    Box::pin(async move {
        match session.repository() {
            Some(repository) => conclude(session, expected, look(repository)),
            None => missing("a repository"),
        }
    })
}

/// Runs a check that reads the manifests and judges by the profile.
pub(super) fn by_profile<'a>(
    session: &'a Session<'a>,
    expected: &'static str,
    look: fn(&Manifests, &Profile) -> Looked,
) -> ProbeFuture<'a> {
    Box::pin(async move {
        match session.manifests() {
            Some(manifests) => {
                let looked = look(manifests, &session.options().profile);
                conclude(session, expected, looked)
            }
            None => missing("a folder of manifests"),
        }
    })
}

/// Runs a check that reads settings.
pub(super) fn in_settings<'a>(
    session: &'a Session<'a>,
    expected: &'static str,
    look: fn(&Settings) -> Looked,
) -> ProbeFuture<'a> {
    Box::pin(async move { conclude(session, expected, look(session.settings())) })
}

/// Runs a check that reads exports of a cloud.
pub(super) fn in_cloud<'a>(
    session: &'a Session<'a>,
    expected: &'static str,
    look: fn(&Cloud) -> Looked,
) -> ProbeFuture<'a> {
    Box::pin(async move {
        match session.cloud() {
            Some(cloud) => {
                let looked = look(cloud);
                // What cannot be read may hold what is looked for.
                let looked = match (looked, cloud.broken.first()) {
                    (Looked::At(_, problems), Some(broken)) if problems.is_empty() => {
                        Looked::Unknown(format!(
                            "an export that can be read: {} {}",
                            broken.place, broken.found
                        ))
                    }
                    (looked, _) => looked,
                };
                conclude(session, expected, looked)
            }
            None => missing("exports of a cloud (--cloud FILE)"),
        }
    })
}
