//! How services stand in a cluster: replicas, scaling, budgets, policies and selectors.

mod roles;

use super::{Looked, by_profile, in_manifests};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::cloud::find;
use crate::files::manifests::{Manifests, Object, fits, selects};
use crate::files::yaml::Node;
use crate::profile::Profile;

use roles::no_wildcard_roles;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "k8s.manifests-valid",
        title: "The manifests are valid",
        why: "Errors show at the worst moment otherwise.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every file parses as YAML or JSON; objects have names; workloads, Services, budgets and autoscalers select what exists in their namespace. Schemas of Kubernetes are not applied.",
        remedy: "Validate them in CI.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "manifests that parse, with names, whose selectors fit",
                valid,
            )
        },
    },
    Check {
        id: "ha.min-replicas",
        title: "At least two replicas run",
        why: "One replica is an outage in waiting.",
        severity: Severity::Critical,
        areas: &[Area::Reliability],
        needs: &[Need::Manifests],
        verified_by: "replicas of every service, or minReplicas of its autoscaler.",
        remedy: "Run two or more.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            by_profile(
                s,
                "as many replicas as the profile asks, two at least",
                replicas,
            )
        },
    },
    Check {
        id: "scale.autoscaling-configured",
        title: "Replicas follow the load",
        why: "Peaks come unannounced.",
        severity: Severity::Critical,
        areas: &[Area::Performance],
        needs: &[Need::Manifests],
        verified_by: "A HorizontalPodAutoscaler or ScaledObject that names the service, in its namespace.",
        remedy: "Configure autoscaling in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "an autoscaler for every service", autoscaled),
    },
    Check {
        id: "scale.min-max",
        title: "Autoscaling has a floor and a ceiling",
        why: "No floor, no resilience; no ceiling, no budget.",
        severity: Severity::High,
        areas: &[Area::Performance],
        needs: &[Need::Manifests],
        verified_by: "minReplicas and maxReplicas of every autoscaler.",
        remedy: "Set both in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a ceiling above the floor", bounds),
    },
    Check {
        id: "scale.metrics-defined",
        title: "Autoscaling follows named metrics",
        why: "Scaling on the wrong signal is late.",
        severity: Severity::High,
        areas: &[Area::Performance],
        needs: &[Need::Manifests],
        verified_by: "The metrics of every autoscaler.",
        remedy: "Name metrics and targets.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "metrics to scale by", scaling_metrics),
    },
    Check {
        id: "k8s.pod-disruption-budget",
        title: "A disruption budget keeps replicas alive",
        why: "A node drain can take all.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "A PodDisruptionBudget whose selector fits the pods in its namespace, and that keeps one of the replicas and lets one go, so that nodes can be drained.",
        remedy: "Add a budget.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            in_manifests(
                s,
                "a budget that keeps one replica of every service",
                disruption_budget,
            )
        },
    },
    Check {
        id: "deploy.rolling-update",
        title: "Updates replace replicas in turn",
        why: "All at once is an outage.",
        severity: Severity::High,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "The update strategy of every service.",
        remedy: "Set the strategy.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "updates that leave replicas running", rolling),
    },
    Check {
        id: "k8s.network-policy",
        title: "A network policy selects the workload",
        why: "Everything talks to everything otherwise.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "A NetworkPolicy whose selector fits the pods in its namespace.",
        remedy: "Write a policy.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a NetworkPolicy for every service", network_policy),
    },
    Check {
        id: "scale.no-session-affinity",
        title: "Any replica can serve any request",
        why: "Sticky sessions defeat balancing.",
        severity: Severity::High,
        areas: &[Area::Performance],
        needs: &[Need::Manifests],
        verified_by: "sessionAffinity of every Service, and annotations for sticky sessions.",
        remedy: "Remove affinity in the manifests.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "Services without session affinity", no_affinity),
    },
    Check {
        id: "k8s.roles-bounded",
        title: "Roles name what they grant",
        why: "A star grants what nobody thought of.",
        severity: Severity::High,
        areas: &[Area::Security],
        needs: &[Need::Manifests],
        verified_by: "Verbs and resources of every Role and ClusterRole, and bindings to cluster-admin or of everybody.",
        remedy: "Replace the star by names.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "roles without `*`", no_wildcard_roles),
    },
];

