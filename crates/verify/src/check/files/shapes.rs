//! More of Kubernetes and its neighbours: volumes, policies, releases, log shippers and stores.

mod network;
mod stores;

pub(super) use network::is_world;

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{autoscalers, services};
use super::{Looked, row};
use crate::check::Need;
use crate::check::rows::Row;
use crate::files::Problem;
use crate::files::cloud::find;
use crate::files::manifests::{Manifests, Object};
use crate::files::yaml::Node;

const MANIFESTS: &[Need] = &[Need::Manifests];

pub(super) static ROWS: &[Row] = &[
    row!(
        "k8s.configmaps",
        MANIFESTS,
        in_manifests,
        "configuration from a ConfigMap",
        "envFrom, env and volumes of every service, and the ConfigMaps that they name.",
        config_maps
    ),
    row!(
        "k8s.disk-quota",
        MANIFESTS,
        in_manifests,
        "a bound of disk",
        "ephemeral-storage limits of every container, or a ResourceQuota on storage.",
        disk_quota
    ),
    row!(
        "k8s.pvc",
        MANIFESTS,
        in_manifests,
        "a volume that outlives the pod",
        "volumeClaimTemplates of every StatefulSet, and the claims that services mount.",
        claims
    ),
    row!(
        "net.egress-restricted",
        MANIFESTS,
        in_manifests,
        "egress that is listed",
        "NetworkPolicies with policy type Egress: one for every service, and none of them allows everything.",
        network::egress
    ),
    row!(
        "net.ingress-restricted",
        MANIFESTS,
        in_manifests,
        "ingress from named peers",
        "NetworkPolicies with policy type Ingress: one for every service, and none of them allows everything.",
        network::ingress
    ),
    row!(
        "net.load-balancer",
        MANIFESTS,
        in_manifests,
        "something that spreads requests",
        "Services, Ingresses and Gateways in front of the pods of every service.",
        network::balancer
    ),
    row!(
        "scale.cooldown",
        MANIFESTS,
        in_manifests,
        "a window in which scaling rests",
        "stabilizationWindowSeconds in the behaviour of every autoscaler.",
        cooldown
    ),
    row!(
        "scale.stateless",
        MANIFESTS,
        in_manifests,
        "no state in the pods",
        "Volumes of every Deployment: no hostPath, and no claim that only one pod may mount.",
        stateless
    ),
    row!(
        "deploy.blue-green",
        MANIFESTS,
        in_manifests,
        "a second slot",
        "Rollouts with blueGreen, or a route of which one slot has weight 0.",
        blue_green
    ),
    row!(
        "deploy.canary",
        MANIFESTS,
        in_manifests,
        "a part of the traffic first",
        "Rollouts with canary, Flagger Canaries, or weighted routes.",
        canary
    ),
    row!(
        "metrics.scraped",
        MANIFESTS,
        in_manifests,
        "something that scrapes every service",
        "ServiceMonitors and PodMonitors that reach the pods, scrape annotations and scrape_configs.",
        scraped
    ),
    row!(
        "env.staging-parity",
        MANIFESTS,
        in_manifests,
        "the same objects in staging and production",
        "Kinds and names of objects in folders named after staging and production.",
        parity
    ),
    row!(
        "log.aggregation",
        MANIFESTS,
        in_manifests,
        "a shipper with a sink",
        "Configurations of Vector, Promtail, Fluent Bit, Filebeat and the OpenTelemetry collector.",
        |m| stores::shipper(m, &[])
    ),
    row!(
        "log.aggregation-elk",
        MANIFESTS,
        in_manifests,
        "a shipper to Elasticsearch",
        "Sinks of log shippers.",
        |m| stores::shipper(m, &["elasticsearch", "opensearch", "logstash"])
    ),
    row!(
        "log.aggregation-splunk",
        MANIFESTS,
        in_manifests,
        "a shipper to Splunk",
        "Sinks of log shippers.",
        |m| stores::shipper(m, &["splunk"])
    ),
    row!(
        "backup.redis-configured",
        MANIFESTS,
        in_manifests,
        "persistence of Redis",
        "appendonly and save in redis.conf, values or arguments.",
        stores::redis
    ),
    row!(
        "backup.session-data",
        MANIFESTS,
        in_manifests,
        "sessions on a store that lasts",
        "Settings on sessions, memory or history that are persistent; where a job writes them down N seconds before a cache forgets them, that N is above 0 and below the cache's time.",
        stores::sessions
    ),
    row!(
        "config.required-env-set",
        MANIFESTS,
        in_manifests,
        "a value for every variable",
        "env of every container: a value, or a reference to an object that exists or is a Secret.",
        stores::env_set
    ),
    row!(
        "rollback.previous-version-available",
        MANIFESTS,
        in_manifests,
        "a revision to go back to",
        "revisionHistoryLimit of every service is not 0.",
        stores::history
    ),
    row!(
        "input.body-limit-aligned",
        MANIFESTS,
        in_manifests,
        "the same limit of bodies in proxy and service",
        "Limits of bodies in Ingress annotations, nginx and the service's configuration.",
        stores::body_limits
    ),
    row!(
        "container.image-size",
        MANIFESTS,
        in_manifests,
        "an image of 1 GB or less",
        "Size in the output of `docker image inspect`.",
        stores::image_size
    ),
];

