//! Data, zones, pods, balancers and cost in exports of a cloud.

use std::collections::BTreeSet;

use super::{each, is_true, text};
use crate::check::files::Looked;
use crate::files::cloud::{Cloud, Resource, find};
use crate::files::yaml::{Node, Value};

pub(super) fn encrypted(c: &Cloud) -> Looked {
    let keys = [
        "StorageEncrypted",
        "storage_encrypted",
        "Encrypted",
        "encrypted",
        "AtRestEncryptionEnabled",
        "at_rest_encryption_enabled",
        "SSEDescription",
        "ServerSideEncryptionConfiguration",
        "encryption",
    ];
    // A database is not encrypted unless a plan, or what it is a copy of, says so.
    let copied = [
        "replicate_source_db",
        "snapshot_identifier",
        "restore_to_point_in_time",
    ];
    let says = |r: &Resource| {
        let copied = r.find(&copied).is_some_and(Node::says_something);
        copied || r.find(&keys).is_some()
    };
    let unsaid = c
        .of(&["aws_db_instance"])
        .filter(|r| r.kind == "aws_db_instance");
    let unsaid: Vec<_> = unsaid.filter(|r| !says(r)).collect();
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, r.find(&keys)?)))
        .collect();
    let off = |node: &Node| {
        // A plan that sets nothing says `null`, and gets no encryption.
        node.value == Value::Null
            || matches!(node.text(), Some("false" | "Disabled" | "disabled"))
            || find(node, &["Status", "enabled"])
                .is_some_and(|s| matches!(s.text(), Some("DISABLED" | "false")))
    };
    let problems = all
        .iter()
        .filter(|(_, node)| off(node))
        .map(|(r, _)| r.problem("is not encrypted"))
        .chain(
            unsaid
                .iter()
                .map(|r| r.problem("does not say that it is encrypted")),
        )
        .collect();
    match all.len() + unsaid.len() {
        0 => Looked::Unknown("an export with databases, volumes or buckets".to_owned()),
        n => Looked::At(format!("{n} stores"), problems),
    }
}

pub(super) fn point_in_time(c: &Cloud) -> Looked {
    let keys = [
        "PointInTimeRecoveryStatus",
        "point_in_time_recovery",
        "BackupRetentionPeriod",
        "backup_retention_period",
        "backupRetentionDays",
    ];
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, r.find(&keys)?)))
        .collect();
    let on = |node: &Node| {
        if node.value == Value::Null || node.value == Value::List(Vec::new()) {
            return false;
        }
        let value = find(node, &["enabled"]).unwrap_or(node);
        let value = value
            .items()
            .first()
            .and_then(|n| find(n, &["enabled"]))
            .unwrap_or(value);
        !matches!(value.text(), Some("DISABLED" | "false" | "0"))
    };
    let problems = all
        .iter()
        .filter(|(_, node)| !on(node))
        .map(|(r, _)| r.problem("keeps no way back to a point in time"))
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export with backups of tables or databases".to_owned()),
        n => Looked::At(format!("{n} stores"), problems),
    }
}

/// Storage that strangers may read, as its access list or its settings say.
pub(super) fn storage_private(c: &Cloud) -> Looked {
    let kinds = [
        "s3_bucket",
        "storage_account",
        "storageaccounts",
        "storage_bucket",
        "bucket",
    ];
    let all: Vec<_> = c.of(&kinds).collect();
    let open = |r: &Resource| -> Option<&'static str> {
        let acl = text(r, &["acl"]).unwrap_or_default();
        if acl.starts_with("public") || acl == "website" {
            return Some("has an access list for everybody");
        }
        let blocks = [
            "block_public_acls",
            "block_public_policy",
            "ignore_public_acls",
            "restrict_public_buckets",
            "BlockPublicAcls",
            "BlockPublicPolicy",
            "IgnorePublicAcls",
            "RestrictPublicBuckets",
        ];
        if blocks.iter().any(|key| text(r, &[key]) == Some("false")) {
            return Some("does not block public access");
        }
        let allows = ["allow_nested_items_to_be_public", "allowBlobPublicAccess"];
        if is_true(r, &allows) {
            return Some("lets containers be public");
        }
        let everybody = ["allUsers", "allAuthenticatedUsers"];
        let members = r.find(&["member", "members"])?;
        let mut names = members
            .items()
            .iter()
            .chain(Some(members))
            .filter_map(Node::text);
        names
            .any(|name| everybody.contains(&name))
            .then_some("gives everybody access")
    };
    let problems: Vec<_> = all
        .iter()
        .filter_map(|r| Some(r.problem(open(r)?)))
        .collect();
    // A bucket alone does not say who may read it.
    let says = [
        "acl",
        "block_public_acls",
        "BlockPublicAcls",
        "allow_nested_items_to_be_public",
        "allowBlobPublicAccess",
        "member",
        "members",
        "public_access_prevention",
    ];
    let tells = |r: &&&Resource| r.find(&says).is_some_and(Node::says_something);
    let telling = all.iter().filter(tells).count();
    match telling {
        0 => Looked::Unknown("an export that says who may read buckets".to_owned()),
        n => Looked::At(format!("{n} statements about buckets"), problems),
    }
}

