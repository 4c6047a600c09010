//! What is in the repository: secrets, leftovers, dependencies, tests and a licence.

use super::{Looked, in_repository};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::repository::{Repository, Tally, is_test, locks};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "secrets.none-in-source",
        title: "No secret is in the source",
        why: "Repositories are copied for ever.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "Every file that ignore rules leave, but tests, is searched for the shapes of fourteen kinds of credentials. History is not read.",
        remedy: "Remove, rotate and use references.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "no credentials in files", secrets),
    },
    Check {
        id: "secrets.env-files-not-committed",
        title: "No environment file with values is committed",
        why: "It is the most common leak.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Repository],
        verified_by: "Every .env file that ignore rules leave, also those such as prod.env; test folders left out.",
        remedy: "Ignore .env and commit an example.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "no environment files with values", env_files),
    },
    Check {
        id: "code.no-todo",
        title: "Code that ships contains no unfinished markers",
        why: "A marker in shipped code is a known gap.",
        severity: Severity::Low,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "Comments in source files, tests, examples and scripts left out.",
        remedy: "Finish the work or move the note to the tracker.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "no marks of unfinished work in what ships", todos),
    },
    Check {
        id: "code.no-print",
        title: "Code that ships logs through the logger and never to the console",
        why: "Console output has no level, no request id and no redaction.",
        severity: Severity::Medium,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "Lines of source files that begin with a print call; tests, examples and scripts left out.",
        remedy: "Replace console output by log calls.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "no print calls in what ships", prints),
    },
    Check {
        id: "deps.pinned",
        title: "Every dependency is fixed to one version",
        why: "A build of tomorrow must be the build of today.",
        severity: Severity::High,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "Every line of requirements files; other kinds of manifests are a matter of their lock file.",
        remedy: "Fix versions or commit a lock file.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "exact versions", pinned),
    },
    Check {
        id: "deps.lockfile-committed",
        title: "The lock file is in version control",
        why: "Without it, two builds of one commit differ.",
        severity: Severity::High,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "A lock file that names packages beside or above every Cargo.toml, package.json, pyproject.toml and go.mod that names dependencies, and that locks what the last three ask for.",
        remedy: "Commit the lock file of each package manager.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a lock file for every manifest", locked),
    },
    Check {
        id: "deps.update-strategy",
        title: "Dependency updates arrive by a regular, automatic way",
        why: "Updates left for later become impossible.",
        severity: Severity::Medium,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "The configuration files of both at their usual places.",
        remedy: "Configure Renovate or Dependabot for each manifest.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "Renovate or Dependabot", updates),
    },
    Check {
        id: "repo.licence-present",
        title: "The repository states its licence",
        why: "Nobody knows what others may do with it.",
        severity: Severity::Low,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "A file LICENSE, LICENCE, COPYING or UNLICENSE at the root, or a folder LICENSES, that is not empty.",
        remedy: "Add a LICENSE file.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "a licence at the root", licence),
    },
    Check {
        id: "repo.tests-exist",
        title: "The repository holds tests",
        why: "Every change is a guess.",
        severity: Severity::High,
        areas: &[Area::Quality],
        needs: &[Need::Repository],
        verified_by: "Source files that are named or placed as tests, or hold those of Rust, and that assert something.",
        remedy: "Write tests for the critical paths first.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_repository(s, "files of tests", tests),
    },
];

fn tally(repository: &Repository, tally: &Tally) -> Looked {
    let mut problems = tally.first.clone();
    if let (Some(last), true) = (problems.last_mut(), tally.total > tally.first.len()) {
        last.found = format!("{} ({} in all)", last.found, tally.total);
    }
    let large = match repository.large {
        0 => String::new(),
        n => format!(", of which {n} over 1 MiB were not read"),
    };
    Looked::At(format!("{} files{large}", repository.paths.len()), problems)
}

fn secrets(r: &Repository) -> Looked {
    if r.secrets.total == 0 && r.unread > 0 {
        return Looked::Unknown(format!(
            "a look into {} files that cannot be read",
            r.unread
        ));
    }
    tally(r, &r.secrets)
}

