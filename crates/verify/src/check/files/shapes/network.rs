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
            let excepted = p.items_at("ipBlock.except").iter().filter_map(Node::text);
            p.text_at("ipBlock.cidr").is_some_and(is_world) && !excepted.into_iter().any(is_network)
        });
        // Every pod of every namespace is no named peer.
        let everybody = peers.iter().any(|p| {
            p.get("namespaceSelector")
                .is_some_and(|n| !n.says_something())
                && p.said_at("podSelector").is_none()
        });
        let anybody = peers.is_empty() || everybody;
        (anybody && !names_ports(rule)) || world
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

/// The bits that all addresses of a block share.
fn shared_bits(block: &str) -> Option<u8> {
    block.rsplit_once('/')?.1.trim().parse().ok()
}

/// Half of all addresses, twice, are all of them; 2000::/3 is everything that is routed.
pub(in crate::check::files) fn is_world(block: &str) -> bool {
    shared_bits(block).is_some_and(|bits| bits <= 3)
}

/// An exception that takes a whole network out, and not some host.
fn is_network(block: &str) -> bool {
    shared_bits(block).is_some_and(|bits| bits <= 16)
}

/// Whether a rule is about some ports: a protocol alone, or a range of most, is all of them.
fn names_ports(rule: &Node) -> bool {
    const MANY: f64 = 10_000.0;
    let ports = rule.items_at("ports");
    let is_named = |port: &Node| {
        let first = port.number_at("port").unwrap_or(0.0);
        let last = port.number_at("endPort").unwrap_or(first);
        port.said_at("port").is_some() && last - first < MANY
    };
    !ports.is_empty() && ports.iter().all(is_named)
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

/// Whether a monitor of the Prometheus operator reaches the pods: in its namespaces, with an
/// endpoint, and on a port that is there.
pub(super) fn watches(m: &Manifests, monitor: &Object, o: &Object) -> bool {
    let Some(selector) = monitor.node.at("spec.selector") else {
        return false;
    };
    if !selector.says_something() && monitor.node.at("spec.namespaceSelector").is_none() {
        return false;
    }
    let looks_at = |other: &Object| match monitor.node.at("spec.namespaceSelector") {
        Some(namespaces) if namespaces.is_true_at("any") => true,
        Some(namespaces) if namespaces.get("matchNames").is_some() => {
            let own = other.node.text_at("metadata.namespace");
            let mut names = namespaces.items_at("matchNames").iter().map(Node::text);
            own.is_none() || names.any(|name| name == own)
        }
        _ => monitor.beside(other),
    };
    let pod_ports = || o.lasting().flat_map(|c| c.items_at("ports"));
    if monitor.kind() == "PodMonitor" {
        let endpoints = monitor.node.items_at("spec.podMetricsEndpoints").iter();
        let mut ports = endpoints.map(|e| e.text_at("port"));
        let is_there = |port: Option<&str>| {
            port.is_none_or(|name| pod_ports().any(|p| p.text_at("name") == Some(name)))
        };
        return looks_at(o) && fits(selector, o.pod_labels()) && ports.any(is_there);
    }
    m.of("Service").any(|s| {
        let labels = s.node.at("metadata.labels").map_or(&[][..], Node::entries);
        let pods = s.node.said_at("spec.selector");
        let ports = s.node.items_at("spec.ports");
        let is_there = |endpoint: &Node| match endpoint.text_at("port") {
            Some(name) => ports.iter().any(|p| p.text_at("name") == Some(name)),
            None => endpoint.said_at("targetPort").is_some() || endpoint.says_something(),
        };
        let endpoints = monitor.node.items_at("spec.endpoints");
        looks_at(s)
            && fits(selector, labels)
            && s.beside(o)
            && pods.is_some_and(|sel| selects(sel, o.pod_labels()))
            && endpoints.iter().any(is_there)
    })
}

/// A port of a Service that none of the containers has: names must be theirs, numbers only where
/// they say theirs.
fn dead_port(service: &Object, o: &Object) -> Option<String> {
    let containers = || o.lasting();
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
