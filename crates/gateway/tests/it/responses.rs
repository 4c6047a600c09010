//! Responses that are stored: fetched, continued, cancelled, deleted, and nobody else's.

mod retold;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use seaworthy_core::clock::Clock as _;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::key::NewKey;
use seaworthy_core::objects::Kind;
use seaworthy_core::principal::Role;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::upstream::Step;
use crate::support::wire::ok;

const PATH: &str = "/v1/responses";

async fn create(app: &TestApp, body: Value) -> Value {
    let answer = app.post(PATH, body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn get(app: &TestApp, id: &str) -> Answer {
    app.get(&format!("{PATH}/{id}"))
        .key(&app.user_key)
        .send()
        .await
}

fn text(response: &Value) -> &str {
    response["output"][0]["content"][0]["text"]
        .as_str()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_response_is_there_until_it_is_deleted_or_its_time_is_over() {
    let app = TestApp::start().await;
    let made = create(
        &app,
        json!({"model": "echo", "input": "Aye?", "temperature": 0.5, "metadata": {"a": "b"}}),
    )
    .await;
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("resp_"), "{made}");
    assert_eq!(made["store"], true);
    assert_eq!(made["temperature"], 0.5);
    let found = get(&app, id).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json(), made);
    let items = app.get(&format!("{PATH}/{id}/input_items"));
    let items = items.key(&app.user_key).send().await.json();
    assert_eq!(items["data"][0]["content"][0]["text"], "Aye?");
    assert_eq!(items["has_more"], false);
    let delete = || {
        app.call(Method::DELETE, &format!("{PATH}/{id}"))
            .key(&app.user_key)
    };
    let deleted = delete().send().await;
    assert_eq!(deleted.json()["deleted"], true);
    delete()
        .send()
        .await
        .assert_error(Family::OpenAi, 404, "not_found");
    get(&app, id)
        .await
        .assert_error(Family::OpenAi, 404, "not_found");
    let made = create(&app, json!({"model": "echo", "input": "Aye?"})).await;
    app.clock.advance(Duration::from_secs(31 * 86_400));
    let gone = get(&app, made["id"].as_str().unwrap()).await;
    gone.assert_error(Family::OpenAi, 404, "not_found");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_goes_on_at_another_provider_with_its_tools() {
    let app = TestApp::start().await;
    let call = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "g",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "content": null, "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "depth", "arguments": "{\"at\":\"pier\"}"}}]}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}});
    app.upstream
        .will_send(crate::support::wire::json_response(200, &call));
    let tools = json!([{"type": "function", "name": "depth", "parameters": {"type": "object"}}]);
    let first = create(
        &app,
        json!({"model": "gpt", "instructions": "Be brief.", "input": "How deep?", "tools": tools}),
    )
    .await;
    assert_eq!(first["output"][0]["type"], "function_call");
    app.upstream.will_send(ok(Dialect::AnthropicMessages));
    let output = json!([{"type": "function_call_output", "call_id": "call_1", "output": "9 m"}]);
    let second = create(
        &app,
        json!({"model": "claude", "previous_response_id": first["id"], "input": output,
            "tools": tools}),
    )
    .await;
    assert_eq!(second["previous_response_id"], first["id"]);
    let sent: Value = serde_json::from_slice(&app.upstream.received()[1].body).unwrap();
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3, "{sent}");
    assert_eq!(messages[1]["content"][0]["name"], "depth");
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "call_1");
    assert!(
        sent.get("system").is_none(),
        "instructions are of one turn: {sent}"
    );
    // What was continued can be deleted; the conversation goes on.
    let id = first["id"].as_str().unwrap();
    let deleted = app
        .call(Method::DELETE, &format!("{PATH}/{id}"))
        .key(&app.user_key);
    assert_eq!(deleted.send().await.status, 200);
    let third = create(
        &app,
        json!({"model": "echo", "previous_response_id": second["id"], "input": "And now?"}),
    )
    .await;
    let items = app.get(&format!(
        "{PATH}/{}/input_items?order=asc",
        third["id"].as_str().unwrap()
    ));
    let items = items.key(&app.user_key).send().await.json();
    let kinds: Vec<&str> = items["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    let expected = [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ];
    assert_eq!(kinds, expected);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_the_name_that_it_is_stored_under_and_is_stored_when_it_ends() {
    let app = TestApp::start().await;
    let body = json!({"model": "echo", "input": "Aye?", "stream": true, "top_p": 0.5});
    let answer = app.post(PATH, body.to_string()).send().await;
    let events: Vec<Value> = answer
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let last = &events.last().unwrap()["response"];
    let id = last["id"].as_str().unwrap();
    assert!(id.starts_with("resp_"));
    for event in events
        .iter()
        .filter(|event| event.get("response").is_some())
    {
        assert_eq!(event["response"]["id"], id);
        assert_eq!(event["response"]["top_p"], 0.5);
    }
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["sequence_number"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (0..events.len() as u64).collect();
    assert_eq!(numbers, expected);
    assert_eq!(get(&app, id).await.json(), *last);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_response_is_not_found() {
    let app = TestApp::start().await;
    let made = create(&app, json!({"model": "echo", "input": "secret"})).await;
    let id = made["id"].as_str().unwrap();
    let (other, _) = app
        .issue(NewKey::of("other", "somebody", Role::Admin))
        .await;
    app.keys_noticed().await;
    for (method, path) in [
        (Method::GET, format!("{PATH}/{id}")),
        (Method::GET, format!("{PATH}/{id}/input_items")),
        (Method::POST, format!("{PATH}/{id}/cancel")),
        (Method::DELETE, format!("{PATH}/{id}")),
    ] {
        let answer = app.call(method, &path).key(&other).send().await;
        answer.assert_error(Family::OpenAi, 404, "not_found");
    }
    let body = json!({"model": "echo", "input": "x", "previous_response_id": id});
    let answer = app
        .call(Method::POST, PATH)
        .key(&other)
        .body(body.to_string());
    let answer = answer.send().await;
    answer.assert_error(Family::OpenAi, 400, "previous_response_not_found");
    assert!(!answer.text().contains("secret"));
    assert_eq!(get(&app, id).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_to_be_stored_is_not() {
    let app = TestApp::builder()
        .sections("[responses]\nstore = \"off\"\n")
        .start()
        .await;
    let made = create(&app, json!({"model": "echo", "input": "x", "store": true})).await;
    assert_eq!(made["store"], false);
    let id = made["id"].as_str().unwrap();
    get(&app, id)
        .await
        .assert_error(Family::OpenAi, 404, "not_found");
    for more in [
        json!({"previous_response_id": "resp_1"}),
        json!({"background": true}),
    ] {
        let mut body = json!({"model": "echo", "input": "x"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = app.post(PATH, body.to_string()).send().await;
        answer.assert_error(Family::OpenAi, 400, "invalid_request");
    }
    app.finish().await;
    let app = TestApp::start().await;
    let made = create(&app, json!({"model": "echo", "input": "x", "store": false})).await;
    assert_eq!(made["store"], false);
    let body = json!({"model": "echo", "input": "x", "store": false, "background": true});
    let answer = app.post(PATH, body.to_string()).send().await;
    answer.assert_error(Family::OpenAi, 400, "invalid_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_input_is_refused_in_its_own_words_before_it_is_translated() {
    let app = TestApp::start().await;
    for body in [
        json!({"model": "gpt"}),
        json!({"model": "claude", "input": []}),
    ] {
        let answer = app.post(PATH, body.to_string()).send().await;
        answer.assert_error(Family::OpenAi, 400, "invalid_request");
        assert_eq!(answer.json()["error"]["param"], "input");
    }
    assert_eq!(app.upstream.requests(), 0);
    app.finish().await;
}

async fn in_background(app: &TestApp, go_on: &Arc<Notify>) -> String {
    app.upstream.will([
        Step::Until(Arc::clone(go_on)),
        Step::Send(ok(Dialect::OpenAiChat)),
    ]);
    let queued = create(
        app,
        json!({"model": "gpt", "input": "x", "background": true}),
    )
    .await;
    assert_eq!(queued["status"], "queued");
    assert_eq!(queued["background"], true);
    let id = queued["id"].as_str().unwrap().to_owned();
    assert_eq!(get(app, &id).await.json()["status"], "in_progress");
    id
}

#[tokio::test(start_paused = true)]
async fn a_response_in_the_background_is_made_and_paid_while_nobody_waits() {
    let app = TestApp::start().await;
    let go_on = Arc::new(Notify::new());
    let id = in_background(&app, &go_on).await;
    let body = json!({"model": "echo", "input": "x", "previous_response_id": id});
    let early = app.post(PATH, body.to_string()).send().await;
    early.assert_error(Family::OpenAi, 400, "invalid_request");
    go_on.notify_one();
    app.idle().await;
    let done = get(&app, &id).await.json();
    assert_eq!(done["status"], "completed", "{done}");
    assert!(!text(&done).is_empty());
    assert_eq!(app.only_settlement().await.status, 200);
    let path = format!("{PATH}/{id}/cancel");
    let late = app.post(&path, "").send().await;
    assert_eq!(late.json()["status"], "completed");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_response_stops_its_provider_and_stays_cancelled() {
    let app = TestApp::start().await;
    let go_on = Arc::new(Notify::new());
    let id = in_background(&app, &go_on).await;
    let path = format!("{PATH}/{id}/cancel");
    let cancelled = app.post(&path, "").send().await;
    assert_eq!(cancelled.json()["status"], "cancelled");
    app.idle().await;
    assert_eq!(get(&app, &id).await.json()["status"], "cancelled");
    let again = app.post(&path, "").send().await;
    assert_eq!(again.json()["status"], "cancelled");
    let made = create(&app, json!({"model": "echo", "input": "x"})).await;
    let path = format!("{PATH}/{}/cancel", made["id"].as_str().unwrap());
    let refused = app.post(&path, "").send().await;
    refused.assert_error(Family::OpenAi, 400, "invalid_request");
    // That of the provider that was left, and that of `echo`.
    assert_eq!(app.settlements().await.len(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_fails_in_the_background_says_so() {
    let app = TestApp::start().await;
    let error = json!({"error": {"message": "no", "type": "invalid_request_error"}});
    app.upstream
        .will_send(crate::support::wire::json_response(400, &error));
    let queued = create(
        &app,
        json!({"model": "gpt", "input": "x", "background": true}),
    )
    .await;
    app.idle().await;
    let failed = get(&app, queued["id"].as_str().unwrap()).await.json();
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(
        failed["error"],
        json!({"code": "server_error", "message": "no"})
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_in_the_background_that_no_budget_is_left_for_says_so() {
    let budget = "[cost_controls.per_user]\ndaily_token_limit = 1\n";
    let app = TestApp::builder().sections(budget).start().await;
    let body = json!({"model": "echo", "input": "x", "background": true});
    let queued = create(&app, body).await;
    app.idle().await;
    let failed = get(&app, queued["id"].as_str().unwrap()).await.json();
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(failed["error"]["code"], "rate_limit_exceeded");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("per_user.daily_token_limit"), "{message}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_of_a_process_that_is_gone_has_failed() {
    let app = TestApp::start().await;
    let go_on = Arc::new(Notify::new());
    let id = in_background(&app, &go_on).await;
    // Another process that shares the store looks at what this one would have left.
    let objects = &app.stores.objects;
    let now = app.clock.now();
    let mut object = objects
        .get(Kind::Response, &id, now)
        .await
        .unwrap()
        .unwrap();
    assert!(object.lease_until > now);
    object.lease_until = now;
    assert!(objects.update(object, Vec::new()).await.unwrap());
    let lost = get(&app, &id).await.json();
    assert_eq!(lost["status"], "failed", "{lost}");
    go_on.notify_one();
    app.idle().await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_of_idempotency_makes_one_response() {
    let app = TestApp::start().await;
    for body in [
        json!({"model": "echo", "input": "x"}),
        json!({"model": "echo", "input": "x", "stream": true}),
        json!({"model": "echo", "input": "x", "background": true}),
    ] {
        let key = body.to_string();
        let send = || {
            app.post(PATH, body.to_string())
                .header("idempotency-key", &key)
                .send()
        };
        let first = send().await;
        assert_eq!(first.status, 200, "{}", first.text());
        let again = send().await;
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_remembered_answer_gets_a_name_of_its_own() {
    let app = TestApp::builder()
        .sections("[cache]\nenabled = true\n")
        .start()
        .await;
    for stream in [false, true] {
        let body = json!({"model": "echo", "input": "x", "stream": stream});
        let mut ids = Vec::new();
        // The whole answer is told as a stream as well.
        for expected in [if stream { "hit" } else { "miss" }, "hit"] {
            let answer = app.post(PATH, body.to_string()).send().await;
            assert_eq!(answer.header("x-seaworthy-cache"), expected);
            let response = match stream {
                true => answer.last_event()["response"].clone(),
                false => answer.json(),
            };
            let id = response["id"].as_str().unwrap().to_owned();
            assert_eq!(get(&app, &id).await.json(), response);
            ids.push(id);
        }
        assert_ne!(ids[0], ids[1]);
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn earlier_turns_are_screened_by_the_guards_in_force_now() {
    let app = TestApp::builder()
        .sections("[input_validation]\nmax_input_length = 1000\n")
        .start()
        .await;
    let long = "a ".repeat(100);
    let made = create(&app, json!({"model": "echo", "input": long})).await;
    let body = json!({"model": "echo", "input": "x", "previous_response_id": made["id"]});
    create(&app, body.clone()).await;
    app.reload("max_input_length = 1000", "max_input_length = 100")
        .await
        .unwrap();
    let refused = app.post(PATH, body.to_string()).send().await;
    refused.assert_error(Family::OpenAi, 400, "content_too_long");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_is_too_large_is_not_begun() {
    let app = TestApp::builder()
        .sections("[responses]\nmax_size = \"1KiB\"\n")
        .start()
        .await;
    let body = json!({"model": "echo", "input": "a ".repeat(600)});
    let refused = app.post(PATH, body.to_string()).send().await;
    refused.assert_error(Family::OpenAi, 400, "invalid_request");
    assert_eq!(app.settlements().await.len(), 0);
    app.finish().await;
}
