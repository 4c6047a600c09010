//! Exports of a cloud: identities, networks, data and availability.

mod access;
mod data;
mod groups;

use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::cloud::{Cloud, Resource};
use crate::files::yaml::{Node, Value};

const CLOUD: &[Need] = &[Need::Cloud];

pub(super) static ROWS: &[Row] = &[
    row!(
        "iam.no-wildcards",
        CLOUD,
        in_cloud,
        "no allowed `*` as action or resource",
        "Every Allow statement of every policy: actions and resources.",
        access::no_wildcards
    ),
    row!(
        "iam.least-privilege",
        CLOUD,
        in_cloud,
        "no allowed action of a whole service, and no owner or contributor of a subscription",
        "Every Allow statement, and every Azure role assignment.",
        access::least_privilege
    ),
    row!(
        "iam.roles-assigned",
        CLOUD,
        in_cloud,
        "roles that are assigned to somebody",
        "Azure role assignments, attached AWS policies and Kubernetes role bindings.",
        access::roles_assigned
    ),
    row!(
        "iam.secrets-access",
        CLOUD,
        in_cloud,
        "secrets that only named identities may read",
        "Every Allow statement that reads secrets names its resource; Key Vault roles have a scope.",
        access::secrets_access
    ),
    row!(
        "iam.workload-identity",
        CLOUD,
        in_cloud,
        "an identity of the workload, and no long-lived user keys",
        "Task roles, annotations of service accounts, managed identities, and active access keys of users.",
        access::workload_identity
    ),
    row!(
        "access.kubectl",
        CLOUD,
        in_cloud,
        "bindings to people or groups, none of them to cluster-admin for everybody",
        "Kubernetes role bindings.",
        access::kubectl
    ),
    row!(
        "cloud.no-public-endpoints",
        CLOUD,
        in_cloud,
        "no service that the internet can reach directly",
        "publicNetworkAccess, PubliclyAccessible and their Terraform names.",
        no_public_endpoints
    ),
    row!(
        "cloud.private-endpoints",
        CLOUD,
        in_cloud,
        "private endpoints",
        "Azure private endpoints and AWS VPC endpoints that are available.",
        private_endpoints
    ),
    row!(
        "cloud.private-endpoint-openai",
        CLOUD,
        in_cloud,
        "a private endpoint of the model service",
        "Private endpoints whose group or service is the model's.",
        private_openai
    ),
    row!(
        "cloud.private-endpoint-redis",
        CLOUD,
        in_cloud,
        "a private endpoint of Redis",
        "Private endpoints whose group or service is the cache's.",
        private_redis
    ),
    row!(
        "cloud.private-endpoint-storage",
        CLOUD,
        in_cloud,
        "a private endpoint of storage",
        "Private endpoints whose group or service is storage.",
        private_storage
    ),
    row!(
        "cloud.private-subnets",
        CLOUD,
        in_cloud,
        "subnets that hand out no public addresses",
        "MapPublicIpOnLaunch of every subnet.",
        private_subnets
    ),
    row!(
        "cloud.security-groups",
        CLOUD,
        in_cloud,
        "nothing but 80 and 443 open to the world",
        "Every ingress rule of security groups and network security groups.",
        groups::security_groups
    ),
    row!(
        "cloud.waf",
        CLOUD,
        in_cloud,
        "a web application firewall that is attached",
        "WAF ACLs with an association, and WAF policies of front doors and gateways.",
        waf
    ),
    row!(
        "data.encryption-at-rest",
        CLOUD,
        in_cloud,
        "encryption of every store",
        "Databases, volumes, caches, tables and buckets in the export.",
        data::encrypted
    ),
    row!(
        "cloud.storage-private",
        CLOUD,
        in_cloud,
        "buckets and containers that nobody reads without a key",
        "Access lists, public access blocks and public access of every bucket and storage account.",
        data::storage_private
    ),
    row!(
        "cloud.deletion-protected",
        CLOUD,
        in_cloud,
        "databases that one command cannot delete",
        "Deletion protection of databases, tables, clusters and load balancers.",
        data::deletion_protected
    ),
    row!(
        "backup.point-in-time-recovery",
        CLOUD,
        in_cloud,
        "recovery to a point in time",
        "PointInTimeRecoveryStatus of tables, and the retention of backups of databases.",
        data::point_in_time
    ),
    row!(
        "dr.cross-region-replication",
        CLOUD,
        in_cloud,
        "a copy in another region",
        "Replicas of tables, replication of buckets, and secondary locations.",
        data::replicated
    ),
    row!(
        "ha.multi-zone",
        CLOUD,
        in_cloud,
        "two zones or more",
        "The zones of subnets, instances, nodes and Azure resources.",
        data::zones
    ),
    row!(
        "k8s.pods-running",
        CLOUD,
        in_cloud,
        "pods that run, are ready and hardly restart",
        "Pods of `kubectl get pods -o json`: phase, readiness, fewer than five restarts.",
        data::pods
    ),
    row!(
        "net.lb-health-checks",
        CLOUD,
        in_cloud,
        "a health check with a path on every load balancer",
        "Target groups and probes: path or protocol, interval and threshold.",
        data::balancers
    ),
    row!(
        "log.aggregation-azure-monitor",
        CLOUD,
        in_cloud,
        "diagnostic settings that send logs to a workspace",
        "Azure diagnostic settings with a workspace and enabled logs.",
        data::azure_monitor
    ),
    row!(
        "cost.allocation-tags",
        CLOUD,
        in_cloud,
        "a tag of owner, team, project or cost centre on every resource",
        "Tags of every resource that can have them.",
        data::tags
    ),
    row!(
        "cost.right-sized",
        CLOUD,
        in_cloud,
        "no resource that is found over- or under-sized",
        "Findings of AWS Compute Optimizer or Azure Advisor in the export.",
        data::right_sized
    ),
    row!(
        "review.two-approvers",
        CLOUD,
        in_cloud,
        "two approvals before a merge",
        "required_approving_review_count of branch protection.",
        data::two_approvers
    ),
];