fn one(m: &Manifests, none: &str, fits: impl Fn(&Object) -> bool, wrong: &str) -> Looked {
    match (m.objects.first(), m.objects.iter().find(|o| fits(o))) {
        (None, _) => Looked::Unknown(none.to_owned()),
        (_, Some(found)) => Looked::At(format!("{} {}", found.kind(), found.name()), Vec::new()),
        (Some(first), None) => Looked::At(
            String::new(),
            vec![Problem::new(&first.path, first.node.line, wrong)],
        ),
    }
}

const OBJECTS: &str = "Kubernetes objects in the manifests";

fn config_maps(m: &Manifests) -> Looked {
    let known: BTreeSet<&str> = m.of("ConfigMap").map(Object::name).collect();
    services(m, |o| {
        let named = find(o.pod()?, &["configMapRef", "configMapKeyRef", "configMap"]);
        match named.and_then(|n| n.text_at("name")) {
            None => Some("takes nothing from a ConfigMap".to_owned()),
            Some(name) if !known.contains(name) => {
                Some(format!("names the ConfigMap {name}, which is not there"))
            }
            Some(_) => None,
        }
    })
}

fn disk_quota(m: &Manifests) -> Looked {
    let quota = m.of("ResourceQuota").any(|q| {
        q.node.at("spec.hard").is_some_and(|hard| {
            hard.entries()
                .iter()
                .any(|(key, _)| key.contains("storage"))
        })
    });
    services(m, |o| {
        let bare = o.containers().iter().any(|c| {
            let limit = c
                .at("resources.limits")
                .and_then(|l| l.text_at("ephemeral-storage"));
            !limit.is_some_and(|text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)))
        });
        (bare && !quota).then(|| "has no bound of disk".to_owned())
    })
}

fn claims(m: &Manifests) -> Looked {
    let known: BTreeSet<&str> = m.of("PersistentVolumeClaim").map(Object::name).collect();
    let (mut seen, mut problems) = (0, Vec::new());
    for o in m.services() {
        let claim = o
            .pod()
            .and_then(|pod| find(pod, &["claimName"]))
            .and_then(Node::text);
        let templates = !o.node.items_at("spec.volumeClaimTemplates").is_empty();
        seen += usize::from(claim.is_some() || o.kind() == "StatefulSet");
        match claim {
            Some(name) if !known.contains(name) => {
                problems.push(o.problem(
                    o.node.line,
                    format!("mounts the claim {name}, which is not there"),
                ));
            }
            None if o.kind() == "StatefulSet" && !templates => {
                problems.push(o.problem(o.node.line, "keeps its state in the pod"));
            }
            _ => {}
        }
    }
    match seen {
        0 => Looked::Unknown("a StatefulSet or a claim in the manifests".to_owned()),
        n => Looked::At(format!("{n} services with volumes"), problems),
    }
}

fn cooldown(m: &Manifests) -> Looked {
    autoscalers(m, |node| {
        let paths = [
            "spec.behavior.scaleDown.stabilizationWindowSeconds",
            "spec.behavior.scaleUp.stabilizationWindowSeconds",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds",
            "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds",
            "spec.cooldownPeriod",
        ];
        let rests = paths
            .iter()
            .any(|path| node.number_at(path).is_some_and(|seconds| seconds > 0.0));
        (!rests).then(|| "has no stabilisation window".to_owned())
    })
}

