//! How pods are judged: every container of a service, or of everything that runs.

use crate::check::files::cluster::no_service;
use crate::check::files::{Looked, is_idle};
use crate::files::manifests::{Manifests, Object};
use crate::files::secret_names;
use crate::files::yaml::Node;

/// Judges every container of every service.
pub(in crate::check::files) fn containers(
    m: &Manifests,
    wrong: impl Fn(&Object, &Node) -> Option<String>,
) -> Looked {
    let mut problems = Vec::new();
    let mut seen = 0;
    for object in m.services() {
        for container in object.containers() {
            seen += 1;
            if let Some(found) = wrong(object, container) {
                let name = container.text_at("name").unwrap_or("(unnamed)");
                problems.push(object.problem(container.line, format!("container {name} {found}")));
            }
        }
    }
    if seen == 0 {
        return no_service(m);
    }
    Looked::At(format!("{seen} containers"), problems)
}

/// Judges every container of everything that runs, also those that run once or first.
fn every_container(m: &Manifests, wrong: impl Fn(&Object, &Node) -> Option<String>) -> Looked {
    let mut problems = Vec::new();
    let mut seen = 0;
    for object in m.workloads() {
        let first = object
            .pod()
            .map_or(&[][..], |p| p.items_at("initContainers"));
        for container in first.iter().chain(object.containers()) {
            seen += 1;
            if let Some(found) = wrong(object, container) {
                let name = container.text_at("name").unwrap_or("(unnamed)");
                problems.push(object.problem(container.line, format!("container {name} {found}")));
            }
        }
    }
    match seen {
        0 => no_service(m),
        n => Looked::At(format!("{n} containers"), problems),
    }
}

fn has(path: &'static str, found: &'static str) -> impl Fn(&Object, &Node) -> Option<String> {
    move |_, container| container.said_at(path).is_none().then(|| found.to_owned())
}

/// Why a probe says nothing of the container.
fn probe_fault(object: &Object, container: &Node, key: &str) -> Option<String> {
    let Some(probe) = container.said_at(key) else {
        return Some(format!("has no {key}"));
    };
    let asks = ["httpGet", "tcpSocket", "exec", "grpc"];
    let Some(way) = asks.into_iter().find(|way| probe.said_at(way).is_some()) else {
        return Some(format!("has a {key} that asks nothing"));
    };
    let command: Vec<&str> = probe
        .items_at("exec.command")
        .iter()
        .filter_map(Node::text)
        .collect();
    if way == "exec" && is_idle(&command.join(" ")) {
        return Some(format!("has a {key} whose command does nothing"));
    }
    let port = probe.text_at(&format!("{way}.port"))?;
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let has = |c: &Node| {
        let mut ports = c.items_at("ports").iter();
        ports.any(|p| p.text_at(if is_number { "containerPort" } else { "name" }) == Some(port))
    };
    // A name is looked up in the container itself, a number in the whole pod; it need not be said.
    let is_wrong = if is_number {
        let said = object
            .containers()
            .iter()
            .any(|c| !c.items_at("ports").is_empty());
        said && !object.containers().iter().any(has)
    } else {
        !has(container)
    };
    is_wrong.then(|| format!("has a {key} on port {port}, on which nothing listens"))
}

fn probed(m: &Manifests, key: &str) -> Looked {
    containers(m, |object, container| probe_fault(object, container, key))
}

pub(super) fn liveness(m: &Manifests) -> Looked {
    probed(m, "livenessProbe")
}

pub(super) fn readiness(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        if let Some(fault) = probe_fault(object, container, "readinessProbe") {
            return Some(fault);
        }
        let path = container.text_at("readinessProbe.httpGet.path")?;
        let same = container.text_at("livenessProbe.httpGet.path") == Some(path);
        same.then(|| format!("asks {path} for liveness and readiness"))
    })
}

pub(super) fn startup(m: &Manifests) -> Looked {
    probed(m, "startupProbe")
}

