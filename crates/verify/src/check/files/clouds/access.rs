//! Who may do what, in exports of a cloud.

use super::{each, text};
use crate::check::files::Looked;
use crate::check::files::policies::{is_wide, statements};
use crate::files::Problem;
use crate::files::cloud::{Cloud, find};
use crate::files::yaml::Node;

const NO_POLICY: &str = "an export with policies";

pub(super) fn no_wildcards(c: &Cloud) -> Looked {
    let all = statements(c);
    let problems = all
        .iter()
        .filter(|s| {
            s.allows
                && (s.actions.iter().any(|a| is_all(a)) || s.resources.iter().any(|r| is_all(r)))
        })
        .map(|s| {
            s.resource.problem(format!(
                "allows {} on {}",
                s.actions.join(", "),
                s.resources.join(", ")
            ))
        })
        .collect();
    match all.len() {
        0 => Looked::Unknown(NO_POLICY.to_owned()),
        n => Looked::At(format!("{n} statements"), problems),
    }
}

/// Whether an action lets its holder get further rights.
fn grants_rights(action: &str) -> bool {
    const WAYS: [&str; 14] = [
        "iam:create",
        "iam:put",
        "iam:attach",
        "iam:add",
        "iam:update",
        "iam:passrole",
        "iam:setdefaultpolicyversion",
        "sts:assumerole",
        "sts:*",
        "iam:*",
        "iam:c*",
        "iam:p*",
        "iam:a*",
        "iam:u*",
    ];
    let action = action.to_ascii_lowercase();
    WAYS.iter().any(|way| action.starts_with(way))
}

/// Whether a pattern fits everything, also as `*:*` or an ARN of stars.
fn is_all(pattern: &str) -> bool {
    let rest = pattern.strip_prefix("arn:aws:").unwrap_or(pattern);
    rest.contains('*') && rest.chars().all(|c| matches!(c, '*' | ':' | '/'))
}

/// Whether a pattern fits every secret, parameter or key.
fn is_every_secret(pattern: &str) -> bool {
    let ends = [":secret:*", ":parameter/*", ":key/*"];
    is_all(pattern) || ends.iter().any(|end| pattern.ends_with(end))
}

const ASSIGNMENTS: &[&str] = &["roleassignments", "role_assignment"];

pub(super) fn least_privilege(c: &Cloud) -> Looked {
    let all = statements(c);
    let mut problems: Vec<Problem> = all
        .iter()
        .filter(|s| s.allows)
        .filter_map(|s| {
            if let Some(wide) = s.actions.iter().find(|action| is_wide(action)) {
                return Some(s.resource.problem(format!("allows all of `{wide}`")));
            }
            // Who may give rights to himself has all of them.
            let grants = s.actions.iter().find(|action| grants_rights(action))?;
            let anywhere = s.resources.iter().any(|r| is_all(r) || r.ends_with("/*"));
            anywhere.then(|| {
                s.resource
                    .problem(format!("allows `{grants}` on everything"))
            })
        })
        .collect();
    let mut assigned = 0;
    for r in c.of(ASSIGNMENTS) {
        assigned += 1;
        let role = text(r, &["roleDefinitionName", "role_definition_name"]).unwrap_or_default();
        let scope = text(r, &["scope"]).unwrap_or_default();
        let whole = !scope.contains("/resourceGroups/");
        // Who hands out rights has all of them; people do that for what is theirs.
        let hands_out = matches!(
            role,
            "Owner" | "User Access Administrator" | "Role Based Access Control Administrator"
        );
        let is_person = matches!(text(r, &["principalType"]), Some("User" | "Group"));
        if (hands_out || role == "Contributor") && whole || hands_out && !is_person {
            problems.push(r.problem(format!("is {role} of {scope}")));
        }
    }
    match all.len() + assigned {
        0 => Looked::Unknown(NO_POLICY.to_owned()),
        n => Looked::At(format!("{n} statements and assignments"), problems),
    }
}

pub(super) fn roles_assigned(c: &Cloud) -> Looked {
    let kinds = [
        "roleassignments",
        "role_assignment",
        "attachedpolicies",
        "policy_attachment",
        "rolebinding",
    ];
    each(c, &kinds, "role assignments", |r| {
        let to = [
            "principalId",
            "principal_id",
            "PolicyArn",
            "policy_arn",
            "subjects",
        ];
        let said = r.find(&to).is_some_and(Node::says_something);
        (!said).then(|| "is assigned to nobody".to_owned())
    })
}

pub(super) fn secrets_access(c: &Cloud) -> Looked {
    let reads = |action: &String| {
        ["secretsmanager:", "ssm:getparameter", "kms:decrypt"]
            .iter()
            .any(|part| action.to_ascii_lowercase().starts_with(part))
    };
    let all = statements(c);
    let reading: Vec<_> = all
        .iter()
        .filter(|s| s.allows && s.actions.iter().any(reads))
        .collect();
    let mut problems: Vec<Problem> = reading
        .iter()
        .filter(|s| s.resources.iter().any(|r| is_every_secret(r)))
        .map(|s| s.resource.problem("may read every secret"))
        .collect();
    let mut vaults = 0;
    for r in c.of(ASSIGNMENTS) {
        let role = text(r, &["roleDefinitionName", "role_definition_name"]).unwrap_or_default();
        if role.starts_with("Key Vault") {
            vaults += 1;
            let scope = text(r, &["scope"]).unwrap_or_default().to_ascii_lowercase();
            if !scope.contains("microsoft.keyvault") {
                problems.push(r.problem(format!("is {role} of all vaults in {scope}")));
            }
        }
    }
    match reading.len() + vaults {
        0 => Looked::Unknown("an export with policies on secrets".to_owned()),
        n => Looked::At(format!("{n} grants on secrets"), problems),
    }
}

pub(super) fn workload_identity(c: &Cloud) -> Looked {
    let mut identities = 0;
    let mut problems = Vec::new();
    for r in &c.resources {
        let kind = r.kind.as_str();
        let key_of_user = kind.contains("accesskeymetadata") || kind.contains("iam_access_key");
        // A key that says nothing else is active.
        let status = text(r, &["Status", "status"]).unwrap_or("Active");
        if key_of_user && status == "Active" {
            problems.push(r.problem("is a long-lived key of a user"));
        }
        let annotated = [
            "eks.amazonaws.com/role-arn",
            "azure.workload.identity/client-id",
        ];
        let has = r.find(&annotated).is_some()
            || text(r, &["taskRoleArn", "task_role_arn"]).is_some_and(|arn| !arn.is_empty())
            || r.find(&["identity"])
                .and_then(|i| find(i, &["type"]))
                .and_then(Node::text)
                .is_some_and(|kind| kind.contains("Assigned"));
        identities += usize::from(has);
    }
    if identities == 0 && problems.is_empty() {
        return Looked::Unknown("an export with the workload's identity".to_owned());
    }
    Looked::At(format!("{identities} identities of workloads"), problems)
}

pub(super) fn kubectl(c: &Cloud) -> Looked {
    each(c, &["rolebinding"], "role bindings", |r| {
        let subjects = r.node.items_at("subjects");
        let everybody = subjects.iter().any(|s| {
            matches!(
                s.text_at("name"),
                Some("system:authenticated" | "system:unauthenticated" | "system:anonymous")
            )
        });
        if subjects.is_empty() {
            return Some("binds nobody".to_owned());
        }
        everybody.then(|| {
            format!(
                "binds everybody to {}",
                r.node.text_at("roleRef.name").unwrap_or("a role")
            )
        })
    })
}
