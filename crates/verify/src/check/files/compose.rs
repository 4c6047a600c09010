//! Compose files: what they publish, how they stop and start again, and what they hold.

use std::sync::LazyLock;

use regex::Regex;

use super::dockerfile::is_health_checked;
use super::images::is_pinned;
use super::pods::is_of_node;
use super::{Looked, is_idle, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::repository::{Repository, is_compose};
use crate::files::secret_names::{holds_one, in_command};
use crate::files::yaml::{self, Node};

const REPOSITORY: &[Need] = &[Need::Repository];

pub(super) static ROWS: &[Row] = &[
    row!(
        "compose.stores-not-published",
        REPOSITORY,
        in_repository,
        "no port of a store beyond this machine",
        "Ports of databases, caches, queues and vector stores in compose files.",
        stores
    ),
    row!(
        "compose.healthchecks",
        REPOSITORY,
        in_repository,
        "a health check on every service",
        "healthcheck of every service in compose files, or of the Dockerfile that it is built from; a command that cannot fail is none.",
        healthchecks
    ),
    row!(
        "compose.limits",
        REPOSITORY,
        in_repository,
        "a limit of memory on every service",
        "mem_limit and deploy.resources.limits.memory of every service in compose files.",
        limits
    ),
    row!(
        "compose.no-privileges",
        REPOSITORY,
        in_repository,
        "no privileges of the machine",
        "privileged, host namespaces, added capabilities, unconfined profiles, the engine's socket, and the machine's folders, memory and disks in compose files.",
        privileges
    ),
    row!(
        "compose.images-pinned",
        REPOSITORY,
        in_repository,
        "images with a version",
        "The tag or digest of every image in compose files.",
        images
    ),
    row!(
        "compose.secrets-not-inline",
        REPOSITORY,
        in_repository,
        "secrets as references",
        "Environment, command and build arguments of every service in compose files: names and shapes of secrets, and URLs with a password, also as the default of a variable.",
        secrets
    ),
    row!(
        "compose.restarts",
        REPOSITORY,
        in_repository,
        "a restart policy on every service",
        "restart and deploy.restart_policy of every service in compose files.",
        restarts
    ),
];

/// Images that keep data.
const STORES: [&str; 32] = [
    "postgres",
    "mysql",
    "mariadb",
    "mongo",
    "redis",
    "valkey",
    "memcached",
    "elasticsearch",
    "opensearch",
    "qdrant",
    "weaviate",
    "milvus",
    "chroma",
    "rabbitmq",
    "kafka",
    "etcd",
    "pgvector",
    "timescale",
    "cockroach",
    "dragonfly",
    "keydb",
    "cassandra",
    "scylla",
    "clickhouse",
    "neo4j",
    "influxdb",
    "minio",
    "nats",
    "zookeeper",
    "couchdb",
    "typesense",
    "meilisearch",
];

/// One service of a compose file.
struct Service {
    path: String,
    name: String,
    node: Node,
}

impl Service {
    fn problem(&self, line: usize, found: impl std::fmt::Display) -> Problem {
        Problem::new(&self.path, line, format!("service {}: {found}", self.name))
    }

    fn image(&self) -> &str {
        self.node.text_at("image").unwrap_or_default()
    }
}

fn by_name(path: &str) -> bool {
    let lower = path.to_lowercase();
    is_compose(lower.rsplit('/').next().unwrap_or(&lower))
}

/// Every service of every compose file, and the files that cannot be read.
fn services(r: &Repository) -> (Vec<Service>, Vec<Problem>) {
    let (mut services, mut broken) = (Vec::new(), Vec::new());
    for (path, text) in r.texts_of(by_name) {
        let documents = match yaml::parse(&with_defaults(text)) {
            Ok(documents) => documents,
            Err(error) => {
                broken.push(Problem::new(path, error.line, error.why));
                continue;
            }
        };
        let named = documents.iter().filter_map(|d| d.get("services"));
        for (name, node) in named.flat_map(Node::entries) {
            services.push(Service {
                path: path.to_owned(),
                name: name.clone(),
                node: node.clone(),
            });
        }
    }
    (services, broken)
}

/// The text with variables that have a default replaced by it, as when nobody sets them.
fn with_defaults(text: &str) -> String {
    static DEFAULT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^${}]*)\}").ok());
    match DEFAULT.as_ref() {
        Some(default) => default.replace_all(text, "$1").into_owned(),
        None => text.to_owned(),
    }
}

