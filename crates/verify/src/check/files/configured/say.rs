//! How settings are judged.

use std::collections::BTreeMap;

use crate::check::files::Looked;
use crate::files::secret_names::{has_password, shown};
use crate::files::settings::{Setting, Settings};
use crate::files::{Place, Problem};

pub(super) fn above_zero(s: &Setting) -> bool {
    s.number().is_some_and(|n| n > 0.0)
}

pub(super) fn blocks(s: &Setting) -> bool {
    let value = s.value.to_ascii_lowercase();
    s.is_on()
        || ["block", "reject", "refuse", "deny", "hard", "stop"]
            .iter()
            .any(|word| value.contains(word))
}

pub(super) fn is_shared(s: &Setting) -> bool {
    let value = s.value.to_ascii_lowercase();
    [
        "redis",
        "postgres",
        "valkey",
        "memcached",
        "dynamodb",
        "cosmos",
        "mysql",
    ]
    .iter()
    .any(|word| value.contains(word))
}

pub(super) fn is_durable(s: &Setting) -> bool {
    let value = s.value.to_ascii_lowercase();
    is_shared(s)
        || s.is_on()
        || ["sqlite", "file", "disk", "mongo", "s3"]
            .iter()
            .any(|word| value.contains(word))
}

pub(super) fn grows(s: &Setting) -> bool {
    let value = s.value.to_ascii_lowercase();
    value.contains("exp") || s.is_on() || s.number().is_some_and(|n| n > 0.0 && (n != 1.0))
}

/// Settings about some words; the configuration in force first.
fn about<'a>(all: &'a Settings, words: &[&str]) -> Vec<&'a Setting> {
    all.all.iter().filter(|s| s.is_about(words)).collect()
}

/// One setting must say it; a configuration in force that says nothing of it is without it.
pub(super) fn some(
    all: &Settings,
    what: &str,
    words: &[&str],
    good: fn(&Setting) -> bool,
) -> Looked {
    if all.complete && about(all, words).is_empty() {
        let found = format!("says nothing of {what}");
        return Looked::At(
            String::new(),
            vec![Problem::new("configuration in force", 0, found)],
        );
    }
    anywhere(all, what, words, good)
}

/// One setting must say it, wherever it is kept.
pub(super) fn anywhere(
    all: &Settings,
    what: &str,
    words: &[&str],
    good: fn(&Setting) -> bool,
) -> Looked {
    let found = about(all, words);
    if let Some(s) = found.iter().find(|s| good(s)) {
        return Looked::At(told(s), Vec::new());
    }
    // What is said counts more than what is left open.
    let said = found.iter().find(|s| !s.value.is_empty());
    match said.or(found.first()) {
        Some(s) => Looked::At(String::new(), vec![problem(s, "says otherwise")]),
        None => Looked::Unknown(format!(
            "a setting that says it, {what}: none of {} is about {}",
            all.all.len(),
            words.join(" and ").replace('|', " or ")
        )),
    }
}

/// The name of a setting without the way to it.
fn last(s: &Setting) -> &str {
    s.key.rsplit('.').next().unwrap_or_default()
}

/// What a setting says, and where.
fn told(s: &Setting) -> String {
    let place = Place {
        path: s.path.clone(),
        line: s.line,
    };
    format!("{place} {} is {}", s.key, shown(last(s), &s.value))
}

pub(super) fn problem(s: &Setting, why: &str) -> Problem {
    let shown: String = shown(last(s), &s.value).chars().take(40).collect();
    let said = match shown.is_empty() {
        true => format!("{} is not set", s.key),
        false => format!("{} is `{shown}`: {why}", s.key),
    };
    Problem::new(&s.path, s.line, said)
}

pub(super) fn breaker(all: &Settings) -> Looked {
    let switches = |s: &&&Setting| {
        let last = s.key.rsplit('.').next().unwrap_or_default();
        matches!(last, "enabled" | "enable" | "active") && s.is_off()
    };
    let found = about(all, &["breaker"]);
    match found.iter().find(switches) {
        Some(s) => Looked::At(String::new(), vec![problem(s, "it is switched off")]),
        None => some(all, "a circuit breaker", &["breaker"], |s| !s.is_off()),
    }
}

/// A level of logs, none of which tells what people wrote.
pub(super) fn level(all: &Settings) -> Looked {
    let words = ["log", "level"];
    let is = |s: &Setting, levels: &[&str]| levels.contains(&s.value.to_ascii_lowercase().as_str());
    let loud = about(all, &words)
        .into_iter()
        .find(|s| is(s, &["debug", "trace"]));
    match loud {
        Some(s) => Looked::At(String::new(), vec![problem(s, "it tells too much")]),
        None => some(all, "a level of info or above", &words, |s| {
            matches!(
                s.value.to_ascii_lowercase().as_str(),
                "info" | "warn" | "warning" | "error"
            )
        }),
    }
}

