//! What a provider charges for tools that it runs itself, such as a search: charged as often as it
//! reports, reserved as often as it may happen, and bounded where nobody else does.

use seaworthy_core::dialect::Dialect;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::wire::{chunk, json_response, last_chunk, request, stream_head};

/// Tokens that cost nothing, so that only tools do, and a provider that is asked for Responses.
const FREE_TOKENS: &str = "[providers.answers]\nkind = \"openai\"\napi = \"responses\"\n\
                           base_url = \"http://openai.test/v1\"\napi_key = \"secret://env/OPENAI_KEY\"\n\
                           [models.asked]\ntargets = [\"answers/gpt-real\"]\n\
                           [prices.\"answers/gpt-real\"]\ninput = 0\noutput = 0\n\
                           [prices.\"anthropic/claude-real\"]\ninput = 0\noutput = 0\n";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

fn response(items: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": "gpt-real", "output": items,
        "usage": {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10},
    })
}

fn responses(tools: &Value) -> String {
    json!({
        "model": "asked", "max_output_tokens": 20, "input": "Where is the wreck?", "store": false,
        "tools": tools,
    })
    .to_string()
}

/// An answer with two searches in it, of which the provider counts so many.
pub(super) fn message(counted: u64) -> Value {
    let search = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    json!({
        "id": "m", "type": "message", "role": "assistant", "model": "claude-real",
        "content": [search, search, {"type": "text", "text": "At the reef."}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 5,
                  "server_tool_use": {"web_search_requests": counted}},
    })
}

pub(super) fn searching(bound: &Value) -> bytes::Bytes {
    let mut tool = json!({"type": "web_search_20250305", "name": "web_search"});
    tool.as_object_mut()
        .unwrap()
        .extend(bound.as_object().unwrap().clone());
    request(Dialect::AnthropicMessages, false, &json!({"tools": [tool]}))
}

#[tokio::test(start_paused = true)]
async fn searches_and_pictures_of_openai_are_charged_by_the_built_in_list() {
    let app = TestApp::builder().sections(FREE_TOKENS).start().await;
    let items = json!([
        {"type": "web_search_call", "id": "a", "status": "completed", "action": {"type": "search"}},
        {"type": "web_search_call", "id": "b", "status": "completed", "action": {"type": "search"}},
        {"type": "web_search_call", "id": "c", "status": "completed", "action": {"type": "open_page"}},
        {"type": "file_search_call", "id": "d", "status": "completed"},
        {"type": "image_generation_call", "id": "e", "status": "completed", "result": ""},
    ]);
    app.upstream
        .will_send(json_response(200, &response(&items)));
    let tools =
        json!([{"type": "web_search"}, {"type": "file_search"}, {"type": "image_generation"}]);
    let answer = app.post(RESPONSES, responses(&tools)).send().await;
    assert_eq!(
        answer.header("x-seaworthy-cost-usd"),
        "0.272500",
        "{}",
        answer.text()
    );
    let settled = app.only_settlement().await;
    assert_eq!((settled.extras.tool_calls, settled.extras.images), (3, 1));
    assert!(!settled.flags.over_reserved);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn anthropic_is_charged_for_the_searches_that_it_counts_whole_or_streamed() {
    let app = TestApp::builder().sections(FREE_TOKENS).start().await;
    app.upstream.will_send(json_response(200, &message(1)));
    let answer = app.post(MESSAGES, searching(&json!({}))).send().await;
    assert_eq!(
        answer.header("x-seaworthy-cost-usd"),
        "0.010000",
        "{}",
        answer.text()
    );
    let begin = json!({"type": "content_block_start", "index": 0, "content_block": message(0)["content"][0]});
    let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 5, "server_tool_use": {"web_search_requests": 3}}});
    let start = json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
        "content": [], "model": "claude-real", "usage": {"input_tokens": 5, "output_tokens": 1}}});
    let stop = json!({"type": "content_block_stop", "index": 0});
    let all = [start, begin, stop, end, json!({"type": "message_stop"})];
    let text: String = all
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap()
            )
        })
        .collect();
    app.upstream
        .will([stream_head(), chunk(text), last_chunk()]);
    let tools = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let body = request(Dialect::AnthropicMessages, true, &tools);
    app.post(MESSAGES, body).send().await;
    let costs: Vec<_> = app
        .settlements()
        .await
        .iter()
        .map(|call| call.cost.0)
        .collect();
    assert_eq!(costs, [10_000, 30_000]);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_price_of_the_configuration_takes_the_place_of_a_fee() {
    let own = "[tool_prices]\nweb_search = 0.5\n";
    let app = TestApp::builder()
        .sections(FREE_TOKENS)
        .sections(own)
        .start()
        .await;
    app.upstream.will_send(json_response(200, &message(2)));
    let answer = app.post(MESSAGES, searching(&json!({}))).send().await;
    assert_eq!(
        answer.header("x-seaworthy-cost-usd"),
        "1.000000",
        "{}",
        answer.text()
    );
    app.finish().await;
}

/// A budget of 30 searches. Each request reserves as many as it may make, and is bounded by that.
#[tokio::test(start_paused = true)]
async fn searches_are_reserved_and_bounded_by_what_was_reserved() {
    let budget = "[cost_config]\ndaily_budget_usd = 0.3\n";
    let app = TestApp::builder()
        .sections(FREE_TOKENS)
        .sections(budget)
        .start()
        .await;
    let sent = |body: bytes::Bytes| {
        app.upstream.will_send(json_response(200, &message(0)));
        app.post(MESSAGES, body).send()
    };
    assert_eq!(sent(searching(&json!({}))).await.status, 200);
    assert_eq!(sent(searching(&json!({"max_uses": 30}))).await.status, 200);
    let bounds: Vec<Value> = app
        .upstream
        .received()
        .iter()
        .map(|asked| {
            serde_json::from_str::<Value>(&asked.text()).unwrap()["tools"][0]["max_uses"].clone()
        })
        .collect();
    assert_eq!(bounds, [json!(4), json!(30)]);
    // One more than the budget has.
    let answer = app
        .post(MESSAGES, searching(&json!({"max_uses": 31})))
        .send()
        .await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    app.upstream
        .will_send(json_response(200, &response(&json!([]))));
    let answer = app
        .post(RESPONSES, responses(&json!([{"type": "web_search"}])))
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let last = app.upstream.received().pop().unwrap();
    let body: Value = serde_json::from_str(&last.text()).unwrap();
    assert_eq!(body["max_tool_calls"], 4);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_offers_no_tool_of_the_provider_reserves_nothing_for_any() {
    let budget = "[cost_config]\ndaily_budget_usd = 0.001\n";
    let app = TestApp::builder()
        .sections(FREE_TOKENS)
        .sections(budget)
        .start()
        .await;
    app.upstream
        .will_send(json_response(200, &response(&json!([]))));
    let tool = json!([{"type": "function", "name": "web_search", "parameters": {}}]);
    let answer = app.post(RESPONSES, responses(&tool)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let asked: Value = serde_json::from_str(&app.upstream.only_request().text()).unwrap();
    assert_eq!(asked.get("max_tool_calls"), None);
    app.finish().await;
}
