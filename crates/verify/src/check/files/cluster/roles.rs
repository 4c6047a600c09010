//! What roles grant, and to whom.

use crate::check::files::Looked;
use crate::files::manifests::Manifests;
use crate::files::yaml::Node;

/// Groups and users that everybody belongs to.
const EVERYBODY: [&str; 3] = [
    "system:anonymous",
    "system:unauthenticated",
    "system:authenticated",
];

pub(super) fn no_wildcard_roles(m: &Manifests) -> Looked {
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
            let words: Vec<&str> = lists.into_iter().filter_map(Node::text).collect();
            if words.contains(&"*") {
                problems.push(role.problem(rule.line, "grants everything by `*`"));
            }
            // Who may grant or be somebody else may do everything.
            let grants = words
                .iter()
                .find(|w| matches!(**w, "escalate" | "bind" | "impersonate"));
            if let Some(verb) = grants {
                problems.push(role.problem(rule.line, format!("allows to {verb}")));
            }
        }
    }
    let bindings = || {
        m.objects
            .iter()
            .filter(|o| matches!(o.kind(), "RoleBinding" | "ClusterRoleBinding"))
    };
    for binding in bindings() {
        let subjects = binding.node.items_at("subjects").iter();
        let mut names = subjects.filter_map(|s| s.text_at("name"));
        if let Some(all) = names.find(|name| EVERYBODY.contains(name)) {
            let found = format!("binds everybody ({all})");
            problems.push(binding.problem(binding.node.line, found));
        }
        if binding.node.text_at("roleRef.name") == Some("cluster-admin") {
            let found = "makes its subjects administrators of the cluster";
            problems.push(binding.problem(binding.node.line, found));
        }
    }
    match roles().count() + bindings().count() {
        0 => Looked::Nothing("the manifests define no roles"),
        n => Looked::At(format!("{n} roles and bindings"), problems),
    }
}
