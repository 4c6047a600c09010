//! Keys that take the place of others: what was spent with one is spent for the next.

use http::Method;
use seaworthy_core::principal::Role;
use serde_json::{Value, json};

use super::{CHAT, used};
use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::plants::secret;
use crate::support::wire::{json_response, path, reply, request};

const TOKENS: &str = "[cost_controls]\nlast_answers = \"refuse\"\n\
                      [cost_controls.per_key]\ntotal_token_limit = 1000\n";

/// A key and its ID.
type Known = (String, String);

/// The key that takes the place of this one.
async fn rotate(app: &TestApp, (_, id): &Known) -> Known {
    let path = format!("/admin/v1/keys/{id}/rotate");
    let rotated = app.call(Method::POST, &path).key(&app.admin_key);
    let rotated = rotated.send().await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    app.keys_noticed().await;
    let rotated = rotated.json();
    let text = |field: &str| rotated[field].as_str().unwrap().to_owned();
    (text("key"), text("id"))
}

/// Asks with a key for an answer that costs 400 tokens, and up to `most` of output.
async fn ask(app: &TestApp, (key, _): &Known, most: u64) -> Answer {
    let call = app.call(Method::POST, path(CHAT)).key(key);
    let body = request(CHAT, false, &json!({"max_tokens": most}));
    call.body(body).send().await
}

async fn spend(app: &TestApp, key: &Known) {
    let reply = reply(CHAT, false, &used(100, 300));
    app.upstream.will_send(json_response(200, &reply));
    let answer = ask(app, key, 400).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn told(app: &TestApp, path: &str) -> Value {
    app.settlements().await;
    let told = app.get(path).key(&app.admin_key).send().await;
    assert_eq!(told.status, 200, "{}", told.text());
    told.json()["data"].clone()
}

fn assert_exhausted(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], "budget_exceeded");
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_goes_on_with_the_budget_of_the_one_before() {
    let app = TestApp::builder().sections(TOKENS).start().await;
    let first = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    spend(&app, &first).await;
    let second = rotate(&app, &first).await;
    spend(&app, &second).await;
    let third = rotate(&app, &second).await;
    for key in [&first, &second, &third] {
        assert_exhausted(&ask(&app, key, 400).await);
    }
    // A key that is nobody's successor has a budget of its own.
    let other = app.create_key(Role::User, None).await;
    spend(&app, &other).await;

    let budgets = told(&app, "/admin/v1/budgets").await;
    let shown = |budget: &Value| (budget["subject"].clone(), budget["spent"].clone());
    let budgets: Vec<_> = budgets.as_array().unwrap().iter().map(shown).collect();
    let expected = [(json!(first.1), json!(800)), (json!(other.1), json!(400))];
    assert_eq!(budgets, expected);
    // Who has used what is told by the key that was used.
    let usage = told(&app, "/admin/v1/usage?by=key").await;
    let groups = usage.as_array().unwrap().iter();
    let mut groups: Vec<_> = groups.map(|of| of["group"].as_str().unwrap()).collect();
    groups.sort_unstable();
    let mut expected = [first.1.as_str(), second.1.as_str(), other.1.as_str()];
    expected.sort_unstable();
    assert_eq!(groups, expected);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_a_reload_brings_counts_what_the_keys_before_have_spent() {
    let app = TestApp::start().await;
    let first = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    spend(&app, &first).await;
    let second = rotate(&app, &first).await;
    spend(&app, &second).await;
    app.settlements().await;
    let named = format!(
        "[budgets.named]\nscope = \"key\"\nonly = [\"{}\"]\nwindow = \"total\"\ntoken_limit = 900\n",
        second.1
    );
    app.reload("[models.gpt]", &format!("{TOKENS}{named}[models.gpt]"))
        .await
        .unwrap();
    let third = rotate(&app, &second).await;
    assert_exhausted(&ask(&app, &third, 400).await);
    let budgets = told(&app, "/admin/v1/budgets").await;
    let shown = |name: &str| {
        let mut all = budgets.as_array().unwrap().iter();
        let budget = all.find(|budget| budget["budget"] == name).unwrap();
        (budget["subject"].clone(), budget["spent"].clone())
    };
    let every = shown("per_key.total_token_limit");
    assert_eq!(every, (json!(first.1), json!(800)));
    // A budget for the second key is none for the first one.
    let of_the_second = shown("budgets.named.token_limit");
    assert_eq!(of_the_second, (json!(first.1), json!(400)));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn old_and_new_key_share_a_limit_while_both_work() {
    let app = TestApp::builder()
        .sections("[rate_limits.per_key]\nrequests_per_minute = 2\n")
        .start()
        .await;
    let first = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    spend(&app, &first).await;
    let second = rotate(&app, &first).await;
    spend(&app, &second).await;
    for key in [&first, &second] {
        let answer = ask(&app, key, 400).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "rate_limited");
    }
    app.finish().await;
}

/// What the configuration says of a key holds for those that take its place: guards and features.
#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_key_by_its_id_holds_for_the_next_one() {
    let app = TestApp::start().await;
    let first = app.create_key(Role::User, None).await;
    let other = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let second = rotate(&app, &first).await;
    let id = &first.1;
    let said = format!(
        "[guards.policies.strict]\ndetector = \"secret\"\nplaces = [\"input\"]\naction = \"block\"\n\
         keys = [\"{id}\"]\n\
         [features.trial]\nenabled = false\noperations = [\"embeddings\"]\ntenants = {{ {id} = true }}\n"
    );
    app.reload("[models.gpt]", &format!("{said}[models.gpt]"))
        .await
        .unwrap();
    let telling = request(
        CHAT,
        false,
        &json!({"messages": [{"role": "user", "content": secret()}]}),
    );
    for (key, expected) in [(&first, 400), (&second, 400), (&other, 200)] {
        if expected == 200 {
            let reply = reply(CHAT, false, &used(1, 1));
            app.upstream.will_send(json_response(200, &reply));
        }
        let call = app.call(Method::POST, path(CHAT)).key(&key.0);
        let answer = call.body(telling.clone()).send().await;
        assert_eq!(answer.status, expected, "{}", answer.text());
    }
    let embed = json!({"model": "gpt", "input": "Ahoy"}).to_string();
    let vector = json!({"object": "list", "model": "x", "usage": {"prompt_tokens": 1, "total_tokens": 1},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]});
    app.upstream.will_send(json_response(200, &vector));
    for (key, is_on) in [(&second, true), (&other, false)] {
        let call = app.call(Method::POST, "/v1/embeddings").key(&key.0);
        let answer = call.body(embed.clone()).send().await;
        assert_eq!(answer.status == 200, is_on, "{}", answer.text());
    }
    app.finish().await;
}

/// What cannot be looked up is not guessed: a key whose past is unknown could spend anew.
#[tokio::test(start_paused = true)]
async fn a_key_whose_past_cannot_be_read_waits_for_the_store() {
    let app = TestApp::builder().sections(TOKENS).start().await;
    let first = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let second = rotate(&app, &first).await;
    app.past_outage.set(true);
    let answer = ask(&app, &second, 400).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    app.past_outage.set(false);
    spend(&app, &second).await;
    app.finish().await;
}
