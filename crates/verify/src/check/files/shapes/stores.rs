//! Log shippers, stores, environments and limits that manifests configure.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::files::Looked;
use crate::check::files::cluster::services;
use crate::files::Problem;
use crate::files::manifests::{Manifests, Object};
use crate::files::secret_names::shown;
use crate::files::settings::{Setting, Settings};
use crate::files::yaml::Node;

/// Configurations of log shippers: documents with sinks, outputs, exporters or clients.
pub(super) fn shipper(m: &Manifests, words: &[&str]) -> Looked {
    const SINKS: [&str; 7] = [
        "sinks",
        "outputs",
        "output",
        "exporters",
        "clients",
        "output.elasticsearch",
        "output.logstash",
    ];
    const NAMES: [&str; 10] = [
        "vector",
        "promtail",
        "fluent",
        "filebeat",
        "logstash",
        "otel",
        "collector",
        "alloy",
        "shipper",
        "logging",
    ];
    let mut first: Option<(&str, usize)> = None;
    let shaped: BTreeSet<&str> = m
        .documents
        .iter()
        .filter(|d| is_shipper(&d.node))
        .map(|d| d.path.as_str())
        .collect();
    let used = used_exporters(m);
    let lines = m.settings.all.iter().filter(|s| {
        let path = s.path.to_ascii_lowercase();
        shaped.contains(s.path.as_str()) || NAMES.iter().any(|name| path.contains(name))
    });
    for s in lines {
        first.get_or_insert((&s.path, s.line));
        let is_sink = SINKS
            .iter()
            .any(|sink| s.key.split('.').any(|part| part == *sink) || s.key.starts_with(sink));
        // The collector's own console, and nowhere.
        let parts: Vec<&str> = s.key.split(['.', '/']).collect();
        let is_idle = parts
            .windows(2)
            .any(|pair| matches!(pair, ["exporters", "debug" | "logging" | "nop" | "file"]));
        let in_pipeline = parts.contains(&"pipelines");
        let is_used = || {
            used.get(s.path.as_str())
                .is_none_or(|all| all.iter().any(|name| is_of(s, name)))
        };
        if !is_sink || is_idle || in_pipeline || !is_used() {
            continue;
        }
        let says =
            |word: &&str| s.key.contains(word) || s.value.to_ascii_lowercase().contains(word);
        if words.is_empty() || words.iter().any(says) {
            return Looked::At(format!("{}:{} {}", s.path, s.line, s.key), Vec::new());
        }
    }
    match first {
        None => Looked::Unknown("the configuration of a log shipper in the manifests".to_owned()),
        Some((path, line)) => Looked::At(
            String::new(),
            vec![Problem::new(
                path,
                line,
                match words {
                    [] => "no sink is configured".to_owned(),
                    words => format!("no sink is {}", words.join(" or ")),
                },
            )],
        ),
    }
}

/// The exporters that pipelines of logs end in, by the file that configures an OpenTelemetry
/// collector: one that is in none gets nothing.
fn used_exporters(m: &Manifests) -> BTreeMap<&str, BTreeSet<String>> {
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for d in &m.documents {
        if let Some(pipelines) = d.node.at("service.pipelines") {
            let all = used.entry(d.path.as_str()).or_default();
            all.extend(exporters_of_logs(pipelines));
        }
    }
    used
}

/// Whether a setting belongs to an exporter of this name.
fn is_of(s: &Setting, name: &str) -> bool {
    let exporter = format!("exporters.{name}");
    s.key.match_indices(&exporter).any(|(at, _)| {
        let rest = s.key.get(at + exporter.len()..).unwrap_or_default();
        rest.is_empty() || rest.starts_with('.')
    })
}

/// The exporters that the pipelines of logs of an OpenTelemetry collector end in.
fn exporters_of_logs(pipelines: &Node) -> impl Iterator<Item = String> + '_ {
    let of_logs = |(name, _): &&(String, Node)| name.split('/').next() == Some("logs");
    let logs = pipelines.entries().iter().filter(of_logs);
    let names = logs.flat_map(|(_, pipeline)| pipeline.items_at("exporters"));
    names.filter_map(Node::text).map(str::to_ascii_lowercase)
}

/// Whether a document configures a shipper, whatever its file is called.
fn is_shipper(node: &Node) -> bool {
    let has = |path: &str| node.at(path).is_some();
    has("exporters") && has("service.pipelines")
        || has("sinks") && has("sources")
        || has("clients") && has("scrape_configs")
        || node.get("filebeat.inputs").is_some()
}

