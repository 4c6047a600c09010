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
            let lists = ["verbs", "resources", "apiGroups"]
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
        let role = binding.node.text_at("roleRef.name").unwrap_or_default();
        // People may be administrators of what is theirs; programs need not.
        let mut subjects = binding.node.items_at("subjects").iter();
        let is_program = subjects.any(|s| s.text_at("kind") == Some("ServiceAccount"));
        if binding.node.text_at("roleRef.kind") != Some("Role")
            && (role == "cluster-admin" || role == "admin" && is_program)
        {
            let of = match role {
                "admin" => "all of a namespace, its secrets and roles too",
                _ => "the cluster",
            };
            let found = format!("makes its subjects administrators of {of}");
            problems.push(binding.problem(binding.node.line, found));
        }
    }
    match roles().count() + bindings().count() {
        0 => Looked::Nothing("the manifests define no roles"),
        n => Looked::At(format!("{n} roles and bindings"), problems),
    }
}
