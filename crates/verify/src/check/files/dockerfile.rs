//! Dockerfiles: who runs, on what base, in how many stages.

use super::{Looked, command, in_repository};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::{Repository, is_test};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "container.dockerfile-user",
        title: "The image does not run as root",
        why: "A break-out from root owns the node.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "The last USER of the last stage of every Dockerfile.",
        remedy: "Add USER with a number other than 0.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a user other than root", user),
    },
    Check {
        id: "container.command-exists",
        title: "Images start code that exists",
        why: "An image that names a module that is gone never starts.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "CMD and ENTRYPOINT of the last stage of every Dockerfile: modules and files of Python and Node.",
        remedy: "Name the module that is there.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "code that is in the repository", command::exists),
    },
    Check {
        id: "container.base-pinned",
        title: "Base images are named by version",
        why: "The next build is another image.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Every FROM of every Dockerfile.",
        remedy: "Name a version or a digest.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "base images with a version or a digest", base_pinned),
    },
    Check {
        id: "container.healthcheck",
        title: "The container has a health check",
        why: "An orchestrator must know.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Every Dockerfile of the repository.",
        remedy: "Add one in this repository.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a HEALTHCHECK", healthcheck),
    },
    Check {
        id: "container.multi-stage",
        title: "The image is built in stages",
        why: "Build tools in production serve attackers.",
        severity: Severity::Medium,
        areas: &[Area::Operations],
        needs: &[Need::Repository],
        verified_by: "Every Dockerfile of the repository.",
        remedy: "Copy only the result.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "two stages or more", stages),
    },
];

pub(super) const NO_DOCKERFILE: &str = "the repository has no Dockerfile";

/// Judges every Dockerfile by its instructions.
fn dockerfiles(
    r: &Repository,
    wrong: impl Fn(&[Instruction<'_>]) -> Option<(usize, String)>,
) -> Looked {
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, text) in r.texts_of(is_dockerfile) {
        seen += 1;
        if let Some((line, found)) = wrong(&instructions(text)) {
            problems.push(Problem::new(path, line, found));
        }
    }
    match seen {
        0 => Looked::Nothing(NO_DOCKERFILE),
        n => Looked::At(format!("{n} Dockerfiles"), problems),
    }
}

/// Whether a path is a Dockerfile of something that ships.
pub(super) fn is_dockerfile(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    !is_test(path)
        && !file.ends_with(".rs")
        && (file.starts_with("dockerfile") || file.ends_with(".dockerfile"))
}

/// One instruction, its line and its words.
pub(super) struct Instruction<'a> {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) rest: &'a str,
}

pub(super) fn instructions(text: &str) -> Vec<Instruction<'_>> {
    let mut out = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if !continued {
            let (name, rest) = trimmed
                .split_once(char::is_whitespace)
                .unwrap_or((trimmed, ""));
            out.push(Instruction {
                line: index + 1,
                name: name.to_ascii_uppercase(),
                rest: rest.trim(),
            });
        }
        continued = trimmed.ends_with('\\');
    }
    out
}

fn user(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        let last_stage = all.iter().rposition(|i| i.name == "FROM").unwrap_or(0);
        let user = all.iter().skip(last_stage).rfind(|i| i.name == "USER");
        match user {
            None => Some((
                all.get(last_stage)?.line,
                "its last stage sets no USER".to_owned(),
            )),
            Some(i) if matches!(i.rest.split(':').next(), Some("root" | "0")) => {
                Some((i.line, "runs as root".to_owned()))
            }
            Some(_) => None,
        }
    })
}

fn base_pinned(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        let mut stages: Vec<&str> = Vec::new();
        for from in all.iter().filter(|i| i.name == "FROM") {
            let mut words = from
                .rest
                .split_whitespace()
                .filter(|word| !word.starts_with("--"));
            let image = words.next().unwrap_or_default();
            let own = stages.contains(&image) || image == "scratch" || image.contains('$');
            let file = image.rsplit('/').next().unwrap_or(image);
            let tagged = file.split_once(':').is_some_and(|(_, tag)| tag != "latest");
            if !own && !tagged && !image.contains("@sha256:") {
                return Some((from.line, format!("starts from the moving image `{image}`")));
            }
            if words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("as"))
            {
                stages.extend(words.next());
            }
        }
        None
    })
}

fn healthcheck(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        let has = all
            .iter()
            .any(|i| i.name == "HEALTHCHECK" && i.rest != "NONE");
        (!has).then(|| (1, "has no HEALTHCHECK".to_owned()))
    })
}

fn stages(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        let stages = all.iter().filter(|i| i.name == "FROM").count();
        (stages < 2).then(|| (1, "builds and runs in one stage".to_owned()))
    })
}