/// What is said where no service is found.
pub(super) fn no_service(m: &Manifests) -> Looked {
    match m.templates {
        0 => Looked::Nothing("the manifests run no service"),
        n => Looked::Unknown(format!(
            "the chart filled in (helm template CHART > FILE): {n} templates are not manifests yet"
        )),
    }
}

/// Judges every Deployment and its like as a whole.
pub(super) fn services(m: &Manifests, wrong: impl Fn(&Object) -> Option<String>) -> Looked {
    let problems: Vec<Problem> = m
        .services()
        .filter_map(|o| Some(o.problem(o.node.line, wrong(o)?)))
        .collect();
    match m.services().count() {
        0 => no_service(m),
        n => Looked::At(format!("{n} services"), problems),
    }
}

fn valid(m: &Manifests) -> Looked {
    let mut problems = m.broken.clone();
    for object in &m.objects {
        if has_no_name(object) {
            problems.push(object.problem(object.node.line, "has no name"));
        }
    }
    for object in m.services() {
        let selector = object.node.said_at("spec.selector");
        if !selector.is_some_and(|s| fits(s, object.pod_labels())) {
            problems.push(object.problem(object.node.line, "does not select its own pods"));
        }
    }
    for service in m.of("Service") {
        let Some(selector) = service.node.at("spec.selector") else {
            continue;
        };
        let its = |o: &Object| o.beside(service) && selects(selector, o.pod_labels());
        if !m.workloads().any(its) {
            problems.push(service.problem(selector.line, "selects no pods"));
        }
    }
    problems.extend(without_target(m));
    match m.objects.len() {
        0 if problems.is_empty() && m.templates > 0 => no_service(m),
        0 if problems.is_empty() => Looked::Nothing("the folder holds no Kubernetes manifests"),
        n => Looked::At(format!("{n} objects"), problems),
    }
}

/// Whether an object lacks the name that a cluster asks for; files of tools look alike and need none.
fn has_no_name(object: &Object) -> bool {
    let group = object.node.text_at("apiVersion").unwrap_or_default();
    let tools = [
        "kustomize.config.k8s.io/",
        "kubeadm.k8s.io/",
        "kubelet.config.k8s.io/",
        "kubeproxy.config.k8s.io/",
        "kind.x-k8s.io/",
        "k3d.io/",
        "audit.k8s.io/",
        "apiserver.config.k8s.io/",
        "skaffold/",
        "ctlptl.dev/",
    ];
    let named = ["metadata.name", "metadata.generateName"];
    !tools.iter().any(|tool| group.starts_with(tool))
        && object.kind() != "Config"
        && !named.iter().any(|path| object.node.said_at(path).is_some())
}

/// Autoscalers and budgets of nothing, where the manifests run services at all.
fn without_target(m: &Manifests) -> Vec<Problem> {
    let mut problems = Vec::new();
    if m.services().next().is_none() {
        return problems;
    }
    for scaler in scalers(m) {
        let (kind, name) = target(scaler);
        let is_there = |o: &Object| o.kind() == kind && o.name() == name && o.beside(scaler);
        if SCALED.contains(&kind) && !m.objects.iter().any(is_there) {
            let found = format!("scales the {kind} {name}, which is not there");
            problems.push(scaler.problem(scaler.node.line, found));
        }
    }
    for budget in m.of("PodDisruptionBudget") {
        let selector = budget.node.at("spec.selector");
        let its =
            |o: &Object| o.beside(budget) && selector.is_some_and(|s| fits(s, o.pod_labels()));
        if !m.workloads().any(its) {
            problems.push(budget.problem(budget.node.line, "selects no pods"));
        }
    }
    problems
}

