//! The steps of GitHub workflows: what they do, without what only looks like it.

use super::conditions::may_hold;
use super::script::{Shell, deeds};
use super::triggers::{self, Event};
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
    /// Whether it runs or uses one of these, as words of their own.
    pub(in crate::check::files) fn does(&self, signs: &[&str]) -> bool {
        signs.iter().any(|sign| is_in(&self.deeds, sign))
    }

    /// Whether it runs one of these, and not only what somebody picked of it.
    pub(in crate::check::files) fn does_all_of(&self, signs: &[&str]) -> bool {
        let whole = || self.deeds.lines().filter(|command| !picks(command));
        whole().any(|command| signs.iter().any(|sign| is_in(command, sign)))
    }

    /// A workflow of another repository that it calls.
    pub(in crate::check::files) fn called(&self) -> Option<&str> {
        let action = self.action.as_deref()?;
        let is_elsewhere = !action.starts_with("./") && action.contains("/.github/workflows/");
        is_elsewhere.then_some(action)
    }
}

fn is_in(deeds: &str, sign: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    deeds.match_indices(sign).any(|(at, _)| {
        let before = deeds.get(..at).and_then(|text| text.chars().next_back());
        let after = deeds
            .get(at + sign.len()..)
            .and_then(|text| text.chars().next());
        let ends = sign.ends_with(' ') || !after.is_some_and(is_part);
        !before.is_some_and(is_part) && ends
    })
}

