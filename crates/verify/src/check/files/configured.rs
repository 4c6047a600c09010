//! What settings say: in the manifests, or in the configuration that the server says is in force.

mod say;

use super::row;
use crate::check::Need;
use crate::check::rows::Row;

const SETTINGS: &[Need] = &[Need::Settings];
const HOW: &str =
    "Settings about it in the manifests and in the configuration in force: the first that says it.";

/// A row on settings: words that they are about, and what a good one says.
macro_rules! says {
    ($id:literal, $expected:literal, $words:expr, $good:expr) => {
        Row {
            id: $id,
            needs: SETTINGS,
            kind: crate::check::Kind::Files,
            how: HOW,
            probe: |s| {
                super::in_settings(s, $expected, |all| {
                    say::some(all, $expected, &$words, $good)
                })
            },
        }
    };
}

/// The same about what may be said elsewhere: a server that says nothing of it does not fail.
macro_rules! elsewhere {
    ($id:literal, $expected:literal, $words:expr, $good:expr) => {
        Row {
            id: $id,
            needs: SETTINGS,
            kind: crate::check::Kind::Files,
            how: HOW,
            probe: |s| {
                super::in_settings(s, $expected, |all| {
                    say::anywhere(all, $expected, &$words, $good)
                })
            },
        }
    };
}