/// No setting may be wrong, and there must be one.
pub(super) fn every(
    found: &[&Setting],
    none: &str,
    wrong: impl Fn(&Setting) -> Option<Problem>,
) -> Looked {
    let problems = found.iter().filter_map(|s| wrong(s)).collect();
    match found.len() {
        0 => Looked::Unknown(none.to_owned()),
        n => Looked::At(format!("{n} settings"), problems),
    }
}

pub(super) fn timeouts(all: &Settings) -> Looked {
    let found: Vec<&Setting> = about(all, &["timeout"])
        .into_iter()
        .filter(|s| {
            s.key
                .rsplit('.')
                .next()
                .is_some_and(|last| last.contains("timeout"))
        })
        .collect();
    every(
        &found,
        "a timeout in the manifests or the configuration",
        |s| {
            let ends = s.number().is_none_or(|n| n > 0.0)
                && !matches!(s.value.as_str(), "none" | "never" | "infinity" | "-1");
            (!ends).then(|| problem(s, "it never ends"))
        },
    )
}

/// Whether a key is the name of a secret.
pub(super) fn is_secret(s: &Setting) -> bool {
    let last = s
        .key
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .replace('-', "_");
    [
        "password",
        "passwd",
        "api_key",
        "apikey",
        "secret",
        "access_key",
        "auth_token",
    ]
    .iter()
    .any(|word| last.ends_with(word))
}

/// Whether a value points to a secret instead of being one.
pub(super) fn is_reference(value: &str) -> bool {
    let starts = [
        "secret://",
        "${",
        "$(",
        "vault:",
        "arn:aws:secretsmanager",
        "@microsoft.keyvault",
        "env:",
        "file:",
        "projects/",
        "/run/secrets",
        "keyvault",
        "ref+",
        "{{",
        "<",
        "akv:",
        "ssm:",
        "sm://",
        "op://",
        "***",
        "[redacted",
    ];
    let lower = value.to_ascii_lowercase();
    value.is_empty() || starts.iter().any(|start| lower.starts_with(start))
}

pub(super) fn references(all: &Settings) -> Looked {
    let kept =
        |s: &&Setting| is_secret(s) || has_password(&s.value) || s.key.contains("secretkeyref.key");
    let found: Vec<&Setting> = all.all.iter().filter(kept).collect();
    every(&found, "a setting that is named like a secret", |s| {
        let literal =
            is_secret(s) && !is_reference(&s.value) && s.value.len() >= 8 && !s.key.contains("ref");
        (literal || has_password(&s.value)).then(|| {
            Problem::new(
                &s.path,
                s.line,
                format!("{} holds a value instead of a reference", s.key),
            )
        })
    })
}

pub(super) fn environment(s: &Setting) -> Option<&'static str> {
    let path = s.path.to_ascii_lowercase();
    ["staging", "prod", "dev"]
        .into_iter()
        .find(|name| path.contains(name))
}

/// References that stand in two of something.
fn shared_references<'a>(
    all: &'a Settings,
    owner: impl Fn(&'a Setting) -> Option<String>,
) -> (usize, Vec<Problem>) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let (mut count, mut problems) = (0, Vec::new());
    for s in all
        .all
        .iter()
        .filter(|s| is_secret(s) && is_reference(&s.value) && s.value.len() > 3)
    {
        let Some(owner) = owner(s) else { continue };
        count += 1;
        match seen.get(s.value.as_str()) {
            Some(other) if *other != owner => {
                problems.push(problem(s, &format!("{other} uses the same one")));
            }
            _ => drop(seen.insert(&s.value, owner)),
        }
    }
    (count, problems)
}

pub(super) fn per_environment(all: &Settings) -> Looked {
    match shared_references(all, |s| environment(s).map(str::to_owned)) {
        (0, _) => {
            Looked::Unknown("references to secrets in files of staging and production".to_owned())
        }
        (n, problems) => Looked::At(format!("{n} references"), problems),
    }
}

pub(super) fn per_service(all: &Settings) -> Looked {
    let service = |s: &Setting| {
        s.key
            .rsplit_once('.')
            .map(|(above, _)| format!("{} {above}", s.path))
    };
    match shared_references(all, service) {
        (0, _) => Looked::Unknown(
            "references to secrets in the manifests or the configuration".to_owned(),
        ),
        (n, problems) => Looked::At(format!("{n} references"), problems),
    }
}

pub(super) fn recovery_targets(all: &Settings) -> Looked {
    let says = |word: &str| {
        all.all.iter().find(|s| {
            let last = s.key.rsplit('.').next().unwrap_or_default();
            last.split('_').any(|part| part == word) && above_zero(s)
        })
    };
    let problem = |what: &str, s: &Setting| {
        vec![Problem::new(&s.path, s.line, format!("there is no {what}"))]
    };
    match (says("rto"), says("rpo")) {
        (Some(rto), Some(rpo)) => {
            Looked::At(format!("RTO {}, RPO {}", rto.value, rpo.value), Vec::new())
        }
        (Some(one), None) => Looked::At(String::new(), problem("RPO", one)),
        (None, Some(one)) => Looked::At(String::new(), problem("RTO", one)),
        (None, None) => Looked::Unknown("settings `rto` and `rpo` in the manifests".to_owned()),
    }
}
