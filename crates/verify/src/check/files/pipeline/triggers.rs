//! When workflows run: on every change, by themselves, or when another one calls them.

use std::collections::BTreeMap;

use super::{starts_on, steps};
use crate::files::yaml::Node;

/// What starts a workflow, or an action that belongs to one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// Every change does.
    pub(super) on_change: bool,
    /// Something does that is not a person's wish.
    pub(super) by_itself: bool,
}

impl Start {
    fn or(self, other: Self) -> Self {
        Self {
            on_change: self.on_change || other.on_change,
            by_itself: self.by_itself || other.by_itself,
        }
    }
}

/// What starts each file: what others call starts with them, and never when nobody calls it.
pub(super) fn starts<'a>(all: &[(&'a str, Node)]) -> BTreeMap<&'a str, Start> {
    let mut out: BTreeMap<&str, Start> = BTreeMap::new();
    for (path, document) in all {
        out.insert(*path, own(document));
    }
    // Each round goes one call deeper.
    for _ in 0..all.len() {
        let before = out.clone();
        for (path, document) in all {
            let start = out.get(path).copied().unwrap_or_default();
            for called in calls(document) {
                for (other, known) in &mut out {
                    if is_called(other, &called) {
                        *known = known.or(start);
                    }
                }
            }
        }
        if out == before {
            break;
        }
    }
    out
}

fn own(document: &Node) -> Start {
    let on = |event: &str| starts_on(document, event);
    let events = document.get("on").or_else(|| document.get("true"));
    let push = events.and_then(|on| on.get("push"));
    // Tags alone are set when somebody releases something.
    let only_tags =
        push.is_some_and(|push| push.get("tags").is_some() && push.get("branches").is_none());
    let changes = ["pull_request", "pull_request_target", "merge_group"];
    let on_change = changes.iter().any(|event| on(event)) || on("push") && !only_tags;
    let others = [
        "push",
        "schedule",
        "release",
        "workflow_run",
        "create",
        "deployment",
    ];
    Start {
        on_change,
        by_itself: on_change || others.iter().any(|event| on(event)),
    }
}

/// Workflows and actions of the same repository that a file uses.
fn calls(document: &Node) -> Vec<String> {
    let jobs = document.get("jobs").map_or(&[][..], Node::entries);
    let jobs = jobs
        .iter()
        .map(|(_, job)| job)
        .filter(|job| !steps::is_off(job));
    let listed = jobs.flat_map(|job| job.items_at("steps").iter().chain(Some(job)));
    let all = listed.chain(document.items_at("runs.steps"));
    let used = all
        .filter(|step| !steps::is_off(step))
        .filter_map(|step| step.text_at("uses"));
    used.filter_map(|used| used.strip_prefix("./"))
        .map(str::to_owned)
        .collect()
}

fn is_called(path: &str, called: &str) -> bool {
    let called = called.trim_end_matches('/');
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    path == called || steps::is_action(path) && folder == called
}

#[cfg(test)]
mod tests {
    use super::{Start, starts};
    use crate::files::yaml::parse;

    #[test]
    fn what_is_called_starts_with_its_callers() {
        let file = |path, text: &str| (path, parse(text).expect("YAML").remove(0));
        let all = [
            file(
                ".github/workflows/ci.yml",
                "{on: [pull_request], jobs: {a: {uses: ./.github/workflows/checks.yml}, \
                 b: {if: false, uses: ./.github/workflows/off.yml}}}",
            ),
            file(
                ".github/workflows/checks.yml",
                "{on: workflow_call, jobs: {a: {steps: [{uses: ./.github/actions/setup}]}}}",
            ),
            file(
                ".github/actions/setup/action.yml",
                "{runs: {steps: [{run: a}]}}",
            ),
            file(".github/workflows/off.yml", "{on: workflow_call}"),
            file(
                ".github/workflows/release.yml",
                "{on: {push: {tags: [v1]}}}",
            ),
            file(".github/workflows/hand.yml", "{on: workflow_dispatch}"),
        ];
        let starts = starts(&all);
        let is = |path: &str| starts.get(path).copied().unwrap_or_default();
        let every = Start {
            on_change: true,
            by_itself: true,
        };
        assert_eq!(is(".github/workflows/checks.yml"), every);
        assert_eq!(is(".github/actions/setup/action.yml"), every);
        assert_eq!(is(".github/workflows/off.yml"), Start::default());
        assert_eq!(is(".github/workflows/hand.yml"), Start::default());
        let release = is(".github/workflows/release.yml");
        assert!(!release.on_change && release.by_itself);
    }
}
