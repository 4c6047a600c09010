//! Dockerfiles: who runs, on what base, in how many stages.

use std::cell::RefCell;

use super::images::is_pinned;
use super::{Looked, command, in_repository, is_idle};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::{Repository, is_test, language};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "container.dockerfile-user",
        title: "The image does not run as root",
        why: "A break-out from root owns the node.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "The last USER of the last stage of every Dockerfile, or of the stage that it is built on; defaults of ARG are filled in.",
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
        verified_by: "Every FROM, and every COPY from another image, of every Dockerfile; defaults of ARG are filled in.",
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
    wrong: impl Fn(&[Instruction]) -> Option<(usize, String)>,
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
    let named = ["dockerfile", "containerfile"].iter().any(|name| {
        let rest = file.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    });
    let is_other = language(&file).is_some() || file.ends_with(".md");
    !is_test(path) && !is_other && (named || file.ends_with(".dockerfile"))
}

/// One instruction, its line and its words, with those of the lines that go on from it.
pub(super) struct Instruction {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) rest: String,
}

pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let mut out: Vec<Instruction> = Vec::new();
    let mut continued = false;
    let mut until: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        // What stands between `<<EOF` and `EOF` is no instruction.
        if until.is_some() {
            until = until.filter(|end| *end != trimmed);
            continue;
        }
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let words = trimmed.trim_end_matches('\\').trim();
        match out.last_mut().filter(|_| continued) {
            Some(last) => last.rest = format!("{} {words}", last.rest).trim().to_owned(),
            None => {
                let (name, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
                out.push(Instruction {
                    line: index + 1,
                    name: name.to_ascii_uppercase(),
                    rest: rest.trim().to_owned(),
                });
            }
        }
        continued = trimmed.ends_with('\\');
        let takes_text = |last: &&Instruction| matches!(last.name.as_str(), "RUN" | "COPY" | "ADD");
        until = out.last().filter(takes_text).and_then(|_| heredoc(trimmed));
    }
    out
}

/// The line that ends the text which follows this line of a shell.
pub(super) fn heredoc(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("<<")?;
    let word = rest.trim_start_matches('-').trim_start();
    let word = word.trim_start_matches(['"', '\'', '\\']);
    let end = word.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let word = word.get(..end.unwrap_or(word.len()))?;
    // A number is moved by bits, and `<<<` is another thing.
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_word.then_some(word)
}

/// The text with variables replaced by what ARG, ENV and `${NAME:-...}` give them; others stay.
fn filled(text: &str, all: &[Instruction]) -> String {
    /// Variables within the values of others; deeper ones stay.
    const DEPTH: usize = 4;
    /// The name of an image or a user is shorter.
    const LONGEST: usize = 4096;
    let set = |name: &str| {
        let said = all
            .iter()
            .filter(|i| matches!(i.name.as_str(), "ARG" | "ENV"))
            .filter_map(|i| i.rest.split_once('='));
        let mut values = said.filter(|(own, _)| own.trim() == name);
        values
            .next()
            .map(|(_, value)| value.trim_matches(['"', '\'']))
    };
    let mut text = text.to_owned();
    for _ in 0..DEPTH {
        let mut out = String::new();
        let mut parts = text.split('$');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let braced = part.strip_prefix('{').and_then(|p| p.split_once('}'));
            let (inner, rest) = braced
                .unwrap_or_else(|| part.split_at(part.find(|c| !is_part(c)).unwrap_or(part.len())));
            let end = inner.find(|c| !is_part(c)).unwrap_or(inner.len());
            let (name, form) = inner.split_at(end);
            let otherwise = form.strip_prefix(":-").or_else(|| form.strip_prefix('-'));
            match set(name).or(otherwise) {
                Some(value) => out.push_str(value),
                None => {
                    out.push('$');
                    out.push_str(part);
                    continue;
                }
            }
            out.push_str(rest);
        }
        if out == text || out.len() > LONGEST {
            break;
        }
        text = out;
    }
    text
}

