//! Who may talk to whom: network policies, and Services in front of pods.

use super::OBJECTS;
use crate::check::files::Looked;
use crate::check::files::cluster::services;
use crate::files::Problem;
use crate::files::manifests::{Manifests, Object, fits, selects};
use crate::files::yaml::Node;

/// NetworkPolicies of one direction, and whether each lists what it allows.
fn policies(m: &Manifests, kind: &str, key: &str) -> Looked {
    let of_type = |o: &&Object| {
        o.node
            .items_at("spec.policyTypes")
            .iter()
            .any(|t| t.text() == Some(kind))
            || o.node.at("spec").is_some_and(|s| s.get(key).is_some())
    };
    let all: Vec<&Object> = m.of("NetworkPolicy").filter(of_type).collect();
    let open = |rule: &Node| {
        let peers = rule.items_at(if key == "egress" { "to" } else { "from" });
        let world = peers.iter().any(|p| {
            matches!(p.text_at("ipBlock.cidr"), Some("0.0.0.0/0" | "::/0"))
                && p.said_at("ipBlock.except").is_none()
        });
        // Every pod of every namespace is no named peer.
        let everybody = peers.iter().any(|p| {
            p.get("namespaceSelector")
                .is_some_and(|n| !n.says_something())
                && p.said_at("podSelector").is_none()
        });
        let anybody = peers.is_empty() || everybody;
        (anybody && rule.items_at("ports").is_empty()) || world
    };
    let uncovered = m.services().filter(|o| {
        !all.iter().any(|policy| {
            let selector = policy.node.at("spec.podSelector");
            policy.beside(o) && selector.is_some_and(|s| fits(s, o.pod_labels()))
        })
    });
    let uncovered =
        uncovered.map(|o| o.problem(o.node.line, format!("no policy bounds its {key}")));
    let problems = all
        .iter()
        .filter(|o| {
            o.node
                .at("spec")
                .is_some_and(|spec| spec.items_at(key).iter().any(open))
        })
        .map(|o| o.problem(o.node.line, format!("allows all {key}")))
        .chain(uncovered)
        .collect();
    match all.len() {
        0 if m.objects.is_empty() => Looked::Unknown(OBJECTS.to_owned()),
        0 => Looked::At(
            String::new(),
            vec![Problem::new(
                ".",
                1,
                format!("no NetworkPolicy restricts {key}"),
            )],
        ),
        n => Looked::At(format!("{n} policies"), problems),
    }
}

pub(super) fn egress(m: &Manifests) -> Looked {
    policies(m, "Egress", "egress")
}

pub(super) fn ingress(m: &Manifests) -> Looked {
    policies(m, "Ingress", "ingress")
}

pub(super) fn balancer(m: &Manifests) -> Looked {
    services(m, |o| {
        let mut front = m.of("Service").filter(|s| {
            let selector = s.node.said_at("spec.selector");
            s.beside(o) && selector.is_some_and(|sel| selects(sel, o.pod_labels()))
        });
        let Some(front) = front.next() else {
            return Some("has no Service in front".to_owned());
        };
        let (name, port) = (front.name(), dead_port(front, o)?);
        Some(format!(
            "its Service {name} sends to the port {port}, on which no container listens"
        ))
    })
}

/// A port of a Service that none of the containers has: names must be theirs, numbers only where
/// they say theirs.
fn dead_port(service: &Object, o: &Object) -> Option<String> {
    let containers = || o.containers().iter();
    let has = |wanted: &str| {
        let mut ports = containers().flat_map(|c| c.items_at("ports"));
        ports.any(|p| {
            p.text_at("containerPort") == Some(wanted) || p.text_at("name") == Some(wanted)
        })
    };
    let silent = containers().all(|c| c.items_at("ports").is_empty());
    let ports = service.node.items_at("spec.ports").iter();
    let targets = ports.filter_map(|p| p.text_at("targetPort").or_else(|| p.text_at("port")));
    targets
        .into_iter()
        .find(|port| !(has(port) || silent && port.bytes().all(|b| b.is_ascii_digit())))
        .map(str::to_owned)
}