fn todos(r: &Repository) -> Looked {
    match r.sources {
        0 => Looked::Nothing(NO_SOURCE),
        _ => tally(r, &r.todos),
    }
}

fn prints(r: &Repository) -> Looked {
    match r.sources {
        0 => Looked::Nothing(NO_SOURCE),
        _ => tally(r, &r.prints),
    }
}

const NO_SOURCE: &str = "the repository holds no source code that we know";
const NO_MANIFEST: &str = "the repository declares no dependencies that we know";

fn env_files(r: &Repository) -> Looked {
    let is_env = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or(path);
        let template = ["example", "sample", "template", "dist"]
            .iter()
            .any(|t| file.contains(t));
        (file.starts_with(".env") || file.ends_with(".env")) && !template && !is_test(path)
    };
    let problems = r
        .texts_of(is_env)
        .filter_map(|(path, text)| {
            let sets = |line: &str| {
                let value = line.split_once('=').map_or("", |(_, value)| value.trim());
                !line.trim_start().starts_with('#') && !value.is_empty()
            };
            let line = text.lines().position(sets)?;
            Some(Problem::new(
                path,
                line + 1,
                "an environment file with values",
            ))
        })
        .collect();
    Looked::At(format!("{} files", r.paths.len()), problems)
}

/// A file of dependencies and the lock files that settle it.
const LOCKS: [(&str, &[&str]); 4] = [
    ("Cargo.toml", &["Cargo.lock"]),
    (
        "package.json",
        &[
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
        ],
    ),
    (
        "pyproject.toml",
        &["uv.lock", "poetry.lock", "pdm.lock", "requirements.txt"],
    ),
    ("go.mod", &["go.sum"]),
];

/// Manifests without a lock file beside or above them, and how many manifests there are.
fn unlocked(r: &Repository) -> (usize, Vec<Problem>) {
    let (mut seen, mut problems) = (0, Vec::new());
    for path in r.paths.iter().filter(|path| !is_test(path)) {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let Some((_, names)) = LOCKS.iter().find(|(manifest, _)| *manifest == file) else {
            continue;
        };
        let text = r.texts.get(path).map_or("", String::as_str);
        if !text.contains("ependencies") && !text.contains("require") {
            continue;
        }
        seen += 1;
        let mut folders = std::iter::successors(Some(folder), |folder| {
            (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above))
        });
        let lock = folders.find_map(|folder| {
            let here = names.iter().map(|lock| match folder {
                "" => (*lock).to_owned(),
                folder => format!("{folder}/{lock}"),
            });
            let mut here = here.filter(|path| r.paths.contains(path) && !r.hollow.contains(path));
            here.next()
        });
        let Some(lock) = lock else {
            let found = "no lock file with packages beside or above it";
            problems.push(Problem::new(path, 1, found));
            continue;
        };
        // A lock that is too large to be read is taken for what it says it is.
        let Some(known) = r.locks.get(&lock) else {
            continue;
        };
        let asked = locks::asked(file, text);
        if let Some(name) = asked.iter().find(|name| !known.contains(*name)) {
            let found = format!("asks for `{name}`, which {lock} does not lock");
            problems.push(Problem::new(path, 1, found));
        }
    }
    (seen, problems)
}

fn locked(r: &Repository) -> Looked {
    match unlocked(r) {
        (0, _) => Looked::Nothing(NO_MANIFEST),
        (n, problems) => Looked::At(format!("{n} manifests"), problems),
    }
}

fn pinned(r: &Repository) -> Looked {
    let is_requirements = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or(path);
        let named = file.starts_with("requirements") || path.contains("requirements/");
        named && file.ends_with(".txt") && !is_test(path)
    };
    let mut problems = Vec::new();
    let mut seen = 0;
    for (path, text) in r.texts_of(is_requirements) {
        seen += 1;
        for (index, line) in text.lines().enumerate() {
            let wanted = line.split(['#', ';']).next().unwrap_or_default().trim();
            let named = wanted.starts_with(|c: char| c.is_ascii_alphanumeric());
            if named && !is_one_version(wanted) {
                problems.push(Problem::new(
                    path,
                    index + 1,
                    format!("`{wanted}` is not one version"),
                ));
            }
        }
    }
    match seen {
        0 => {
            Looked::Nothing("the repository has no requirements file; lock files are another check")
        }
        n => Looked::At(format!("{n} requirements files"), problems),
    }
}

