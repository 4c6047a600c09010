//! What security groups let in.

use super::each;
use crate::check::files::Looked;
use crate::check::files::shapes::is_world;
use crate::files::cloud::Cloud;
use crate::files::yaml::{Node, Value};

pub(super) fn security_groups(c: &Cloud) -> Looked {
    let kinds = ["securitygroup", "security_group", "networksecuritygroups"];
    each(c, &kinds, "security groups", |r| {
        let mut open = Vec::new();
        rules(&r.node, &mut open);
        open.into_iter().find_map(world_port)
    })
}

/// Where a rule names its sources of traffic.
const SOURCES: [&str; 11] = [
    "CidrIp",
    "IpRanges",
    "Ipv6Ranges",
    "cidr_blocks",
    "ipv6_cidr_blocks",
    "cidr_ipv4",
    "cidr_ipv6",
    "sourceAddressPrefix",
    "source_address_prefix",
    "sourceAddressPrefixes",
    "source_address_prefixes",
];

/// Every map that has a source of traffic.
fn rules<'a>(node: &'a Node, out: &mut Vec<&'a Node>) {
    if let Value::Map(entries) = &node.value {
        if SOURCES.iter().any(|key| node.get(key).is_some()) {
            return out.push(node);
        }
        for (key, value) in entries {
            if !key.to_ascii_lowercase().contains("egress") {
                rules(value, out);
            }
        }
    }
    node.items().iter().for_each(|item| rules(item, out));
}

/// What a rule opens to the world beside the web's ports.
fn world_port(rule: &Node) -> Option<String> {
    let outbound = rule
        .text_at("direction")
        .is_some_and(|d| d.eq_ignore_ascii_case("outbound"));
    let denied = rule
        .text_at("access")
        .is_some_and(|a| a.eq_ignore_ascii_case("deny"));
    let mut sources = SOURCES.iter().filter_map(|key| rule.get(key));
    let world = sources.any(has_world);
    if outbound || denied || !world {
        return None;
    }
    let ports = [
        "FromPort",
        "from_port",
        "destinationPortRange",
        "destination_port_range",
    ];
    let lists = ["destinationPortRanges", "destination_port_ranges"];
    let listed = lists
        .iter()
        .flat_map(|key| rule.items_at(key))
        .filter_map(Node::text);
    let listed: Vec<&str> = listed.collect();
    let single = ports
        .iter()
        .find_map(|key| rule.text_at(key))
        .filter(|port| !port.is_empty());
    if single.is_none() && !listed.is_empty() {
        let other = listed
            .into_iter()
            .find(|port| !matches!(*port, "80" | "443"));
        return other.map(|port| format!("{port} is open to the world"));
    }
    let port = single.unwrap_or("every port");
    let last = ["ToPort", "to_port"]
        .iter()
        .find_map(|key| rule.text_at(key));
    match (port, last) {
        ("80" | "443", None) => None,
        ("80" | "443", Some(last)) if last == port => None,
        (_, Some(last)) if last != port => Some(format!("{port} to {last} is open to the world")),
        _ => Some(format!("{port} is open to the world")),
    }
}

/// Whether one of the sources is everybody, or most of all addresses.
fn has_world(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => matches!(text.as_str(), "*" | "Internet") || is_world(text),
        Value::List(items) => items.iter().any(has_world),
        Value::Map(entries) => entries.iter().any(|(_, value)| has_world(value)),
        Value::Null => false,
    }
}
