//! GitHub workflows: whether they test, build, scan and deploy.

use super::{Looked, in_repository, row};
use crate::check::rows::Row;
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};

pub(super) static ROWS: &[Row] = &[row!(
    "ci.least-privilege",
    REPOSITORY,
    in_repository,
    "permissions that are stated and narrow",
    "permissions of every GitHub workflow and of its jobs.",
    permissions
)];

const REPOSITORY: &[Need] = &[Need::Repository];

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "ci.tests-automated",
        title: "CI runs the tests on every change",
        why: "People forget, and it is asked for.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Commands and actions of every GitHub workflow.",
        remedy: "Add the job.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a step that runs tests", tests),
    },
    Check {
        id: "ci.builds-automated",
        title: "CI builds what is shipped",
        why: "Hand-made builds cannot be repeated.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Commands and actions of every GitHub workflow.",
        remedy: "Add the job.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a step that builds", builds),
    },
    Check {
        id: "ci.deploy-automated",
        title: "Deployment is automatic",
        why: "Hands slip, and it is asked for.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Commands and actions of every GitHub workflow.",
        remedy: "Automate it in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a step that deploys", deploys),
    },
    Check {
        id: "ci.security-scanning",
        title: "CI scans for security",
        why: "Holes come with each change.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Commands and actions of every GitHub workflow.",
        remedy: "Add scanners in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a step that scans", scans),
    },
    Check {
        id: "ci.actions-pinned",
        title: "Workflows use actions by version",
        why: "A moved branch runs a stranger's code with your secrets.",
        severity: Severity::Medium,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "The version of every action in GitHub workflows.",
        remedy: "Name a version or a commit.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "actions with a version", actions_pinned),
    },
    Check {
        id: "ci.strangers-run-nothing",
        title: "Strangers' pull requests run nothing with the repository's secrets",
        why: "Anybody can open one, and its title is code to a shell.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "GitHub workflows: code of a pull request checked out under pull_request_target or workflow_run, and words of strangers in commands.",
        remedy: "Use pull_request, and give words to commands through env.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_repository(
                s,
                "no code and no words of strangers beside secrets",
                strangers,
            )
        },
    },
];

const NO_WORKFLOWS: &str = "the repository has no GitHub workflows";

/// A step of a workflow: its command or action, lower-case, and where it stands.
pub(super) struct Step {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) words: String,
    pub(super) action: Option<String>,
}

/// Each workflow that can be read.
fn workflows(r: &Repository) -> Vec<(&str, Node)> {
    let read = r.texts_of(is_workflow).filter_map(|(path, text)| {
        let documents = yaml::parse(text).ok()?;
        Some((path, documents.into_iter().next()?))
    });
    read.collect()
}

fn is_workflow(path: &str) -> bool {
    path.starts_with(".github/workflows/") && (path.ends_with(".yml") || path.ends_with(".yaml"))
}

/// A workflow states what its token may do, for itself or for each job, and never everything.
fn permissions(r: &Repository) -> Looked {
    let workflows = workflows(r);
    if workflows.is_empty() {
        return Looked::Nothing(NO_WORKFLOWS);
    }
    let mut problems = Vec::new();
    for (path, workflow) in &workflows {
        let own = workflow.get("permissions");
        let jobs = workflow.get("jobs").map_or(&[][..], Node::entries);
        let stated = own
            .into_iter()
            .chain(jobs.iter().filter_map(|(_, job)| job.get("permissions")));
        for all in stated.filter(|node| node.text() == Some("write-all")) {
            problems.push(Problem::new(path, all.line, "gives its token every right"));
        }
        if own.is_none() && jobs.iter().any(|(_, job)| job.get("permissions").is_none()) {
            problems.push(Problem::new(path, workflow.line, "states no permissions"));
        }
    }
    Looked::At(format!("{} workflows", workflows.len()), problems)
}

/// Words that a stranger chooses.
const WORDS_OF_STRANGERS: [&str; 9] = [
    "github.event.issue.title",
    "github.event.issue.body",
    "github.event.pull_request.title",
    "github.event.pull_request.body",
    "github.event.pull_request.head.ref",
    "github.event.comment.body",
    "github.event.review.body",
    "github.event.discussion.body",
    "github.head_ref",
];

fn strangers(r: &Repository) -> Looked {
    let workflows = workflows(r);
    if workflows.is_empty() {
        return Looked::Nothing(NO_WORKFLOWS);
    }
    let mut problems = Vec::new();
    for (path, workflow) in &workflows {
        let trusted = !["pull_request_target", "workflow_run"]
            .iter()
            .any(|t| starts_on(workflow, t));
        let jobs = workflow.get("jobs").map_or(&[][..], Node::entries);
        for step in jobs.iter().flat_map(|(_, job)| job.items_at("steps")) {
            let run = step.text_at("run").unwrap_or_default();
            let script = step.text_at("with.script").unwrap_or_default();
            let is_in = |word: &&&str| [run, script].iter().any(|text| interpolates(text, word));
            if let Some(word) = WORDS_OF_STRANGERS.iter().find(is_in) {
                let found = format!("`{word}` is part of a command");
                problems.push(Problem::new(path, step.line, found));
            }
            let checks_out = step
                .text_at("uses")
                .is_some_and(|u| u.starts_with("actions/checkout"));
            let reference = step.text_at("with.ref").unwrap_or_default();
            if !trusted && checks_out && reference.contains("head") {
                let found = "checks out a stranger's code where secrets are";
                problems.push(Problem::new(path, step.line, found));
            }
        }
    }
    Looked::At(format!("{} workflows", workflows.len()), problems)
}