/// A stage: its FROM, what it starts from, its name, and its instructions.
struct Stage<'a> {
    from: &'a Instruction,
    base: String,
    name: Option<&'a str>,
    own: &'a [Instruction],
}

fn stages_of<'a>(all: &'a [Instruction]) -> Vec<Stage<'a>> {
    let mut out = Vec::new();
    let starts: Vec<usize> = (0..all.len())
        .filter(|at| all.get(*at).is_some_and(|i| i.name == "FROM"))
        .collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(all.len());
        let (Some(from), Some(own)) = (all.get(*start), all.get(*start..end)) else {
            continue;
        };
        let mut words = from
            .rest
            .split_whitespace()
            .filter(|word| !word.starts_with("--"));
        let base = words.next().unwrap_or_default();
        let is_named = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("as"));
        out.push(Stage {
            from,
            base: filled(base, all),
            name: words.next().filter(|_| is_named),
            own,
        });
    }
    out
}

/// The last stage and those that it is built on, the last first.
fn final_stages<'a>(all: &'a [Instruction]) -> Vec<Stage<'a>> {
    let mut rest = stages_of(all);
    let mut chain: Vec<Stage<'a>> = rest.pop().into_iter().collect();
    while let Some(base) = chain.last().map(|stage| stage.base.clone()) {
        let below = rest.iter().rposition(|stage| {
            stage
                .name
                .is_some_and(|name| name.eq_ignore_ascii_case(&base))
        });
        let Some(at) = below else { break };
        rest.truncate(at + 1);
        chain.extend(rest.pop());
    }
    chain
}

fn user(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        let chain = final_stages(all);
        let first = chain.first()?;
        let said = chain.iter().flat_map(|stage| stage.own.iter().rev());
        let Some(user) = said.into_iter().find(|i| i.name == "USER") else {
            // Some images say in their name that they do not run as root.
            let base = chain
                .last()
                .map(|stage| stage.base.as_str())
                .unwrap_or_default();
            let is_bound = ["nonroot", "unprivileged", "cgr.dev/chainguard"]
                .iter()
                .any(|word| base.contains(word));
            let found = "its last stage sets no USER";
            return (!is_bound).then(|| (first.from.line, found.to_owned()));
        };
        let name = filled(&user.rest, all);
        let name = name.split(':').next().unwrap_or_default();
        let name = name.trim_matches(['"', '\'']);
        let is_zero = !name.is_empty() && name.bytes().all(|b| b == b'0');
        if name.contains('$') {
            let found = format!("runs as `{name}`, which nothing sets");
            return Some((user.line, found));
        }
        (name == "root" || is_zero).then(|| (user.line, "runs as root".to_owned()))
    })
}

fn base_pinned(r: &Repository) -> Looked {
    let open: RefCell<Option<String>> = RefCell::default();
    let looked = dockerfiles(r, |all| {
        let mut known: Vec<&str> = Vec::new();
        for stage in stages_of(all) {
            let image = stage.base.as_str();
            let own =
                known.iter().any(|name| name.eq_ignore_ascii_case(image)) || image == "scratch";
            if !own && image.contains('$') {
                known.extend(stage.name);
                open.borrow_mut().get_or_insert(stage.base);
                continue;
            }
            if !own && !is_pinned(image) {
                return Some((
                    stage.from.line,
                    format!("starts from the moving image `{image}`"),
                ));
            }
            known.extend(stage.name);
        }
        // Files of another image are as much a part of it.
        let copies = all.iter().filter(|i| i.name == "COPY");
        let mut from = copies.filter_map(|i| Some((i.line, i.rest.split_once("--from=")?.1)));
        from.find_map(|(line, rest)| {
            let image = filled(rest.split_whitespace().next()?, all);
            let is_image = image.contains(['/', ':']) && !image.contains('$');
            let moves = is_image && !is_pinned(&image);
            moves.then(|| (line, format!("copies from the moving image `{image}`")))
        })
    });
    match (looked, open.into_inner()) {
        (Looked::At(_, problems), Some(image)) if problems.is_empty() => {
            Looked::Unknown(format!("what `{image}` is: only who builds it says so"))
        }
        (looked, _) => looked,
    }
}