/// Judges every service; a file that cannot be read is a problem.
fn each(r: &Repository, wrong: impl Fn(&Service) -> Vec<Problem>) -> Looked {
    let (services, broken) = services(r);
    if services.is_empty() && broken.is_empty() {
        return Looked::Nothing("the repository has no compose file");
    }
    let problems = broken.into_iter().chain(services.iter().flat_map(wrong));
    Looked::At(format!("{} services", services.len()), problems.collect())
}

/// What a service lacks as a whole.
fn lack(service: &Service, is_there: bool, found: &str) -> Vec<Problem> {
    let problem = (!is_there).then(|| service.problem(service.node.line, found));
    problem.into_iter().collect()
}

fn stores(r: &Repository) -> Looked {
    each(r, |service| {
        let image = service.image().to_ascii_lowercase();
        if !STORES.iter().any(|store| image.contains(store)) {
            return Vec::new();
        }
        let node = &service.node;
        if let Some(mode) = node
            .get("network_mode")
            .filter(|m| m.text() == Some("host"))
        {
            return vec![service.problem(mode.line, "shares the machine's network")];
        }
        let ports = node.items_at("ports").iter();
        ports
            .filter(|port| !is_local(port))
            .map(|port| service.problem(port.line, "publishes its port on every address"))
            .collect()
    })
}

/// Whether a published port can be reached from this machine alone.
fn is_local(port: &Node) -> bool {
    let local = |address: &str| {
        ["127.", "localhost", "[::1]", "::1"]
            .iter()
            .any(|start| address.starts_with(start))
    };
    match port.text() {
        Some(text) => local(text),
        None => port.text_at("host_ip").is_some_and(local) || port.get("published").is_none(),
    }
}

fn healthchecks(r: &Repository) -> Looked {
    each(r, |service| {
        let node = &service.node;
        let off = node.is_true_at("healthcheck.disable");
        let command = node.at("healthcheck.test").map(|test| {
            let words: Vec<&str> = test.items().iter().filter_map(Node::text).collect();
            match test.text() {
                Some(text) => text.to_owned(),
                None => words.join(" "),
            }
        });
        let has = match command.as_deref().map(str::trim) {
            Some("NONE") => false,
            Some(command) => {
                let command = command.trim_start_matches("CMD-SHELL");
                !is_idle(command.trim_start_matches("CMD"))
            }
            // Without a command of its own it is that of the image.
            None => dockerfile(r, service).is_some_and(is_health_checked),
        };
        lack(service, has && !off, "has no health check that can fail")
    })
}

/// The Dockerfile that a service is built from.
fn dockerfile<'a>(r: &'a Repository, service: &Service) -> Option<&'a str> {
    let build = service.node.get("build")?;
    let context = build
        .text()
        .or_else(|| build.text_at("context"))
        .unwrap_or(".");
    let file = build.text_at("dockerfile").unwrap_or("Dockerfile");
    let folder = service
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in [folder, context, file]
        .iter()
        .flat_map(|path| path.split('/'))
    {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    r.texts.get(&parts.join("/")).map(String::as_str)
}

fn limits(r: &Repository) -> Looked {
    each(r, |service| {
        let keys = ["mem_limit", "deploy.resources.limits.memory"];
        let some = |text: &str| text.bytes().any(|b| (b'1'..=b'9').contains(&b));
        let has = keys
            .iter()
            .any(|key| service.node.text_at(key).is_some_and(some));
        lack(service, has, "has no limit of memory")
    })
}

fn privileges(r: &Repository) -> Looked {
    each(r, |service| {
        let node = &service.node;
        let mut found = Vec::new();
        if node.is_true_at("privileged") {
            found.push((node.line, "is privileged".to_owned()));
        }
        for key in ["network_mode", "pid", "ipc", "userns_mode"] {
            if let Some(value) = node.get(key).filter(|value| value.text() == Some("host")) {
                found.push((value.line, format!("shares the machine's {key}")));
            }
        }
        for added in node.items_at("cap_add") {
            let name = added.text().unwrap_or_default();
            if name != "NET_BIND_SERVICE" {
                found.push((added.line, format!("adds the capability {name}")));
            }
        }
        for volume in node.items_at("volumes") {
            let source = volume.text().or_else(|| volume.text_at("source"));
            let source = source.map_or("", |source| source.split(':').next().unwrap_or(source));
            if source.ends_with(".sock") {
                found.push((volume.line, "holds the engine's socket".to_owned()));
            } else if matches!(source, "~" | "~/" | "$HOME" | "${HOME}") {
                found.push((volume.line, "holds somebody's whole home".to_owned()));
            } else if source.starts_with('/') && is_of_node(source) {
                found.push((volume.line, format!("holds {source} of the machine")));
            }
        }
        for device in node.items_at("devices") {
            let path = device.text().or_else(|| device.text_at("source"));
            let path = path.map_or("", |path| path.split(':').next().unwrap_or(path));
            let whole = ["/dev", "/dev/mem", "/dev/kmem", "/dev/port"];
            if whole.contains(&path.trim_end_matches('/')) || path.starts_with("/dev/sd") {
                found.push((device.line, format!("holds {path} of the machine")));
            }
        }
        for option in node.items_at("security_opt") {
            let text = option.text().unwrap_or_default();
            if text.contains("unconfined") {
                found.push((option.line, format!("is freed by {text}")));
            }
        }
        let found = found.into_iter();
        found
            .map(|(line, what)| service.problem(line, what))
            .collect()
    })
}

