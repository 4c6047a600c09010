//! Checks that read files: a repository, a folder of manifests, and whether they fit the server.

use crate::check::{Check, ProbeFuture};
use crate::files::Problem;
use crate::files::manifests::Manifests;
use crate::files::repository::Repository;
use crate::outcome::{Probed, Stop, fail, not_applicable};
use crate::session::Session;

mod alerts;
mod cluster;
mod code;
mod dockerfile;
mod documents;
mod pipeline;
mod pods;
mod served;

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
    ]
    .into_iter()
    .flatten()
}

/// What reading files showed.
pub(super) enum Looked {
    /// The question was answered: what was looked at, and what is wrong with it.
    At(String, Vec<Problem>),
    /// There is nothing that the question is about.
    Nothing(&'static str),
}

/// Problems shown in a sentence and kept as evidence.
const SHOWN: usize = 5;

/// Turns what was seen into an outcome with evidence.
fn conclude(session: &Session<'_>, expected: &str, looked: Looked) -> Probed {
    let (examined, problems) = match looked {
        Looked::At(examined, problems) => (examined, problems),
        Looked::Nothing(why) => return not_applicable(why),
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
        .map(|p| format!("{}:{} {}", p.place.path, p.place.line, p.found))
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
