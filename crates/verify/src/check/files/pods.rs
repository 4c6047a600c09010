//! What runs in a pod: probes, resources, privileges and the way it stops.

use super::{Looked, in_manifests};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::manifests::{Manifests, Object};
use crate::files::yaml::Node;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "k8s.liveness-probe",
        title: "The workload has a liveness probe that works",
        why: "Hung processes stay.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every Deployment, StatefulSet, DaemonSet and Rollout.",
        remedy: "Add a probe.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a livenessProbe on every container", liveness),
    },
    Check {
        id: "k8s.readiness-probe",
        title: "The workload has a readiness probe that works",
        why: "Traffic comes too early.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service; the HTTP paths of both probes are compared.",
        remedy: "Add a probe.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "a readinessProbe on every container, on another path than liveness",
                readiness,
            )
        },
    },
    Check {
        id: "k8s.startup-probe",
        title: "Slow starters have a startup probe",
        why: "Liveness kills them while they start.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service.",
        remedy: "Add one in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a startupProbe on every container", startup),
    },
    Check {
        id: "k8s.resource-requests",
        title: "Every container requests CPU and memory",
        why: "Schedulers need to know.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service.",
        remedy: "Set requests in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "requests of CPU and memory on every container", requests),
    },
    Check {
        id: "k8s.cpu-limits",
        title: "Every container has a CPU limit",
        why: "One can starve the node.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service.",
        remedy: "Set limits in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a CPU limit on every container", cpu_limits),
    },
    Check {
        id: "k8s.memory-limits",
        title: "Every container has a memory limit",
        why: "One leak takes the node.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service.",
        remedy: "Set limits in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a memory limit on every container", memory_limits),
    },
    Check {
        id: "container.non-root",
        title: "The container runs without root",
        why: "A break-out from root owns the node.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "The security context of every container, or else of its pod.",
        remedy: "Set a user.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "runAsNonRoot on every container or its pod", non_root),
    },
    Check {
        id: "container.read-only-rootfs",
        title: "The root file system is read-only",
        why: "Attackers like to write.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "The security context of every container.",
        remedy: "Set readOnlyRootFilesystem in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "a read-only root file system in every container",
                read_only,
            )
        },
    },
    Check {
        id: "container.no-privileged",
        title: "The container holds no privileges",
        why: "Privileges undo the container.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "The security context of every container.",
        remedy: "Drop capabilities and escalation.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "no privileges, no escalation, all capabilities dropped",
                unprivileged,
            )
        },
    },
    Check {
        id: "container.image-pinned",
        title: "Images are named by version or digest",
        why: "A moving tag runs something else after the next restart.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "The image of every container.",
        remedy: "Name a version or, better, a digest.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "images with a version or a digest", image_pinned),
    },
    Check {
        id: "k8s.secrets-for-sensitive",
        title: "Sensitive values come from secrets",
        why: "Plain values in manifests are read by all.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Environment variables whose name speaks of a secret, and their literal value.",
        remedy: "Refer to secrets.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "secrets by reference only", no_literal_secrets),
    },
    Check {
        id: "k8s.termination-grace",
        title: "The grace period covers pre-stop and drain",
        why: "The kernel ends what the drain began.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "terminationGracePeriodSeconds (30 by default) less the wait of the preStop hook leaves 10 s or more.",
        remedy: "Raise the grace period.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "a grace period longer than preStop by at least 10 s",
                grace,
            )
        },
    },
    Check {
        id: "k8s.prestop-hook",
        title: "The pod waits before it stops",
        why: "Balancers learn late.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every container of every service.",
        remedy: "Add a short wait.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a preStop hook on every container", pre_stop),
    },
    Check {
        id: "k8s.anti-affinity",
        title: "Replicas are spread over nodes and zones",
        why: "One node takes all otherwise.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "podAntiAffinity or topologySpreadConstraints of every service.",
        remedy: "Spread them in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "pods spread over nodes or zones", spread),
    },
    Check {
        id: "k8s.service-account",
        title: "Every service has a service account of its own",
        why: "What one may do, all may do who share its account.",
        severity: Severity::High,
        areas: &[Area::Security],
        needs: &[Need::Manifests],
        verified_by: "serviceAccountName of every service.",
        remedy: "Create a ServiceAccount and name it in the pod.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "a service account of its own for every service",
                service_account,
            )
        },
    },
];

const NO_SERVICE: &str = "the manifests run no service";

/// Judges every container of every service.
pub(super) fn containers(
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
        return Looked::Nothing(NO_SERVICE);
    }
    Looked::At(format!("{seen} containers"), problems)
}

fn has(path: &'static str, found: &'static str) -> impl Fn(&Object, &Node) -> Option<String> {
    move |_, container| container.at(path).is_none().then(|| found.to_owned())
}

fn liveness(m: &Manifests) -> Looked {
    containers(m, has("livenessProbe", "has no livenessProbe"))
}

fn readiness(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let Some(probe) = container.get("readinessProbe") else {
            return Some("has no readinessProbe".to_owned());
        };
        let path = probe.text_at("httpGet.path")?;
        let same = container.text_at("livenessProbe.httpGet.path") == Some(path);
        same.then(|| format!("asks {path} for liveness and readiness"))
    })
}