/// Kinds that an autoscaler scales and that a folder of manifests holds.
const SCALED: [&str; 4] = ["Deployment", "StatefulSet", "ReplicaSet", "Rollout"];

/// Autoscalers of Kubernetes itself and those of KEDA.
fn scalers(m: &Manifests) -> impl Iterator<Item = &Object> {
    let kinds = ["HorizontalPodAutoscaler", "ScaledObject"];
    m.objects.iter().filter(move |o| kinds.contains(&o.kind()))
}

/// Kind and name of what an autoscaler scales.
fn target(scaler: &Object) -> (&str, &str) {
    let text = |key: &str| scaler.node.text_at(&format!("spec.scaleTargetRef.{key}"));
    let kind = text("kind").unwrap_or("Deployment");
    (kind, text("name").unwrap_or_default())
}

/// The autoscaler of a service.
fn autoscaler<'a>(m: &'a Manifests, object: &Object) -> Option<&'a Object> {
    scalers(m).find(|h| target(h) == (object.kind(), object.name()) && h.beside(object))
}

/// The floor of an autoscaler.
fn floor(scaler: &Node) -> f64 {
    let least = ["spec.minReplicas", "spec.minReplicaCount"];
    let said = least.iter().find_map(|path| scaler.number_at(path));
    let is_keda = scaler.text_at("kind") == Some("ScaledObject");
    said.unwrap_or(if is_keda { 0.0 } else { 1.0 })
}

/// How many replicas of a service run at least; those of a DaemonSet are as many as nodes.
fn least_replicas(m: &Manifests, object: &Object) -> f64 {
    const NODES: f64 = 100.0;
    if object.kind() == "DaemonSet" {
        return NODES;
    }
    let own = object.node.number_at("spec.replicas").unwrap_or(1.0);
    autoscaler(m, object).map_or(own, |h| floor(&h.node))
}

/// A number of pods, or a share of them, before rounding.
fn amount(node: &Node, path: &str, of: f64) -> Option<f64> {
    let text = node.text_at(path)?;
    match text.strip_suffix('%') {
        Some(share) => Some(share.trim().parse::<f64>().ok()? / 100.0 * of),
        None => text.parse().ok(),
    }
}

fn replicas(m: &Manifests, profile: &Profile) -> Looked {
    let wanted = f64::from(profile.replicas);
    services(m, |object| {
        let least = least_replicas(m, object);
        (least < wanted && object.kind() != "DaemonSet")
            .then(|| format!("runs {least}, fewer than {wanted}"))
    })
}

fn autoscaled(m: &Manifests) -> Looked {
    services(m, |object| {
        let missing = object.kind() != "DaemonSet" && autoscaler(m, object).is_none();
        missing.then(|| "has no HorizontalPodAutoscaler".to_owned())
    })
}

/// Judges every autoscaler.
pub(super) fn autoscalers(m: &Manifests, wrong: impl Fn(&Node) -> Option<String>) -> Looked {
    let all = || scalers(m);
    let problems = all()
        .filter_map(|h| Some(h.problem(h.node.line, wrong(&h.node)?)))
        .collect();
    match all().count() {
        0 => Looked::Nothing("the manifests have no HorizontalPodAutoscaler"),
        n => Looked::At(format!("{n} autoscalers"), problems),
    }
}

fn bounds(m: &Manifests) -> Looked {
    autoscalers(m, |node| {
        let least = floor(node);
        let keda = node.text_at("kind") == Some("ScaledObject");
        let most = ["spec.maxReplicas", "spec.maxReplicaCount"];
        let most = most.iter().find_map(|path| node.number_at(path));
        let most = most.unwrap_or(if keda { 100.0 } else { 0.0 });
        (most <= least).then(|| format!("scales from {least} to {most}"))
    })
}