/// Stores that one command deletes.
pub(super) fn deletion_protected(c: &Cloud) -> Looked {
    let keys = [
        "deletion_protection",
        "DeletionProtection",
        "deletion_protection_enabled",
        "DeletionProtectionEnabled",
        "enable_deletion_protection",
    ];
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, r.find(&keys)?)))
        .collect();
    let problems = all
        .iter()
        .filter(|(_, node)| !node.text().is_some_and(|t| t.eq_ignore_ascii_case("true")))
        .map(|(r, _)| r.problem("can be deleted by one command"))
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export with databases, tables or clusters".to_owned()),
        n => Looked::At(format!("{n} stores"), problems),
    }
}

pub(super) fn replicated(c: &Cloud) -> Looked {
    // A rule that is switched off copies nothing.
    let off = |r: &Resource| {
        let is_one = r.kind.contains("replication_configuration");
        is_one && text(r, &["status"]).is_some_and(|s| s.eq_ignore_ascii_case("disabled"))
    };
    let idle = c.resources.iter().filter(|r| off(r));
    let idle = idle.map(|r| r.problem("has a replication that is switched off"));
    let keys = [
        "Replicas",
        "replica",
        "ReplicationConfiguration",
        "replication_configuration",
        "secondaryLocation",
        "geoReplication",
    ];
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, r.find(&keys)?)))
        .collect();
    let empty = |node: &Node| match &node.value {
        Value::List(items) => items.is_empty(),
        Value::Text(text) => text.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Null => true,
    };
    let problems = all
        .iter()
        .filter(|(_, node)| empty(node))
        .map(|(r, _)| r.problem("has no copy in another region"))
        .chain(idle)
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export that says what is replicated".to_owned()),
        n => Looked::At(format!("{n} stores"), problems),
    }
}

pub(super) fn zones(c: &Cloud) -> Looked {
    let mut zones = BTreeSet::new();
    let mut first = None;
    for r in &c.resources {
        let keys = [
            "AvailabilityZone",
            "availability_zone",
            "topology.kubernetes.io/zone",
            "zones",
        ];
        let Some(node) = r.find(&keys) else { continue };
        first.get_or_insert(r);
        let texts = node.items().iter().chain(Some(node)).filter_map(Node::text);
        zones.extend(texts.map(str::to_owned));
    }
    let Some(first) = first else {
        return Looked::Unknown("an export with zones of subnets or nodes".to_owned());
    };
    let names = zones.iter().cloned().collect::<Vec<_>>().join(", ");
    // Subnets in two zones do not move a database that is in one.
    let single = c.resources.iter().filter(|r| {
        let said = text(r, &["multi_az", "MultiAZ"]);
        said.is_some_and(|s| s.eq_ignore_ascii_case("false"))
    });
    let single = single.map(|r| r.problem("is in one zone only"));
    let problems = if zones.len() < 2 {
        vec![first.problem(format!("all is in {names}"))]
    } else {
        single.collect()
    };
    Looked::At(names, problems)
}