pub(super) fn redis(m: &Manifests) -> Looked {
    let of_redis = |s: &&Setting| s.is_about(&["redis"]);
    let last = |s: &Setting| s.key.rsplit('.').next().unwrap_or_default().to_owned();
    let all: Vec<&Setting> = m.settings.all.iter().filter(of_redis).collect();
    let says = all.iter().find(|s| {
        let name = last(s);
        (name == "appendonly" && s.is_on())
            || (name == "save" && !s.value.is_empty() && s.value != "\"\"")
            || (name == "enabled" && s.key.contains("persistence") && s.is_on())
            || s.value.contains("--appendonly yes")
    });
    match (says, all.first()) {
        (Some(s), _) => Looked::At(
            format!("{}:{} {} is {}", s.path, s.line, s.key, s.value),
            Vec::new(),
        ),
        (None, Some(s)) => Looked::At(
            String::new(),
            vec![Problem::new(
                &s.path,
                s.line,
                "Redis keeps nothing: neither appendonly nor save",
            )],
        ),
        (None, None) => Looked::Unknown("the configuration of Redis in the manifests".to_owned()),
    }
}

pub(super) fn sessions(m: &Manifests) -> Looked {
    let about = |s: &&Setting| {
        s.is_about(&[
            "session|memory|history|conversation",
            "persist|backup|store|durable",
        ])
    };
    let all: Vec<&Setting> = m.settings.all.iter().filter(about).collect();
    let late = written_too_late(&m.settings.all);
    if !late.is_empty() {
        return Looked::At(String::new(), late);
    }
    match (
        all.iter()
            .find(|s| !s.is_off() && s.value != "memory" && s.value != "in-memory"),
        all.first(),
    ) {
        (Some(s), _) => Looked::At(
            format!(
                "{}:{} {} is {}",
                s.path,
                s.line,
                s.key,
                shown(&s.key, &s.value)
            ),
            Vec::new(),
        ),
        (None, Some(s)) => Looked::At(
            String::new(),
            vec![Problem::new(
                &s.path,
                s.line,
                format!("{} is {}", s.key, shown(&s.key, &s.value)),
            )],
        ),
        (None, None) => Looked::Unknown("a setting on where sessions are kept".to_owned()),
    }
}

/// Sessions that a cache keeps and a job writes down some seconds before they expire there, as in
/// `schedule = "ttl+60"`: none of them is ever written in time unless `0 < 60 < ttl`.
fn written_too_late(all: &[Setting]) -> Vec<Problem> {
    let mut late = Vec::new();
    for schedule in all {
        let seconds = schedule.value.strip_prefix("ttl+");
        let Some(seconds) = seconds.and_then(|n| n.trim().parse::<f64>().ok()) else {
            continue;
        };
        let above = schedule.key.rsplitn(3, '.').nth(2).unwrap_or_default();
        let is_ttl = |s: &&Setting| {
            let own = s
                .key
                .strip_prefix(above)
                .map(|key| key.trim_start_matches('.'));
            s.path == schedule.path && own == Some("cache.ttl")
        };
        let Some(ttl) = all.iter().find(is_ttl).and_then(Setting::number) else {
            continue;
        };
        if seconds <= 0.0 || seconds >= ttl {
            let found = format!(
                "{} is {}, and the cache forgets after {ttl} s: what is to be written has gone, or \
                 everything is written all the time",
                schedule.key, schedule.value
            );
            late.push(Problem::new(&schedule.path, schedule.line, found));
        }
    }
    late
}

