//! How pods are judged: every container of a service, or of everything that runs.

use crate::check::files::cluster::no_service;
use crate::check::files::images::is_pinned;
use crate::check::files::{Looked, is_idle};
use crate::files::manifests::{Manifests, Object, fits};
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
        return Some(format!(
            "has a {key} whose command does nothing that can fail"
        ));
    }
    if let Some(fault) = never_acts(probe) {
        return Some(format!("has a {key} that {fault}"));
    }
    let port = probe.text_at(&format!("{way}.port"))?;
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    let has = |c: &Node| {
        let mut ports = c.items_at("ports").iter();
        ports.any(|p| p.text_at(if is_number { "containerPort" } else { "name" }) == Some(port))
    };
    if has(container) {
        return None;
    }
    // A name is looked up in the container itself, a number in the whole pod; it need not be said.
    let says_its_own = !container.items_at("ports").is_empty();
    if is_number && says_its_own && object.lasting().any(has) {
        return Some(format!(
            "has a {key} on port {port}, which is another container's"
        ));
    }
    let said = object.lasting().any(|c| !c.items_at("ports").is_empty());
    let is_wrong = !is_number || said && !object.lasting().any(has);
    is_wrong.then(|| format!("has a {key} on port {port}, on which nothing listens"))
}

/// Why a probe never changes anything: it asks somebody else, or waits longer than anybody does.
fn never_acts(probe: &Node) -> Option<String> {
    /// A probe that needs longer to act is as good as none.
    const LONGEST: f64 = 3600.0;
    let host = probe.text_at("httpGet.host").unwrap_or_default();
    let own = ["", "localhost", "127.0.0.1", "::1"];
    if !own.contains(&host) && !host.contains("$(") {
        return Some(format!("asks {host}, and not its own pod"));
    }
    let every = probe.number_at("periodSeconds").unwrap_or(10.0);
    let times = probe.number_at("failureThreshold").unwrap_or(3.0);
    let wait = probe.number_at("initialDelaySeconds").unwrap_or(0.0);
    let seconds = wait + every * times;
    (seconds > LONGEST).then(|| format!("acts after {seconds} s"))
}

/// What a probe asks for over HTTP: its path without what changes nothing, and its port.
fn asked<'a>(container: &'a Node, key: &str) -> Option<(&'a str, &'a str)> {
    let probe = container.at(key)?;
    let path = probe.text_at("httpGet.path")?;
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let port = probe.text_at("httpGet.port").unwrap_or_default();
    Some((path.trim_end_matches('/'), port))
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
        let (path, port) = asked(container, "readinessProbe")?;
        let same = asked(container, "livenessProbe") == Some((path, port));
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

/// What is wrong with a quantity: it is not said, nothing, or more or less than can be meant.
fn amount_fault(container: &Node, of: &str, resource: &str) -> Option<String> {
    let text = container.text_at(&format!("resources.{of}.{resource}"));
    let text = text.unwrap_or_default();
    // No machine has more; and `512m` of memory is half a byte.
    let (least, most) = match resource {
        "memory" => (1_048_576.0, 35_184_372_088_832.0),
        _ => (0.000_1, 1024.0),
    };
    match quantity(text) {
        None if text.bytes().any(|b| (b'1'..=b'9').contains(&b)) => None,
        None => Some(format!("{of} no {resource}")),
        Some(amount) if amount <= 0.0 => Some(format!("{of} no {resource}")),
        Some(amount) if amount < least => Some(format!(
            "{of} {text} of {resource}, which is too little to run in"
        )),
        Some(amount) if amount > most => {
            Some(format!("{of} {text} of {resource}, which no machine has"))
        }
        Some(_) => None,
    }
}

/// A quantity of Kubernetes as a number.
fn quantity(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
    ];
    let unit = UNITS
        .iter()
        .find_map(|(unit, by)| Some((text.strip_suffix(unit)?, *by)));
    let (number, by) = unit.unwrap_or((text, 1.0));
    Some(number.trim().parse::<f64>().ok()? * by)
}

pub(super) fn requests(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let mut both = ["cpu", "memory"].into_iter();
        both.find_map(|resource| amount_fault(container, "requests", resource))
    })
}

pub(super) fn cpu_limits(m: &Manifests) -> Looked {
    containers(m, |_, container| amount_fault(container, "limits", "cpu"))
}