/// Whether a requirement of pip can be met by one version only.
fn is_one_version(wanted: &str) -> bool {
    let Some((_, url)) = wanted
        .split_once('@')
        .filter(|(name, _)| !name.contains('='))
    else {
        let exact = wanted.split(',').find_map(|part| part.split_once("=="));
        return exact.is_some_and(|(_, version)| !version.contains('*'));
    };
    let is_archive = [".whl", ".zip", ".tar.gz"]
        .iter()
        .any(|end| url.contains(end));
    let revision = url.rsplit_once('@').map_or("", |(_, revision)| revision);
    let revision = revision.split(['#', ' ']).next().unwrap_or_default();
    let is_commit = revision.len() >= 7 && revision.bytes().all(|b| b.is_ascii_hexdigit());
    let is_tag = revision
        .trim_start_matches('v')
        .starts_with(|c: char| c.is_ascii_digit());
    is_archive || is_commit || is_tag
}

/// Asks for one of some files.
fn one_of(r: &Repository, fits: impl Fn(&str) -> bool, missing: &str) -> Looked {
    let mut all = r.paths.iter().filter(|path| fits(path)).peekable();
    let first = all.peek().copied();
    match (all.find(|path| !r.hollow.contains(*path)), first) {
        (Some(path), _) => Looked::At(path.clone(), Vec::new()),
        (None, Some(path)) => Looked::At(String::new(), vec![Problem::new(path, 1, "is empty")]),
        (None, None) => Looked::At(String::new(), vec![Problem::new(".", 1, missing)]),
    }
}

fn updates(r: &Repository) -> Looked {
    let names = [
        "renovate.json",
        "renovate.json5",
        ".renovaterc",
        ".github/dependabot.yml",
        ".github/dependabot.yaml",
        ".github/renovate.json",
    ];
    one_of(
        r,
        |path| names.contains(&path),
        "neither Renovate nor Dependabot is configured",
    )
}

fn licence(r: &Repository) -> Looked {
    let fits = |path: &str| {
        let upper = path.to_uppercase();
        let at_root = !path.contains('/')
            && ["LICENSE", "LICENCE", "COPYING", "UNLICENSE"]
                .iter()
                .any(|name| upper.starts_with(name));
        at_root || path.starts_with("LICENSES/")
    };
    one_of(r, fits, "no LICENSE at the root")
}

fn tests(r: &Repository) -> Looked {
    if r.sources == 0 {
        return Looked::Nothing(NO_SOURCE);
    }
    let looked = format!("{} files of tests that assert something", r.asserting);
    let problem = match (r.asserting, r.idle_tests) {
        (0, 0) => "no file of tests".to_owned(),
        (0, idle) => format!("{idle} files of tests, and none asserts anything"),
        _ => return Looked::At(looked, Vec::new()),
    };
    Looked::At(String::new(), vec![Problem::new(".", 1, problem)])
}

#[cfg(test)]
mod tests {
    use super::is_one_version;

    #[test]
    fn one_version_is_told_from_many() {
        for one in [
            "a==1.0",
            "a===1.0",
            "a[b]==1.0",
            "a @ https://x/a-1.0.whl",
            "a @ git+https://x/y@v1.2",
            "a @ git+https://x/y@0123abc",
        ] {
            assert!(is_one_version(one), "{one}");
        }
        for many in [
            "a",
            "a>=1",
            "a==*",
            "a==1.*",
            "a!=1",
            "a @ git+https://x/y",
            "a @ git+https://x/y@main",
        ] {
            assert!(!is_one_version(many), "{many}");
        }
    }
}
