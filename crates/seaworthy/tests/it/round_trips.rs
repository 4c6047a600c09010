//! How often a request goes to Redis, counted by Redis.

use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{Fleet, at_most};
use crate::support::eventually;

/// Every dimension that there is, all of which apply to each request and refuse none.
const ALL: &str = "[rate_limits.global]\nrequests_per_second = 100000\nrequests_per_day = 10000000\n\
     [rate_limits.per_user]\nrequests_per_minute = 1000000\nconcurrent_requests = 1000\n\
     tokens_per_minute = 1000000000\n\
     [rate_limits.per_operation.chat]\nrequests_per_hour = 1000000\n\
     [cost_controls.global]\nmonthly_budget_usd = 1000000\n\
     [cost_controls.per_user]\ndaily_token_limit = 1000000000\ndaily_budget_usd = 1000\n\
     [budgets.session]\nscope = \"session\"\nwindow = \"total\"\nbudget_usd = 1000\n\
     [budgets.key]\nscope = \"key\"\nwindow = \"hour\"\ntoken_limit = 1000000000\n\
     [prices.\"o/gpt-real\"]\ninput = 1\noutput = 2\n";

/// Scripts that Redis was asked to run. What a script does in Redis is not counted among them.
fn scripts(redis: &Redis) -> u64 {
    let stats = redis.command(&["INFO", "commandstats"]);
    let of = |command: &str| {
        let mut lines = stats.lines();
        let rest = lines.find_map(|line| line.strip_prefix(command))?;
        rest.split(',').next()?.parse::<u64>().ok()
    };
    let counts = ["cmdstat_evalsha:calls=", "cmdstat_eval:calls="].map(of);
    counts.into_iter().flatten().sum()
}

/// How often a replica has asked Redis for this, as it counts itself.
fn asked(fleet: &Fleet, operation: &str) -> u64 {
    let metrics = fleet.replicas[0].get("/metrics").send().text();
    let name = format!(
        "seaworthy_store_call_seconds_count{{backend=\"redis\",operation=\"{operation}\"}} "
    );
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_request_asks_redis_once_for_all_its_limits_and_budgets_together() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let fleet = Fleet::launch(&storage, Some(&redis), 1, "output_tokens=7", ALL);
    fleet.wait_for_shared_state(0);
    let all_settled = || {
        eventually("all is settled", || {
            (redis.command(&["ZCARD", "sw:{main}:open"]) == ":0\r\n").then_some(())
        });
    };
    // Scripts are loaded when they are first used.
    for _ in 0..3 {
        assert_eq!(fleet.ask(0, "a").status(), 200);
    }
    all_settled();
    let before = (
        scripts(&redis),
        asked(&fleet, "take"),
        asked(&fleet, "beat"),
    );
    let requests = 200;
    for _ in 0..requests {
        assert_eq!(fleet.ask(0, "a").status(), 200);
    }
    all_settled();
    let taken = asked(&fleet, "take") - before.1;
    let what = "round trips to Redis of 200 requests under 11 limits and budgets each";
    at_most(&format!("{what}, waited for"), taken, requests);
    // Beats go on beside, each perhaps followed by one about what is set aside, and breakers are
    // shared once in a while.
    let beats = 2 * (asked(&fleet, "beat") - before.2 + 1);
    let all = (scripts(&redis) - before.0).saturating_sub(beats);
    at_most(
        &format!("{what}, a request, with those that nobody waits for"),
        all / requests,
        2,
    );
}
