//! Limits, budgets and prices as checklists write them, and what becomes of them.

use std::sync::Arc;

use seaworthy_config::{Config, Format, Loaded, LogLevel, policy, prices, show, unknown_price};
use seaworthy_core::budget::{self, WindowKind};
use seaworthy_core::limit::Period;
use seaworthy_core::limit::policy::{Attributes, Policy, Scope};
use seaworthy_core::money::Micros;
use seaworthy_core::price::UnknownPrice;

use crate::support::{toml, yaml};

fn compiled(config: &Config) -> Arc<Policy> {
    Arc::new(policy(config, "main").unwrap())
}

/// Each rate limit as `name limit/period burst`, each other rule as `name limit`.
fn rules(loaded: &Loaded) -> Vec<String> {
    let policy = compiled(&loaded.config);
    let rates = policy.rates.iter().map(|rule| {
        let (limit, burst) = (rule.quota.limit(), rule.quota.burst());
        let extra = if limit == burst {
            String::new()
        } else {
            format!(" {burst}")
        };
        format!(
            "{} {limit}/{}{extra}",
            rule.name,
            rule.quota.period().as_str()
        )
    });
    let slots = policy
        .slots
        .iter()
        .map(|rule| format!("{} {}", rule.name, rule.max));
    let budgets = policy
        .budgets
        .iter()
        .map(|rule| format!("{} {}", rule.name, rule.limit));
    rates.chain(slots).chain(budgets).collect()
}

const CHECKLIST: &str = "
rate_limits:
  global:
    requests_per_second: 20
    requests_per_minute: 600
  per_user:
    requests_per_minute: 12
    requests_per_hour: 90
    concurrent_requests: 2
  per_operation:
    heavy_work:
      requests_per_minute: 3

cost_controls:
  per_request:
    max_input_tokens: 9000
    max_output_tokens: 800
    max_total_tokens: 20000
  per_user:
    daily_token_limit: 300000
    monthly_token_limit: 2_000_000
  per_operation:
    lookup: 700

cost_config: {
    \"daily_token_limit\": 7_000_000,
    \"monthly_budget_usd\": 4500.50,
    \"alert_threshold\": 0.75  # early
}
";

#[test]
fn the_blocks_of_checklists_take_effect_as_they_are_written() {
    let loaded = yaml(CHECKLIST);
    assert_eq!(
        rules(&loaded),
        [
            "global.requests_per_second 20/second",
            "global.requests_per_minute 600/minute",
            "per_user.requests_per_minute 12/minute",
            "per_user.requests_per_hour 90/hour",
            "per_operation.heavy_work.requests_per_minute 3/minute",
            "per_user.concurrent_requests 2",
            "per_user.daily_token_limit 300000",
            "per_user.monthly_token_limit 2000000",
            "cost_config.daily_token_limit 7000000",
            "cost_config.monthly_budget_usd 4500500000",
        ]
    );
    let policy = compiled(&loaded.config);
    assert_eq!(policy.caps(None).max_total_tokens, Some(20_000));
    assert_eq!(policy.caps(Some("lookup")).max_total_tokens, Some(700));
    assert_eq!(policy.caps(Some("lookup")).max_output_tokens, Some(800));
    let thresholds = |name: &str| {
        let rule = policy.budgets.iter().find(|rule| &*rule.name == name);
        let shares = rule.unwrap().thresholds.iter();
        shares
            .map(|share| share.ten_thousandths())
            .collect::<Vec<_>>()
    };
    assert_eq!(thresholds("cost_config.daily_token_limit"), [7_500]);
    assert_eq!(thresholds("per_user.daily_token_limit"), [8_000, 9_500]);
}

#[test]
fn an_operation_class_has_its_own_limits_and_no_other_pays_for_it() {
    let policy = compiled(&yaml(CHECKLIST).config);
    let rates = |operation| {
        let bound = policy.bind(&Attributes {
            operation: Some(operation),
            ..Attributes::default()
        });
        bound.rates().count()
    };
    assert_eq!((rates("heavy_work"), rates("anything_else")), (3, 2));
}

