//! GitHub workflows: whether they test, build, scan and deploy.

use super::{Looked, in_repository};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};

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
];

const NO_WORKFLOWS: &str = "the repository has no GitHub workflows";

/// A step of a workflow: its command or action, lower-case, and where it stands.
pub(super) struct Step {
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) words: String,
    pub(super) action: Option<String>,
}

/// Every step of every workflow, or the files that cannot be read.
pub(super) fn steps(r: &Repository) -> Result<Vec<Step>, Vec<Problem>> {
    let is_workflow = |path: &str| {
        path.starts_with(".github/workflows/")
            && (path.ends_with(".yml") || path.ends_with(".yaml"))
    };
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