/// Judges every resource of some kinds; without any, the export says nothing.
fn each(
    c: &Cloud,
    kinds: &[&str],
    what: &str,
    wrong: impl Fn(&Resource) -> Option<String>,
) -> Looked {
    let all: Vec<&Resource> = c.of(kinds).collect();
    let problems = all
        .iter()
        .filter_map(|r| Some(r.problem(wrong(r)?)))
        .collect();
    match all.len() {
        0 => Looked::Unknown(format!("an export with {what}")),
        n => Looked::At(format!("{n} {what}"), problems),
    }
}

/// Asks for one resource that fits, among those that could.
fn some(c: &Cloud, kinds: &[&str], what: &str, fits: impl Fn(&Resource) -> bool) -> Looked {
    let all: Vec<&Resource> = c.of(kinds).collect();
    let Some(first) = all.first() else {
        return Looked::Unknown(format!("an export with {what}"));
    };
    match all.iter().find(|r| fits(r)) {
        Some(found) => Looked::At(format!("{} {}", found.kind, found.name), Vec::new()),
        None => {
            let found = format!("none of {} fits", all.len());
            Looked::At(String::new(), vec![first.problem(found)])
        }
    }
}

fn text<'a>(r: &'a Resource, keys: &[&str]) -> Option<&'a str> {
    r.find(keys)?.text()
}