fn stateless(m: &Manifests) -> Looked {
    services(m, |o| {
        if o.kind() == "StatefulSet" || o.kind() == "DaemonSet" {
            return None;
        }
        let volumes = o.pod()?.items_at("volumes");
        if volumes.iter().any(|v| v.get("hostPath").is_some()) {
            return Some("keeps files on its node".to_owned());
        }
        let claim = volumes
            .iter()
            .find_map(|v| v.text_at("persistentVolumeClaim.claimName"))?;
        let single = m.of("PersistentVolumeClaim").any(|c| {
            c.name() == claim
                && !c
                    .node
                    .items_at("spec.accessModes")
                    .iter()
                    .any(|a| a.text() == Some("ReadWriteMany"))
        });
        single.then(|| format!("mounts {claim}, which only one pod may"))
    })
}

/// The weights of every route that has several.
fn weights(o: &Object) -> Vec<f64> {
    let mut out = Vec::new();
    let mut open = vec![&o.node];
    while let Some(node) = open.pop() {
        out.extend(node.number_at("weight"));
        open.extend(
            node.items()
                .iter()
                .chain(node.entries().iter().map(|(_, value)| value)),
        );
    }
    out
}

fn blue_green(m: &Manifests) -> Looked {
    let fits = |o: &Object| {
        let weights = weights(o);
        o.node.at("spec.strategy.blueGreen").is_some()
            || (weights.len() > 1 && weights.contains(&0.0))
    };
    one(
        m,
        OBJECTS,
        fits,
        "no Rollout with blueGreen, and no route with a slot at rest",
    )
}

fn canary(m: &Manifests) -> Looked {
    let annotation = "nginx.ingress.kubernetes.io/canary";
    let fits = |o: &Object| {
        let weights = weights(o);
        o.kind() == "Canary"
            || o.node.at("spec.strategy.canary").is_some()
            || (weights.len() > 1 && weights.iter().all(|weight| *weight > 0.0))
            || o.node
                .at("metadata.annotations")
                .is_some_and(|a| a.get(annotation).is_some())
    };
    one(m, OBJECTS, fits, "no Rollout, Canary or weighted route")
}

fn scraped(m: &Manifests) -> Looked {
    let configs = m
        .documents
        .iter()
        .any(|d| !d.node.items_at("scrape_configs").is_empty());
    let monitors = || {
        m.objects
            .iter()
            .filter(|o| matches!(o.kind(), "ServiceMonitor" | "PodMonitor"))
    };
    if m.services().count() == 0 && configs {
        return Looked::At("scrape_configs".to_owned(), Vec::new());
    }
    services(m, |o| {
        let annotated = o
            .node
            .at("spec.template.metadata.annotations")
            .is_some_and(|a| {
                a.entries().iter().any(|(key, value)| {
                    key == "prometheus.io/scrape" && value.text() == Some("true")
                })
            });
        let watched = monitors().any(|monitor| network::watches(m, monitor, o));
        (!annotated && !watched && !configs).then(|| "is scraped by nothing".to_owned())
    })
}

fn parity(m: &Manifests) -> Looked {
    let mut sides: BTreeMap<&str, BTreeMap<(String, String), &Object>> = BTreeMap::new();
    for o in &m.objects {
        let path = o.path.to_ascii_lowercase();
        let side = if path.contains("staging") {
            "staging"
        } else if path.contains("prod") {
            "production"
        } else {
            continue;
        };
        let key = (
            o.kind().to_owned(),
            o.name()
                .replace("-staging", "")
                .replace("-production", "")
                .replace("-prod", ""),
        );
        sides.entry(side).or_default().insert(key, o);
    }
    let (Some(staging), Some(production)) = (sides.get("staging"), sides.get("production")) else {
        return Looked::Unknown("folders or files named after staging and production".to_owned());
    };
    let mut problems = Vec::new();
    for (here, there, name) in [
        (production, staging, "staging"),
        (staging, production, "production"),
    ] {
        for (key, o) in here.iter().filter(|(key, _)| !there.contains_key(*key)) {
            problems.push(o.problem(o.node.line, format!("{} {} is not in {name}", key.0, key.1)));
        }
    }
    Looked::At(format!("{} objects in both", production.len()), problems)
}
