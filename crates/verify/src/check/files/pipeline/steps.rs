//! The steps of GitHub workflows: what they do, without what only looks like it.

use super::starts_on;
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

fn is_action(path: &str) -> bool {
    path.starts_with(".github/actions/")
}

/// Every step of every workflow, or the files that cannot be read.
pub(in crate::check::files) fn steps(r: &Repository) -> Result<Vec<Step>, Vec<Problem>> {
    let (mut steps, mut broken) = (Vec::new(), Vec::new());
    for (path, text) in r.texts_of(|path| super::is_workflow(path) || is_action(path)) {
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(error) => {
                broken.push(Problem::new(path, error.line, error.why));
                continue;
            }
        };
        for document in &documents {
            let jobs = document.get("jobs").map_or(&[][..], Node::entries);
            let changes = [
                "push",
                "pull_request",
                "pull_request_target",
                "merge_group",
                "workflow_call",
            ];
            let on_change = is_action(path) || changes.iter().any(|on| starts_on(document, on));
            for (name, job) in jobs.iter().filter(|(_, job)| !is_off(job)) {
                let own = job.get("uses").map(|_| job);
                for step in job
                    .items_at("steps")
                    .iter()
                    .chain(own)
                    .filter(|s| !is_off(s))
                {
                    steps.push(read(path, name, job, step, on_change));
                }
            }
            for step in document.items_at("runs.steps") {
                steps.push(read(path, "", document, step, on_change));
            }
        }
    }
    if broken.is_empty() {
        Ok(steps)
    } else {
        Err(broken)
    }
}

/// Whether a step or job never runs.
fn is_off(node: &Node) -> bool {
    let condition = node.text_at("if").unwrap_or_default();
    condition.trim_matches(['$', '{', '}', ' ']) == "false"
}

fn read(path: &str, name: &str, job: &Node, step: &Node, on_change: bool) -> Step {
    let text = |key: &str| step.text_at(key).unwrap_or_default();
    let environment = job
        .text_at("environment")
        .or_else(|| job.text_at("environment.name"));
    let words = [
        text("name"),
        text("run"),
        text("uses"),
        name,
        environment.unwrap_or_default(),
    ];
    let ignored = |node: &Node| node.is_true_at("continue-on-error");
    Step {
        path: path.to_owned(),
        line: step.line,
        words: words.join(" ").to_lowercase(),
        deeds: format!("{}\n{}", deeds(text("run")), text("uses")).to_lowercase(),
        action: step.text_at("uses").map(str::to_owned),
        stops: !ignored(step) && !ignored(job),
        on_change,
    }
}

/// The commands of a script whose failure counts: no comments, no words that are only printed, no
/// installation, and nothing that is followed by `|| true`.
fn deeds(run: &str) -> String {
    let joined = run.replace("\\\n", " ");
    let code = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let code = code.map(|line| line.split(" #").next().unwrap_or(line));
    let commands = code
        .flat_map(|line| line.split("&&"))
        .flat_map(|part| part.split(';'));
    let counts = |command: &&str| {
        let after = command.split_once("||").map(|(_, after)| after.trim());
        let is_ignored = after.is_some_and(|after| {
            let first = after.split_whitespace().next().unwrap_or_default();
            matches!(first, "true" | ":" | "echo") || after.starts_with("exit 0")
        });
        !is_ignored && !is_said(command) && !installs(command)
    };
    let kept: Vec<&str> = commands.filter(counts).map(str::trim).collect();
    kept.join("\n")
}

fn is_said(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or_default();
    matches!(first, "echo" | "printf" | "true" | ":")
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
    use super::deeds;

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
        ] {
            assert_eq!(deeds(run), expected, "{run}");
        }
    }
}
