//! Files and batches: sent, looked at line by line, carried out once, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use seaworthy_core::clock::{Clock as _, UnixMillis};
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::key::NewKey;
use seaworthy_core::objects::Kind;
use seaworthy_core::principal::Role;
use seaworthy_gateway::Lifecycle;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::app::{TestApp, eventually};
use crate::support::client::{Answer, Call};
use crate::support::upstream::Step;
use crate::support::wire::{json_response, ok};

mod files;
mod guarded;

const CHAT: &str = "/v1/chat/completions";

fn form(content: &str) -> String {
    format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{content}\r\n--b--\r\n"
    )
}

fn sending(app: &TestApp, key: &str, content: &str) -> Call {
    app.call(Method::POST, "/v1/files")
        .key(key)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form(content))
}

async fn upload(app: &TestApp, content: &str) -> String {
    let answer = sending(app, &app.user_key, content).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn line(id: &str, model: &str, more: &Value) -> String {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": id}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"custom_id": id, "method": "POST", "url": CHAT, "body": body}).to_string()
}

fn wish(file: &str, endpoint: &str, window: &str) -> Bytes {
    json!({"input_file_id": file, "endpoint": endpoint, "completion_window": window,
        "metadata": {"a": "b"}})
    .to_string()
    .into()
}

async fn create(app: &TestApp, content: &str, window: &str) -> String {
    let file = upload(app, content).await;
    let answer = app
        .post("/v1/batches", wish(&file, CHAT, window))
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let batch = answer.json();
    assert_eq!(batch["status"], "validating");
    batch["id"].as_str().unwrap().to_owned()
}

async fn get(app: &TestApp, path: &str) -> Answer {
    app.get(path).key(&app.user_key).send().await
}

async fn show(app: &TestApp, id: &str) -> Value {
    get(app, &format!("/v1/batches/{id}")).await.json()
}

async fn ended(app: &TestApp, id: &str) -> Value {
    for _ in 0..600 {
        let batch = show(app, id).await;
        let status = batch["status"].as_str().unwrap();
        if matches!(status, "completed" | "failed" | "expired" | "cancelled") {
            return batch;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("the batch does not end: {}", show(app, id).await);
}

async fn lines(app: &TestApp, file: &Value) -> Vec<Value> {
    let Some(id) = file.as_str() else {
        return Vec::new();
    };
    let content = get(app, &format!("/v1/files/{id}/content")).await;
    assert_eq!(content.status, 200);
    let text = content.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["custom_id"].as_str().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_for_a_limit_says_how_far_it_is_and_holds_up_no_other() {
    let sections = "[rate_limits]\nper_user = \"3/hour\"\n[batches]\nconcurrency = 2\n";
    let app = TestApp::builder().sections(sections).start().await;
    let content: Vec<String> = (0..9)
        .map(|number| line(&number.to_string(), "echo", &json!({})))
        .collect();
    let waiting = create(&app, &content.join("\n"), "24h").await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let batch = show(&app, &waiting).await;
    assert_eq!(batch["status"], "in_progress");
    assert_eq!(
        batch["request_counts"],
        json!({"total": 9, "completed": 3, "failed": 0})
    );
    // Somebody else's, while all of its requests wait.
    let file = sending(&app, &app.admin_key, &content[..3].join("\n"));
    let file = file.send().await.json()["id"].as_str().unwrap().to_owned();
    let other = app.call(Method::POST, "/v1/batches").key(&app.admin_key);
    let other = other.body(wish(&file, CHAT, "24h")).send().await.json();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let path = format!("/v1/batches/{}", other["id"].as_str().unwrap());
    let other = app.get(&path).key(&app.admin_key).send().await.json();
    assert_eq!(other["status"], "completed", "{other}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_an_operation_knows_what_batches_have_spent_before_it_came() {
    let models = "[models.last]\ntargets = [\"openai/gpt-real\"]\n";
    let app = TestApp::builder().sections(models).start().await;
    let id = create(&app, &line("one", "echo", &json!({})), "24h").await;
    assert_eq!(ended(&app, &id).await["status"], "completed");
    let echo = app.post(
        CHAT,
        r#"{"model":"echo","messages":[{"role":"user","content":"Ahoy"}]}"#,
    );
    assert_eq!(echo.send().await.status, 200);
    let settlements = app.settlements().await;
    let mut operations: Vec<_> = settlements.iter().map(|call| &*call.operation).collect();
    operations.sort_unstable();
    assert_eq!(operations, ["batch_chat", "chat"]);
    let used: u64 = settlements.iter().map(|call| call.usage.total()).sum();
    let budget = "[budgets.work]\nscope = \"operation\"\nwindow = \"total\"\n\
                  token_limit = 1000\n[models.last]";
    app.reload("[models.last]", budget).await.unwrap();
    let budgets = app
        .get("/admin/v1/budgets")
        .key(&app.admin_key)
        .send()
        .await;
    let budgets = budgets.json();
    assert_eq!(budgets["data"].as_array().unwrap().len(), 1, "{budgets}");
    assert_eq!(budgets["data"][0]["subject"], "chat");
    assert_eq!(budgets["data"][0]["spent"], used);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn each_request_of_a_batch_is_answered_once_and_accounted_by_itself() {
    let app = TestApp::start().await;
    let refused = json!({"error": {"message": "no", "type": "invalid_request_error"}});
    app.upstream.will_send(json_response(400, &refused));
    let content = [
        line("one", "echo", &json!({})),
        line("two", "gpt", &json!({})),
        String::new(),
        line("three", "echo", &json!({"temperature": 0.5})),
    ]
    .join("\n");
    let id = create(&app, &content, "24h").await;
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    let counts = json!({"total": 3, "completed": 2, "failed": 1});
    assert_eq!(batch["request_counts"], counts);
    assert_eq!(batch["metadata"], json!({"a": "b"}));
    let output = lines(&app, &batch["output_file_id"]).await;
    assert_eq!(ids(&output), ["one", "three"]);
    assert_eq!(output[0]["response"]["status_code"], 200);
    assert_eq!(output[0]["response"]["body"]["object"], "chat.completion");
    assert_eq!(output[0]["error"], Value::Null);
    let errors = lines(&app, &batch["error_file_id"]).await;
    assert_eq!(ids(&errors), ["two"]);
    assert_eq!(errors[0]["response"]["status_code"], 400);
    let settlements = app.settlements().await;
    assert_eq!(settlements.len(), 3);
    for settlement in &settlements {
        assert_eq!(settlement.operation, "batch_chat");
        assert_eq!(&*settlement.user_id, "the-user");
    }
    let listed = get(&app, "/v1/batches").await.json();
    assert_eq!(listed["data"][0]["id"], id);
    let metrics = app.metrics().await;
    assert!(metrics.contains("seaworthy_batch_requests_total{outcome=\"completed\"} 2\n"));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn responses_and_embeddings_are_endpoints_and_others_are_not() {
    let app = TestApp::start().await;
    for (endpoint, body) in [
        ("/v1/responses", json!({"model": "echo", "input": "x"})),
        ("/v1/embeddings", json!({"model": "echo", "input": "x"})),
    ] {
        let text = json!({"custom_id": "a", "method": "POST", "url": endpoint, "body": body});
        let file = upload(&app, &text.to_string()).await;
        let batch = app
            .post("/v1/batches", wish(&file, endpoint, "24h"))
            .send()
            .await;
        let id = batch.json()["id"].as_str().unwrap().to_owned();
        let batch = ended(&app, &id).await;
        let counts = &batch["request_counts"];
        assert_eq!(counts["total"], 1, "{batch}");
        if endpoint == "/v1/responses" {
            let output = lines(&app, &batch["output_file_id"]).await;
            let made = output[0]["response"]["body"]["id"].as_str().unwrap();
            assert_eq!(
                get(&app, &format!("/v1/responses/{made}")).await.status,
                200
            );
        }
    }
    let file = upload(&app, "x").await;
    for (endpoint, window) in [("/v1/moderations", "24h"), (CHAT, "1s"), (CHAT, "soon")] {
        let refused = app
            .post("/v1/batches", wish(&file, endpoint, window))
            .send()
            .await;
        refused.assert_error(Family::OpenAi, 400, "invalid_request");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_with_a_mistake_fails_as_a_whole_and_says_where() {
    let app = TestApp::start().await;
    let content = [
        line("a", "echo", &json!({})),
        line("b", "nobody", &json!({})),
    ]
    .join("\n");
    let id = create(&app, &content, "24h").await;
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "failed");
    assert_eq!(batch["errors"]["data"][0]["line"], 2);
    assert_eq!(batch["errors"]["data"][0]["code"], "model_not_found");
    assert_eq!(app.settlements().await.len(), 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_busy_is_waited_for_and_a_window_that_is_over_ends_it() {
    let app = TestApp::start().await;
    let busy = json!({"error": {"message": "slow down"}});
    app.upstream.will_send(json_response(429, &busy));
    app.upstream.will_send(ok(Dialect::OpenAiChat));
    let id = create(&app, &line("a", "gpt", &json!({})), "24h").await;
    assert_eq!(ended(&app, &id).await["status"], "completed");
    app.upstream.always(
        "/v1/chat/completions",
        [Step::Send(json_response(429, &busy))],
    );
    let id = create(&app, &line("a", "gpt", &json!({})), "1m").await;
    eventually("it is asked", || {
        app.upstream.asked("/v1/chat/completions") > 0
    })
    .await;
    app.clock.advance(Duration::from_secs(61));
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "expired", "{batch}");
    let errors = lines(&app, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["error"]["code"], "batch_expired");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_ends_what_it_has_begun_and_begins_nothing_more() {
    let app = TestApp::builder()
        .sections("[batches]\nconcurrency = 1\n")
        .start()
        .await;
    let go_on = Arc::new(Notify::new());
    app.upstream.will([
        Step::Until(Arc::clone(&go_on)),
        Step::Send(ok(Dialect::OpenAiChat)),
    ]);
    let content = [line("a", "gpt", &json!({})), line("b", "gpt", &json!({}))].join("\n");
    let id = create(&app, &content, "24h").await;
    eventually("the first is sent", || app.upstream.requests() == 1).await;
    let path = format!("/v1/batches/{id}/cancel");
    let cancelling = app.post(&path, "").send().await;
    assert_eq!(cancelling.json()["status"], "cancelling");
    tokio::time::sleep(Duration::from_secs(3)).await;
    go_on.notify_one();
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(ids(&lines(&app, &batch["output_file_id"]).await), ["a"]);
    assert_eq!(app.upstream.requests(), 1);
    let again = app.post(&path, "").send().await;
    assert_eq!(again.json()["status"], "cancelled");
    let (other, _) = app.issue(NewKey::of("other", "somebody", Role::User)).await;
    app.keys_noticed().await;
    let theirs = app.call(Method::POST, &path).key(&other).send().await;
    theirs.assert_error(Family::OpenAi, 404, "not_found");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_its_batch() {
    let app = TestApp::builder()
        .sections("[batches]\nconcurrency = 1\n")
        .start()
        .await;
    let (key, key_id) = app.issue(NewKey::of("k", "the-user", Role::User)).await;
    app.keys_noticed().await;
    let go_on = Arc::new(Notify::new());
    app.upstream.will([
        Step::Until(Arc::clone(&go_on)),
        Step::Send(ok(Dialect::OpenAiChat)),
    ]);
    let content = [line("a", "gpt", &json!({})), line("b", "gpt", &json!({}))].join("\n");
    let file = upload(&app, &content).await;
    let wish = wish(&file, CHAT, "24h");
    let batch = app.call(Method::POST, "/v1/batches").key(&key).body(wish);
    let id = batch.send().await.json()["id"].as_str().unwrap().to_owned();
    eventually("the first is sent", || app.upstream.requests() == 1).await;
    let now = app.clock.now();
    app.stores.keys.revoke(&key_id, now).await.unwrap();
    app.keys_noticed().await;
    go_on.notify_one();
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "failed", "{batch}");
    assert_eq!(batch["errors"]["data"][0]["code"], "key_not_live");
    assert_eq!(batch["request_counts"]["completed"], 1);
    assert_eq!(app.upstream.requests(), 1);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_runs_what_has_no_result_and_nothing_else() {
    let app = TestApp::start().await;
    let content = [
        line("done", "echo", &json!({})),
        line("open", "echo", &json!({})),
        line("hopeless", "echo", &json!({})),
        line("new", "echo", &json!({})),
    ]
    .join("\n");
    let file = upload(&app, &content).await;
    // What a process leaves that is killed in the middle.
    let objects = Arc::clone(&app.stores.objects);
    let now = app.clock.now();
    app.gateway.health.set(Lifecycle::Draining);
    let made = app
        .post("/v1/batches", wish(&file, CHAT, "24h"))
        .send()
        .await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let mut batch = objects.get(Kind::Batch, &id, now).await.unwrap().unwrap();
    assert_eq!(
        batch.version, 0,
        "taken up before the test could prepare it"
    );
    let head: Value = serde_json::from_slice(&batch.head).unwrap();
    let (output, errors) = (
        head["output"].as_str().unwrap(),
        head["errors"].as_str().unwrap(),
    );
    let mut in_progress = head.clone();
    in_progress["batch"]["status"] = json!("in_progress");
    in_progress["batch"]["in_progress_at"] = json!(1);
    in_progress["batch"]["request_counts"]["total"] = json!(4);
    batch.head = in_progress.to_string().into();
    batch.worker = "gone".to_owned();
    batch.lease_until = now.plus(Duration::from_secs(15));
    assert!(objects.update(batch.clone(), Vec::new()).await.unwrap());
    for id in [output, errors] {
        let file = seaworthy_core::objects::Object {
            kind: Kind::File,
            id: id.to_owned(),
            is_open: true,
            lease_until: UnixMillis(i64::MAX),
            version: 0,
            head: json!({"filename": "x", "purpose": "batch_output"})
                .to_string()
                .into(),
            ..batch.clone()
        };
        objects.insert(file, Vec::new(), None, None).await.unwrap();
    }
    let done = json!({"custom_id": "done"}).to_string() + "\n";
    assert!(objects.add_part(output, (0, done.into())).await.unwrap());
    // The second was open once, the third three times.
    for mark in [0, 4, 8, 9, 10] {
        assert!(objects.add_part(&id, (mark, Bytes::new())).await.unwrap());
    }
    app.gateway.health.set(Lifecycle::Serving);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(app.settlements().await.len(), 0, "the lease is not over");
    app.clock.advance(Duration::from_secs(16));
    let batch = ended(&app, &id).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    let output = lines(&app, &batch["output_file_id"]).await;
    assert_eq!(ids(&output), ["done", "open", "new"]);
    let errors = lines(&app, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["error"]["code"], "interrupted");
    assert_eq!(app.settlements().await.len(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_of_idempotency_makes_one_file_and_one_batch() {
    let app = TestApp::start().await;
    let content = line("a", "echo", &json!({}));
    let send = |boundary: &str, content: &str| {
        let body = form(content).replace("--b", &format!("--{boundary}"));
        app.call(Method::POST, "/v1/files")
            .key(&app.user_key)
            .header("idempotency-key", "f")
            .header(
                "content-type",
                &format!("multipart/form-data; boundary={boundary}"),
            )
            .body(body)
            .send()
    };
    let first = send("b", &content).await;
    let again = send("c", &content).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = send("b", "something else").await;
    other.assert_error(Family::OpenAi, 409, "idempotency_key_reused");
    let file = first.json()["id"].as_str().unwrap().to_owned();
    let send = || {
        app.post("/v1/batches", wish(&file, CHAT, "24h"))
            .header("idempotency-key", "b")
            .send()
    };
    let (first, second) = tokio::join!(send(), send());
    assert_eq!(first.body, second.body);
    let all = get(&app, "/v1/batches").await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    ended(&app, first.json()["id"].as_str().unwrap()).await;
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_key_can_stand_behind_a_batch() {
    let app = TestApp::start().await;
    let token = app
        .post("/v1/auth/token", "{\"scopes\":{\"models\":[\"gpt\"]}}")
        .send()
        .await;
    let token = token.json()["access_token"].as_str().unwrap().to_owned();
    let file = upload(&app, &line("a", "echo", &json!({}))).await;
    let batch = app
        .call(Method::POST, "/v1/batches")
        .key(&token)
        .body(wish(&file, CHAT, "24h"));
    let id = batch.send().await.json()["id"].as_str().unwrap().to_owned();
    // The token is restricted, and so is what it has made.
    let batch = ended(&app, &id).await;
    let errors = lines(&app, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["status_code"], 403, "{batch}");
    app.finish().await;
}
