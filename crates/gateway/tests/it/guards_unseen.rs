//! Parts of a conversation that a request only names: guards cannot judge what they do not see, and
//! `guards.on_failure` says what follows.

use seaworthy_core::dialect::Family;
use serde_json::{Value, json};

use crate::support::app::{RESPONSES_AND_GEMINI, TestApp};
use crate::support::wire::json_response;

const GEMINI: &str = "/v1beta/models/gemini:generateContent";

/// What names something that its provider keeps, and the member that says so.
fn named() -> [(&'static str, Value, &'static str); 6] {
    let words = json!({"role": "user", "content": "Go on."});
    let asks = |more: Value| {
        let mut body = json!({"model": "responses", "store": false, "input": [words]});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let path = "/v1/responses";
    let reference = json!([{"type": "item_reference", "id": "fco_1"}, words]);
    [
        (path, asks(json!({"input": reference})), "input"),
        (
            path,
            asks(json!({"input": [words, {"id": "msg_1"}]})),
            "input",
        ),
        (
            path,
            asks(json!({"conversation": "conv_1"})),
            "conversation",
        ),
        (
            path,
            asks(json!({"conversation": {"id": "conv_1"}})),
            "conversation",
        ),
        (
            GEMINI,
            json!({"cachedContent": "cachedContents/1",
            "contents": [{"role": "user", "parts": [{"text": "Go on."}]}]}),
            "cachedContent",
        ),
        (
            GEMINI,
            json!({"cached_content": "cachedContents/1",
            "contents": [{"role": "user", "parts": [{"text": "Go on."}]}]}),
            "cached_content",
        ),
    ]
}

fn answer(path: &str) -> Value {
    match path {
        GEMINI => json!({"candidates": [{"content": {"parts": [{"text": "Aye."}],
            "role": "model"}, "finishReason": "STOP", "index": 0}]}),
        _ => json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
            "model": "real", "output": [], "error": null, "incomplete_details": null}),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_named_is_refused_while_conversations_are_judged() {
    for guards in [
        "[input_validation]\nreject_known_injection_patterns = true\n",
        "[input_validation]\nfilter_secrets = true\n",
        "[input_validation]\nmax_input_length = 1000\n",
        "[guards.scope]\nside_effect_tools = [\"send_*\"]\n",
        "[guards.moderation]\ninput = \"block\"\n",
    ] {
        let app = TestApp::with(&format!("{RESPONSES_AND_GEMINI}{guards}")).await;
        for (path, body, member) in named() {
            let answer = app.post(path, body.to_string()).send().await;
            let family = match path {
                GEMINI => Family::Gemini,
                _ => Family::OpenAi,
            };
            assert_eq!(answer.status, 400, "{body}: {}", answer.text());
            assert!(
                answer.text().contains(&format!("`{member}`")),
                "{}",
                answer.text()
            );
            if family == Family::OpenAi {
                assert_eq!(answer.json()["error"]["param"], member);
            }
        }
        let metrics = app.metrics().await;
        let line = "guard=\"unreadable\",place=\"input\",action=\"block\"} 6";
        assert!(metrics.contains(line), "{metrics}");
        assert_eq!(app.upstream.received().len(), 0);
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_only_named_passes_where_that_is_allowed_or_nothing_depends_on_it() {
    for (guards, count) in [
        (
            "[input_validation]\nfilter_secrets = true\n[guards]\non_failure = \"allow\"\n",
            6,
        ),
        ("[output_handling]\nfilter_secrets = true\n", 0),
    ] {
        let app = TestApp::with(&format!("{RESPONSES_AND_GEMINI}{guards}")).await;
        for (path, body, _) in named() {
            app.upstream.will_send(json_response(200, &answer(path)));
            let answer = app.post(path, body.to_string()).send().await;
            assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        }
        let metrics = app.metrics().await;
        let line = format!("guard=\"unreadable\",place=\"input\",action=\"flag\"}} {count}");
        assert_eq!(metrics.contains(&line), count > 0, "{metrics}");
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn members_of_these_names_elsewhere_and_items_with_words_name_nothing() {
    let guards = "[input_validation]\nfilter_secrets = true\n";
    let app = TestApp::with(&format!("{RESPONSES_AND_GEMINI}{guards}")).await;
    let said = json!([{"id": "msg_1", "role": "assistant", "content": "The conversation of 1977."},
        {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "look",
            "arguments": "{\"conversation\":\"conv_1\"}"},
        {"type": "function_call_output", "call_id": "c", "output": "item_reference"},
        {"id": "msg_2", "content": "Go on.", "role": "user"}]);
    let body = json!({"model": "responses", "store": false, "input": said, "conversation": null,
        "metadata": {"conversation": "conv_1"}});
    app.upstream
        .will_send(json_response(200, &answer("/v1/responses")));
    let answer = app.post("/v1/responses", body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.finish().await;
}
