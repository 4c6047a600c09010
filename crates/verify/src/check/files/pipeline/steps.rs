//! The steps of GitHub workflows: what they do, without what only looks like it.

use super::triggers::{self, Start};
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};

/// A step of a workflow, or a job that is a workflow of its own.
pub(in crate::check::files) struct Step {
    pub(in crate::check::files) path: String,
    pub(in crate::check::files) line: usize,
    /// Everything that is said around it: its name, its job and where that deploys; in lower case.
    pub(in crate::check::files) words: String,
    /// What it runs and uses, in lower case.
    pub(in crate::check::files) deeds: String,
    pub(in crate::check::files) action: Option<String>,
    /// The job ends when this fails.
    pub(in crate::check::files) stops: bool,
    /// It runs on every change.
    pub(in crate::check::files) on_change: bool,
    /// It runs without anybody who starts it, or what it belongs to does.
    pub(in crate::check::files) by_itself: bool,
    /// Its job, and the jobs that have ended before.
    pub(in crate::check::files) job: String,
    pub(in crate::check::files) after: Vec<String>,
}

impl Step {
    /// Whether it runs or uses this, as words of their own.
    pub(in crate::check::files) fn does(&self, sign: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        self.deeds.match_indices(sign).any(|(at, _)| {
            let before = self
                .deeds
                .get(..at)
                .and_then(|text| text.chars().next_back());
            let after = self
                .deeds
                .get(at + sign.len()..)
                .and_then(|text| text.chars().next());
            let ends = sign.ends_with(' ') || !after.is_some_and(is_part);
            !before.is_some_and(is_part) && ends
        })
    }

    /// A workflow of another repository that it calls.
    pub(in crate::check::files) fn called(&self) -> Option<&str> {
        let action = self.action.as_deref()?;
        let is_elsewhere = !action.starts_with("./") && action.contains("/.github/workflows/");
        is_elsewhere.then_some(action)
    }
}

pub(super) fn is_action(path: &str) -> bool {
    path.starts_with(".github/actions/")
}

/// Every step of every workflow, or the files that cannot be read.
pub(in crate::check::files) fn steps(r: &Repository) -> Result<Vec<Step>, Vec<Problem>> {
    let (mut all, mut broken) = (Vec::new(), Vec::new());
    for (path, text) in r.texts_of(|path| super::is_workflow(path) || is_action(path)) {
        match yaml::parse(text) {
            Ok(documents) => all.extend(documents.into_iter().map(|node| (path, node))),
            Err(error) => broken.push(Problem::new(path, error.line, error.why)),
        }
    }
    if !broken.is_empty() {
        return Err(broken);
    }
    let mut steps = Vec::new();
    let starts = triggers::starts(&all);
    for (path, document) in &all {
        let start = starts.get(path).copied().unwrap_or_default();
        let pipes = document.text_at("defaults.run.shell") == Some("bash");
        let jobs = document.get("jobs").map_or(&[][..], Node::entries);
        let around = |name, job, after| Around {
            path,
            name,
            job,
            start,
            pipes,
            after,
        };
        for (name, job) in jobs.iter().filter(|(_, job)| !is_off(job)) {
            let around = around(name, job, before(jobs, name));
            let own = job.get("uses").map(|_| job);
            let listed = job.items_at("steps").iter().chain(own);
            steps.extend(
                listed
                    .filter(|s| !is_off(s))
                    .map(|step| read(&around, step)),
            );
        }
        let action = around("", document, Vec::new());
        let listed = document.items_at("runs.steps").iter();
        steps.extend(listed.map(|step| read(&action, step)));
    }
    Ok(steps)
}

/// The jobs that a job waits for, and those that these wait for.
fn before(jobs: &[(String, Node)], name: &str) -> Vec<String> {
    let mut open = vec![name.to_owned()];
    let mut all: Vec<String> = Vec::new();
    while let Some(name) = open.pop() {
        let Some((_, job)) = jobs.iter().find(|(own, _)| *own == name) else {
            continue;
        };
        let needs = job.get("needs").into_iter();
        let names = needs.flat_map(|n| n.items().iter().chain(Some(n)));
        for need in names.filter_map(Node::text) {
            if !all.iter().any(|known| known == need) {
                all.push(need.to_owned());
                open.push(need.to_owned());
            }
        }
    }
    all
}

