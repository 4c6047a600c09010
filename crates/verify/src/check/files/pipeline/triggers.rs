//! When workflows run: on every change, by themselves, or when another one calls them.

use std::collections::BTreeMap;

use super::{starts_on, steps};
use crate::files::repository::{Repository, language};
use crate::files::yaml::Node;

/// Something that starts workflows without anybody who wishes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    pub(super) name: &'static str,
    /// The branches, or with `refs/tags/` the tags, that it is bound to; none for all branches.
    pub(super) branches: Vec<String>,
    /// Every change is one.
    pub(super) is_change: bool,
}

const TAGS: &str = "refs/tags/";

impl Event {
    /// Whether it happens at this place, where that can be told.
    pub(super) fn is_at(&self, place: &str) -> Option<bool> {
        match (self.name, place.strip_prefix("refs/heads/")) {
            ("pull_request", _) => Some(place.starts_with("refs/pull/")),
            ("push", Some(branch)) if self.branches.is_empty() => Some(is_main(branch)),
            ("push", Some(branch)) => Some(self.branches.iter().any(|b| fits(b, branch))),
            ("push", None) => Some(self.branches.iter().any(|b| fits(b, place))),
            _ => None,
        }
    }

    /// Whether the place where it happens begins so, where that can be told.
    pub(super) fn begins(&self, start: &str) -> Option<bool> {
        let tags = self.branches.iter().any(|b| b.starts_with(TAGS));
        match (self.name, start) {
            ("pull_request", _) => Some("refs/pull/".starts_with(start)),
            ("push", start) if start.starts_with(TAGS) => Some(tags),
            ("push", "refs/heads/") => Some(!tags),
            _ => None,
        }
    }
}

