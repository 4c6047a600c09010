//! What a pod holds beyond its need: the cluster's token, capabilities, system calls.

use super::cluster::no_service;
use super::pods::{containers, security};
use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::manifests::{Manifests, Object};
use crate::files::yaml::Node;

const MANIFESTS: &[Need] = &[Need::Manifests];

pub(super) static ROWS: &[Row] = &[
    row!(
        "k8s.token-not-mounted",
        MANIFESTS,
        in_manifests,
        "no token of the cluster in pods that do not say that they need it",
        "automountServiceAccountToken of every service and of its ServiceAccount.",
        token
    ),
    row!(
        "container.capabilities",
        MANIFESTS,
        in_manifests,
        "no capability added, and a seccomp profile",
        "capabilities and seccompProfile of every container of every service.",
        filtered
    ),
];

/// The cluster's token, which a pod that never calls the cluster must not hold.
fn token(m: &Manifests) -> Looked {
    let off = |node: &Node, path: &str| node.is_false_at(path);
    let services: Vec<&Object> = m.services().collect();
    if services.is_empty() {
        return no_service(m);
    }
    let mounted = services.iter().filter(|object| {
        let Some(pod) = object.pod() else {
            return false;
        };
        let account = pod.text_at("serviceAccountName").unwrap_or("default");
        let accounts = m
            .of("ServiceAccount")
            .filter(|a| a.name() == account && a.beside(object));
        let by_account = accounts
            .into_iter()
            .any(|a| off(&a.node, "automountServiceAccountToken"));
        let path = "automountServiceAccountToken";
        !(off(pod, path) || pod.at(path).is_none() && by_account)
    });
    let problems = mounted
        .map(|object| object.problem(object.node.line, "mounts the token of its service account"))
        .collect();
    Looked::At(format!("{} services", services.len()), problems)
}

fn filtered(m: &Manifests) -> Looked {
    containers(m, |object, container| {
        let added = container.items_at("securityContext.capabilities.add");
        let added = added.iter().filter_map(Node::text);
        if let Some(name) = added.into_iter().find(|name| *name != "NET_BIND_SERVICE") {
            return Some(format!("adds the capability {name}"));
        }
        let profile = security(object, container, "seccompProfile.type");
        (!matches!(profile, Some("RuntimeDefault" | "Localhost")))
            .then(|| "has no seccomp profile".to_owned())
    })
}