#[test]
fn the_agents_own_words_take_effect_beside_the_others() {
    let text = "
[agent.security.rate_limit]
enabled = true
requests_per_minute = 40
tokens_per_minute = 60000
per_user = true
";
    assert_eq!(
        rules(&toml(text)),
        [
            "agent.security.rate_limit.requests_per_minute 40/minute",
            "agent.security.rate_limit.tokens_per_minute 60000/minute",
        ]
    );
    let more = format!(
        "{text}requests_per_hour = 500\ntokens_per_hour = 9\nmax_concurrent_requests = 4\nburst_multiplier = 1.5\n"
    );
    let found = rules(&toml(&more));
    assert_eq!(
        found[0],
        "agent.security.rate_limit.requests_per_minute 40/minute 60"
    );
    assert_eq!(
        found[1],
        "agent.security.rate_limit.requests_per_hour 500/hour"
    );
    assert_eq!(
        found.last().unwrap(),
        "agent.security.rate_limit.max_concurrent_requests 4"
    );
    let scope = |text: &str| compiled(&toml(text).config).rates[0].subjects.scope;
    assert_eq!(scope(text), Scope::UserOrSession);
    let alone = format!("{text}fallback_to_session = false\nrequire_user_id = true\n");
    assert_eq!(scope(&alone), Scope::User);
    assert!(
        toml(&alone)
            .config
            .agent
            .security
            .rate_limit
            .require_user_id
    );
    assert_eq!(
        scope(&text.replace("per_user = true", "per_user = false")),
        Scope::Global
    );
    assert!(rules(&toml(&text.replace("enabled = true", "enabled = false"))).is_empty());
}

#[test]
fn limits_can_be_written_as_a_text() {
    let loaded = toml("[rate_limits]\nper_ip = \"10/second;100/minute\"\n");
    let policy = compiled(&loaded.config);
    let found: Vec<_> = policy
        .rates
        .iter()
        .map(|rule| (rule.subjects.scope, rule.quota.limit(), rule.quota.period()))
        .collect();
    assert_eq!(
        found,
        [
            (Scope::Ip, 10, Period::Second),
            (Scope::Ip, 100, Period::Minute)
        ]
    );
}

const GENERAL: &str = r#"
[providers.local]
kind = "echo"

[cost_controls]
time_zone = "Asia/Tokyo"
unknown_price = "reserve_flat"
unknown_price_usd = 0.5
alert_thresholds = [0.5, "90%"]

[budgets.research]
scope = "team"
only = ["research"]
window = "month"
token_limit = 1_000_000
budget_usd = "250.000001"

[budgets.sessions]
scope = "session"
window = "total"
budget_usd = 2
alert_thresholds = []

[prices."local/big-*"]
input = 3
output = "15"
cached_read = 0.3
image = 0.04
long = { above = 200_000, input = 6, output = 22.5 }
"#;

#[test]
fn budgets_prices_and_the_time_zone_are_configured_in_general() {
    let loaded = toml(GENERAL);
    let policy = compiled(&loaded.config);
    let found: Vec<_> = policy
        .budgets
        .iter()
        .map(|rule| {
            (
                &*rule.name,
                rule.subjects.scope,
                rule.unit,
                rule.window,
                rule.limit,
                rule.thresholds.len(),
            )
        })
        .collect();
    use budget::Unit::{Micros as Money, Tokens};
    assert_eq!(
        found,
        [
            (
                "budgets.research.token_limit",
                Scope::Team,
                Tokens,
                WindowKind::Month,
                1_000_000,
                2
            ),
            (
                "budgets.research.budget_usd",
                Scope::Team,
                Money,
                WindowKind::Month,
                250_000_001,
                2
            ),
            (
                "budgets.sessions.budget_usd",
                Scope::Session,
                Money,
                WindowKind::Total,
                2_000_000,
                0
            ),
        ]
    );
    let window = policy
        .calendar
        .window(WindowKind::Day, seaworthy_core::clock::UnixMillis(0));
    assert_eq!(window.end.0, 15 * 3_600_000, "midnight in Tokyo");
    assert_eq!(
        unknown_price(&loaded.config),
        UnknownPrice::ReserveFlat(Micros(500_000))
    );
    let list = prices(&loaded.config);
    let price = list.find("local", "echo", "big-one").unwrap();
    assert_eq!(price.rates.cached_read, Micros(300_000));
    assert_eq!(price.image, Micros(40_000));
    assert_eq!(price.long.unwrap().1.output, Micros(22_500_000));
    assert!(list.find("local", "openai-compatible", "small").is_none());
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let text = yaml(CHECKLIST);
    for loaded in [
        &toml(GENERAL),
        &text,
        &toml("[rate_limits]\nper_key = \"5/day\""),
    ] {
        for (format, load) in [
            (Format::Toml, toml as fn(&str) -> Loaded),
            (Format::Yaml, yaml),
        ] {
            let shown = show(&loaded.config, format);
            assert_eq!(load(&shown).config, loaded.config, "{shown}");
        }
    }
}

