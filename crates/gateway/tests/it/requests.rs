//! Requests that cannot be answered: a 4xx in the caller's words with a sentence that helps.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::{Dialect, Family};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::app::TestApp;
use crate::support::wire::{DIALECTS, FAMILIES, ask, ok, path, request};

#[tokio::test(start_paused = true)]
async fn a_model_that_does_not_exist_is_404_with_the_names_that_do() {
    let app = TestApp::start().await;
    for dialect in DIALECTS {
        let body = request(dialect, true, &json!({"model": "gpt-9"}));
        let answer = app.post(path(dialect), body).send().await;
        answer.assert_error(dialect.family(), 404, "model_not_found");
        for name in ["gpt-9", "claude", "echo", "gpt"] {
            assert!(answer.text().contains(name), "{}", answer.text());
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_a_name() {
    let app = TestApp::start().await;
    app.upstream.will_send(ok(Dialect::OpenAiChat));
    let body = request(Dialect::OpenAiChat, false, &json!({"model": "gpt-alias"}));
    let answer = app.post("/v1/chat/completions", body).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(&*app.only_settlement().await.model, "gpt");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_request_are_400_and_never_reach_a_provider() {
    let app = TestApp::start().await;
    let deep = "[".repeat(100_000);
    let bodies: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"{\"model\":",
        b"{\"model\": 7, \"messages\": []}",
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
        b"{\"model\": \"gpt\"}",
        b"{\"model\": \"gpt\", \"messages\": \"x\"}",
        b"{\"model\": \"gpt\", \"messages\": [], \"stream\": \"yes\"}",
        b"\xff\xfe{\"model\": \"gpt\"}",
        b"{\"model\": \"\xff\", \"messages\": []}",
        deep.as_bytes(),
    ];
    for dialect in DIALECTS {
        for body in bodies {
            let answer = app.post(path(dialect), body.to_vec()).send().await;
            answer.assert_error(dialect.family(), 400, "invalid_request");
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_413_also_when_its_length_is_not_announced() {
    let app = TestApp::builder()
        .server("max_request_size = \"10KB\"")
        .start()
        .await;
    for dialect in DIALECTS {
        let text = "x".repeat(200_000);
        let more = json!({"messages": [{"role": "user", "content": text}]});
        let body = request(dialect, false, &more);
        let answer = app.post(path(dialect), body.clone()).send().await;
        answer.assert_error(dialect.family(), 413, "request_too_large");
        assert!(answer.text().contains("max_request_size"));
        let mut io = app.connect();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n",
            path(dialect),
            app.user_key,
            body.len(),
        );
        io.write_all(head.as_bytes()).await.unwrap();
        // The gateway does not listen to the end of it.
        let _cut_short = io.write_all(&body).await;
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_408() {
    let app = TestApp::builder()
        .server("body_timeout = \"3s\"")
        .start()
        .await;
    let mut io = app.connect();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ncontent-length: 99\r\n\r\n{{",
        app.user_key
    );
    io.write_all(head.as_bytes()).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"timeout_error\""), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(4));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_408_and_one_that_is_only_slow_is_read() {
    // A byte each second keeps to every limit of pauses. Two pieces a second of a KiB are slow, and fine.
    for (piece, gap_ms, status) in [(1, 1_000, "408"), (1_024, 500, "200")] {
        let app = TestApp::builder()
            .server("body_timeout = \"3s\"")
            .start()
            .await;
        let body = request(
            Dialect::OpenAiChat,
            false,
            &json!({"user": "x".repeat(20_000)}),
        );
        let (length, key) = (body.len(), &app.user_key);
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n"
        );
        if status == "200" {
            app.upstream.will_send(ok(Dialect::OpenAiChat));
        }
        let (mut reader, mut writer) = tokio::io::split(app.connect());
        writer.write_all(head.as_bytes()).await.unwrap();
        let started = tokio::time::Instant::now();
        let drips = tokio::spawn(async move {
            for few in body.chunks(piece) {
                if writer.write_all(few).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(gap_ms)).await;
            }
            std::future::pending::<()>().await;
        });
        let mut answer = [0; 12];
        reader.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer[9..], status.as_bytes());
        if status == "408" {
            assert!(started.elapsed() < Duration::from_secs(4));
        }
        drips.abort();
        drop(reader);
        let _aborted = drips.await;
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_path_is_404_and_a_wrong_method_405_in_the_callers_words() {
    let app = TestApp::start().await;
    for family in FAMILIES {
        let with_version = |call: crate::support::client::Call| match family {
            Family::Anthropic => call.header("anthropic-version", "2023-06-01"),
            _ => call,
        };
        let missing = with_version(app.get("/v1/assistants")).send().await;
        missing.assert_error(family, 404, "not_found");
        let wrong = with_version(app.call(Method::DELETE, "/v1/models"))
            .send()
            .await;
        wrong.assert_error(family, 405, "method_not_allowed");
        assert_eq!(wrong.header("allow"), "GET, HEAD");
    }
    let wrong = app.get("/v1/chat/completions").send().await;
    wrong.assert_error(Family::OpenAi, 405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST");
    // Whoever asks there speaks with Anthropic's words, version or not.
    let wrong = app.get("/v1/messages").send().await;
    wrong.assert_error(Family::Anthropic, 405, "method_not_allowed");
    let missing = app.get("/v1/messages/batches").send().await;
    missing.assert_error(Family::Anthropic, 404, "not_found");
    // Old clients send a prompt; the base URL of others lacks its `/v1`.
    for (path, hint) in [
        ("/v1/completions", "`prompt`"),
        ("/chat/completions", "Nothing is served"),
    ] {
        let missing = app.post(path, r#"{"prompt": "Aye?"}"#).send().await;
        missing.assert_error(Family::OpenAi, 404, "not_found");
        let told = missing.text();
        assert!(
            told.contains(hint) && told.contains("/v1/chat/completions"),
            "{told}"
        );
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn more_headers_than_are_accepted_are_431() {
    let app = TestApp::builder().server("max_headers = 20").start().await;
    let mut call = app.post("/v1/messages", ask(Dialect::AnthropicMessages, false));
    for number in 0..20 {
        call = call.header(&format!("x-{number}"), "flood");
    }
    let answer = call.send().await;
    answer.assert_error(Family::Anthropic, 431, "invalid_request");
    assert!(answer.text().contains("at most 20"), "{}", answer.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_the_words_of_either_family() {
    let app = TestApp::start().await;
    let list = app.get("/v1/models").key(&app.user_key).send().await.json();
    let ids = |list: &serde_json::Value| -> Vec<String> {
        let models = list["data"].as_array().unwrap().iter();
        models
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(list["object"], "list");
    assert_eq!(ids(&list), ["claude", "echo", "gpt"]);
    let list = app
        .get("/v1/models")
        .header("x-api-key", &app.user_key)
        .header("anthropic-version", "2023-06-01")
        .send()
        .await
        .json();
    assert_eq!(list["has_more"], false);
    assert_eq!(ids(&list), ["claude", "echo", "gpt"]);
    let one = app.get("/v1/models/gpt").key(&app.user_key).send().await;
    assert_eq!(one.json()["id"], "gpt");
    let none = app.get("/v1/models/nope").key(&app.user_key).send().await;
    none.assert_error(Family::OpenAi, 404, "model_not_found");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_in_two_ways_is_refused_and_its_connection_closed() {
    let app = TestApp::start().await;
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
    ] {
        let mut io = app.connect();
        let key = &app.user_key;
        let first = format!("GET /v1/models HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
        io.write_all(first.as_bytes()).await.unwrap();
        let mut begun = [0; 15];
        io.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n{lines}\r\n\r\n{chunks}{hidden}"
        );
        io.write_all(request.as_bytes()).await.unwrap();
        let mut answers = String::new();
        io.read_to_string(&mut answers).await.unwrap();
        assert!(answers.contains("HTTP/1.1 400 "), "{lines}: {answers}");
        assert!(answers.contains("It is not certain where"), "{answers}");
        assert!(!answers.contains(" 404 "), "{lines}: {answers}");
    }
    // Chunks alone are fine, one request after the other.
    let mut io = app.connect();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}",
        app.user_key
    );
    for _ in 0..2 {
        io.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}}") {
            assert_ne!(io.read_buf(&mut answer).await.unwrap(), 0);
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("`model`"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    drop(io);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn lists_of_models_have_pages_where_the_callers_api_has_them() {
    let app = TestApp::start().await;
    let anthropic = ("anthropic-version", "2023-06-01");
    let cohere = ("x-fern-sdk-name", "cohere");
    // The path, whose words, the names on the page, and what leads to the next one.
    let pages = [
        ("/v1/models?limit=2", anthropic, "claude echo", "true"),
        (
            "/v1/models?limit=2&after_id=echo",
            anthropic,
            "gpt",
            "false",
        ),
        (
            "/v1/models?limit=1&before_id=gpt",
            anthropic,
            "echo",
            "true",
        ),
        ("/v1/models?after_id=gpt", anthropic, "", "false"),
        (
            "/v1beta/models?pageSize=1",
            ("accept", "*/*"),
            "claude",
            "claude",
        ),
        (
            "/v1beta/models?pageSize=1&pageToken=claud%65",
            ("accept", "*/*"),
            "echo",
            "echo",
        ),
        (
            "/v1beta/models?pageSize=9&pageToken=echo",
            ("accept", "*/*"),
            "gpt",
            "",
        ),
        ("/v1/models?page_size=2", cohere, "claude echo", "echo"),
        ("/v1/models?page_size=2&page_token=echo", cohere, "gpt", ""),
        (
            "/v1/models?limit=1",
            ("accept", "*/*"),
            "claude echo gpt",
            "",
        ),
    ];
    for (path, (name, value), names, next) in pages {
        let call = app.get(path).key(&app.user_key).header(name, value);
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let list = answer.json();
        let models = list.get("data").or_else(|| list.get("models"));
        let models = models.and_then(|models| models.as_array()).unwrap().iter();
        let found: Vec<&str> = models
            .map(|model| model["id"].as_str().or(model["name"].as_str()).unwrap())
            .map(|name| name.trim_start_matches("models/"))
            .collect();
        assert_eq!(found.join(" "), names, "{path}");
        let leads = ["has_more", "nextPageToken", "next_page_token"];
        let leads = leads.iter().find_map(|field| list.get(field));
        let leads = leads.map_or(String::new(), |lead| {
            lead.as_str().map_or(lead.to_string(), str::to_owned)
        });
        assert_eq!(leads, next, "{path}");
    }
    for (path, (name, value)) in [
        ("/v1/models?limit=0", anthropic),
        ("/v1/models?after_id=nobody", anthropic),
        ("/v1beta/models?pageSize=many", ("accept", "*/*")),
    ] {
        let call = app.get(path).key(&app.user_key).header(name, value);
        let answer = call.send().await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert!(answer.text().contains("invalid_request"), "{path}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn heads_that_two_readers_could_understand_in_two_ways_are_refused() {
    let app = TestApp::start().await;
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
        let value = match name {
            "authorization" => format!("Bearer {}", app.user_key),
            _ => app.user_key.clone(),
        };
        for other in [value.as_str(), "Bearer swk_another", ""] {
            let call = app.get("/v1/models");
            let answer = call.header(name, &value).header(name, other).send().await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
            assert!(answer.text().contains(name), "{}", answer.text());
        }
    }
    let two_hosts = app.get("/v1/models").key(&app.user_key);
    let answer = two_hosts.header("host", "other.test").send().await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("2"), "{}", answer.text());
    for (version, expected) in [("1.1", "HTTP/1.1 400 "), ("1.0", "HTTP/1.0 200 ")] {
        let mut io = app.connect();
        let head = format!(
            "GET /v1/models HTTP/{version}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            app.user_key
        );
        io.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        io.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn wishes_that_cannot_be_read_are_refused_and_not_ignored() {
    let app = TestApp::start().await;
    for (name, value) in [
        ("x-seaworthy-timeout-ms", "soon"),
        ("x-seaworthy-timeout-ms", "0"),
        ("x-seaworthy-timeout-ms", "-5"),
        ("x-seaworthy-timeout-ms", "1.5"),
        ("x-seaworthy-timeout-ms", ""),
        ("x-seaworthy-priority", "urgent"),
        ("x-seaworthy-priority", ""),
    ] {
        let call = app.post("/v1/chat/completions", ask(Dialect::OpenAiChat, false));
        let answer = call.header(name, value).send().await;
        answer.assert_error(Family::OpenAi, 400, "invalid_request");
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    for (name, value) in [
        ("x-seaworthy-timeout-ms", "99999999999999999999999"),
        ("x-seaworthy-timeout-ms", " 5000 "),
        ("x-seaworthy-priority", "LOW"),
    ] {
        app.upstream.will_send(ok(Dialect::OpenAiChat));
        let call = app.post("/v1/chat/completions", ask(Dialect::OpenAiChat, false));
        let answer = call.header(name, value).send().await;
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
    app.finish().await;
}
