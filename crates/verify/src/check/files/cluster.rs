//! How services stand in a cluster: replicas, scaling, budgets, policies and selectors.

use super::{Looked, by_profile, in_manifests};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::manifests::{Manifests, Object, selects};
use crate::files::yaml::Node;
use crate::profile::Profile;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "k8s.manifests-valid",
        title: "The manifests are valid",
        why: "Errors show at the worst moment otherwise.",
        severity: Severity::Critical,
        areas: &[Area::Operations],
        needs: &[Need::Manifests],
        verified_by: "Every file parses as YAML or JSON; objects have names; workloads and Services select pods that exist. Schemas of Kubernetes are not applied.",
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
        verified_by: "A HorizontalPodAutoscaler that names the service.",
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
        verified_by: "A PodDisruptionBudget whose selector fits the pods.",
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
        verified_by: "A NetworkPolicy whose selector fits the pods.",
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
        verified_by: "sessionAffinity of every Service.",
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
        verified_by: "Verbs and resources of every Role and ClusterRole.",
        remedy: "Replace the star by names.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "roles without `*`", no_wildcard_roles),
    },
];

const NO_SERVICE: &str = "the manifests run no service";

/// Judges every Deployment and its like as a whole.
pub(super) fn services(m: &Manifests, wrong: impl Fn(&Object) -> Option<String>) -> Looked {
    let problems: Vec<Problem> = m
        .services()
        .filter_map(|o| Some(o.problem(o.node.line, wrong(o)?)))
        .collect();
    match m.services().count() {
        0 => Looked::Nothing(NO_SERVICE),
        n => Looked::At(format!("{n} services"), problems),
    }
}

fn valid(m: &Manifests) -> Looked {
    let mut problems = m.broken.clone();
    for object in &m.objects {
        if object.node.at("metadata.name").is_none() {
            problems.push(object.problem(object.node.line, "has no name"));
        }
    }
    for object in m.services() {
        let selector = object.node.at("spec.selector.matchLabels");
        if !selector.is_some_and(|s| selects(s, object.pod_labels())) {
            problems.push(object.problem(object.node.line, "does not select its own pods"));
        }
    }
    for service in m.of("Service") {
        let Some(selector) = service.node.at("spec.selector") else {
            continue;
        };
        if !m.services().any(|o| selects(selector, o.pod_labels())) {
            problems.push(service.problem(selector.line, "selects no pods"));
        }
    }
    match m.objects.len() {
        0 if problems.is_empty() => Looked::Nothing("the folder holds no Kubernetes manifests"),
        n => Looked::At(format!("{n} objects"), problems),
    }
}

/// The autoscaler of a service.
fn autoscaler<'a>(m: &'a Manifests, object: &Object) -> Option<&'a Object> {
    m.of("HorizontalPodAutoscaler").find(|h| {
        h.node.text_at("spec.scaleTargetRef.name") == Some(object.name())
            && h.node.text_at("spec.scaleTargetRef.kind") == Some(object.kind())
    })
}

fn replicas(m: &Manifests, profile: &Profile) -> Looked {
    let wanted = f64::from(profile.replicas);
    services(m, |object| {
        if object.kind() == "DaemonSet" {
            return None;
        }
        let own = object.node.number_at("spec.replicas").unwrap_or(1.0);
        let least = autoscaler(m, object)
            .map_or(own, |h| h.node.number_at("spec.minReplicas").unwrap_or(1.0));
        (least < wanted).then(|| format!("runs {least}, fewer than {wanted}"))
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
    let all = || m.of("HorizontalPodAutoscaler");
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
        let least = node.number_at("spec.minReplicas").unwrap_or(1.0);
        let most = node.number_at("spec.maxReplicas").unwrap_or(0.0);
        (most <= least).then(|| format!("scales from {least} to {most}"))
    })
}

fn scaling_metrics(m: &Manifests) -> Looked {
    autoscalers(m, |node| {
        let none = node.items_at("spec.metrics").is_empty()
            && node.at("spec.targetCPUUtilizationPercentage").is_none();
        none.then(|| "follows no metric".to_owned())
    })
}

fn disruption_budget(m: &Manifests) -> Looked {
    services(m, |object| {
        let covered = m.of("PodDisruptionBudget").any(|budget| {
            let selects_it = budget
                .node
                .at("spec.selector.matchLabels")
                .is_some_and(|s| selects(s, object.pod_labels()));
            let keeps_one = budget
                .node
                .text_at("spec.minAvailable")
                .is_some_and(|n| n != "0")
                || budget
                    .node
                    .text_at("spec.maxUnavailable")
                    .is_some_and(|n| n != "100%");
            selects_it && keeps_one
        });
        (!covered).then(|| "is covered by no PodDisruptionBudget".to_owned())
    })
}

fn rolling(m: &Manifests) -> Looked {
    services(m, |object| {
        if object.node.text_at("spec.strategy.type") == Some("Recreate") {
            return Some("is recreated: all replicas stop at once".to_owned());
        }
        let away = object
            .node
            .text_at("spec.strategy.rollingUpdate.maxUnavailable")?;
        let all = away == "100%";
        all.then(|| "lets an update take every replica away".to_owned())
    })
}

fn network_policy(m: &Manifests) -> Looked {
    services(m, |object| {
        let covered = m.of("NetworkPolicy").any(|policy| {
            let selector = policy.node.at("spec.podSelector");
            selector.is_some_and(|s| {
                let labels = s.get("matchLabels").unwrap_or(s);
                selects(labels, object.pod_labels())
            })
        });
        (!covered).then(|| "is covered by no NetworkPolicy".to_owned())
    })
}

fn no_affinity(m: &Manifests) -> Looked {
    let all = || m.of("Service");
    let sticky = |s: &&Object| s.node.text_at("spec.sessionAffinity") == Some("ClientIP");
    let problems = all()
        .filter(sticky)
        .map(|s| s.problem(s.node.line, "sends a client to the same pod again"))
        .collect();
    match all().count() {
        0 => Looked::Nothing("the manifests have no Service"),
        n => Looked::At(format!("{n} Services"), problems),
    }
}

fn no_wildcard_roles(m: &Manifests) -> Looked {
    let roles = || {
        m.objects
            .iter()
            .filter(|o| matches!(o.kind(), "Role" | "ClusterRole"))
    };
    let mut problems = Vec::new();
    for role in roles() {
        for rule in role.node.items_at("rules") {
            let lists = ["verbs", "resources"]
                .into_iter()
                .flat_map(|key| rule.items_at(key));
            if lists.into_iter().any(|item| item.text() == Some("*")) {
                problems.push(role.problem(rule.line, "grants everything by `*`"));
            }
        }
    }
    match roles().count() {
        0 => Looked::Nothing("the manifests define no roles"),
        n => Looked::At(format!("{n} roles"), problems),
    }
}