/// Whether a command runs the tests with some names, and no others.
fn picks(command: &str) -> bool {
    const BY_NAME: [(&str, &str); 15] = [
        ("pytest", "-k"),
        ("pytest", "--deselect"),
        ("pytest", "--ignore"),
        ("unittest", "-k"),
        ("go test", "-run"),
        ("jest", "-t"),
        ("jest", "--testnamepattern"),
        ("vitest", "-t"),
        ("mocha", "-g"),
        ("mocha", "--grep"),
        ("playwright", "--grep"),
        ("dotnet", "--filter"),
        ("phpunit", "--filter"),
        ("gradle", "--tests"),
        ("mvn", "-dtest"),
    ];
    let runs = BY_NAME
        .iter()
        .filter(|(program, _)| command.contains(program));
    let options: Vec<&str> = runs.map(|(_, option)| *option).collect();
    let words: Vec<&str> = command.split([' ', '=']).collect();
    let picked = words.windows(2).any(|pair| {
        let [option, value] = pair else { return false };
        let value = value.trim_matches(['"', '\'']);
        let leaves_out = matches!(*option, "--ignore" | "--deselect");
        // Without some of them it is still most of them.
        let all = match leaves_out {
            true => !matches!(value.trim_matches(['.', '/']), "test" | "tests" | ""),
            false => {
                let name = value.trim_matches(['^', '.', '*']);
                value == "not" || value.contains('!') || matches!(name, "" | "test")
            }
        };
        options.contains(option) && !all
    });
    picked || command.contains("pytest") && command.contains("::")
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
    let starts = triggers::starts(&all, r);
    for (path, document) in &all {
        let start = starts.get(path).map_or(&[][..], Vec::as_slice);
        let shell = document.text_at("defaults.run.shell");
        let jobs = document.get("jobs").map_or(&[][..], Node::entries);
        let around = |name, job, after| Around {
            path,
            name,
            job,
            starts: start.iter().collect(),
            shell,
            after,
        };
        for (name, job) in jobs.iter().filter(|(name, _)| runs(jobs, name, None)) {
            let mut around = around(name, job, before(jobs, name));
            around.starts = start
                .iter()
                .filter(|event| runs(jobs, name, Some(event)))
                .collect();
            let own = job.get("uses").map(|_| job);
            let listed = job.items_at("steps").iter().chain(own);
            let running = listed.filter(|step| may_run(step, None));
            steps.extend(running.map(|step| read(&around, step)));
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

/// Whether a step or job can run when this starts its workflow, or at all.
pub(super) fn may_run(node: &Node, event: Option<&Event>) -> bool {
    may_hold(node.text_at("if").unwrap_or_default(), event)
}

/// Whether a job can run, and those that it waits for: it is left out with them.
pub(super) fn runs(jobs: &[(String, Node)], name: &str, event: Option<&Event>) -> bool {
    let find = |name: &str| jobs.iter().find(|(own, _)| own == name);
    let Some((_, job)) = find(name) else {
        return true;
    };
    // Some run whatever became of the others.
    let condition = job.text_at("if").unwrap_or_default();
    let anyhow = ["always()", "cancelled()", "failure()"]
        .iter()
        .any(|sign| condition.contains(sign));
    let others = before(jobs, name);
    let mut waited = others.iter().filter_map(|name| find(name));
    may_hold(condition, event) && (anyhow || waited.all(|(_, job)| may_run(job, event)))
}

/// Whether this is switched on, also as an expression.
fn is_true(node: &Node, key: &str) -> bool {
    let text = node.text_at(key).unwrap_or_default();
    matches!(
        text.trim_matches(['$', '{', '}', ' ']),
        "true" | "yes" | "on"
    )
}

/// Whether a shell is told to end with the first command that fails.
fn ends_early(shell: &str) -> bool {
    let is_flag = |word: &str| word.starts_with('-') && !word.starts_with("--");
    let mut words = shell.split_whitespace();
    words.any(|word| word == "errexit" || is_flag(word) && word.contains('e'))
}

/// What stands around a step.
struct Around<'a> {
    path: &'a str,
    /// The name of its job.
    name: &'a str,
    job: &'a Node,
    /// What starts it.
    starts: Vec<&'a Event>,
    /// The workflow's own shell.
    shell: Option<&'a str>,
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
    let said = step.text_at("shell");
    let said = said.or_else(|| job.text_at("defaults.run.shell"));
    let said = said.or(around.shell).unwrap_or_default();
    let shell = Shell {
        pipes: said == "bash" || said.contains("pipefail"),
        // A command of one's own does what it says, and no more.
        goes_on: said.contains("{0}") && said.contains("sh") && !ends_early(said),
    };
    let shell_ignores = said.contains("||");
    let starts = || {
        let all = around.starts.iter();
        all.filter(|event| may_run(step, Some(event)))
    };
    let ignored = |node: &Node| is_true(node, "continue-on-error");
    Step {
        path: around.path.to_owned(),
        line: step.line,
        words: words.join(" ").to_lowercase(),
        deeds: format!("{}\n{}", deeds(text("run"), shell), text("uses")).to_lowercase(),
        action: step.text_at("uses").map(str::to_owned),
        stops: !ignored(step) && !ignored(job) && !shell_ignores,
        on_change: starts().any(|event| event.is_change),
        by_itself: starts().next().is_some(),
        job: around.name.to_owned(),
        after: around.after.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{before, picks, runs};

    #[test]
    fn tests_that_somebody_picked_are_not_all() {
        for command in [
            "pytest -k nothing",
            "uv run pytest -q -k='smoke'",
            "pytest --ignore=tests/",
            "pytest tests/a.py::test_one",
            "go test -run ^$ ./...",
            "npx jest -t 'one'",
            "mvn test -dtest=none",
        ] {
            assert!(picks(command), "{command}");
        }
        for command in [
            "pytest -k 'not slow'",
            "pytest -q --ignore=tests/e2e",
            "go test -race ./...",
            "go test -run . ./...",
            "go test -run ^test ./...",
            "dotnet test --filter category!=slow",
            "cargo test --workspace",
            "make test -k",
        ] {
            assert!(!picks(command), "{command}");
        }
    }

    #[test]
    fn a_job_waits_for_those_that_its_own_wait_for() {
        let text = "{a: {}, b: {needs: a}, c: {needs: [b]}}";
        let jobs = crate::files::yaml::parse(text).expect("YAML").remove(0);
        assert_eq!(before(jobs.entries(), "c"), ["b", "a"]);
    }

    #[test]
    fn a_job_is_left_out_with_those_that_it_waits_for() {
        let text = "{a: {if: false}, b: {needs: a}, c: {needs: b}, d: {needs: a, if: \"!cancelled()\"}, e: {}}";
        let jobs = crate::files::yaml::parse(text).expect("YAML").remove(0);
        let running = ["a", "b", "c", "d", "e"].map(|name| runs(jobs.entries(), name, None));
        assert_eq!(running, [false, false, false, true, true]);
    }
}
