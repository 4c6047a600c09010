//! Keys of configuration examples that no code reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Looked, conclude};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::repository::{Repository, is_test};
use crate::files::yaml::{self, Node, Value};
use crate::files::{Place, Problem};
use crate::outcome::{Probed, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[Check {
    id: "config.keys-read",
    title: "Every key of the configuration examples is read by the code",
    why: "A setting that nothing reads protects nobody, and nobody notices.",
    severity: Severity::High,
    areas: &[Area::Operations],
    needs: &[Need::Repository],
    verified_by: "The keys of configuration examples (TOML, YAML and .env.example), looked for as names in source files, whatever their case. Names that users choose are left out, as far as they show as such.",
    remedy: "Read the key, or take it out of the example.",
    kind: Kind::Files,
    standard: true,
    probe: |s| Box::pin(async move { keys_read(s) }),
}];

/// Source that is read to look for names; with more than this, nothing is said to be unread.
const MAX_SOURCE_BYTES: u64 = 96 * 1024 * 1024;
/// Larger examples are data.
const MAX_EXAMPLE_BYTES: u64 = 256 * 1024;

/// A key as it stands in an example.
struct Key {
    place: Place,
    name: String,
    /// The file and the keys above it.
    parent: String,
    /// It stands at the top of its file.
    is_top: bool,
}

fn keys_read(s: &Session<'_>) -> Probed {
    let (Some(repository), Some(root)) = (s.repository(), s.options().repository.as_deref()) else {
        return super::missing("a repository");
    };
    let keys = keys_of_examples(repository, root);
    if keys.is_empty() {
        return not_verified("a configuration example with keys, such as config.example.toml");
    }
    let wanted: BTreeSet<String> = keys.iter().map(|key| plain(&key.name)).collect();
    let Some(unknown) = never_named(repository, root, wanted) else {
        return not_verified("less source, or a folder of it: too much to look for names in");
    };
    let unread = judge(&keys, &unknown);
    let Some(problems) = unread else {
        return not_verified(
            "code that reads these examples: most of their keys are nowhere in the source",
        );
    };
    let looked = format!("{} keys of examples are named in the source", keys.len());
    conclude(s, "keys that the code reads", Looked::At(looked, problems))
}

/// The keys that are unread, or `None` when the examples seem to be for something else.
fn judge(keys: &[Key], unknown: &BTreeSet<String>) -> Option<Vec<Problem>> {
    let is_unknown = |key: &Key| unknown.contains(&plain(&key.name));
    // An example whose sections the code does not know is for something else.
    let known = keys.iter().filter(|key| !is_unknown(key)).count();
    let known_top = keys.iter().any(|key| key.is_top && !is_unknown(key));
    if known * 5 < keys.len() || !known_top {
        return None;
    }
    // Where none of the keys beside it is known either, they are names that users choose.
    let mut known_beside: BTreeMap<&str, usize> = BTreeMap::new();
    for key in keys {
        *known_beside.entry(&key.parent).or_default() += usize::from(!is_unknown(key));
    }
    let counts = |key: &&Key| key.is_top || known_beside.get(key.parent.as_str()) > Some(&0);
    let unread = keys.iter().filter(|key| is_unknown(key)).filter(counts);
    let problem = |key: &Key| Problem {
        place: key.place.clone(),
        found: format!("`{}` is nowhere in the source", key.name),
    };
    Some(unread.map(problem).collect())
}

/// A name without what differs between languages: `max-retries`, `maxRetries` and `MAX_RETRIES`.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn keys_of_examples(r: &Repository, root: &Path) -> Vec<Key> {
    let mut keys = Vec::new();
    for path in r.paths.iter().filter(|path| is_example(path)) {
        let full = root.join(path);
        let small = std::fs::metadata(&full).is_ok_and(|m| m.len() <= MAX_EXAMPLE_BYTES);
        let Some(text) = small.then(|| std::fs::read_to_string(&full).ok()).flatten() else {
            continue;
        };
        match named(path).rsplit('.').next() {
            Some("toml") => of_toml(path, &text, &mut keys),
            Some("yaml" | "yml") => of_yaml(path, &text, &mut keys),
            _ => of_environment(path, &text, &mut keys),
        }
    }
    keys
}