fn images(r: &Repository) -> Looked {
    each(r, |service| {
        let image = service.image();
        let pinned = is_pinned(image);
        let line = service
            .node
            .get("image")
            .map_or(service.node.line, |n| n.line);
        // What is built here is named by whoever builds it.
        let wrong = !image.is_empty() && service.node.get("build").is_none() && !pinned;
        let problem = wrong.then(|| service.problem(line, format!("`{image}` names no version")));
        problem.into_iter().collect()
    })
}

fn secrets(r: &Repository) -> Looked {
    each(r, |service| {
        let places = ["environment", "build.args"].into_iter();
        let pairs = places.filter_map(|key| service.node.at(key).map(environment));
        let inline = pairs.flatten();
        let inline = inline.filter(|(_, name, value)| holds_one(name, value));
        let inline = inline
            .map(|(line, name, _)| service.problem(line, format!("`{name}` has its value here")));
        let commands = ["command", "entrypoint"].into_iter();
        let given = commands.filter_map(|key| {
            let node = service.node.get(key)?;
            let words = node.items().iter().chain(Some(node)).filter_map(Node::text);
            let name = in_command(&words.collect::<Vec<_>>())?;
            Some(service.problem(node.line, format!("`{name}` has its value here")))
        });
        inline.chain(given).collect()
    })
}

/// Line, name and value of each variable, in either notation.
fn environment(node: &Node) -> Vec<(usize, String, String)> {
    let listed = node.items().iter().filter_map(|item| {
        let (name, value) = item.text()?.split_once('=')?;
        Some((item.line, name.to_owned(), value.to_owned()))
    });
    let mapped = node.entries().iter().map(|(name, value)| {
        let text = value.text().unwrap_or_default();
        (value.line, name.clone(), text.to_owned())
    });
    listed.chain(mapped).collect()
}

fn restarts(r: &Repository) -> Looked {
    each(r, |service| {
        let own = service.node.text_at("restart");
        let swarm = service.node.text_at("deploy.restart_policy.condition");
        let none = |policy: Option<&str>| matches!(policy, None | Some("no" | "none" | "false"));
        lack(
            service,
            !none(own) || !none(swarm),
            "does not come back after a crash",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{by_name, is_local, with_defaults};
    use crate::files::yaml::parse;

    #[test]
    fn compose_files_are_known_by_their_name() {
        for name in [
            "compose.yaml",
            "deploy/docker-compose.prod.yml",
            "compose.override.yml",
        ] {
            assert!(by_name(name), "{name}");
        }
        for name in ["composer.json", "docs/compose.md", "decompose.yaml"] {
            assert!(!by_name(name), "{name}");
        }
    }

    #[test]
    fn a_port_is_local_when_its_address_is() {
        for (text, expected) in [
            ("'127.0.0.1:5432:5432'", true),
            ("'5432:5432'", false),
            ("'0.0.0.0:5432:5432'", false),
            ("{target: 5432, published: 5432}", false),
            ("{target: 5432, published: 5432, host_ip: 127.0.0.1}", true),
        ] {
            let port = parse(text).expect("YAML").remove(0);
            assert_eq!(is_local(&port), expected, "{text}");
        }
    }

    #[test]
    fn variables_have_their_defaults() {
        assert_eq!(with_defaults("a: ${B:-c}:${D-1}"), "a: c:1");
        assert_eq!(
            with_defaults("a: ${B} ${C:?say it}"),
            "a: ${B} ${C:?say it}"
        );
    }
}
