//! R-B1b: every rule of docs/reference/accounting.md, by the words of that page, with what the ledger
//! and the budgets hold after it. A rule of the page that nothing plays here fails, and so does a
//! rule that is played here and not on the page.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use seaworthy_core::ledger::{Outcome, Settlement};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::CHAT;
use super::fees::{message, searching};
use crate::support::app::{TestApp, eventually};
use crate::support::plants::secret;
use crate::support::upstream::{DialFault, Step};
use crate::support::wire::{
    ask, chunk, events, http, json_response, ok, path, reply, request, stream, stream_head,
};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Whole,
    Streamed,
    NothingReported,
    GuardEndsStream,
    LeftDuringStream,
    LeftBeforeAnswer,
    Killed,
    Refused,
    Silent,
    BrokeOff,
    Garbage,
    AnError,
    TriedAgain,
    Hedged,
    NoConnection,
    RefusedHere,
    Counted,
    CountedHere,
    Moderated,
    Embedded,
    First,
    Admin,
    Remembered,
    Replayed,
    Coalesced,
    Searched,
}

/// What a row of the ledger says was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Used {
    /// Exactly this cost, in micro-dollars.
    Reported(u64),
    /// Exactly this cost, some of it for tools that the provider ran.
    WithFees(u64),
    Nothing,
    /// The input, estimated from its size, and no output.
    InputEstimated,
    /// An estimate that has output.
    Estimated,
    /// What was reserved.
    WorstCase,
}

const SUCCESS: Outcome = Outcome::Success;
const FAILURE: Outcome = Outcome::Failure;
const CANCELLED: Outcome = Outcome::Cancelled;

/// 16 tokens of input at 10 micro-dollars, 5 cached ones at 1, 9 of output at 100.
const REPORTED: Used = Used::Reported(16 * 10 + 5 + 9 * 100);

type Rows = &'static [(Outcome, Used)];

/// The rules, and what is left behind by what happens.
const RULES: &[(&str, Scene, Rows)] = &[
    (
        "The answer was sent to its end, streamed or not.",
        Scene::Whole,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "The answer was sent to its end, streamed or not.",
        Scene::Streamed,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "The provider reported nothing, or only a part.",
        Scene::NothingReported,
        &[(SUCCESS, Used::Estimated)],
    ),
    (
        "A guard ended a stream.",
        Scene::GuardEndsStream,
        &[(SUCCESS, Used::Estimated)],
    ),
    (
        "The caller left during a stream.",
        Scene::LeftDuringStream,
        &[(CANCELLED, Used::Estimated)],
    ),
    (
        "The caller left before the provider answered.",
        Scene::LeftBeforeAnswer,
        &[(CANCELLED, Used::InputEstimated)],
    ),
    (
        "The gateway was killed before the call ended.",
        Scene::Killed,
        &[(Outcome::Interrupted, Used::WorstCase)],
    ),
    (
        "The provider refused the call (status 400 or above).",
        Scene::Refused,
        &[(FAILURE, Used::Nothing)],
    ),
    (
        "The provider did not answer in time, or broke off before its answer began.",
        Scene::Silent,
        &[(FAILURE, Used::InputEstimated)],
    ),
    (
        "The provider broke off in the middle of a stream.",
        Scene::BrokeOff,
        &[(FAILURE, Used::Estimated)],
    ),
    (
        "A whole answer broke off, was too large, or was not what the API promises.",
        Scene::Garbage,
        &[(FAILURE, Used::Estimated)],
    ),
    (
        "The answer was an error.",
        Scene::AnError,
        &[(FAILURE, Used::InputEstimated)],
    ),
    (
        "An attempt failed and another followed.",
        Scene::TriedAgain,
        &[(FAILURE, Used::Nothing), (SUCCESS, REPORTED)],
    ),
    (
        "A second target was asked because the first one took long.",
        Scene::Hedged,
        &[(CANCELLED, Used::InputEstimated), (SUCCESS, REPORTED)],
    ),
    (
        "No connection to the provider could be made.",
        Scene::NoConnection,
        &[],
    ),
    (
        "The gateway refused the call: no key, unknown model, too large, overloaded, over a limit or a budget, …",
        Scene::RefusedHere,
        &[],
    ),
    (
        "Tokens were counted (`/v1/messages/count_tokens`).",
        Scene::Counted,
        &[(SUCCESS, Used::Nothing)],
    ),
    (
        "Tokens were estimated here because the provider does not count them.",
        Scene::CountedHere,
        &[],
    ),
    (
        "A text was moderated.",
        Scene::Moderated,
        &[(SUCCESS, Used::Nothing)],
    ),
    (
        "Texts were embedded.",
        Scene::Embedded,
        &[(SUCCESS, Used::Reported(16 * 10))],
    ),
    (
        "The answer calls tools that have a price, of the provider's or of `tool_prices`.",
        Scene::Searched,
        // Two searches at a cent each.
        &[(SUCCESS, Used::WithFees(5 * 10 + 5 * 100 + 2 * 10_000))],
    ),
    (
        "It is the first call of a user, a key, a session, …",
        Scene::First,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "The caller is an administrator.",
        Scene::Admin,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "A remembered answer, a replay, or a part in a call that was being made for somebody else.",
        Scene::Remembered,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "A remembered answer, a replay, or a part in a call that was being made for somebody else.",
        Scene::Replayed,
        &[(SUCCESS, REPORTED)],
    ),
    (
        "A remembered answer, a replay, or a part in a call that was being made for somebody else.",
        Scene::Coalesced,
        &[(SUCCESS, REPORTED)],
    ),
];