/// Whether a step or job never runs.
pub(super) fn is_off(node: &Node) -> bool {
    let condition = node.text_at("if").unwrap_or_default();
    let condition = condition.trim_matches(['$', '{', '}', ' ']);
    let parts: Vec<&str> = condition.split("&&").map(str::trim).collect();
    !condition.contains("||") && parts.contains(&"false")
}

/// Whether this is switched on, also as an expression.
fn is_true(node: &Node, key: &str) -> bool {
    let text = node.text_at(key).unwrap_or_default();
    matches!(
        text.trim_matches(['$', '{', '}', ' ']),
        "true" | "yes" | "on"
    )
}

/// What stands around a step.
struct Around<'a> {
    path: &'a str,
    /// The name of its job.
    name: &'a str,
    job: &'a Node,
    start: Start,
    /// The workflow's own shell hears every command of a pipe.
    pipes: bool,
    after: Vec<String>,
}

fn read(around: &Around<'_>, step: &Node) -> Step {
    let job = around.job;
    let text = |key: &str| step.text_at(key).unwrap_or_default();
    let environment = job
        .text_at("environment")
        .or_else(|| job.text_at("environment.name"));
    let words = [
        text("name"),
        text("run"),
        text("uses"),
        around.name,
        environment.unwrap_or_default(),
    ];
    let shell = step
        .text_at("shell")
        .or_else(|| job.text_at("defaults.run.shell"));
    let pipes = shell.map_or(around.pipes, |shell| shell == "bash");
    let shell_ignores = shell.is_some_and(|shell| shell.contains("||"));
    let ignored = |node: &Node| is_true(node, "continue-on-error");
    Step {
        path: around.path.to_owned(),
        line: step.line,
        words: words.join(" ").to_lowercase(),
        deeds: format!("{}\n{}", deeds(text("run"), pipes), text("uses")).to_lowercase(),
        action: step.text_at("uses").map(str::to_owned),
        stops: !ignored(step) && !ignored(job) && !shell_ignores,
        on_change: around.start.on_change,
        by_itself: around.start.by_itself,
        job: around.name.to_owned(),
        after: around.after.clone(),
    }
}

/// The commands of a script whose failure counts: no comments, no words that are only printed, no
/// installation, nothing that is followed by `|| true`, and of a pipe the last one only, unless the
/// shell is told otherwise.
fn deeds(run: &str, pipes: bool) -> String {
    let joined = run.replace("\\\n", " ");
    // Unless it is kept and told at the end.
    let ends_well = ["exit $", "set -e"]
        .iter()
        .any(|sign| joined.contains(sign));
    if joined.lines().any(|line| line.trim() == "set +e") && !ends_well {
        return String::new();
    }
    let pipes = pipes || joined.contains("pipefail");
    let mut until: Option<String> = None;
    let mut lines: Vec<&str> = Vec::new();
    for line in joined.lines().map(str::trim) {
        match &until {
            Some(end) if line == end => until = None,
            Some(_) => {}
            None => {
                let text = line
                    .split_once("<<")
                    .map(|(_, word)| word.trim_start_matches(['-', '~']));
                let word = text.and_then(|rest| rest.split_whitespace().next());
                let word = word
                    .map(|word| word.trim_matches(['"', '\'']))
                    .filter(|w| !w.starts_with('<'));
                let is_end = |word: &&str| {
                    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_')
                };
                until = word.filter(is_end).map(str::to_owned);
                lines.push(line);
            }
        }
    }
    let code = lines.into_iter().filter(|line| !line.starts_with('#'));
    let code = code.map(|line| line.split(" #").next().unwrap_or(line));
    let commands = code
        .flat_map(|line| line.split("&&"))
        .flat_map(|part| part.split(';'));
    let kept: Vec<&str> = commands.flat_map(|c| counting(c, pipes)).collect();
    kept.join("\n")
}

/// What of a command counts when it fails: itself, and what is done instead.
fn counting(command: &str, pipes: bool) -> Vec<&str> {
    let (command, otherwise) = match command.split_once("||") {
        Some((command, otherwise)) => (command, otherwise),
        None => (command, ""),
    };
    let after = otherwise.trim_matches(['(', ')', '{', '}', ' ']);
    let first = after.split_whitespace().next().unwrap_or_default();
    if matches!(first, "true" | ":" | "echo" | "printf") || after.starts_with("exit 0") {
        return Vec::new();
    }
    // Without `pipefail` only the end of a pipe is heard.
    let pieces: Vec<&str> = match pipes {
        true => command.split('|').collect(),
        false => command.rsplit('|').next().into_iter().collect(),
    };
    let counts = |own: &&str| {
        let waits = !own.ends_with('&') && !own.starts_with('!');
        !own.is_empty() && waits && !is_said(own) && !installs(own) && !is_dry(own)
    };
    let all = pieces.into_iter().chain(Some(otherwise)).map(str::trim);
    all.filter(counts).collect()
}