pub(super) fn memory_limits(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        amount_fault(container, "limits", "memory")
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
        let user = security(object, container, "runAsUser").unwrap_or_default();
        if !user.is_empty() && user.bytes().all(|b| b == b'0') {
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

/// Capabilities that the baseline of Kubernetes' Pod Security Standards allows; others reach beyond
/// the container.
const BASELINE: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Whether who holds this folder or socket of the node owns the node.
pub(in crate::check::files) fn is_of_node(folder: &str) -> bool {
    let whole = [
        "/etc",
        "/etc/kubernetes",
        "/root",
        "/home",
        "/proc",
        "/sys",
        "/dev",
        "/boot",
        "/usr",
        "/run",
        "/var",
        "/var/run",
        "/var/lib",
        "/var/lib/docker",
        "/var/lib/containerd",
        "/var/lib/kubelet",
    ];
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let plain = format!("/{}", parts.join("/"));
    plain == "/" || whole.contains(&plain.as_str()) || folder.ends_with(".sock")
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
        if let Some(name) = added.find(|name| !BASELINE.contains(name)) {
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
        // Kubernetes fills nothing in.
        let open = image.contains("${");
        let pinned = is_pinned(image) && !open;
        (!pinned).then(|| format!("uses the moving image `{image}`"))
    })
}

pub(super) fn no_literal_secrets(m: &Manifests) -> Looked {
    let looked = every_container(m, |_, container| {
        let by_variable = container.items_at("env").iter().find_map(|variable| {
            let (name, value) = (variable.text_at("name")?, variable.text_at("value")?);
            secret_names::holds_one(name, value).then(|| format!("holds {name} as plain text"))
        });
        let words = ["command", "args"]
            .into_iter()
            .flat_map(|key| container.items_at(key));
        let words: Vec<&str> = words.filter_map(Node::text).collect();
        by_variable.or_else(|| {
            let name = secret_names::in_command(&words)?;
            Some(format!("is given {name} as plain text"))
        })
    });
    match looked {
        Looked::At(examined, mut problems) => {
            for map in m.of("ConfigMap") {
                let entries = map.node.get("data").map_or(&[][..], Node::entries);
                for (name, node) in entries {
                    let value = node.text().unwrap_or_default();
                    let held = match value.contains('\n') {
                        true => value.lines().any(|line| secret_names::holds_one("", line)),
                        false => secret_names::holds_one(name, value),
                    };
                    if held || secret_names::is_shaped(value) {
                        problems.push(map.problem(node.line, format!("holds a secret in {name}")));
                    }
                }
            }
            Looked::At(examined, problems)
        }
        other => other,
    }
}

/// The least time for running requests to end, in seconds.
const DRAIN_SECONDS: f64 = 10.0;

pub(super) fn grace(m: &Manifests) -> Looked {
    let mut unclear = None;
    let looked = pods(m, |_, pod| {
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
    containers(m, |_, container| {
        let Some(hook) = container.said_at("lifecycle.preStop") else {
            return Some("has no preStop hook".to_owned());
        };
        let command = hook.items_at("exec.command").iter();
        let command: Vec<&str> = command.filter_map(Node::text).collect();
        let waits = pre_stop_seconds(container) != Some(0.0);
        let does = ["httpGet", "tcpSocket"]
            .iter()
            .any(|way| hook.said_at(way).is_some());
        let idle = !(waits || does || !is_idle(&command.join(" ")));
        idle.then(|| "has a preStop hook that does nothing".to_owned())
    })
}

/// Judges the pods of every service.
fn pods(m: &Manifests, mut wrong: impl FnMut(&Object, &Node) -> Option<String>) -> Looked {
    let mut problems = Vec::new();
    let mut seen = 0;
    for object in m.services() {
        let Some(pod) = object.pod() else { continue };
        seen += 1;
        if let Some(found) = wrong(object, pod) {
            problems.push(object.problem(pod.line, found));
        }
    }
    if seen == 0 {
        return no_service(m);
    }
    Looked::At(format!("the pods of {seen} services"), problems)
}

pub(super) fn spread(m: &Manifests) -> Looked {
    pods(m, |object, pod| {
        // Terms that select other pods keep these where they like.
        let its_own = |term: &Node| {
            let term = term.get("podAffinityTerm").unwrap_or(term);
            let selector = term.get("labelSelector");
            selector.is_some_and(|s| fits(s, object.pod_labels()))
        };
        let kinds = ["required", "preferred"].map(|kind| {
            format!("affinity.podAntiAffinity.{kind}DuringSchedulingIgnoredDuringExecution")
        });
        let terms = kinds.iter().flat_map(|path| pod.items_at(path));
        let mut all = terms.chain(pod.items_at("topologySpreadConstraints"));
        let spread = all.any(its_own);
        (!spread).then(|| "spreads its pods over nothing".to_owned())
    })
}

pub(super) fn service_account(m: &Manifests) -> Looked {
    pods(m, |_, pod| {
        let account = pod.text_at("serviceAccountName").unwrap_or_default();
        matches!(account, "" | "default").then(|| "runs as the default service account".to_owned())
    })
}
