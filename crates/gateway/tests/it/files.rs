//! Contents of files are read as they are sent.

use http::Method;

use crate::support::app::TestApp;

/// Lines of some megabytes.
fn content() -> String {
    let line = format!("{{\"custom_id\":\"{}\"}}\n", "x".repeat(100_000));
    line.repeat(50)
}

async fn upload(app: &TestApp, content: &str) -> String {
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let call = app.call(Method::POST, "/v1/files").key(&app.user_key);
    let call = call.header("content-type", "multipart/form-data; boundary=b");
    let answer = call.body(form).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_large_file_comes_back_as_it_was_sent_with_its_length() {
    let app = TestApp::start().await;
    let content = content();
    let id = upload(&app, &content).await;
    let get = || {
        app.get(&format!("/v1/files/{id}/content"))
            .key(&app.user_key)
    };
    let answer = get().send().await;
    assert_eq!((answer.status, answer.whole), (200, true));
    assert_eq!(answer.header("content-length"), content.len().to_string());
    assert!(
        answer.body == content.as_bytes(),
        "{} bytes",
        answer.body.len()
    );
    // Whoever leaves early leaves nothing behind.
    let mut answer = get().open().await;
    assert!(answer.next().await.is_some());
    drop(answer);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_reader_has_not_read_is_not_in_memory() {
    let app = TestApp::start().await;
    let id = upload(&app, &content()).await;
    let path = format!("/v1/files/{id}");
    let mut answer = app
        .get(&format!("{path}/content"))
        .key(&app.user_key)
        .open()
        .await;
    assert!(answer.next().await.is_some());
    let deleted = app
        .call(Method::DELETE, &path)
        .key(&app.user_key)
        .send()
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    // The rest was in the store, and is gone: an answer that was cut says so by its length.
    assert!(!answer.rest().await.whole);
    let log = app.finish().await;
    assert!(
        log.contains("\"error_code\":\"store_unavailable\""),
        "{log}"
    );
}