fn scaling_metrics(m: &Manifests) -> Looked {
    autoscalers(m, |node| {
        const TARGETS: [&str; 6] = [
            "averageUtilization",
            "averageValue",
            "value",
            "targetAverageUtilization",
            "targetAverageValue",
            "targetValue",
        ];
        let has_target = |metric: &Node| {
            let target = find(metric, &TARGETS).and_then(Node::text);
            target.is_some_and(|text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)))
        };
        let follows = node.items_at("spec.metrics").iter().any(has_target)
            || node
                .said_at("spec.targetCPUUtilizationPercentage")
                .is_some()
            || node
                .items_at("spec.triggers")
                .iter()
                .any(|t| t.said_at("type").is_some());
        (!follows).then(|| "follows no metric".to_owned())
    })
}

fn disruption_budget(m: &Manifests) -> Looked {
    services(m, |object| {
        let replicas = least_replicas(m, object);
        let covered = m.of("PodDisruptionBudget").any(|budget| {
            let selector = budget.node.at("spec.selector");
            let least = amount(&budget.node, "spec.minAvailable", replicas);
            let away = amount(&budget.node, "spec.maxUnavailable", replicas);
            // A share is rounded up, in both. One that lets none go is switched off with the first node.
            let keeps_one = match (least, away) {
                (Some(least), _) => least > 0.0 && (least.ceil() < replicas || replicas <= 1.0),
                (None, Some(away)) => away > 0.0 && away.ceil() < replicas,
                (None, None) => false,
            };
            keeps_one
                && budget.beside(object)
                && selector.is_some_and(|s| fits(s, object.pod_labels()))
        });
        (!covered).then(|| {
            format!("no PodDisruptionBudget keeps one of its {replicas} replicas and lets one go")
        })
    })
}

fn rolling(m: &Manifests) -> Looked {
    services(m, |object| {
        if object.node.text_at("spec.strategy.type") == Some("Recreate") {
            return Some("is recreated: all replicas stop at once".to_owned());
        }
        let replicas = least_replicas(m, object);
        let path = "spec.strategy.rollingUpdate.maxUnavailable";
        // A share is rounded down.
        let away = amount(&object.node, path, replicas)?.floor();
        let more = amount(
            &object.node,
            "spec.strategy.rollingUpdate.maxSurge",
            replicas,
        );
        if away <= 0.0 && more.is_some_and(|more| more <= 0.0) {
            return Some("lets an update neither add a replica nor take one away".to_owned());
        }
        (away >= replicas).then(|| "lets an update take every replica away".to_owned())
    })
}

fn network_policy(m: &Manifests) -> Looked {
    services(m, |object| {
        let covered = m.of("NetworkPolicy").any(|policy| {
            let selector = policy.node.at("spec.podSelector");
            policy.beside(object) && selector.is_some_and(|s| fits(s, object.pod_labels()))
        });
        (!covered).then(|| "is covered by no NetworkPolicy".to_owned())
    })
}

fn no_affinity(m: &Manifests) -> Looked {
    let all = || m.of("Service");
    let sticky = |s: &&Object| s.node.text_at("spec.sessionAffinity") == Some("ClientIP");
    // Proxies in front can do it as well.
    let by_proxy = |o: &&Object| {
        let said = o
            .node
            .at("metadata.annotations")
            .map_or(&[][..], Node::entries);
        said.iter().any(|(key, value)| {
            key.ends_with("ingress.kubernetes.io/affinity") && value.text() == Some("cookie")
                || key.contains("sticky") && value.text() == Some("true")
        })
    };
    let proxies = m.objects.iter().filter(by_proxy);
    let problems = all()
        .filter(sticky)
        .chain(proxies)
        .map(|s| s.problem(s.node.line, "sends a client to the same pod again"))
        .collect();
    match all().count() {
        0 => Looked::Nothing("the manifests have no Service"),
        n => Looked::At(format!("{n} Services"), problems),
    }
}