fn startup(m: &Manifests) -> Looked {
    containers(m, has("startupProbe", "has no startupProbe"))
}

fn requests(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let lacks = ["cpu", "memory"].into_iter().find(|resource| {
            container
                .at(&format!("resources.requests.{resource}"))
                .is_none()
        });
        lacks.map(|resource| format!("requests no {resource}"))
    })
}

fn cpu_limits(m: &Manifests) -> Looked {
    containers(m, has("resources.limits.cpu", "has no CPU limit"))
}

fn memory_limits(m: &Manifests) -> Looked {
    containers(m, has("resources.limits.memory", "has no memory limit"))
}

/// A security setting of the container, or else of its pod.
pub(super) fn security<'a>(object: &'a Object, container: &'a Node, key: &str) -> Option<&'a str> {
    let path = format!("securityContext.{key}");
    let own = container.text_at(&path);
    own.or_else(|| object.pod()?.text_at(&path))
}

fn non_root(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        if security(object, container, "runAsUser") == Some("0") {
            return Some("runs as user 0".to_owned());
        }
        let safe = security(object, container, "runAsNonRoot") == Some("true");
        (!safe).then(|| "does not set runAsNonRoot".to_owned())
    })
}

fn read_only(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        let safe = security(object, container, "readOnlyRootFilesystem") == Some("true");
        (!safe).then(|| "can write its root file system".to_owned())
    })
}

fn unprivileged(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
        let mut shared = shared.filter(|key| object.pod().is_some_and(|pod| pod.is_true_at(key)));
        if let Some(key) = shared.next() {
            return Some(format!("shares the node ({key})"));
        }
        if container.is_true_at("securityContext.privileged") {
            return Some("is privileged".to_owned());
        }
        let escalates =
            container.text_at("securityContext.allowPrivilegeEscalation") != Some("false");
        if escalates {
            return Some("may escalate its privileges".to_owned());
        }
        let dropped = container.items_at("securityContext.capabilities.drop");
        let all = dropped.iter().any(|c| c.text() == Some("ALL"));
        (!all).then(|| "keeps capabilities".to_owned())
    })
}

fn image_pinned(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        let image = container.text_at("image").unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or(image);
        let pinned = image.contains("@sha256:")
            || name
                .split_once(':')
                .is_some_and(|(_, tag)| tag != "latest" && !tag.is_empty());
        (!pinned).then(|| format!("uses the moving image `{image}`"))
    })
}

fn no_literal_secrets(m: &Manifests) -> Looked {
    containers(m, |_, container| {
        container.items_at("env").iter().find_map(|variable| {
            let name = variable.text_at("name")?;
            let value = variable.text_at("value")?;
            let upper = name.to_uppercase();
            let secret = [
                "PASSWORD",
                "SECRET",
                "TOKEN",
                "API_KEY",
                "PRIVATE_KEY",
                "CREDENTIAL",
            ]
            .iter()
            .any(|word| upper.contains(word));
            let reference =
                value.is_empty() || value.contains("://file/") || value.starts_with('/');
            (secret && !reference).then(|| format!("holds {name} as plain text"))
        })
    })
}

/// The least time for running requests to end, in seconds.
const DRAIN_SECONDS: f64 = 10.0;

fn grace(m: &Manifests) -> Looked {
    pods(m, |pod| {
        let grace = pod
            .number_at("terminationGracePeriodSeconds")
            .unwrap_or(30.0);
        let waits = pod.items_at("containers").iter().map(pre_stop_seconds);
        let wait = waits.fold(0.0, f64::max);
        let short = grace < wait + DRAIN_SECONDS;
        short.then(|| {
            format!("gives {grace} s, of which preStop takes {wait} s: less than {DRAIN_SECONDS} s are left to drain")
        })
    })
}

/// How long the hook of a container waits.
fn pre_stop_seconds(container: &Node) -> f64 {
    let native = container.number_at("lifecycle.preStop.sleep.seconds");
    let command = || {
        let words: Vec<&str> = container
            .items_at("lifecycle.preStop.exec.command")
            .iter()
            .filter_map(Node::text)
            .flat_map(str::split_whitespace)
            .collect();
        let at = words.iter().position(|word| word.ends_with("sleep"))?;
        words.get(at + 1)?.trim_end_matches('s').parse().ok()
    };
    native.or_else(command).unwrap_or(0.0)
}

fn pre_stop(m: &Manifests) -> Looked {
    containers(m, has("lifecycle.preStop", "has no preStop hook"))
}

/// Judges the pods of every service.
fn pods(m: &Manifests, wrong: impl Fn(&Node) -> Option<String>) -> Looked {
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
        return Looked::Nothing(NO_SERVICE);
    }
    Looked::At(format!("the pods of {seen} services"), problems)
}

fn spread(m: &Manifests) -> Looked {
    pods(m, |pod| {
        let spread = pod.at("affinity.podAntiAffinity").is_some()
            || !pod.items_at("topologySpreadConstraints").is_empty();
        (!spread).then(|| "spreads its pods over nothing".to_owned())
    })
}

fn service_account(m: &Manifests) -> Looked {
    pods(m, |pod| {
        let account = pod.text_at("serviceAccountName").unwrap_or("default");
        (account == "default").then(|| "runs as the default service account".to_owned())
    })
}