const MONEY: &str = "[prices.\"openai/gpt-real\"]\ninput = 10\ncached_read = 1\noutput = 100\n\
     [prices.\"openai/gpt-other\"]\ninput = 10\ncached_read = 1\noutput = 100\n\
     [prices.\"anthropic/claude-real\"]\ninput = 10\noutput = 100\n\
     [budgets.of_all]\nscope = \"global\"\nwindow = \"total\"\nbudget_usd = 1000\n\
     [budgets.of_each]\nscope = \"session\"\nwindow = \"total\"\nbudget_usd = 1000\n\
     [models.both]\ntargets = [\"openai/gpt-real\", \"openai/gpt-other\"]\n";

/// The first column of the table on the page.
fn rules_of_the_page() -> BTreeSet<String> {
    let page = include_str!("../../../../../docs/reference/accounting.md");
    let (_, section) = page.split_once("## What is charged").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let first = rows.filter_map(|row| Some(row.split_once(" |")?.0.to_owned()));
    first.filter(|rule| rule != "what happened").collect()
}

#[test]
fn the_rules_of_the_page_are_those_that_are_played() {
    let played: BTreeSet<String> = RULES.iter().map(|(rule, ..)| (*rule).to_owned()).collect();
    assert_eq!(rules_of_the_page(), played);
}

#[tokio::test(start_paused = true)]
async fn every_rule_leaves_what_it_says_in_the_ledger_and_in_the_budgets() {
    for (rule, scene, rows) in RULES {
        let sections = match scene {
            Scene::GuardEndsStream => "[output_handling]\nfilter_secrets = \"block\"\n",
            Scene::Remembered | Scene::Coalesced => "[cache]\nenabled = true\n",
            _ => "",
        };
        let hedge = match scene {
            Scene::Hedged => "hedge_after = \"2s\"\n",
            _ => "",
        };
        let attempts = match scene {
            Scene::TriedAgain | Scene::Hedged => 3,
            _ => 1,
        };
        let app = TestApp::builder()
            .attempts(attempts)
            .sections(&format!("{MONEY}{hedge}{sections}"))
            .start()
            .await;
        play(*scene, &app).await;
        let settled = match scene {
            Scene::Killed => interrupted(&app).await,
            _ => app.settlements().await,
        };
        judge(rule, *scene, rows, &settled);
        if *scene != Scene::Killed {
            balance(&app, rule, &settled).await;
        }
        app.finish().await;
    }
}