/// Whether a command only tells what it would do, or about itself.
fn is_dry(command: &str) -> bool {
    const DRY: [&str; 8] = [
        "--version",
        "--help",
        "--dry-run",
        "--collect-only",
        "--co",
        "--no-run",
        "--exit-zero",
        "--list",
    ];
    let mut words = command.split_whitespace();
    words.any(|word| DRY.contains(&word.split('=').next().unwrap_or(word)))
        || command.ends_with(" version")
}

fn is_said(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or_default();
    let about = [
        "echo", "printf", "true", ":", "which", "command", "type", "cat", "ls", "grep", "head",
        "tail", "test", "[", "[[", "sed", "awk", "find", "cp", "mv", "rm", "mkdir", "touch",
        "export", "git", "gh", "sleep",
    ];
    about.contains(&first)
        || command.starts_with("npm pkg")
        || command.starts_with("npm set-script")
}

fn installs(command: &str) -> bool {
    const MANAGERS: [&str; 16] = [
        "pip", "pip3", "pipx", "uv", "npm", "yarn", "pnpm", "bun", "apt", "apt-get", "brew",
        "cargo", "go", "poetry", "conda", "gem",
    ];
    let around = ["sudo", "python", "python3", "-m"];
    let mut words = command
        .split_whitespace()
        .skip_while(|word| around.contains(word));
    let is_manager = words.next().is_some_and(|word| MANAGERS.contains(&word));
    is_manager
        && words
            .take(2)
            .any(|word| matches!(word, "install" | "add" | "ci" | "i" | "sync"))
}

#[cfg(test)]
mod tests {
    use super::{before, deeds};

    #[test]
    fn only_commands_whose_failure_counts_are_deeds() {
        for (run, expected) in [
            ("pytest -q", "pytest -q"),
            ("true", ""),
            ("# pytest\necho pytest passed", ""),
            ("pytest || true", ""),
            ("pytest || echo failed", ""),
            ("pip install pytest && pytest", "pytest"),
            (
                "python -m pip install -r requirements.txt; ruff check . # all",
                "ruff check .",
            ),
            ("uv run pytest \\\n  -q", "uv run pytest    -q"),
            ("npm ci\nnpm test", "npm test"),
            ("[ -d dist ] || npm run build", "npm run build"),
        ] {
            assert_eq!(deeds(run, false), expected, "{run}");
        }
    }

    #[test]
    fn what_cannot_stop_a_pipeline_is_no_deed() {
        for run in [
            "pytest || exit 0",
            "(pytest -q) || (echo failed)",
            "set +e\npytest\nexit 0",
            "pytest | tee out.txt",
            "pytest &",
            "! pytest",
            "which pytest",
            "pytest --version",
            "pytest --collect-only",
            "cargo test --no-run",
            "kubectl apply --dry-run=server -f .",
            "git commit -m 'run pytest'",
            "cat <<EOF\npytest\nEOF",
            "docker buildx version",
        ] {
            let left = deeds(run, false);
            assert!(
                !left.contains("pytest") && !left.contains("cargo") && !left.contains("apply"),
                "{run}: {left}"
            );
            assert!(!left.contains("buildx"), "{run}: {left}");
        }
        for (run, pipes) in [
            ("set -o pipefail\npytest | tee out", false),
            ("pytest | tee out", true),
            ("find . -name x | xargs pytest", true),
            ("set +e\npytest\ncode=$?\nexit $code", false),
        ] {
            assert!(deeds(run, pipes).contains("pytest"), "{run}");
        }
    }

    #[test]
    fn a_job_waits_for_those_that_its_own_wait_for() {
        let text = "{a: {}, b: {needs: a}, c: {needs: [b]}}";
        let jobs = crate::files::yaml::parse(text).expect("YAML").remove(0);
        assert_eq!(before(jobs.entries(), "c"), ["b", "a"]);
    }
}