/// The path without the ending that says that it is an example.
fn named(path: &str) -> &str {
    let endings = [".example", ".sample", ".template", ".dist"];
    let found = endings.iter().find_map(|ending| path.strip_suffix(ending));
    found.unwrap_or(path)
}

/// Files that show how the repository's own program is configured.
fn is_example(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let whole = lower.rsplit('/').next().unwrap_or(&lower);
    let file = named(whole);
    let shown = ["example", "sample", "template", "default", "dist"];
    if file.starts_with(".env") {
        return shown.iter().any(|word| whole.contains(word)) && !is_test(path);
    }
    let tools = [
        "cargo",
        "clippy",
        "rustfmt",
        "pyproject",
        "compose",
        "pre-commit",
        "mkdocs",
        "tsconfig",
        "eslint",
        "golangci",
        "codecov",
        "renovate",
        "dependabot",
        "prometheus",
        "alertmanager",
        "grafana",
        "values",
        "chart",
        "kustomization",
        "deny.",
        "nextest",
        "tox",
        "lock",
        "workflow",
        "_config.y",
    ];
    let ending = matches!(file.rsplit('.').next(), Some("toml" | "yaml" | "yml"));
    let folder = ["config/", "conf/", "examples/"]
        .iter()
        .any(|f| lower.starts_with(f) || lower.contains(&format!("/{f}")));
    let named = ["config", "settings", "example", "sample"]
        .iter()
        .any(|word| whole.contains(word));
    let aside = [
        ".github/",
        "k8s",
        "kubernetes",
        "helm",
        "deploy",
        "manifests",
        "fixtures",
        ".cargo/",
        "docs/",
    ];
    ending
        && (named || folder)
        && !tools.iter().any(|tool| file.contains(tool))
        && !aside.iter().any(|part| lower.contains(part))
        && !is_test(path)
}

fn keep(keys: &mut Vec<Key>, path: &str, line: usize, name: &str, parents: &[String]) {
    if plain(name).len() < 3 {
        return;
    }
    keys.push(Key {
        place: Place {
            path: path.to_owned(),
            line,
        },
        name: name.to_owned(),
        parent: format!("{path}:{}", parents.join(".")),
        is_top: parents.is_empty(),
    });
}

fn of_environment(path: &str, text: &str, keys: &mut Vec<Key>) {
    for (index, line) in text.lines().enumerate() {
        if let Some((name, _)) = line.split_once('=')
            && !name.trim_start().starts_with('#')
        {
            keep(
                keys,
                path,
                index + 1,
                name.trim().trim_start_matches("export "),
                &[],
            );
        }
    }
}

/// The keys of a TOML file, line by line: sections and what stands before `=`.
fn of_toml(path: &str, text: &str, keys: &mut Vec<Key>) {
    let mut section: Vec<String> = Vec::new();
    let parts = |dotted: &str| -> Vec<String> {
        let part = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
        dotted.split('.').map(part).collect()
    };
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(head) = line.strip_prefix('[') {
            let head = head.trim_start_matches('[');
            let head = head.split(']').next().unwrap_or_default();
            let named = parts(head);
            if let Some((last, above)) = named.split_last() {
                keep(keys, path, index + 1, last, above);
            }
            section = named;
        } else if let Some((name, _)) = line.split_once('=') {
            let is_key = |c: char| c.is_alphanumeric() || "_-.\"' ".contains(c);
            if name.chars().all(is_key) && !line.starts_with('#') {
                let named = parts(name);
                let all: Vec<String> = section.iter().cloned().chain(named).collect();
                if let Some((last, above)) = all.split_last() {
                    keep(keys, path, index + 1, last, above);
                }
            }
        }
    }
}

fn of_yaml(path: &str, text: &str, keys: &mut Vec<Key>) {
    for node in yaml::parse(text).unwrap_or_default() {
        let is_manifest = node.get("apiVersion").is_some() && node.get("kind").is_some();
        if !is_manifest {
            walk(path, &node, &mut Vec::new(), keys);
        }
    }
}

