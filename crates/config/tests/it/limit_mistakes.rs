//! Limits, budgets and prices that cannot be, and what is said of them.

use seaworthy_config::Format;

use crate::support::{problems, toml};

/// What cannot be, and a part of the answer.
const MISTAKES: &[(&str, &str)] = &[
    (
        "[rate_limits.per_user]\nrequests_per_minute = 0",
        "test:2:23: error: expected 1 to",
    ),
    (
        "[rate_limits.per_key]\nrequests_per_day = 900_000_000",
        "expected 1 to 104249991 in a day, found 900000000",
    ),
    (
        "[rate_limits]\nper_ip = \"10/fortnight\"",
        "expected limits such as \"10/second;100/minute\"",
    ),
    (
        "[rate_limits]\nper_ip = 10",
        "expected a section or a text such as",
    ),
    (
        "[rate_limits.per_user]\nrequests_per_minut = 3",
        "did you mean `requests_per_minute`?",
    ),
    (
        "[rate_limits.per_user]\nconcurrent_requests = 0",
        "expected 1 or more at the same time",
    ),
    (
        "[rate_limits.per_user]\nrequests_per_hour = -1",
        "expected a whole number such as",
    ),
    (
        "[rate_limits.per_operation.\"a:b\"]\nrequests_per_hour = 1",
        "cannot be the name of an operation class",
    ),
    (
        "[budgets.b]\nscope = \"operation\"\nonly = [\"chats\"]\nwindow = \"day\"\ntoken_limit = 5",
        "`chats` is no operation",
    ),
    (
        "[agent.security.rate_limit.redis]\ndb = 1",
        "no server is named",
    ),
    (
        "[shared_state]\nurl = \"redis://a\"\n[agent.security.rate_limit.redis]\nurl = \"redis://b\"",
        "another server than that of `shared_state.url`",
    ),
    (
        "[shared_state]\nurl = \"redis://a\"\n[agent.security.rate_limit.redis]\nprefix = \"A b\"",
        "expected a name of at most 64",
    ),
    (
        "[agent.secrets]\nkeyvault_url = \"http://a.vault.azure.net\"",
        "expected \"https://NAME.vault.azure.net\"",
    ),
    (
        "[agent.secrets]\nkeyvault_url = \"https://a.vault.azure.net.evil.test/\"",
        "expected \"https://NAME.vault.azure.net\"",
    ),
    (
        "[agent.secrets]\nkeyvault_url = \"https://a.vault.azure.net\"\n[secret_managers.azure]\nvault = \"b\"",
        "another vault than that of",
    ),
    (
        "[agent]\nlog_level = \"DEBUG\"\n[logging]\nlevel = \"warn\"",
        "another level than that of `logging.level`, which is `warn`",
    ),
    ("[agent]\nlog_level = \"info\"", "did you mean `INFO`?"),
    (
        "[agent.observability]\nmetrics_enabled = false",
        "metrics are always served, at `/metrics`",
    ),
    (
        "[agent.observability]\ntracing_enabled = true",
        "is not supported by this version yet (telemetry)",
    ),
    (
        "[cost_controls]\ntime_zone = \"Mars/Olympus\"",
        "expected a time zone such as",
    ),
    (
        "[cost_controls]\nunknown_price = \"reserve_flat\"",
        "`unknown_price_usd` is missing",
    ),
    (
        "[cost_controls]\nunknown_price_usd = 1",
        "has a meaning for `reserve_flat` only",
    ),
    (
        "[cost_controls]\nunknown_price = \"guess\"",
        "expected one of `deny`, `reserve_flat`, `allow_flagged`",
    ),
    (
        "[cost_controls.per_user]\ndaily_budget_usd = \"0.0000001\"",
        "expected at most six decimals",
    ),
    (
        "[cost_config]\nalert_threshold = 80",
        "expected a share such as 0.8",
    ),
    (
        "[budgets.a]\nscope = \"user\"\nwindow = \"day\"",
        "the budget `a` limits nothing",
    ),
    (
        "[budgets.a]\nscope = \"global\"\nonly = [\"x\"]\nwindow = \"day\"\ntoken_limit = 1",
        "`only` has no meaning",
    ),
    (
        "[budgets.a]\nscope = \"user\"\ntoken_limit = 1",
        "the key `window` is missing",
    ),
    (
        "[prices.\"nobody/x\"]\ninput = 1\noutput = 1",
        "there is no provider for the price of `nobody/x`",
    ),
];

#[test]
fn a_limit_that_cannot_be_is_told_at_its_place() {
    for (text, expected) in MISTAKES {
        let found = problems(text, Format::Toml);
        assert_eq!(found.len(), 1, "{text}\n{found}");
        assert!(found.to_string().contains(expected), "{text}\n{found}");
    }
}

#[test]
fn a_class_of_work_that_looks_like_a_slip_is_warned_of_at_its_place_and_kept() {
    let rate =
        |class: &str| format!("[rate_limits.per_operation.{class}]\nrequests_per_hour = 1\n");
    let cap = |class: &str| format!("[cost_controls.per_operation]\n{class} = 5\n");
    for (text, place, expected) in [
        (
            rate("chatt"),
            "test.toml:1:28: warning",
            "did you mean `chat`?",
        ),
        (
            rate("Embedding"),
            "test.toml:1:28: warning",
            "did you mean `embeddings`?",
        ),
        (
            rate("batch_chat"),
            "test.toml:1:28: warning",
            "did you mean `chat`?",
        ),
        (
            cap("responses"),
            "test.toml:2:1: warning",
            "did you mean `chat`?",
        ),
        (
            rate("research") + &cap("reserch"),
            "test.toml:4:1: warning",
            "there: research",
        ),
        (
            rate("research") + &cap("reserch"),
            "test.toml:1:28: warning",
            "there: reserch",
        ),
    ] {
        let loaded = toml(&text);
        let told = loaded.warnings.to_string();
        assert!(
            told.contains(place) && told.contains(expected),
            "{text}\n{told}"
        );
        let classes = loaded.config.rate_limits.per_operation.len()
            + loaded.config.cost_controls.per_operation.len();
        assert_eq!(classes, text.matches("per_operation").count(), "{text}");
    }
    for meant in [
        rate("chat") + &cap("sandbox"),
        rate("simple_query") + &cap("complex_task"),
        rate("research")
            + &rate("reserch")
            + "[cost_controls.per_operation]\nresearch = 5\nreserch = 6\n",
        rate("step_1") + &cap("step_2"),
    ] {
        let told = toml(&meant).warnings.to_string();
        assert!(!told.contains("x-seaworthy-operation"), "{meant}\n{told}");
    }
}
