//! Statements of access policies, wherever an export keeps them.

use crate::files::cloud::{Cloud, Resource};
use crate::files::yaml::{self, Node, Value};

/// One statement of a policy.
pub(super) struct Statement<'a> {
    pub(super) resource: &'a Resource,
    pub(super) allows: bool,
    pub(super) actions: Vec<String>,
    pub(super) resources: Vec<String>,
}

/// Every statement that grants something on resources; who may assume a role is another question.
pub(super) fn statements(cloud: &Cloud) -> Vec<Statement<'_>> {
    let mut out = Vec::new();
    for resource in &cloud.resources {
        collect(resource, &resource.node, &mut out);
    }
    out
}

fn collect<'a>(resource: &'a Resource, node: &Node, out: &mut Vec<Statement<'a>>) {
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                if key == "Statement" {
                    let one = matches!(value.value, Value::Map(_)).then_some(value);
                    for statement in value.items().iter().chain(one) {
                        out.extend(read(resource, statement));
                    }
                } else if key == "policy" || key == "PolicyDocument" {
                    // Terraform keeps a policy as text.
                    match value.text().map(yaml::parse) {
                        Some(Ok(documents)) => {
                            documents
                                .iter()
                                .for_each(|inner| collect(resource, inner, out));
                        }
                        _ => collect(resource, value, out),
                    }
                } else {
                    collect(resource, value, out);
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(resource, item, out)),
        _ => {}
    }
}

fn read<'a>(resource: &'a Resource, node: &Node) -> Option<Statement<'a>> {
    let all = |key: &str| node.get(key).map(|_| vec!["*".to_owned()]);
    // All but some is all that nobody thought of.
    let resources = node
        .get("Resource")
        .map(texts)
        .or_else(|| all("NotResource"))?;
    let actions = node.get("Action").map(texts).or_else(|| all("NotAction"));
    Some(Statement {
        resource,
        allows: node.text_at("Effect") == Some("Allow"),
        actions: actions.unwrap_or_default(),
        resources,
    })
}

fn texts(node: &Node) -> Vec<String> {
    let all = node.items().iter().chain(Some(node));
    all.filter_map(Node::text).map(str::to_owned).collect()
}

/// An action that is all of a service, or all of everything.
pub(super) fn is_wide(action: &str) -> bool {
    action == "*" || action.ends_with(":*")
}
