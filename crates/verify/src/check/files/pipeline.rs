//! GitHub workflows: whether they test, build, scan and deploy.

mod conditions;
mod script;
mod steps;
mod strangers;
mod triggers;

use super::images::is_pinned;
use super::{Looked, in_repository, row};
use crate::check::rows::Row;
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::Repository;
use crate::files::yaml::{self, Node};

use strangers::strangers;

pub(super) use steps::{Step, steps};

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
        verified_by: "Commands and actions of every GitHub workflow that starts on changes; names of steps, comments, installations and commands whose failure is ignored do not count.",
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

/// Asks for a step that does something.
pub(super) fn some_step(r: &Repository, signs: &[&str], missing: &str) -> Looked {
    a_step(r, missing, |step| step.does(signs))
}

/// Asks for a step that does something and stops the pipeline when that fails.
pub(super) fn stopping_step(r: &Repository, signs: &[&str], missing: &str) -> Looked {
    a_step(r, missing, |step| step.stops && step.does(signs))
}

fn a_step(r: &Repository, missing: &str, fits: impl Fn(&Step) -> bool) -> Looked {
    let steps = match steps(r) {
        Ok(steps) => steps,
        Err(broken) => return Looked::At(String::new(), broken),
    };
    let Some(first) = steps.first() else {
        // Some that never run are there, and do nothing.
        if let Some((path, _)) = workflows(r).first() {
            return Looked::At(String::new(), vec![Problem::new(path, 1, missing)]);
        }
        return match r.sources {
            0 => Looked::Nothing(NO_WORKFLOWS),
            _ => Looked::Unknown(format!(
                "GitHub workflows: the repository has none, and those of other systems are not read: {missing}"
            )),
        };
    };
    let elsewhere = || steps.iter().find_map(Step::called);
    match (steps.iter().find(|step| fits(step)), elsewhere()) {
        (Some(step), _) => Looked::At(format!("{}:{}", step.path, step.line), Vec::new()),
        (None, Some(called)) => Looked::Unknown(format!(
            "the workflow {called}, which is not in the repository"
        )),
        (None, None) => Looked::At(String::new(), vec![Problem::new(&first.path, 1, missing)]),
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
        "python -m unittest",
        "python3 -m unittest",
        "nox",
        "hatch test",
        "bun test",
        "deno test",
        "vitest",
        "jest",
        "mocha",
        "playwright test",
        "cypress run",
        "npm run ci",
        "npm t",
        "pnpm run test",
        "pnpm -r test",
        "yarn run test",
        "turbo run test",
        "turbo test",
        "nx test",
        "mvnw test",
        "mvnw verify",
        "mvn -b verify",
        "mvn -b test",
        "gradlew test",
        "gradlew check",
        "gradlew build",
        "gradle check",
        "dotnet test",
        "bazel test",
        "mix test",
        "rspec",
        "rake test",
        "phpunit",
        "swift test",
        "ctest",
        "make check",
        "make ci",
        "just test",
        "just ci",
        "task test",
        "earthly +test",
    ];
    a_step(
        r,
        "no step runs tests on every change and stops when they fail",
        |step| step.stops && step.on_change && step.does_all_of(&signs),
    )
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
        "buildx build",
        "buildx bake",
        "docker/bake-action",
        "mvnw package",
        "mvn verify",
        "mvnw verify",
        "gradlew build",
        "gradlew assemble",
        "dotnet build",
        "dotnet publish",
        "bazel build",
        "turbo run build",
        "turbo build",
        "nx build",
        "bun run build",
        "just build",
        "podman build",
        "buildah",
        "ko build",
        "python -m build",
        "poetry build",
        "goreleaser",
        "mvn -b package",
        "kaniko",
    ];
    a_step(r, "no step builds what is shipped by itself", |step| {
        step.by_itself && step.does(&signs)
    })
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
        "cargo-audit",
        "cargo-deny",
        "audit-check",
        "dependency-review",
        "scan-action",
        "checkov",
        "docker scout",
        "sonarqube",
        "sonarcloud",
        "safety check",
        "safety scan",
    ];
    a_step(r, "no step scans for security by itself", |step| {
        step.by_itself && step.does(&signs)
    })
}

/// A commit, a digest or a number, also at the end of a path as in `release/v1`; a name is a branch.
fn is_version(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or(text);
    let is_commit = last.len() >= 7 && last.bytes().all(|b| b.is_ascii_hexdigit());
    let number = last.rsplit_once("-v").map_or(last, |(_, number)| number);
    // `2-dev-branch` moves as any branch does; `2.1-rc` is a release.
    let number = number.trim_start_matches(['v', 'V']);
    let digits = number.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (version, more) = number.split_at(digits.unwrap_or(number.len()));
    let is_number = version.starts_with(|c: char| c.is_ascii_digit())
        && (more.is_empty() || version.contains('.'));
    is_commit || is_number || text.starts_with("sha256:")
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
            _ if action.starts_with("docker://") => {
                !is_pinned(action.trim_start_matches("docker://"))
            }
            None => !action.starts_with("./"),
            Some((_, version)) => !is_version(version),
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

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_are_told_from_branches() {
        for version in [
            "v4",
            "5.1.0",
            "release/v1",
            "codeql-bundle-v2.1",
            "8ade135a41bc03ea155e62e844d188df1ea18608",
            "v2.1-rc.1",
        ] {
            assert!(is_version(version), "{version}");
        }
        for branch in ["main", "develop", "stable", "HEAD", "2-dev-branch"] {
            assert!(!is_version(branch), "{branch}");
        }
    }
}