/// Whether the image that a Dockerfile makes has a health check that can fail.
pub(super) fn is_health_checked(text: &str) -> bool {
    let all = instructions(text);
    let chain = final_stages(&all);
    let said = chain.iter().flat_map(|stage| stage.own.iter().rev());
    let check = said.into_iter().find(|i| i.name == "HEALTHCHECK");
    check.is_some_and(|i| {
        let command = i.rest.split_once("CMD").map_or("", |(_, command)| command);
        !is_idle(command)
    })
}

fn healthcheck(r: &Repository) -> Looked {
    let (mut seen, mut problems) = (0, Vec::new());
    for (path, text) in r.texts_of(is_dockerfile) {
        seen += 1;
        if !is_health_checked(text) {
            problems.push(Problem::new(path, 1, "has no HEALTHCHECK that can fail"));
        }
    }
    match seen {
        0 => Looked::Nothing(NO_DOCKERFILE),
        n => Looked::At(format!("{n} Dockerfiles"), problems),
    }
}

fn stages(r: &Repository) -> Looked {
    dockerfiles(r, |all| {
        // Stages that the last one is built on stay in the image with all that they hold.
        let stages = stages_of(all).len();
        let own = final_stages(all).len();
        (stages <= own).then(|| (1, "builds and runs in one stage".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::{final_stages, instructions, is_dockerfile, is_health_checked};

    #[test]
    fn dockerfiles_are_known_by_their_name() {
        for path in [
            "Dockerfile",
            "a/Dockerfile.prod",
            "Containerfile",
            "web.dockerfile",
        ] {
            assert!(is_dockerfile(path), "{path}");
        }
        for path in [
            "docs/dockerfile.md",
            "src/dockerfile.rs",
            "dockerfile_parser.py",
            "tests/Dockerfile",
        ] {
            assert!(!is_dockerfile(path), "{path}");
        }
    }

    #[test]
    fn the_last_stage_is_built_on_others() {
        let text = "ARG V=3.20\nFROM alpine:$V AS base\nUSER app\nFROM rust:1 AS build\nRUN <<EOF\nUSER root\nEOF\nFROM base\n";
        let all = instructions(text);
        let chain = final_stages(&all);
        let bases: Vec<&str> = chain.iter().map(|s| s.base.as_str()).collect();
        assert_eq!(bases, ["base", "alpine:3.20"]);
        assert_eq!(all.iter().filter(|i| i.name == "USER").count(), 1);
    }

    #[test]
    fn a_health_check_is_one_of_the_last_stage_that_can_fail() {
        for (text, expected) in [
            ("FROM a\nHEALTHCHECK CMD curl -f localhost\n", true),
            (
                "FROM a\nHEALTHCHECK --interval=5s \\\n  CMD curl -f localhost\n",
                true,
            ),
            ("FROM a\nHEALTHCHECK CMD exit 0\n", false),
            (
                "FROM a\nHEALTHCHECK --interval=5s \\\n  CMD exit 0\n",
                false,
            ),
            ("FROM a\nHEALTHCHECK CMD curl -f localhost || true\n", false),
            ("FROM a\nHEALTHCHECK none\n", false),
            (
                "FROM a AS x\nHEALTHCHECK CMD curl -f localhost\nFROM b\n",
                false,
            ),
            (
                "FROM a AS x\nHEALTHCHECK CMD curl -f localhost\nFROM x\n",
                true,
            ),
        ] {
            assert_eq!(is_health_checked(text), expected, "{text}");
        }
    }
}