fn judge(rule: &str, scene: Scene, rows: Rows, settled: &[Settlement]) {
    let mut settled: Vec<&Settlement> = settled.iter().collect();
    settled.sort_by_key(|call| call.attempt);
    let outcomes: Vec<Outcome> = settled.iter().map(|call| call.outcome).collect();
    let expected: Vec<Outcome> = rows.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, expected, "{rule} ({scene:?}): {settled:#?}");
    for (call, (_, used)) in settled.iter().zip(rows) {
        let usage = &call.usage;
        let list_price =
            usage.input_tokens * 10 + usage.cached_read_tokens + usage.output_tokens * 100;
        let is_right = match used {
            Used::Reported(cost) => !usage.estimated && call.cost.0 == *cost,
            Used::WithFees(_) => !usage.estimated && call.extras.tool_calls > 0,
            Used::Nothing => !usage.estimated && usage.total() == 0 && call.cost.0 == 0,
            Used::InputEstimated => {
                usage.estimated && usage.input_tokens > 10 && usage.output_tokens == 0
            }
            Used::Estimated => usage.estimated && usage.output_tokens > 0,
            Used::WorstCase => usage.estimated && usage.output_tokens == 64,
        };
        assert!(is_right, "{rule} ({scene:?}): {call:#?}");
        let expected = match used {
            Used::Nothing => 0,
            Used::WithFees(cost) => *cost,
            _ => list_price,
        };
        assert_eq!(call.cost.0, expected, "{rule} ({scene:?})");
    }
}

/// Nothing is held any more, and what is spent is what the ledger says.
async fn balance(app: &TestApp, rule: &str, settled: &[Settlement]) {
    let cost: u64 = settled.iter().map(|call| call.cost.0).sum();
    let budgets = app
        .get("/admin/v1/budgets")
        .key(&app.admin_key)
        .send()
        .await;
    for budget in budgets.json()["data"].as_array().unwrap() {
        assert_eq!(budget["reserved"], 0, "{rule}: {budget}");
        assert_eq!(budget["spent"], cost, "{rule}: {budget}");
        let parts = budget["remaining"].as_u64().unwrap() + cost;
        assert_eq!(budget["limit"], parts, "{rule}: {budget}");
    }
}

/// What a next process would settle.
async fn interrupted(app: &TestApp) -> Vec<Settlement> {
    let intents = app.journal.intents.lock().clone();
    app.settlements().await;
    intents
        .into_iter()
        .map(|intent| intent.interrupted())
        .collect()
}

fn ask_both(stream: bool) -> Bytes {
    request(CHAT, stream, &json!({"model": "both", "max_tokens": 64}))
}

async fn send(app: &TestApp, body: Bytes) -> u16 {
    let call = app.post(path(CHAT), body);
    let call = call.header("x-seaworthy-session-id", "one");
    call.send().await.status
}

async fn post(app: &TestApp, path: &str, body: &Value) -> u16 {
    app.post(path, body.to_string()).send().await.status
}

async fn play(scene: Scene, app: &TestApp) {
    let up = &app.upstream;
    let whole = || up.will_send(ok(CHAT));
    match scene {
        Scene::Whole | Scene::First => {
            whole();
            assert_eq!(send(app, ask(CHAT, false)).await, 200);
        }
        Scene::Streamed => {
            up.will(stream(events(CHAT, false).concat()));
            assert_eq!(send(app, ask(CHAT, true)).await, 200);
        }
        Scene::NothingReported => {
            up.will_send(json_response(200, &reply(CHAT, false, &Value::Null)));
            assert_eq!(send(app, ask(CHAT, false)).await, 200);
        }
        Scene::GuardEndsStream => {
            let text = events(CHAT, false).concat().replace("Aye, ", &secret());
            up.will([stream_head(), chunk(text), Step::Silence]);
            send(app, ask(CHAT, true)).await;
        }
        Scene::LeftDuringStream => {
            let events = events(CHAT, false);
            let begun = events[..events.len() - 2].concat();
            up.will([stream_head(), chunk(begun), Step::Silence]);
            let mut open = app.post(path(CHAT), ask(CHAT, true)).open().await;
            open.next().await.unwrap();
        }
        Scene::LeftBeforeAnswer | Scene::Killed => {
            up.will([Step::Silence]);
            let body = request(CHAT, false, &json!({"max_tokens": 64}));
            let caller = tokio::spawn(app.post(path(CHAT), body).send());
            eventually("the provider is asked", || up.requests() == 1).await;
            caller.abort();
        }
        Scene::Refused | Scene::AnError => {
            let (status, expected) = [(200, 502), (400, 400)][usize::from(scene == Scene::Refused)];
            up.will_send(json_response(status, &json!({"error": {"message": "No."}})));
            assert_eq!(send(app, ask(CHAT, false)).await, expected);
        }
        Scene::Silent => {
            up.will([Step::HangUp]);
            send(app, ask(CHAT, false)).await;
        }
        Scene::BrokeOff => {
            let events = events(CHAT, false);
            let begun = events[..events.len() - 2].concat();
            up.will([stream_head(), chunk(begun), Step::HangUp]);
            send(app, ask(CHAT, true)).await;
        }
        _ => play_more(scene, app).await,
    }
}

