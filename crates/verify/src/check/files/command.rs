//! What an image starts: whether the code that its command names is in the repository.

use super::Looked;
use super::dockerfile::{Instruction, NO_DOCKERFILE, instructions, is_dockerfile};
use crate::files::Problem;
use crate::files::repository::Repository;

/// Programs that are given a module and the name of the application in it.
const SERVERS: [&str; 5] = ["uvicorn", "gunicorn", "hypercorn", "granian", "daphne"];

/// What a command starts.
#[derive(Debug, PartialEq)]
enum Target {
    Module(String),
    File(String),
}

pub(super) fn exists(r: &Repository) -> Looked {
    let (mut seen, mut told, mut problems) = (0, 0, Vec::new());
    for (path, text) in r.texts_of(is_dockerfile) {
        let all = instructions(text);
        let last = all.iter().rposition(|i| i.name == "FROM").unwrap_or(0);
        let starts = |i: &&Instruction| matches!(i.name.as_str(), "CMD" | "ENTRYPOINT");
        let own: Vec<&Instruction> = all.iter().skip(last).filter(starts).collect();
        // The last of each counts, and the words of CMD follow those of an ENTRYPOINT in brackets.
        let last_of = |name: &str| own.iter().rfind(|i| i.name == name).copied();
        let (entry, command) = (last_of("ENTRYPOINT"), last_of("CMD"));
        let Some(instruction) = entry.or(command) else {
            continue;
        };
        seen += 1;
        let mut words = instruction.rest.clone();
        if let Some(command) = command.filter(|_| entry.is_some() && words.starts_with('[')) {
            words = format!("{words} {}", command.rest);
        }
        let Some(target) = target(&words) else {
            continue;
        };
        told += 1;
        if let Some(missing) = missing(r, &target) {
            let line = command
                .filter(|c| c.rest.contains(&missing))
                .unwrap_or(instruction)
                .line;
            let found = format!("starts `{missing}`, which is not in the repository");
            problems.push(Problem::new(path, line, found));
        }
    }
    match (seen, told) {
        (0, _) => Looked::Nothing(NO_DOCKERFILE),
        (_, 0) => Looked::Nothing(
            "the images start what their build makes, and no file of Python or Node",
        ),
        (n, told) => Looked::At(format!("{told} of {n} commands of images"), problems),
    }
}

/// The code that a command names, where we can tell.
fn target(command: &str) -> Option<Target> {
    let clean = command.replace(['[', ']', '"', '\'', ','], " ");
    let words: Vec<&str> = clean
        .split_whitespace()
        .filter(|word| *word != "exec")
        .collect();
    let program = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let (first, rest) = words.split_first()?;
    let first = program(first);
    if SERVERS.contains(&first.as_str()) {
        return application(rest);
    }
    if first.starts_with("python") {
        return match rest {
            ["-m", server, rest @ ..] if SERVERS.contains(server) => application(rest),
            ["-m", module, ..] => Some(Target::Module((*module).to_owned())),
            [file, ..] if file.ends_with(".py") => Some(Target::File((*file).to_owned())),
            _ => None,
        };
    }
    match rest {
        [file, ..] if first == "node" && file.ends_with(".js") => {
            Some(Target::File((*file).to_owned()))
        }
        _ => None,
    }
}

/// `package.module:application` among the arguments of a server.
fn application(arguments: &[&str]) -> Option<Target> {
    let named = arguments.iter().filter(|word| !word.starts_with('-'));
    let named = named.filter_map(|word| word.split_once(':'));
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '.')
    };
    let is_port = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let mut named = named.filter(|(module, app)| is_name(module) && is_name(app) && !is_port(app));
    named
        .next()
        .map(|(module, _)| Target::Module(module.to_owned()))
}

/// The target, when the repository ought to have it and has not.
fn missing(r: &Repository, target: &Target) -> Option<String> {
    let is_there = |wanted: &str| {
        let inner = format!("/{wanted}");
        r.paths
            .iter()
            .any(|path| path == wanted || path.ends_with(&inner))
    };
    match target {
        Target::Module(module) => {
            let path = module.replace('.', "/");
            let forms = [".py", "/__init__.py", "/__main__.py"];
            let there = forms.iter().any(|form| is_there(&format!("{path}{form}")));
            let top = path.split('/').next().unwrap_or(&path);
            let inside = format!("{top}/");
            let is_own = r
                .paths
                .iter()
                .any(|p| p.starts_with(&inside) || p.contains(&format!("/{inside}")));
            // A package from elsewhere, such as `python -m celery`.
            (!there && is_own).then(|| module.clone())
        }
        // Files that a build makes are not in the repository.
        Target::File(file) => {
            let name = file.trim_start_matches("./").trim_start_matches('/');
            let last = name.rsplit('/').next().unwrap_or(name);
            let built = ["dist/", "build/", ".next/", "out/"]
                .iter()
                .any(|dir| name.contains(dir));
            (!built && !is_there(last)).then(|| file.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, target};

    #[test]
    fn reads_what_a_command_starts() {
        let module = |name: &str| Some(Target::Module(name.to_owned()));
        for (command, expected) in [
            (
                r#"["uvicorn", "app.main:app", "--host", "0.0.0.0"]"#,
                module("app.main"),
            ),
            (
                "uvicorn --host 0.0.0.0:80 src.api:create",
                module("src.api"),
            ),
            (
                r#"["python", "-m", "agent.server"]"#,
                module("agent.server"),
            ),
            ("exec python3 -m uvicorn app:app", module("app")),
            ("python main.py", Some(Target::File("main.py".to_owned()))),
            ("node server.js", Some(Target::File("server.js".to_owned()))),
            ("[\"/agent\"]", None),
            ("gunicorn -b 0.0.0.0:80", None),
        ] {
            assert_eq!(target(command), expected, "{command}");
        }
    }
}