/// Programs that read YAML 1.1 take `yes` and `on` for true.
fn is_on(value: Option<&str>) -> bool {
    matches!(value, Some("true" | "yes" | "on"))
}

/// Whether a quantity is said that is more than nothing.
fn is_amount(container: &Node, path: &str) -> bool {
    let text = container.text_at(path).unwrap_or_default();
    text.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

pub(super) fn requests(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let lacks = ["cpu", "memory"]
            .into_iter()
            .find(|resource| !is_amount(container, &format!("resources.requests.{resource}")));
        lacks.map(|resource| format!("requests no {resource}"))
    })
}

pub(super) fn cpu_limits(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let limited = is_amount(container, "resources.limits.cpu");
        (!limited).then(|| "has no CPU limit".to_owned())
    })
}

pub(super) fn memory_limits(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let limited = is_amount(container, "resources.limits.memory");
        (!limited).then(|| "has no memory limit".to_owned())
    })
}

/// A security setting of the container, or else of its pod.
pub(in crate::check::files) fn security<'a>(
    object: &'a Object,
    container: &'a Node,
    key: &str,
) -> Option<&'a str> {
    let path = format!("securityContext.{key}");
    let own = container.text_at(&path);
    own.or_else(|| object.pod()?.text_at(&path))
}

pub(super) fn non_root(m: &Manifests) -> Looked {
    every_container(m, |object, container| {
        if security(object, container, "runAsUser") == Some("0") {
            return Some("runs as user 0".to_owned());
        }
        let safe = is_on(security(object, container, "runAsNonRoot"));
        (!safe).then(|| "does not set runAsNonRoot".to_owned())
    })
}

pub(super) fn read_only(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        let safe = is_on(security(object, container, "readOnlyRootFilesystem"));
        (!safe).then(|| "can write its root file system".to_owned())
    })
}

/// Capabilities with which a container is as good as the node.
const GRAVE: [&str; 8] = [
    "ALL",
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "SYS_RAWIO",
    "NET_ADMIN",
    "DAC_READ_SEARCH",
    "BPF",
];

/// Whether who holds this folder or socket of the node owns the node.
pub(in crate::check::files) fn is_of_node(folder: &str) -> bool {
    let whole = [
        "",
        "/etc",
        "/root",
        "/proc",
        "/run",
        "/var",
        "/var/run",
        "/var/lib/kubelet",
    ];
    whole.contains(&folder.trim_end_matches('/')) || folder.ends_with(".sock")
}

pub(super) fn unprivileged(m: &Manifests) -> Looked {
    every_container(m, |object, container| {
        let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
        let mut shared = shared.filter(|key| object.pod().is_some_and(|pod| pod.is_true_at(key)));
        if let Some(key) = shared.next() {
            return Some(format!("shares the node ({key})"));
        }
        if container.is_true_at("securityContext.privileged") {
            return Some("is privileged".to_owned());
        }
        let escalates = !container.is_false_at("securityContext.allowPrivilegeEscalation");
        if escalates {
            return Some("may escalate its privileges".to_owned());
        }
        let added = container
            .items_at("securityContext.capabilities.add")
            .iter();
        let mut added = added
            .filter_map(Node::text)
            .map(|name| name.trim_start_matches("CAP_"));
        if let Some(name) = added.find(|name| GRAVE.contains(name)) {
            return Some(format!("adds the capability {name}"));
        }
        let volumes = object.pod().map_or(&[][..], |pod| pod.items_at("volumes"));
        let mut folders = volumes.iter().filter_map(|v| v.text_at("hostPath.path"));
        if let Some(folder) = folders.find(|folder| is_of_node(folder)) {
            return Some(format!("holds {folder} of its node"));
        }
        let dropped = container.items_at("securityContext.capabilities.drop");
        let all = dropped.iter().any(|c| c.text() == Some("ALL"));
        (!all).then(|| "keeps capabilities".to_owned())
    })
}