fn interpolates(text: &str, word: &str) -> bool {
    let mut parts = text.split("${{").skip(1);
    parts.any(|part| {
        part.split("}}")
            .next()
            .is_some_and(|inner| inner.contains(word))
    })
}

/// Whether a workflow runs on an event, in any of the notations.
fn starts_on(workflow: &Node, event: &str) -> bool {
    // A parser of YAML 1.1 reads `on` as true.
    let Some(on) = workflow.get("on").or_else(|| workflow.get("true")) else {
        return false;
    };
    on.text() == Some(event)
        || on.items().iter().any(|item| item.text() == Some(event))
        || on.get(event).is_some()
}

/// Every step of every workflow, or the files that cannot be read.
pub(super) fn steps(r: &Repository) -> Result<Vec<Step>, Vec<Problem>> {
    let (mut steps, mut broken) = (Vec::new(), Vec::new());
    for (path, text) in r.texts_of(is_workflow) {
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(error) => {
                broken.push(Problem::new(path, error.line, error.why));
                continue;
            }
        };
        let jobs = documents
            .iter()
            .filter_map(|d| d.get("jobs"))
            .flat_map(Node::entries);
        for (name, job) in jobs {
            for step in job.items_at("steps") {
                let said = ["name", "run", "uses"]
                    .iter()
                    .filter_map(|key| step.text_at(key));
                let words: Vec<&str> = said.chain(Some(name.as_str())).collect();
                steps.push(Step {
                    path: path.to_owned(),
                    line: step.line,
                    words: words.join(" ").to_lowercase(),
                    action: step.text_at("uses").map(str::to_owned),
                });
            }
        }
    }
    if broken.is_empty() {
        Ok(steps)
    } else {
        Err(broken)
    }
}

/// Asks for a step that does something.
pub(super) fn some_step(r: &Repository, signs: &[&str], missing: &str) -> Looked {
    let steps = match steps(r) {
        Ok(steps) => steps,
        Err(broken) => return Looked::At(String::new(), broken),
    };
    let Some(first) = steps.first() else {
        return Looked::Nothing(NO_WORKFLOWS);
    };
    match steps
        .iter()
        .find(|s| signs.iter().any(|sign| s.words.contains(sign)))
    {
        Some(step) => Looked::At(format!("{}:{}", step.path, step.line), Vec::new()),
        None => Looked::At(String::new(), vec![Problem::new(&first.path, 1, missing)]),
    }
}

fn tests(r: &Repository) -> Looked {
    let signs = [
        "cargo test",
        "cargo nextest",
        "pytest",
        "npm test",
        "npm run test",
        "yarn test",
        "pnpm test",
        "go test",
        "mvn test",
        "mvn verify",
        "gradle test",
        "make test",
        "tox",
        "xtask test",
    ];
    some_step(r, &signs, "no step runs tests")
}

fn builds(r: &Repository) -> Looked {
    let signs = [
        "cargo build",
        "docker build",
        "docker/build-push-action",
        "npm run build",
        "yarn build",
        "pnpm build",
        "go build",
        "mvn package",
        "gradle build",
        "make build",
        "uv build",
        "buildx",
    ];
    some_step(r, &signs, "no step builds what is shipped")
}

fn deploys(r: &Repository) -> Looked {
    let signs = [
        "kubectl apply",
        "helm upgrade",
        "kustomize",
        "argocd",
        "flux ",
        "terraform apply",
        "az webapp",
        "azure/webapps-deploy",
        "aws ecs",
        "amazon-ecs-deploy",
        "gcloud run deploy",
        "fly deploy",
        "ansible-playbook",
    ];
    some_step(r, &signs, "no step deploys")
}

fn scans(r: &Repository) -> Looked {
    let signs = [
        "codeql",
        "trivy",
        "grype",
        "semgrep",
        "cargo audit",
        "cargo deny",
        "npm audit",
        "pip-audit",
        "bandit",
        "gitleaks",
        "trufflehog",
        "snyk",
        "osv-scanner",
        "govulncheck",
    ];
    some_step(r, &signs, "no step scans for security")
}

fn actions_pinned(r: &Repository) -> Looked {
    let steps = match steps(r) {
        Ok(steps) => steps,
        Err(broken) => return Looked::At(String::new(), broken),
    };
    if steps.is_empty() {
        return Looked::Nothing(NO_WORKFLOWS);
    }
    let problems = steps.iter().filter_map(|step| {
        let action = step.action.as_deref()?;
        let moving = match action.split_once('@') {
            None => !action.starts_with("./") && !action.starts_with("docker://"),
            Some((_, version)) => matches!(version, "main" | "master" | "latest" | "HEAD"),
        };
        moving.then(|| {
            Problem::new(
                &step.path,
                step.line,
                format!("uses the moving action `{action}`"),
            )
        })
    });
    Looked::At(format!("{} steps", steps.len()), problems.collect())
}