pub(super) fn env_set(m: &Manifests) -> Looked {
    let held = |map: &str, o: &Object| -> Option<Vec<&str>> {
        let map = m.of("ConfigMap").find(|c| c.name() == map && c.beside(o))?;
        let data = ["data", "binaryData"].into_iter();
        let entries = data
            .filter_map(|key| map.node.get(key))
            .flat_map(Node::entries);
        Some(entries.map(|(key, _)| key.as_str()).collect())
    };
    services(m, |o| {
        o.containers()
            .iter()
            .flat_map(|c| c.items_at("env"))
            .find_map(|env| {
                let name = env.text_at("name").unwrap_or_default();
                let reference = env.at("valueFrom.configMapKeyRef");
                let optional = reference.is_some_and(|r| r.is_true_at("optional"));
                if let Some(map) = reference
                    .and_then(|r| r.text_at("name"))
                    .filter(|_| !optional)
                {
                    let key = reference.and_then(|r| r.text_at("key")).unwrap_or_default();
                    return match held(map, o) {
                        None => Some(format!(
                            "{name} comes from the ConfigMap {map}, which is not there"
                        )),
                        Some(keys) if !keys.contains(&key) => Some(format!(
                            "{name} comes from {key} of the ConfigMap {map}, which has none"
                        )),
                        Some(_) => None,
                    };
                }
                let value = env
                    .text_at("value")
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                if matches!(
                    value.as_str(),
                    "changeme" | "change-me" | "change_me" | "tbd" | "xxx"
                ) {
                    return Some(format!("{name} is `{value}`"));
                }
                let empty = env.get("valueFrom").is_none()
                    && env.text_at("value").is_none_or(str::is_empty);
                empty.then(|| format!("{name} has no value"))
            })
    })
}

pub(super) fn history(m: &Manifests) -> Looked {
    services(m, |o| {
        (o.node.number_at("spec.revisionHistoryLimit") == Some(0.0))
            .then(|| "keeps no earlier revision".to_owned())
    })
}

/// Bytes of a size such as `10m` or `512KB`.
pub(super) fn bytes(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1.0,
        "k" => 1024.0,
        "m" => 1_048_576.0,
        "g" => 1_073_741_824.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

pub(super) fn body_limits(m: &Manifests) -> Looked {
    let last = |s: &Setting| {
        s.key
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .replace('-', "_")
    };
    let of = |settings: &Settings, names: &[&str]| -> Vec<(String, usize, f64)> {
        let named = settings
            .all
            .iter()
            .filter(|s| names.iter().any(|name| last(s).ends_with(name)));
        named
            .filter_map(|s| Some((s.path.clone(), s.line, bytes(&s.value)?)))
            .collect()
    };
    let proxies = of(&m.settings, &["io/proxy_body_size", "client_max_body_size"]);
    let services = of(
        &m.settings,
        &[
            "max_request_size",
            "max_body_size",
            "max_request_body_size",
            "body_limit",
        ],
    );
    let (Some((path, line, proxy)), Some((_, _, own))) = (proxies.first(), services.first()) else {
        return Looked::Unknown("limits of bodies in both the proxy and the service".to_owned());
    };
    let problems = if (proxy - own).abs() > own * 0.05 {
        vec![Problem::new(
            path,
            *line,
            format!("the proxy takes {proxy} bytes, the service {own}"),
        )]
    } else {
        Vec::new()
    };
    Looked::At(format!("both take {own} bytes"), problems)
}

pub(super) fn image_size(m: &Manifests) -> Looked {
    const MOST: f64 = 1e9;
    let images: Vec<(&str, usize, f64)> = m
        .documents
        .iter()
        .flat_map(|d| {
            d.node
                .items()
                .iter()
                .chain(Some(&d.node))
                .map(move |n| (d, n))
        })
        .filter(|(_, n)| n.get("RootFS").is_some())
        .filter_map(|(d, n)| Some((d.path.as_str(), n.line, n.number_at("Size")?)))
        .collect();
    let problems = images
        .iter()
        .filter(|(_, _, size)| *size > MOST)
        .map(|(path, line, size)| Problem::new(path, *line, format!("the image has {size} bytes")))
        .collect();
    match images.len() {
        0 => Looked::Unknown("the output of `docker image inspect` in the manifests".to_owned()),
        n => Looked::At(format!("{n} images"), problems),
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, written_too_late};

    #[test]
    fn sessions_are_written_before_the_cache_forgets_them() {
        for (ttl, buffer, is_late) in [
            ("3600", "ttl+300", false),
            ("300", "ttl+60", false),
            ("300", "ttl+300", true),
            ("60", "ttl+300", true),
            ("60", "ttl+0", true),
            ("60", "hourly", false),
        ] {
            let text = format!(
                "[agent.memory.cache]\nttl = {ttl}\n[agent.memory.persistence]\nenabled = true\n\
                 schedule = \"{buffer}\"\n"
            );
            let mut settings = Settings::default();
            settings.add_lines("agent.toml", &text);
            let late = written_too_late(&settings.all);
            assert_eq!(late.len(), usize::from(is_late), "{text}{late:?}");
            if let Some(problem) = late.first() {
                assert_eq!(problem.place.line, 5);
            }
        }
    }
}