async fn play_more(scene: Scene, app: &TestApp) {
    let up = &app.upstream;
    match scene {
        Scene::Garbage => {
            let json = [("content-type", "application/json")];
            up.will_send(http(200, &json, "{\"cut"));
            send(app, ask(CHAT, false)).await;
        }
        Scene::TriedAgain => {
            up.will_send(json_response(503, &json!({"error": {"message": "No."}})));
            up.will_send(ok(CHAT));
            assert_eq!(send(app, ask_both(false)).await, 200);
        }
        Scene::Hedged => {
            up.will([Step::Silence]);
            up.will_send(ok(CHAT));
            assert_eq!(send(app, ask_both(false)).await, 200);
        }
        Scene::NoConnection => {
            up.dial_will(DialFault::Refuse);
            send(app, ask(CHAT, false)).await;
        }
        Scene::RefusedHere => {
            let unknown = request(CHAT, false, &json!({"model": "nobody"}));
            assert_eq!(send(app, unknown).await, 404);
        }
        Scene::Counted => {
            up.will_send(json_response(200, &json!({"input_tokens": 12})));
            let body =
                json!({"model": "claude", "messages": [{"role": "user", "content": "Ahoy"}]});
            assert_eq!(post(app, "/v1/messages/count_tokens", &body).await, 200);
        }
        Scene::CountedHere => {
            let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "Ahoy"}]});
            assert_eq!(post(app, "/v1/messages/count_tokens", &body).await, 200);
        }
        Scene::Moderated => {
            let result = json!({"flagged": false, "categories": {}, "category_scores": {}});
            up.will_send(json_response(
                200,
                &json!({"id": "m", "model": "x", "results": [result]}),
            ));
            let body = json!({"model": "gpt", "input": "Ahoy"});
            assert_eq!(post(app, "/v1/moderations", &body).await, 200);
        }
        Scene::Embedded => {
            let vector = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
            up.will_send(json_response(
                200,
                &json!({"object": "list", "model": "x", "data": [vector],
                        "usage": {"prompt_tokens": 16, "total_tokens": 16}}),
            ));
            let body = json!({"model": "gpt", "input": "Ahoy"});
            assert_eq!(post(app, "/v1/embeddings", &body).await, 200);
        }
        Scene::Admin => {
            up.will_send(ok(CHAT));
            let call = app.call(Method::POST, path(CHAT)).key(&app.admin_key);
            assert_eq!(call.body(ask(CHAT, false)).send().await.status, 200);
        }
        Scene::Remembered => {
            up.will_send(ok(CHAT));
            assert_eq!(send(app, ask(CHAT, false)).await, 200);
            assert_eq!(send(app, ask(CHAT, false)).await, 200);
        }
        Scene::Replayed => {
            up.will_send(ok(CHAT));
            for _ in 0..2 {
                let call = app.post(path(CHAT), ask(CHAT, false));
                let call = call.header("idempotency-key", "k");
                assert_eq!(call.send().await.status, 200);
            }
        }
        Scene::Coalesced => coalesced(app).await,
        Scene::Searched => searched(app).await,
        _ => unreachable!("{scene:?}"),
    }
}

async fn searched(app: &TestApp) {
    app.upstream.will_send(json_response(200, &message(2)));
    let call = app.post("/v1/messages", searching(&json!({"max_uses": 3})));
    assert_eq!(call.send().await.status, 200);
}

async fn coalesced(app: &TestApp) {
    let go = Arc::new(Notify::new());
    app.upstream
        .will([Step::Until(Arc::clone(&go)), Step::Send(ok(CHAT))]);
    let callers = [0, 1].map(|_| tokio::spawn(app.post(path(CHAT), ask(CHAT, false)).send()));
    eventually("the provider is asked", || app.upstream.requests() == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    go.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap().status, 200);
    }
}