/// The lines between ``` fences that follow `marker`, from the marker on.
fn block<'a>(text: &'a str, marker: &str) -> &'a str {
    let start = text.find(marker).unwrap_or_else(|| panic!("no {marker}"));
    let rest = &text[start..];
    &rest[..rest.find("```").unwrap_or(rest.len())]
}

fn without_margin(text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

/// `agent.security.rate_limit.redis` is the shared state, and comes back the same when it is shown.
#[test]
fn the_agents_own_words_for_redis_are_the_shared_state() {
    let loaded = toml(
        "[agent.security.rate_limit]\nrequests_per_minute = 60\n\
         [agent.security.rate_limit.redis]\nurl = \"redis://redis.internal:6379\"\ndb = 1\n\
         password = \"secret://env/REDIS_PASSWORD\"\nprefix = \"ratelimit:\"\n",
    );
    let shared = &loaded.config.shared_state;
    assert_eq!(shared.url.to_string(), "redis://redis.internal:6379/1");
    assert_eq!(shared.deployment.as_str(), "ratelimit");
    assert!(shared.password.is_some());
    let again = toml(&show(&loaded.config, Format::Toml));
    assert_eq!(again.config, loaded.config);
}

/// `agent.secrets` names the vault of references that name none.
#[test]
fn the_agents_own_words_for_its_vault_are_the_vault() {
    let block = "[agent.secrets]\nkeyvault_url = \"https://your-keyvault.vault.azure.net/\"\n";
    let loaded = toml(block);
    let vault = &loaded.config.secret_managers.azure.vault;
    assert_eq!(vault.as_ref().unwrap().as_str(), "your-keyvault");
    let again = toml(&show(&loaded.config, Format::Toml));
    assert_eq!(again.config, loaded.config);
    let same = format!("{block}[secret_managers.azure]\nvault = \"your-keyvault\"\n");
    assert_eq!(toml(&same).config, loaded.config);
}

/// `agent.log_level` and what is said of metrics, as checklists write them.
#[test]
fn the_agents_own_words_for_its_log_and_metrics_take_effect() {
    for (word, level) in [
        ("ERROR", LogLevel::Error),
        ("WARNING", LogLevel::Warn),
        ("INFO", LogLevel::Info),
        ("DEBUG", LogLevel::Debug),
    ] {
        let block = format!(
            "[agent]\nlog_level = \"{word}\"\n[agent.observability]\nmetrics_enabled = true\n\
             metrics_exporter = \"prometheus\"\n"
        );
        let loaded = toml(&block);
        assert_eq!(loaded.config.logging.level, level);
        let again = toml(&show(&loaded.config, Format::Toml));
        assert_eq!(again.config, loaded.config);
        let same = format!("{block}[logging]\nlevel = \"{}\"\n", level.as_str());
        assert_eq!(toml(&same).config, loaded.config);
    }
}

/// Runs where the checklists are: `SEAWORTHY_SEEDS` names their folder.
#[test]
fn the_blocks_of_the_checklists_themselves_take_effect() {
    let Some(folder) = std::env::var_os("SEAWORTHY_SEEDS") else {
        return;
    };
    let texts: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let holding = |marker: &str| {
        let text = texts.iter().find(|text| text.contains(marker));
        text.unwrap_or_else(|| panic!("no file with {marker}"))
    };
    let count = |loaded: &Loaded| rules(loaded).len();

    let general = holding("\nrate_limits:\n");
    assert_eq!(count(&yaml(block(general, "rate_limits:\n"))), 7);
    let controls = yaml(block(general, "cost_controls:\n"));
    assert_eq!(count(&controls), 2);
    let policy = compiled(&controls.config);
    assert!(policy.caps(None).max_input_tokens.is_some());
    assert_eq!(policy.operation_caps.len(), 3);

    let python = block(holding("cost_config = {"), "cost_config = {");
    let loaded = yaml(&python.replace("cost_config =", "cost_config:"));
    assert_eq!(count(&loaded), 2);
    assert!(loaded.config.cost_config.alert_threshold.is_some());
    let marker = "[agent.secrets]";
    let secrets = toml(block(holding(marker), marker));
    assert!(secrets.config.secret_managers.azure.vault.is_some());
    for marker in [
        "[agent]\n  log_level",
        "[agent.observability]\n  metrics_enabled",
    ] {
        toml(&without_margin(block(holding(marker), marker)));
    }

    let marker = "[agent.security.rate_limit]";
    let agent = toml(&without_margin(block(holding(marker), marker)));
    assert_eq!(count(&agent), 2);
}
