//! Files of batches: whose they are, and how many and how large.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::Role;
use serde_json::json;

use super::{CHAT, get, sending, upload, wish};
use crate::support::app::TestApp;

#[tokio::test(start_paused = true)]
async fn a_file_is_kept_listed_fetched_and_deleted_by_its_owner_only() {
    let app = TestApp::start().await;
    let content = "{}\nline\n";
    let id = upload(&app, content).await;
    let file = get(&app, &format!("/v1/files/{id}")).await.json();
    assert_eq!(file["bytes"], content.len());
    assert_eq!(file["filename"], "in.jsonl");
    assert_eq!(file["purpose"], "batch");
    let fetched = get(&app, &format!("/v1/files/{id}/content")).await;
    assert_eq!(fetched.text(), content);
    let second = upload(&app, "x").await;
    // OpenAI's clients may ask for so many.
    for (limit, status) in [("10000", 200), ("10001", 400), ("0", 400)] {
        let answer = get(&app, &format!("/v1/files?limit={limit}")).await;
        assert_eq!(answer.status, status, "{limit}");
    }
    let listed = get(&app, "/v1/files?limit=1").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["has_more"], true);
    let all = get(&app, "/v1/files?purpose=batch&order=asc").await.json();
    assert_eq!(all["last_id"], second);
    let (other, _) = app
        .issue(NewKey::of("other", "somebody", Role::Admin))
        .await;
    app.keys_noticed().await;
    for (method, path) in [
        (Method::GET, format!("/v1/files/{id}")),
        (Method::GET, format!("/v1/files/{id}/content")),
        (Method::DELETE, format!("/v1/files/{id}")),
    ] {
        let answer = app.call(method, &path).key(&other).send().await;
        answer.assert_error(Family::OpenAi, 404, "not_found");
    }
    let theirs = app.get("/v1/files").key(&other).send().await.json();
    assert_eq!(theirs["data"], json!([]));
    let wish = wish(&id, CHAT, "24h");
    let batch = app.call(Method::POST, "/v1/batches").key(&other).body(wish);
    batch
        .send()
        .await
        .assert_error(Family::OpenAi, 404, "not_found");
    let path = format!("/v1/files/{id}");
    let deleted = app
        .call(Method::DELETE, &path)
        .key(&app.user_key)
        .send()
        .await;
    assert_eq!(deleted.json()["deleted"], true);
    get(&app, &path)
        .await
        .assert_error(Family::OpenAi, 404, "not_found");
    app.clock.advance(Duration::from_secs(31 * 86_400));
    let gone = get(&app, &format!("/v1/files/{second}")).await;
    gone.assert_error(Family::OpenAi, 404, "not_found");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn files_are_bounded_in_size_and_number() {
    let app = TestApp::builder()
        .sections("[files]\nmax_size = \"1KiB\"\nmax_per_user = 2\nmax_total_size = \"1KiB\"\n")
        .start()
        .await;
    let large = sending(&app, &app.user_key, &"x".repeat(1_025))
        .send()
        .await;
    large.assert_error(Family::OpenAi, 413, "request_too_large");
    let larger = sending(&app, &app.user_key, &"x".repeat(200_000))
        .send()
        .await;
    larger.assert_error(Family::OpenAi, 413, "request_too_large");
    upload(&app, &"x".repeat(1_000)).await;
    let too_much = sending(&app, &app.user_key, &"x".repeat(100)).send().await;
    too_much.assert_error(Family::OpenAi, 400, "invalid_request");
    upload(&app, "x").await;
    let too_many = sending(&app, &app.user_key, "x").send().await;
    too_many.assert_error(Family::OpenAi, 400, "invalid_request");
    app.finish().await;
}