pub(super) fn pods(c: &Cloud) -> Looked {
    let running: Vec<&Resource> = c.resources.iter().filter(|r| r.kind == "pod").collect();
    let wrong = |r: &Resource| {
        let phase = r.node.text_at("status.phase").unwrap_or("of unknown phase");
        if phase == "Succeeded" {
            return None;
        }
        if phase != "Running" {
            return Some(format!("is {phase}"));
        }
        r.node
            .items_at("status.containerStatuses")
            .iter()
            .find_map(|status| {
                let restarts = status.number_at("restartCount").unwrap_or(0.0);
                if restarts >= 5.0 {
                    return Some(format!("restarted {restarts} times"));
                }
                (!status.is_true_at("ready")).then(|| "is not ready".to_owned())
            })
    };
    let problems = running
        .iter()
        .filter_map(|r| Some(r.problem(wrong(r)?)))
        .collect();
    match running.len() {
        0 => Looked::Unknown("the output of `kubectl get pods -o json`".to_owned()),
        n => Looked::At(format!("{n} pods"), problems),
    }
}

pub(super) fn balancers(c: &Cloud) -> Looked {
    each(
        c,
        &["targetgroup", "target_group", "loadbalancers"],
        "target groups or load balancers",
        |r| {
            if is_true(r, &["HealthCheckEnabled"]) || r.find(&["health_check", "probes"]).is_some()
            {
                let check = r.find(&["health_check"]);
                if check
                    .and_then(|c| find(c, &["enabled"]))
                    .and_then(Node::text)
                    == Some("false")
                {
                    return Some("has a health check that is switched off".to_owned());
                }
                let path = text(r, &["HealthCheckPath", "path", "requestPath"]);
                return path
                    .is_none_or(|path| path.is_empty() || path == "/")
                    .then(|| "has a health check of no path".to_owned());
            }
            Some("has no health check".to_owned())
        },
    )
}

pub(super) fn azure_monitor(c: &Cloud) -> Looked {
    each(
        c,
        &["diagnosticsettings", "diagnostic_setting"],
        "diagnostic settings",
        |r| {
            let workspace =
                text(r, &["workspaceId", "log_analytics_workspace_id"]).unwrap_or_default();
            if workspace.is_empty() {
                return Some("sends nothing to a workspace".to_owned());
            }
            let logs = r
                .find(&["logs", "enabled_log"])
                .map_or(&[][..], Node::items);
            let on = logs
                .iter()
                .any(|log| log.text_at("enabled") != Some("false"));
            (!on).then(|| "sends no logs".to_owned())
        },
    )
}

pub(super) fn tags(c: &Cloud) -> Looked {
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, r.find(&["tags", "Tags"])?)))
        .collect();
    let names = ["owner", "team", "project", "cost", "environment", "service"];
    let named = |node: &Node| {
        let keys = node
            .entries()
            .iter()
            .filter(|(_, value)| value.says_something());
        let keys = keys.map(|(key, _)| key.as_str());
        let listed = node
            .items()
            .iter()
            .filter(|item| item.said_at("Value").is_some());
        let listed = listed.filter_map(|item| item.text_at("Key"));
        let mut all = keys.chain(listed);
        all.any(|key| {
            names
                .iter()
                .any(|name| key.to_ascii_lowercase().contains(name))
        })
    };
    let problems = all
        .iter()
        .filter(|(_, node)| !named(node))
        .map(|(r, _)| r.problem("has no tag that says who pays"))
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export with tags".to_owned()),
        n => Looked::At(format!("{n} resources with tags"), problems),
    }
}

pub(super) fn right_sized(c: &Cloud) -> Looked {
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, text(r, &["finding", "Finding"])?)))
        .collect();
    let problems = all
        .iter()
        .filter(|(_, finding)| !finding.eq_ignore_ascii_case("optimized"))
        .map(|(r, finding)| r.problem(format!("is {finding}")))
        .collect();
    match all.len() {
        0 => Looked::Unknown("findings of Compute Optimizer or Advisor".to_owned()),
        n => Looked::At(format!("{n} findings"), problems),
    }
}

pub(super) fn two_approvers(c: &Cloud) -> Looked {
    let key = ["required_approving_review_count"];
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, text(r, &key)?.parse::<u32>().ok()?)))
        .collect();
    let problems = all
        .iter()
        .filter(|(_, n)| *n < 2)
        .map(|(r, n)| r.problem(format!("asks for {n}")))
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export of branch protection".to_owned()),
        n => Looked::At(format!("{n} protected branches"), problems),
    }
}