fn walk(path: &str, node: &Node, parents: &mut Vec<String>, keys: &mut Vec<Key>) {
    if let Value::List(items) = &node.value {
        for item in items {
            walk(path, item, parents, keys);
        }
    }
    for (name, below) in node.entries() {
        keep(keys, path, below.line, name, parents);
        parents.push(name.clone());
        walk(path, below, parents, keys);
        parents.pop();
    }
}

/// The names that are in no source file; `None` when there is too much source to say so.
fn never_named(
    r: &Repository,
    root: &Path,
    mut wanted: BTreeSet<String>,
) -> Option<BTreeSet<String>> {
    let mut bytes = 0;
    for path in r.paths.iter().filter(|path| is_code(path)) {
        if wanted.is_empty() {
            break;
        }
        let full = root.join(path);
        bytes += std::fs::metadata(&full).map_or(0, |m| m.len());
        if bytes > MAX_SOURCE_BYTES {
            return None;
        }
        let Ok(text) = std::fs::read_to_string(&full) else {
            continue;
        };
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        for word in text.split(|c| !is_name(c)).filter(|word| word.len() > 2) {
            let word = plain(word);
            wanted.remove(&word);
        }
    }
    Some(wanted)
}

/// Files in which names are read, tests and pages left out.
fn is_code(path: &str) -> bool {
    let endings = [
        ".py", ".rs", ".js", ".ts", ".tsx", ".go", ".java", ".kt", ".rb", ".cs", ".php", ".c",
        ".cpp", ".h", ".ex", ".scala", ".swift", ".sh",
    ];
    let lower = path.to_ascii_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let built = file.starts_with("dockerfile") || file.contains("compose");
    (endings.iter().any(|ending| lower.ends_with(ending)) || built) && !is_test(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Key, is_example, judge, of_toml, of_yaml};

    fn unread(keys: &[Key], unknown: &[&str]) -> Option<Vec<String>> {
        let unknown: BTreeSet<String> = unknown.iter().map(|&name| name.to_owned()).collect();
        let problems = judge(keys, &unknown)?;
        Some(
            problems
                .into_iter()
                .map(|p| format!("{}: {}", p.place.line, p.found))
                .collect(),
        )
    }

    #[test]
    fn a_key_among_known_ones_is_told_and_names_that_users_choose_are_not() {
        let mut keys = Vec::new();
        let text = "[server]\nlisten = 1\nmagic-shield = true\n[models.fast]\ntargets = []\n\
                    [models.clever]\ntargets = []\n[headers]\nx-one = 1\nx-two = 2\n";
        of_toml("config.toml", text, &mut keys);
        let found = unread(&keys, &["magicshield", "fast", "clever", "xone", "xtwo"]);
        assert_eq!(
            found,
            Some(vec![
                "3: `magic-shield` is nowhere in the source".to_owned()
            ])
        );
        let all = [
            "server",
            "listen",
            "magicshield",
            "models",
            "targets",
            "fast",
            "clever",
            "headers",
            "xone",
            "xtwo",
        ];
        assert_eq!(unread(&keys, &all), None, "a file of something else");
    }

    #[test]
    fn reads_yaml_but_no_manifests() {
        let mut keys = Vec::new();
        of_yaml(
            "config.yaml",
            "apiVersion: v1\nkind: ConfigMap\ndata: {a_key: b}\n",
            &mut keys,
        );
        assert!(keys.is_empty());
        of_yaml(
            "config.yaml",
            "server:\n  - listen: 1\n    port: 2\n",
            &mut keys,
        );
        let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["server", "listen", "port"]);
    }

    #[test]
    fn knows_examples_of_the_repository_itself() {
        for path in [
            "config/agent.yaml",
            "app.example.toml",
            ".env.example",
            "settings.yml",
            "agent.toml.example",
        ] {
            assert!(is_example(path), "{path}");
        }
        for path in [
            "Cargo.toml",
            ".github/config.yml",
            "docker-compose.example.yml",
            ".env",
        ] {
            assert!(!is_example(path), "{path}");
        }
    }
}