pub(super) static ROWS: &[Row] = &[
    row!(
        "breaker.enabled",
        SETTINGS,
        in_settings,
        "a circuit breaker that is on",
        "Settings on breakers in the manifests and in the configuration in force: there are some, and none switches them off.",
        say::breaker
    ),
    says!(
        "breaker.recovery-timeout",
        "how long a breaker stays open",
        [
            "breaker",
            "open_for|recovery|reset|half_open|sleep|cool|open_dur|duration"
        ],
        say::above_zero
    ),
    says!(
        "breaker.thresholds",
        "when a breaker opens",
        ["breaker", "threshold|failures|ratio|rate|errors"],
        say::above_zero
    ),
    says!(
        "budget.daily-monthly",
        "a budget of a day or a month",
        [
            "budget|cost|spend|token_limit",
            "daily|day|month|per_day|window"
        ],
        // How old a list of prices may be bounds nothing.
        |s| !s.key.contains("price")
            && (say::above_zero(s)
                || matches!(s.value.as_str(), "day" | "month" | "daily" | "monthly"))
    ),
    says!(
        "budget.hard-limit",
        "a budget that blocks",
        ["budget|cost", "action|exceed|hard|block|enforce|on_limit"],
        say::blocks
    ),
    says!(
        "budget.per-operation-tokens",
        "a limit of tokens for each operation",
        [
            "token",
            "operation|per_request|per_call|max_output|max_input"
        ],
        say::above_zero
    ),
    says!(
        "budget.per-user-tokens",
        "a limit of tokens for each user",
        ["token", "user"],
        say::above_zero
    ),
    elsewhere!(
        "cache.manifest",
        "a cache of manifests",
        ["manifest|agent_card", "cache|ttl"],
        |s| !s.is_off()
    ),
    says!(
        "cache.shared-store",
        "a cache that replicas share",
        ["cache", "redis|backend|store|url|kind"],
        say::is_shared
    ),
    elsewhere!(
        "cache.tool-outputs",
        "a cache of tools' outputs",
        ["cache", "tool"],
        |s| !s.is_off()
    ),
    says!(
        "cache.ttl",
        "a lifetime of cached answers, at most a month",
        ["cache", "ttl|max_age|expire|lifetime"],
        |s| s.number().is_some_and(|n| n > 0.0 && n <= 2_678_400.0)
    ),
    elsewhere!(
        "cache.warming",
        "a list or job that warms the cache",
        ["warm"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "config.feature-flags",
        "feature flags",
        ["feature", "flag|enabled|default|rollout"],
        |s| !s.value.is_empty()
    ),
    elsewhere!(
        "context.summarization",
        "a policy that shortens contexts",
        ["context|summar|history|memory", "summar|trim|compact"],
        |s| !s.is_off()
    ),
    says!(
        "context.token-limits",
        "a limit of tokens in a context",
        ["max_tokens|context_window|context_limit|max_output_tokens|max_context|max_input_tokens"],
        say::above_zero
    ),
    says!(
        "cost.early-termination",
        "an end of steps or tokens",
        ["max_tokens|max_steps|max_iterations|max_turns|stop|max_output_tokens|max_rounds"],
        say::above_zero
    ),
    // By what a limit counts when nobody says who asks is no way to another model.
    says!("degrade.fallbacks", "a fallback", ["fallback"], |s| {
        !s.is_off() && !s.key.contains("rate_limit")
    }),
    elsewhere!(
        "degrade.feature-switches",
        "features that can be switched off",
        ["feature|switch"],
        |s| s.is_on() || s.is_off()
    ),
    says!(
        "degrade.tier-disable-features",
        "a tier that switches features off",
        ["degrad|tier", "disable|feature"],
        |s| !s.is_off()
    ),
    says!(
        "degrade.tier-maintenance",
        "a tier that only reads",
        ["degrad|tier|maintenance", "maintenance|read_only|read-only"],
        |s| !s.is_off()
    ),
    says!(
        "degrade.tier-model-switch",
        "a tier that takes a smaller model",
        ["degrad|tier", "model"],
        |s| !s.value.is_empty()
    ),
    says!(
        "degrade.tier-queue",
        "a tier that queues",
        ["degrad|tier", "queue"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "health.deep-scheduled",
        "an interval of deep health checks",
        ["deep|health", "interval|every|frequency|schedule|period"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "limits.db-connections",
        "a bound of connections to the database",
        [
            "database|postgres|storage|db|pg",
            "max_connections|pool|max_size"
        ],
        say::above_zero
    ),
    elsewhere!(
        "limits.queue-depth",
        "a bound of queues",
        ["queue", "max|depth|size|limit|length|capacity"],
        say::above_zero
    ),
    elsewhere!(
        "load.peak-identified",
        "the peak that is expected",
        ["peak"],
        say::above_zero
    ),
    row!(
        "log.level-configured",
        SETTINGS,
        in_settings,
        "a level of info or above",
        "Levels of logs in the manifests and in the configuration in force: there is one, and none is debug or trace.",
        say::level
    ),
    elsewhere!(
        "log.retention",
        "how long logs are kept",
        [
            "log|loki|elastic|filebeat",
            "retention|max_age|keep|rotate|maxage|delete_after"
        ],
        |s| !s.is_off()
    ),
    elsewhere!(
        "metrics.retention",
        "how long metrics are kept",
        [
            "prometheus|metrics|tsdb|mimir|thanos",
            "retention|remote_write"
        ],
        |s| !s.is_off()
    ),
    elsewhere!(
        "audit.retention",
        "how long the audit log is kept",
        ["audit", "retention|keep|days|max_age"],
        say::above_zero
    ),
    says!(
        "output.code-sandboxed",
        "a sandbox for generated code",
        ["sandbox"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "perf.latency-targets-defined",
        "targets of latency",
        ["target|slo|objective", "p50|p95|p99|latency"],
        say::above_zero
    ),
    elsewhere!(
        "perf.throughput-target-defined",
        "a target of throughput",
        ["target|slo|objective", "throughput|rps|requests_per_second"],
        say::above_zero
    ),
    elsewhere!(
        "pool.sized",
        "a size of connection pools",
        [
            "pool|max_connections|max_idle|keepalive_connections",
            "size|max|connections|idle"
        ],
        say::above_zero
    ),
    elsewhere!(
        "privacy.data-residency",
        "the region in which data stays",
        ["region|residency|location"],
        |s| !s.value.is_empty() && !s.value.eq_ignore_ascii_case("global")
    ),
    elsewhere!(
        "privacy.data-retention",
        "how long data is kept",
        [
            "retention|max_age|delete_after|keep_for|expire",
            "data|session|conversation|history|content|audit|memory|storage|record|privacy"
        ],
        |s| !s.is_off()
    ),
    says!(
        "ratelimit.per-operation",
        "limits of classes of operations",
        ["rate", "operation|expensive|route|endpoint"],
        |s| !s.value.is_empty() && !s.is_off()
    ),
    says!(
        "ratelimit.shared-store",
        "a store of limits that replicas share",
        [
            "rate_limit|ratelimit|shared_state|limits",
            "redis|store|url|backend|storage"
        ],
        say::is_shared
    ),
    elsewhere!(
        "replay.shared-nonce-store",
        "a store of nonces that replicas share",
        ["nonce|replay", "store|redis|url|backend"],
        say::is_shared
    ),
    says!(
        "retry.exponential-backoff",
        "waiting that grows",
        [
            "retr|backoff",
            "backoff|multiplier|factor|exponential|base|strategy"
        ],
        say::grows
    ),
    elsewhere!(
        "retry.jitter",
        "waiting that varies",
        ["retr|backoff", "jitter"],
        |s| !s.is_off()
    ),
    says!(
        "retry.max-attempts",
        "an end of retries, ten at most",
        ["retr|attempt", "max|attempts|count|total"],
        |s| s.number().is_some_and(|n| (1.0..=10.0).contains(&n))
    ),
    says!(
        "server.multi-worker",
        "more workers than one",
        ["worker"],
        |s| s.value == "auto"
            || s.number().is_some_and(|n| n > 1.0)
            || s.is_off() && s.value.is_empty()
    ),
    says!(
        "server.worker-count",
        "a number of workers",
        ["worker"],
        |s| s.value == "auto" || say::above_zero(s) || s.value.is_empty()
    ),
    says!(
        "state.persistent-store",
        "a store that outlives the process",
        [
            "store|storage|persist|database|snapshot|memory",
            "url|kind|backend|type|enabled|provider"
        ],
        say::is_durable
    ),
    says!(
        "state.shared-store",
        "a store that replicas share",
        [
            "store|storage|persist|database|state|session|snapshot",
            "url|kind|backend|type"
        ],
        say::is_shared
    ),
    says!(
        "timeout.llm",
        "a timeout of calls to models",
        [
            "provider|llm|model|upstream|openai|anthropic|bedrock",
            "timeout"
        ],
        say::above_zero
    ),
    elsewhere!(
        "timeout.tool",
        "a timeout of tools",
        ["tool", "timeout"],
        say::above_zero
    ),
    elsewhere!(
        "trace.retention",
        "how long traces are kept",
        ["tempo|jaeger|trace", "retention|ttl|max_age|compactor"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "trace.sampling",
        "a share of traces, above none and below all",
        ["sampl"],
        |s| {
            // 10 in a hundred, where it says so.
            let of = if s.key.contains("percent") {
                100.0
            } else {
                1.0
            };
            s.number().is_some_and(|n| n > 0.0 && n < of)
        }
    ),
    elsewhere!(
        "agent.human-escalation",
        "a way to a person",
        ["approval|escalat|human|handoff|hand_off"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "agent.tools-validated",
        "tools with a schema, a timeout or a permission",
        ["tool", "schema|permission|allow|valid"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "secrets.api-key-management",
        "an end or a renewal of keys",
        ["key", "rotat|expir|ttl|max_age|lifetime"],
        |s| !s.is_off()
    ),
    elsewhere!(
        "secrets.keys-least-privilege",
        "what a key may do",
        ["key", "scope|models|allow|permission|role"],
        |s| !s.is_off() && s.value != "*"
    ),
    row!(
        "timeout.external-calls",
        SETTINGS,
        in_settings,
        "timeouts that end",
        "Every timeout in the manifests and in the configuration in force.",
        say::timeouts
    ),
    row!(
        "secrets.external-store",
        SETTINGS,
        in_settings,
        "references instead of secrets",
        "Every setting that is named like a secret: a reference, never a value; no URL bears a password.",
        say::references
    ),
    row!(
        "secrets.keys-per-environment",
        SETTINGS,
        in_settings,
        "keys of one environment only",
        "References to secrets in folders or files of staging and production.",
        say::per_environment
    ),
    row!(
        "secrets.keys-per-service",
        SETTINGS,
        in_settings,
        "keys of one service only",
        "References to provider keys, by the service that holds them.",
        say::per_service
    ),
    row!(
        "dr.rto-rpo-defined",
        SETTINGS,
        in_settings,
        "both how fast and how much: RTO and RPO",
        "Settings named after RTO and RPO.",
        say::recovery_targets
    ),
];