pub(super) fn image_pinned(m: &Manifests) -> Looked {
    every_container(m, |_, container| {
        let image = container.text_at("image").unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or(image);
        let pinned = image.contains("@sha256:")
            || name
                .split_once(':')
                .is_some_and(|(_, tag)| tag != "latest" && !tag.is_empty());
        (!pinned).then(|| format!("uses the moving image `{image}`"))
    })
}

pub(super) fn no_literal_secrets(m: &Manifests) -> Looked {
    every_container(m, |_, container| {
        container.items_at("env").iter().find_map(|variable| {
            let (name, value) = (variable.text_at("name")?, variable.text_at("value")?);
            secret_names::holds_one(name, value).then(|| format!("holds {name} as plain text"))
        })
    })
}

/// The least time for running requests to end, in seconds.
const DRAIN_SECONDS: f64 = 10.0;

pub(super) fn grace(m: &Manifests) -> Looked {
    let mut unclear = None;
    let looked = pods(m, |pod| {
        let grace = pod
            .number_at("terminationGracePeriodSeconds")
            .unwrap_or(30.0);
        let mut wait: f64 = 0.0;
        for container in pod.items_at("containers") {
            match pre_stop_seconds(container) {
                Some(seconds) => wait = wait.max(seconds),
                None => unclear = container.text_at("name").map(str::to_owned),
            }
        }
        let short = grace < wait + DRAIN_SECONDS;
        short.then(|| {
            format!("gives {grace} s, of which preStop takes {wait} s: less than {DRAIN_SECONDS} s are left to drain")
        })
    });
    match (looked, unclear) {
        (Looked::At(_, problems), Some(name)) if problems.is_empty() => Looked::Unknown(format!(
            "how long the preStop hook of container {name} waits: its command does not say it in seconds"
        )),
        (looked, _) => looked,
    }
}

/// How long the hook of a container waits; none when it sleeps for a time that we cannot read.
fn pre_stop_seconds(container: &Node) -> Option<f64> {
    if let Some(seconds) = container.number_at("lifecycle.preStop.sleep.seconds") {
        return Some(seconds);
    }
    let command = container.items_at("lifecycle.preStop.exec.command").iter();
    let words = command
        .filter_map(Node::text)
        .flat_map(str::split_whitespace);
    let words: Vec<&str> = words
        .map(|word| word.trim_matches([';', '"', '\'']))
        .collect();
    let mut total = 0.0;
    for (at, word) in words.iter().enumerate() {
        if word.rsplit('/').next() == Some("sleep") {
            total += crate::files::settings::number(words.get(at + 1)?)?;
        }
    }
    Some(total)
}

pub(super) fn pre_stop(m: &Manifests) -> Looked {
    containers(m, has("lifecycle.preStop", "has no preStop hook"))
}

/// Judges the pods of every service.
fn pods(m: &Manifests, mut wrong: impl FnMut(&Node) -> Option<String>) -> Looked {
    let mut problems = Vec::new();
    let mut seen = 0;
    for object in m.services() {
        let Some(pod) = object.pod() else { continue };
        seen += 1;
        if let Some(found) = wrong(pod) {
            problems.push(object.problem(pod.line, found));
        }
    }
    if seen == 0 {
        return no_service(m);
    }
    Looked::At(format!("the pods of {seen} services"), problems)
}

pub(super) fn spread(m: &Manifests) -> Looked {
    pods(m, |pod| {
        let spread = pod.said_at("affinity.podAntiAffinity").is_some()
            || !pod.items_at("topologySpreadConstraints").is_empty();
        (!spread).then(|| "spreads its pods over nothing".to_owned())
    })
}

pub(super) fn service_account(m: &Manifests) -> Looked {
    pods(m, |pod| {
        let account = pod.text_at("serviceAccountName").unwrap_or("default");
        (account == "default").then(|| "runs as the default service account".to_owned())
    })
}
