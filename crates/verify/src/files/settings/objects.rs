//! What an object of Kubernetes tells programs; the rest tells the cluster.

use super::{Settings, join};
use crate::files::manifests::ending;
use crate::files::yaml::{Node, Value};

/// Groups of which the objects tell the cluster what to do: only what they hand on to programs counts.
const OF_CLUSTERS: [&str; 14] = [
    "apps/",
    "batch/",
    "autoscaling/",
    "policy/",
    "networking.k8s.io/",
    "gateway.networking.k8s.io/",
    "rbac.authorization.k8s.io/",
    "storage.k8s.io/",
    "apiextensions.k8s.io/",
    "external-secrets.io/",
    "cert-manager.io/",
    "kustomize.config.k8s.io/",
    "argoproj.io/",
    "keda.sh/",
];

/// What such objects hand on.
const HANDED_ON: [&str; 6] = [
    "data",
    "stringData",
    "env",
    "args",
    "command",
    "annotations",
];

pub(super) fn add(settings: &mut Settings, path: &str, node: &Node) {
    if node
        .text_at("kind")
        .is_some_and(|kind| kind.ends_with("List"))
    {
        return node
            .items_at("items")
            .iter()
            .for_each(|item| settings.add(path, item));
    }
    let group = node.text_at("apiVersion").unwrap_or_default();
    if group == "v1" || OF_CLUSTERS.iter().any(|known| group.starts_with(known)) {
        handed_on(settings, path, "", node);
    } else {
        settings.walk(path, String::new(), node, true);
    }
}

fn handed_on(settings: &mut Settings, path: &str, key: &str, node: &Node) {
    match &node.value {
        Value::Map(entries) => {
            for (name, value) in entries {
                let key = join(key, name);
                if name == "data" {
                    data(settings, path, &key, value);
                } else if HANDED_ON.contains(&name.as_str()) {
                    settings.walk(path, key, value, true);
                } else {
                    handed_on(settings, path, &key, value);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                let name = item.text_at("name").unwrap_or_default();
                let key = if name.is_empty() {
                    key.to_owned()
                } else {
                    join(key, name)
                };
                handed_on(settings, path, &key, item);
            }
        }
        Value::Null | Value::Text(_) => {}
    }
}

/// The entries of a map; texts that are documents are read as such elsewhere.
fn data(settings: &mut Settings, path: &str, key: &str, node: &Node) {
    for (name, value) in node.entries() {
        let is_document = value.text().is_some_and(|text| text.contains('\n'));
        if !(is_document && ending(name).is_some()) {
            settings.walk(path, join(key, name), value, true);
        }
    }
}