fn is_true(r: &Resource, keys: &[&str]) -> bool {
    text(r, keys).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn no_public_endpoints(c: &Cloud) -> Looked {
    let keys = [
        "publicNetworkAccess",
        "public_network_access",
        "public_network_access_enabled",
        "PubliclyAccessible",
        "publicly_accessible",
    ];
    let all: Vec<_> = c
        .resources
        .iter()
        .filter_map(|r| Some((r, text(r, &keys)?)))
        .collect();
    let open =
        |value: &str| value.eq_ignore_ascii_case("enabled") || value.eq_ignore_ascii_case("true");
    let problems = all
        .iter()
        .filter(|(_, value)| open(value))
        .map(|(r, _)| r.problem("can be reached from the internet"))
        .collect();
    match all.len() {
        0 => Looked::Unknown("an export that says which services are public".to_owned()),
        n => Looked::At(format!("{n} services"), problems),
    }
}

const ENDPOINTS: &[&str] = &[
    "privateendpoints",
    "private_endpoint",
    "vpcendpoint",
    "vpc_endpoint",
];
const OF_ENDPOINTS: &str = "private endpoints";

fn private_endpoints(c: &Cloud) -> Looked {
    each(c, ENDPOINTS, OF_ENDPOINTS, |r| {
        let state = text(r, &["State", "state", "provisioningState"]).unwrap_or("available");
        let works = ["available", "succeeded"]
            .iter()
            .any(|good| state.eq_ignore_ascii_case(good));
        let connection = connection(r).unwrap_or("Approved");
        if !connection.eq_ignore_ascii_case("approved") {
            return Some(format!("has a connection that is {connection}"));
        }
        (!works).then(|| format!("is {state}"))
    })
}

/// What the other side says of the connection of an Azure endpoint.
fn connection(r: &Resource) -> Option<&str> {
    let state = r.find(&["privateLinkServiceConnectionState"])?;
    state.text_at("status")
}

/// A private endpoint of a service that has one of these words.
fn private_to(c: &Cloud, words: &[&str]) -> Looked {
    some(c, ENDPOINTS, OF_ENDPOINTS, |r| {
        if connection(r).is_some_and(|state| !state.eq_ignore_ascii_case("approved")) {
            return false;
        }
        let keys = [
            "groupIds",
            "ServiceName",
            "service_name",
            "subresource_names",
            "privateLinkServiceId",
            "private_connection_resource_id",
        ];
        keys.iter().filter_map(|key| r.find(&[key])).any(|node| {
            let mut texts = node.items().iter().chain(Some(node)).filter_map(Node::text);
            texts.any(|t| words.iter().any(|w| t.to_ascii_lowercase().contains(w)))
        })
    })
}

fn private_openai(c: &Cloud) -> Looked {
    private_to(c, &["account", "openai", "cognitiveservices", "bedrock"])
}

fn private_redis(c: &Cloud) -> Looked {
    private_to(c, &["redis", "elasticache"])
}

fn private_storage(c: &Cloud) -> Looked {
    private_to(c, &["blob", "file", "storage", ".s3", "dynamodb"])
}

fn private_subnets(c: &Cloud) -> Looked {
    each(c, &["subnet"], "subnets", |r| {
        is_true(r, &["MapPublicIpOnLaunch", "map_public_ip_on_launch"])
            .then(|| "hands out public addresses".to_owned())
    })
}

fn waf(c: &Cloud) -> Looked {
    // What has no rules lets everything through.
    let is_list = |r: &&Resource| r.kind.ends_with("web_acl");
    let lists: Vec<_> = c.of(&["web_acl"]).filter(is_list).collect();
    let empty = |r: &&&Resource| {
        let rules = r.find(&["rule", "Rules", "rules"]);
        rules.is_some_and(|rules| !rules.says_something())
    };
    if let Some(first) = lists.first().filter(|_| lists.iter().all(|r| empty(&r))) {
        return Looked::At(String::new(), vec![first.problem("has no rules")]);
    }
    some(
        c,
        &["webacl", "web_acl", "waf", "firewallpolicies"],
        "web application firewalls",
        |r| {
            let attached = [
                "ResourceArns",
                "resource_arn",
                "applicationGateways",
                "frontendEndpointLinks",
                "securityPolicyLinks",
            ];
            attached
                .iter()
                .filter_map(|key| r.find(&[key]))
                .any(|node| match &node.value {
                    Value::List(items) => !items.is_empty(),
                    Value::Text(text) => !text.is_empty(),
                    _ => false,
                })
                // What a plan does not know yet, it leaves out.
                || r.kind.contains("association") && r.find(&["resource_arn"]).is_none()
        },
    )
}
