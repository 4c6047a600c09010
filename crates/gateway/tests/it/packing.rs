//! Bodies that are packed: what callers send, and what they get.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use seaworthy_core::dialect::Dialect;
use seaworthy_edge::coding::{Coding, pack, unpack};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::upstream::Step;
use crate::support::wire::{
    DIALECTS, ask, chunk, events, http, last_chunk, ok, path, reply, request, stream_head,
    usage_object, used,
};

const ALL: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

#[tokio::test(start_paused = true)]
async fn packed_requests_reach_the_provider_as_they_were() {
    let app = TestApp::start().await;
    for dialect in DIALECTS {
        for coding in ALL {
            let body = ask(dialect, false);
            let packed = pack(&[body], coding).await.unwrap();
            app.upstream.will_send(ok(dialect));
            let call = app.post(path(dialect), packed);
            let answer = call
                .header("content-encoding", coding.as_str())
                .send()
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let received = app.upstream.received().pop().unwrap();
            assert_eq!(received.header("content-encoding"), "");
            let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
            assert!(body.is_object());
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_unpacked_is_refused_in_the_callers_words() {
    let app = TestApp::start().await;
    for dialect in DIALECTS {
        let send = |body: Bytes, coding: &'static str| {
            app.post(path(dialect), body)
                .header("content-encoding", coding)
                .send()
        };
        let body = ask(dialect, false);
        let answer = send(body.clone(), "compress").await;
        answer.assert_error(dialect.family(), 415, "invalid_request");
        assert_eq!(answer.header("accept-encoding"), "gzip, deflate, br, zstd");
        let answer = send(body, "gzip").await;
        answer.assert_error(dialect.family(), 400, "invalid_request");
        // A gigabyte of nothing.
        let zeros = vec![Bytes::from(vec![b' '; 1 << 20]); 64];
        for coding in ALL {
            let bomb = pack(&zeros, coding).await.unwrap();
            let answer = send(bomb, coding.as_str()).await;
            answer.assert_error(dialect.family(), 413, "request_too_large");
        }
    }
    assert_eq!(app.upstream.requests(), 0);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn long_answers_are_packed_where_the_caller_asks_for_it() {
    let app = TestApp::start().await;
    let text = "ahoy there ".repeat(1000);
    let more = json!({"model": "echo", "messages": [{"role": "user", "content": text}]});
    let long = || request(Dialect::OpenAiChat, false, &more);
    let plain = app.post("/v1/chat/completions", long()).send().await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("vary"), "accept-encoding");
    for coding in ALL {
        let call = app.post("/v1/chat/completions", long());
        let answer = call.header("accept-encoding", coding.as_str()).send().await;
        assert_eq!(answer.header("content-encoding"), coding.as_str());
        assert!(answer.whole && answer.body.len() < plain.body.len() / 4);
        let body = unpack(answer.body, &[coding], 1 << 20).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["choices"], plain.json()["choices"]);
    }
    for accepted in ["identity", "gzip;q=0", "compress"] {
        let call = app.post("/v1/chat/completions", long());
        let answer = call.header("accept-encoding", accepted).send().await;
        assert_eq!(answer.header("content-encoding"), "");
    }
    let short = app
        .get("/health/live")
        .header("accept-encoding", "gzip")
        .send()
        .await;
    assert_eq!(
        (short.header("content-encoding"), short.header("vary")),
        ("", "")
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn each_event_of_a_stream_comes_at_once_and_as_it_is() {
    let app = TestApp::start().await;
    for dialect in DIALECTS {
        let events = events(dialect, false);
        let pause = std::time::Duration::from_secs(5);
        let mut script = vec![stream_head()];
        for event in &events {
            script.push(chunk(event));
            script.push(Step::Pause(pause));
        }
        script.push(last_chunk());
        app.upstream.will(script);
        let call = app.post(path(dialect), ask(dialect, true));
        let mut open = call
            .header("accept-encoding", "zstd, br, gzip")
            .open()
            .await;
        assert!(!open.response.headers().contains_key("content-encoding"));
        let started = tokio::time::Instant::now();
        open.next().await.unwrap();
        assert!(started.elapsed() < pause, "{:?}", started.elapsed());
        let rest = open.rest().await;
        assert!(rest.whole);
    }
    app.finish().await;
}

/// A whole answer of a provider that packs it.
async fn packed_answer(status: u16, body: String, coding: Coding) -> Bytes {
    let body = pack(&[Bytes::from(body)], coding).await.unwrap();
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", coding.as_str()),
    ];
    http(status, &headers, body)
}

/// A stream of a provider that packs it, cut into pieces of seven bytes.
async fn packed_stream(body: String, coding: Coding) -> Vec<Step> {
    let body = pack(&[Bytes::from(body)], coding).await.unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
         content-encoding: {}\r\n\r\n",
        coding.as_str()
    );
    let mut script = vec![Step::Send(head.into())];
    script.extend(body.chunks(7).map(chunk));
    script.push(last_chunk());
    script
}

/// Providers that pack though nobody asked: callers, figures and guards see what was packed.
#[tokio::test(start_paused = true)]
async fn answers_that_providers_pack_are_unpacked_metered_and_guarded() {
    let guards = "[output_handling]\nredact_pii = true\n";
    for rules in ["", guards] {
        let app = TestApp::builder().sections(rules).start().await;
        for dialect in DIALECTS {
            let body = reply(dialect, false, &usage_object(dialect)).to_string();
            let body = body.replace("tight as a drum", "ada.lovelace@gmail.com");
            app.upstream
                .will_send(http(200, &[("content-type", "application/json")], &body));
            let plain = app.post(path(dialect), ask(dialect, false)).send().await;
            let events = events(dialect, false).concat();
            app.upstream.will(crate::support::wire::stream(&events));
            let streamed = app.post(path(dialect), ask(dialect, true)).send().await;
            for coding in ALL {
                let before = app.settlements().await.len();
                let answer = packed_answer(200, body.clone(), coding).await;
                app.upstream.will_send(answer);
                let answer = app.post(path(dialect), ask(dialect, false)).send().await;
                assert_eq!(answer.status, 200, "{coding:?}: {}", answer.text());
                assert_eq!(answer.header("content-encoding"), "");
                assert_eq!(answer.body, plain.body, "{coding:?}");
                assert_eq!(answer.text().contains("ada.lovelace"), rules.is_empty());
                app.upstream
                    .will(packed_stream(events.clone(), coding).await);
                let answer = app.post(path(dialect), ask(dialect, true)).send().await;
                assert!(answer.whole && answer.status == 200);
                assert_eq!(answer.body, streamed.body, "{coding:?}");
                let settled = app.settlements().await;
                assert_eq!(settled.len(), before + 2);
                for settlement in &settled[before..] {
                    assert_eq!(settlement.usage, used(dialect), "{coding:?}");
                }
            }
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_packed_answer_that_cannot_be_taken_is_the_providers_fault() {
    let app = TestApp::builder()
        .server("max_response_size = \"1MB\"")
        .start()
        .await;
    let zeros = " ".repeat(8 << 20);
    for dialect in DIALECTS {
        for coding in ALL {
            let bomb = packed_answer(200, zeros.clone(), coding).await;
            app.upstream.will_send(bomb);
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_response_too_large");
            // Errors are packed, too.
            let error = json!({"type": "error", "error": {"type": "invalid_request_error",
                "message": "No such well."}});
            let error = packed_answer(400, error.to_string(), coding).await;
            app.upstream.will_send(error);
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            assert_eq!(answer.status, 400);
            assert!(answer.text().contains("No such well."), "{}", answer.text());
        }
        for coding in ["gzip", "compress"] {
            let headers = [
                ("content-type", "application/json"),
                ("content-encoding", coding),
            ];
            app.upstream
                .will_send(http(200, &headers, "not packed at all"));
            let answer = app.post(path(dialect), ask(dialect, false)).send().await;
            answer.assert_error(dialect.family(), 502, "upstream_invalid_response");
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn head_tells_the_length_that_get_has() {
    let app = TestApp::start().await;
    for coding in ["", "gzip"] {
        let ask = |method| {
            let call = app.call(method, "/admin/v1/config").key(&app.admin_key);
            match coding {
                "" => call,
                _ => call.header("accept-encoding", coding),
            }
        };
        let (get, head) = (
            ask(Method::GET).send().await,
            ask(Method::HEAD).send().await,
        );
        assert_eq!(get.header("content-encoding"), coding);
        assert!(head.body.is_empty());
        for name in ["content-length", "content-encoding", "content-type", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name} {coding:?}");
        }
    }
    app.finish().await;
}

/// Prometheus asks for it with every scrape.
#[tokio::test(start_paused = true)]
async fn metrics_are_packed_like_any_other_long_answer() {
    let app = TestApp::start().await;
    let call = app.get("/metrics").header("accept-encoding", "gzip");
    let answer = call.send().await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.header("vary"), "accept-encoding");
    assert!(answer.body.len() < 20_000, "{}", answer.body.len());
    app.finish().await;
}

/// Over HTTP/1.1 it is the connection that leaves the rest out.
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_behind_the_head_over_http_2() {
    let app = TestApp::start().await;
    let io = TokioIo::new(app.connect());
    let (mut sender, driver) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let driver = tokio::spawn(driver);
    for (path, status) in [
        ("/health", 200),
        ("/metrics", 200),
        ("/v1/chat/completions", 405),
    ] {
        let ask = |method| {
            Request::builder()
                .method(method)
                .uri(format!("http://a{path}"))
                .body(Empty::<Bytes>::new())
                .unwrap()
        };
        let response = sender.send_request(ask(Method::HEAD)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        let length = response.headers()["content-length"].to_str().unwrap();
        assert!(length.parse::<usize>().unwrap() > 90, "{path}: {length}");
        // The client ends the stream with an error when anything comes.
        let rest = response.into_body().collect().await.unwrap().to_bytes();
        assert!(rest.is_empty(), "{path}");
    }
    drop(sender);
    let _ended = driver.await.unwrap();
    app.finish().await;
}
