//! Tiers, features, endpoints of health and dependencies load as checklists write them.

use std::time::Duration;

use seaworthy_config::{Format, HealthCheck, Probe, TierAction, tiers};
use seaworthy_core::condition::When;

use crate::support::{problems, toml, yaml};

const TIERS: &str = r#"
providers:
  here: {kind: echo}
models:
  claude-3-opus: {targets: [here/opus]}
  quick: {targets: [here/claude-sonnet-4]}
features:
  drafts: {critical: false}
degradation_tiers:
  normal:
    all_features: enabled
    model: claude-3-opus
  degraded_1:
    trigger: "API latency > 5s"
    action: "Switch to sonnet model"
  degraded_2:
    trigger: "Error rate > 10%"
    action: "Disable non-critical features"
  degraded_3:
    trigger: "Rate limited by provider"
    action: "Queue requests, show waiting message"
  maintenance:
    trigger: "Manual activation"
    action: "Read-only mode, cached responses only"
"#;

#[test]
fn tiers_load_as_checklists_write_them_mildest_first() {
    let loaded = yaml(TIERS);
    assert_eq!(loaded.warnings.iter().count(), 0, "{}", loaded.warnings);
    let tiers = tiers(&loaded.config);
    assert_eq!(tiers.normal_model.as_deref(), Some("claude-3-opus"));
    let found: Vec<_> = tiers
        .tiers
        .iter()
        .map(|tier| (tier.name.as_str(), tier.actions.as_slice()))
        .collect();
    assert_eq!(
        found,
        [
            ("degraded_1", &[TierAction::SwitchModel("quick".into())][..]),
            ("degraded_2", &[TierAction::DisableNonCritical]),
            ("degraded_3", &[TierAction::QueueRequests]),
            ("maintenance", &[TierAction::ReadOnly]),
        ]
    );
    let last = tiers.tiers.last().unwrap().rule.trigger;
    assert_eq!((last.when, last.hold), (When::Manual, Duration::ZERO));
}

#[test]
fn what_a_tier_cannot_do_is_told() {
    let told = yaml(
        "degradation_tiers:\n  degraded_1: {trigger: 'latency > 5s', action: 'switch to sonnet \
         model, disable non-critical features'}\n",
    )
    .warnings
    .to_string();
    assert!(told.contains("no model fits `sonnet`"), "{told}");
    assert!(
        told.contains("no feature is declared as not critical"),
        "{told}"
    );
    for (text, expected) in [
        (
            "degraded_x: {trigger: 'manual'}",
            "cannot be the name of a tier",
        ),
        (
            "degraded_1: {action: 'queue requests'}",
            "nothing brings `degraded_1` about",
        ),
        (
            "normal: {trigger: 'manual'}",
            "`trigger` has no meaning for `normal`",
        ),
        (
            "degraded_1: {trigger: 'full moon'}",
            "expected a condition such as",
        ),
        (
            "degraded_1: {trigger: 'manual', action: 'panic'}",
            "expected actions separated by commas",
        ),
        (
            "degraded_1: {trigger: 'manual', action: 'disable feature nothing'}",
            "there is no feature `nothing`",
        ),
        (
            "maintenance: {trigger: 'manual', all_features: enabled}",
            "belongs to `normal`",
        ),
    ] {
        let told = problems(&format!("degradation_tiers:\n  {text}\n"), Format::Yaml).to_string();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn health_loads_as_checklists_write_it() {
    let loaded = yaml(
        r#"
health_endpoints:
  /health:
    purpose: "Basic liveness"
    checks:
      - process_running
    response_time: "<100ms"
  /health/ready:
    purpose: "Readiness for traffic"
    checks:
      - database_connected
      - cache_available
      - api_key_valid
    response_time: "<500ms"
  /health/deep:
    purpose: "Full system check"
    checks:
      - all_dependencies_healthy
      - recent_request_success_rate
      - token_quota_remaining
    response_time: "<2s"
    frequency: "every 5 minutes"
dependency_checks:
  llm_api:
    check: "test request with minimal tokens"
    timeout: 5s
    critical: true
  database:
    check: "SELECT 1"
    timeout: 1s
    critical: true
  cache:
    check: "PING"
    timeout: 500ms
    critical: false
  external_apis:
    check: "HEAD request"
    timeout: 2s
    critical: false
"#,
    );
    let config = &loaded.config;
    let deep = &config.health_endpoints["/health/deep"];
    assert_eq!(deep.frequency.unwrap().0.as_std(), Duration::from_secs(300));
    assert_eq!(
        deep.response_time.unwrap().0.as_std(),
        Duration::from_secs(2)
    );
    assert_eq!(
        config.health_endpoints["/health/ready"].checks,
        [
            HealthCheck::DatabaseConnected,
            HealthCheck::CacheAvailable,
            HealthCheck::ApiKeyValid
        ]
    );
    let found: Vec<_> = config
        .dependency_checks
        .iter()
        .map(|(name, dependency)| (name.as_str(), dependency.check, dependency.critical))
        .collect();
    assert_eq!(
        found,
        [
            ("cache", Probe::SharedState, false),
            ("database", Probe::Database, true),
            ("external_apis", Probe::Head, false),
            ("llm_api", Probe::MinimalCall, true),
        ]
    );
    let told = loaded.warnings.to_string();
    assert!(
        told.contains("`HEAD request` without `urls` asks nobody"),
        "{told}"
    );
}

#[test]
fn mistakes_of_health_are_told() {
    for (text, expected) in [
        (
            "health_endpoints: {/healthz: {}}",
            "`/healthz` is not a path of health",
        ),
        (
            "health_endpoints: {/health: {frequency: 5m}}",
            "belongs to `/health/deep`",
        ),
        (
            "health_endpoints: {/ready: {checks: [all_dependencies_healthy]}}",
            "belongs to `/health/deep`",
        ),
        (
            "dependency_checks: {db: {check: SELECT 2}}",
            "test request with minimal tokens",
        ),
        (
            "dependency_checks: {db: {check: SELECT 1, urls: ['http://127.0.0.1']}}",
            "`urls` has no meaning",
        ),
        (
            "dependency_checks: {llm: {check: minimal call, models: [x]}}",
            "there is no model `x`",
        ),
        (
            "features: {f: {operations: [dance]}}",
            "there is no operation `dance`",
        ),
    ] {
        let told = problems(text, Format::Yaml).to_string();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn both_formats_say_the_same() {
    let config = toml(
        "[degradation_tiers.degraded_1]\ntrigger = \"p95_latency > 10s for 10 minutes\"\n\
         action = \"Queue requests\"\nrecover_after = \"2m\"\n[features.search]\ncritical = false\n\
         percentage = \"25%\"\ntenants = { alice = true }\n",
    )
    .config;
    let rule = tiers(&config).tiers[0].rule;
    assert_eq!(rule.recover_after, Duration::from_secs(120));
    assert_eq!(rule.trigger.hold, Duration::from_secs(600));
    assert!(config.features["search"].tenants["alice"]);
}

/// The blocks of real checklists, where a folder with them is named.
#[test]
fn the_blocks_of_the_checklists_load_as_written() {
    let Some(folder) = std::env::var_os("SEAWORTHY_SEEDS") else {
        return;
    };
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&text);
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let ours = [
                "degradation_tiers:",
                "health_endpoints:",
                "dependency_checks:",
            ];
            if ours.iter().any(|name| block.trim_start().starts_with(name)) {
                yaml(block);
                found += 1;
            }
        }
    }
    assert_eq!(found, 3);
}