/// What starts each file: what others call starts with them, and never when nobody calls it.
pub(super) fn starts<'a>(all: &[(&'a str, Node)], r: &Repository) -> BTreeMap<&'a str, Vec<Event>> {
    let mut out: BTreeMap<&str, Vec<Event>> = BTreeMap::new();
    for (path, document) in all {
        out.insert(*path, own(document, r));
    }
    // Each round goes one call deeper.
    for _ in 0..all.len() {
        let before = out.clone();
        for (path, document) in all {
            let start = before.get(path).map_or(&[][..], Vec::as_slice);
            for event in start {
                for called in calls(document, event) {
                    for (other, known) in &mut out {
                        if is_called(other, &called) && !known.contains(event) {
                            known.push(event.clone());
                        }
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

fn own(document: &Node, r: &Repository) -> Vec<Event> {
    let events = document.get("on").or_else(|| document.get("true"));
    let of = |name: &str| events.and_then(|on| on.get(name));
    let event = |name, is_change| Event {
        name,
        branches: Vec::new(),
        is_change,
    };
    let mut out = Vec::new();
    for name in ["pull_request", "pull_request_target", "merge_group"] {
        if starts_on(document, name) && of(name).is_none_or(|on| lets_source_through(on, r)) {
            out.push(event(name, of(name).is_none_or(is_on_every_change)));
        }
    }
    if starts_on(document, "push") {
        let push = of("push");
        let listed = |key: &str| -> Vec<String> {
            let items = push.into_iter().flat_map(|on| on.items_at(key));
            items.filter_map(Node::text).map(str::to_owned).collect()
        };
        let tags = listed("tags").into_iter().map(|tag| format!("{TAGS}{tag}"));
        let (branches, tags) = (listed("branches"), tags.collect::<Vec<_>>());
        // Tags alone are set when somebody releases something.
        if branches.is_empty() && !tags.is_empty() {
            out.push(Event {
                branches: tags,
                ..event("push", false)
            });
        } else if push.is_none_or(|on| lets_source_through(on, r)) {
            out.push(Event {
                branches,
                ..event("push", true)
            });
        }
    }
    let others = [
        "schedule",
        "release",
        "workflow_run",
        "create",
        "deployment",
    ];
    let others = others.into_iter().filter(|name| starts_on(document, name));
    out.extend(others.map(|name| event(name, false)));
    out
}

/// Whether the filters of an event let changes of source code on the main branch through.
fn lets_source_through(on: &Node, r: &Repository) -> bool {
    let listed =
        |key: &str| -> Vec<&str> { on.items_at(key).iter().filter_map(Node::text).collect() };
    let (branches, paths) = (listed("branches"), listed("paths"));
    let on_branches = branches.is_empty() || branches.iter().any(|branch| is_main(branch));
    let left_out = listed("branches-ignore")
        .iter()
        .any(|b| fits(b, "main") && fits(b, "master"));
    let ignored = listed("paths-ignore");
    let mut source = r.paths.iter().filter(|path| is_code(path)).peekable();
    let reaches = |path: &String| {
        (paths.is_empty() || lets(&paths, path)) && (ignored.is_empty() || !lets(&ignored, path))
    };
    let is_bound = !paths.is_empty() || !ignored.is_empty();
    let on_paths = !is_bound || source.peek().is_none() || source.any(reaches);
    on_branches && !left_out && on_paths
}

/// Whether a pull request that gets another commit is one of the occasions.
fn is_on_every_change(on: &Node) -> bool {
    let types = on.items_at("types");
    let mut texts = types.iter().filter_map(Node::text);
    types.is_empty() || texts.any(|text| matches!(text, "synchronize" | "checks_requested"))
}

/// Whether a file is code, also in languages that nothing else here reads.
fn is_code(path: &str) -> bool {
    const MORE: [&str; 20] = [
        "c", "cc", "cpp", "h", "hpp", "php", "swift", "scala", "ex", "exs", "clj", "hs", "ml",
        "dart", "lua", "pl", "vue", "svelte", "jsx", "mjs",
    ];
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    language(path).is_some() || ending.is_some_and(|ending| MORE.contains(&ending))
}

/// Whether a branch, or a pattern of them, is one that changes come together on.
fn is_main(branch: &str) -> bool {
    const USUAL: [&str; 16] = [
        "main",
        "master",
        "trunk",
        "develop",
        "development",
        "dev",
        "devel",
        "default",
        "next",
        "staging",
        "production",
        "stable",
        "release",
        "integration",
        "mainline",
        "prod",
    ];
    let first = branch.split('/').next().unwrap_or(branch);
    let is_release = |c: char| c.is_ascii_digit() || c == 'v' || c == '$' || c == '*';
    branch.contains('*') || USUAL.contains(&first) || branch.starts_with(is_release)
}

/// Whether a list of patterns lets a path through; the last that fits decides.
fn lets(patterns: &[&str], path: &str) -> bool {
    let mut all = patterns.iter().rev();
    let last = all.find(|pattern| fits(pattern.trim_start_matches('!'), path));
    last.is_some_and(|pattern| !pattern.starts_with('!'))
}

/// Whether a pattern of GitHub stands for a path: `*` within a folder, `**` over all.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.as_bytes(), path.as_bytes());
    // Which beginnings of the pattern stand for the beginning of the path so far.
    let mut states = vec![false; pattern.len() + 1];
    let stars = |at: usize| match (pattern.get(at), pattern.get(at + 1)) {
        (Some(b'*'), Some(b'*')) => 2,
        (Some(b'*'), _) => 1,
        _ => 0,
    };
    let pass = |states: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if states.get(at) == Some(&true) && stars(at) > 0 {
                // `**/` is also nothing.
                let slash = stars(at) == 2 && pattern.get(at + 2) == Some(&b'/');
                for next in [at + stars(at), at + 3].iter().take(1 + usize::from(slash)) {
                    states.get_mut(*next).into_iter().for_each(|s| *s = true);
                }
            }
        }
    };
    states.first_mut().into_iter().for_each(|s| *s = true);
    pass(&mut states);
    for byte in path {
        let mut next = vec![false; states.len()];
        for at in (0..pattern.len()).filter(|at| states.get(*at) == Some(&true)) {
            let to = match stars(at) {
                2 => at,
                1 if *byte != b'/' => at,
                0 if pattern.get(at) == Some(byte) || pattern.get(at) == Some(&b'?') => at + 1,
                _ => continue,
            };
            next.get_mut(to).into_iter().for_each(|s| *s = true);
        }
        states = next;
        pass(&mut states);
    }
    states.last() == Some(&true)
}

/// Workflows and actions of the same repository that a file uses.
fn calls(document: &Node, event: &Event) -> Vec<String> {
    let jobs = document.get("jobs").map_or(&[][..], Node::entries);
    let running = jobs
        .iter()
        .filter(|(name, _)| steps::runs(jobs, name, Some(event)));
    let listed = running.flat_map(|(_, job)| job.items_at("steps").iter().chain(Some(job)));
    let all = listed.chain(document.items_at("runs.steps"));
    let used = all
        .filter(|step| steps::may_run(step, Some(event)))
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
    use super::{fits, lets, starts};
    use crate::files::repository::Repository;
    use crate::files::yaml::parse;

    /// Whether a workflow starts on every change, and whether it starts by itself.
    fn of(all: &[(&'static str, &str)], path: &str) -> (bool, bool) {
        let read =
            |(path, text): &(&'static str, &str)| (*path, parse(text).expect("YAML").remove(0));
        let all: Vec<_> = all.iter().map(read).collect();
        let paths = ["src/app.py", "docs/index.md"].map(str::to_owned);
        let mut repository = Repository::default();
        repository.paths = paths.into();
        let starts = starts(&all, &repository);
        let events = starts.get(path).expect("a workflow");
        (events.iter().any(|e| e.is_change), !events.is_empty())
    }

    #[test]
    fn what_is_called_starts_with_its_callers() {
        let all = [
            (
                ".github/workflows/ci.yml",
                "{on: [pull_request], jobs: {a: {uses: ./.github/workflows/checks.yml}, \
                 b: {if: false, uses: ./.github/workflows/off.yml}, \
                 c: {needs: b, uses: ./.github/workflows/off.yml}, \
                 d: {if: \"github.event_name == 'push'\", uses: ./.github/workflows/off.yml}, \
                 e: {steps: [{if: false, uses: ./.github/actions/off}]}}}",
            ),
            (
                ".github/workflows/checks.yml",
                "{on: workflow_call, jobs: {a: {steps: [{uses: ./.github/actions/setup}]}}}",
            ),
            (
                ".github/actions/setup/action.yml",
                "{runs: {steps: [{run: a}]}}",
            ),
            (
                ".github/actions/off/action.yml",
                "{runs: {steps: [{run: a}]}}",
            ),
            (".github/workflows/off.yml", "{on: workflow_call}"),
            (
                ".github/workflows/release.yml",
                "{on: {push: {tags: [v1]}}}",
            ),
            (".github/workflows/hand.yml", "{on: workflow_dispatch}"),
        ];
        for (path, expected) in [
            (".github/workflows/checks.yml", (true, true)),
            (".github/actions/setup/action.yml", (true, true)),
            (".github/actions/off/action.yml", (false, false)),
            (".github/workflows/off.yml", (false, false)),
            (".github/workflows/hand.yml", (false, false)),
            (".github/workflows/release.yml", (false, true)),
        ] {
            assert_eq!(of(&all, path), expected, "{path}");
        }
    }

    #[test]
    fn filters_that_no_change_of_the_source_passes_are_no_change() {
        for (on, expected) in [
            ("push", true),
            ("{push: {branches: [main]}}", true),
            ("{push: {branches: [\"release/**\"]}}", true),
            ("{push: {branches: [never-used]}}", false),
            ("{push: {branches-ignore: [\"**\"]}}", false),
            ("{push: {branches-ignore: [gh-pages]}}", true),
            ("{pull_request: {paths: [\"docs/**\"]}}", false),
            ("{pull_request: {paths: [\"src/**\"]}}", true),
            ("{pull_request: {paths: [\"**\", \"!src/**\"]}}", false),
            ("{pull_request: {paths-ignore: [\"**\"]}}", false),
            ("{pull_request: {paths-ignore: [\"**.md\"]}}", true),
            ("{pull_request: {types: [closed]}}", false),
            ("{pull_request: {types: [opened, synchronize]}}", true),
            ("{pull_request: {types: [closed]}, push: {}}", true),
        ] {
            let text = format!("{{on: {on}}}");
            assert_eq!(of(&[("a.yml", &text)], "a.yml").0, expected, "{on}");
        }
    }

    #[test]
    fn patterns_stand_for_paths() {
        for (pattern, path, expected) in [
            ("**", "a/b", true),
            ("*", "a/b", false),
            ("*", "a", true),
            ("docs/**", "docs/a/b.md", true),
            ("docs/**", "doc/a", false),
            ("**/*.py", "a.py", true),
            ("**/*.py", "a/b/c.py", true),
            ("*.py", "a/b.py", false),
            ("**.py", "a/b.py", true),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/d/c", false),
            ("v1", "v10", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
        assert!(lets(&["**", "!a", "a"], "a"));
        assert!(!fits(&"**a".repeat(200), &"a".repeat(100)));
    }
}
