//! Keys that are for certain models, agents, tools and operations only.

use http::Method;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::{Role, Scopes};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::{Answer, Call};
use crate::support::wire::request;

async fn app_with_key(scopes: Scopes) -> (TestApp, String) {
    app_with(scopes, "").await
}

async fn app_with(scopes: Scopes, sections: &str) -> (TestApp, String) {
    let app = TestApp::builder().sections(sections).start().await;
    let wanted = NewKey {
        scopes,
        team_id: Some("blue".to_owned()),
        ..NewKey::of("scoped", "ada", Role::User)
    };
    let (key, _) = app.issue(wanted).await;
    app.keys_noticed().await;
    (app, key)
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn chat(app: &TestApp, key: &str, extra: &Value) -> Call {
    let body = request(Dialect::OpenAiChat, false, extra);
    let call = app.call(Method::POST, "/v1/chat/completions");
    call.key(key).body(body)
}

async fn ids(app: &TestApp, key: &str) -> Vec<String> {
    let listed: Answer = app.get("/v1/models").key(key).send().await;
    let models = listed.json();
    let models = models["data"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_for_some_models_sees_and_calls_no_other() {
    let scopes = Scopes {
        models: names(&["echo", "gp*"]),
        ..Scopes::default()
    };
    let (app, key) = app_with_key(scopes).await;
    assert_eq!(ids(&app, &key).await, ["echo", "gpt"]);
    assert_eq!(ids(&app, &app.user_key).await, ["claude", "echo", "gpt"]);
    let allowed = chat(&app, &key, &json!({"model": "echo"})).send().await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    let refused = chat(&app, &key, &json!({"model": "claude"})).send().await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    assert_eq!(refused.json()["error"]["param"], "model");
    let other = request(
        Dialect::AnthropicMessages,
        false,
        &json!({"model": "claude"}),
    );
    let other = app.call(Method::POST, "/v1/messages").key(&key).body(other);
    let refused = other.send().await;
    refused.assert_error(Family::Anthropic, 403, "permission_denied");
    assert_eq!(refused.json()["error"]["type"], "permission_error");
    let hidden = app.get("/v1/models/claude").key(&key).send().await;
    hidden.assert_error(Family::OpenAi, 404, "model_not_found");
    let unknown = chat(&app, &key, &json!({"model": "nope"})).send().await;
    unknown.assert_error(Family::OpenAi, 404, "model_not_found");
    assert!(!unknown.text().contains("claude"), "{}", unknown.text());
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_is_no_way_around_a_scope() {
    let scopes = Scopes {
        models: names(&["gpt-alias"]),
        ..Scopes::default()
    };
    let (app, key) = app_with_key(scopes).await;
    let refused = chat(&app, &key, &json!({"model": "gpt-alias"}))
        .send()
        .await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_for_some_operations_and_tools_does_nothing_else() {
    let scopes = Scopes {
        operations: names(&["chat"]),
        tools: names(&["search"]),
        ..Scopes::default()
    };
    let (app, key) = app_with_key(scopes).await;
    let tool = |name: &str| json!({"model": "echo", "tools": [{"type": "function", "function": {"name": name, "parameters": {}}}]});
    let allowed = chat(&app, &key, &tool("search")).send().await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    let refused = chat(&app, &key, &tool("shell")).send().await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    let searching = json!({"model": "echo", "web_search_options": {}});
    let refused = chat(&app, &key, &searching).send().await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    // Google takes several tools in one.
    for (tool, status) in [
        (json!({"functionDeclarations": [{"name": "search"}]}), 200),
        (
            json!({"functionDeclarations": [{"name": "search"}], "codeExecution": {}}),
            403,
        ),
    ] {
        let body = json!({"contents": [{"parts": [{"text": "hi"}]}], "tools": [tool]});
        let call = app.call(Method::POST, "/v1beta/models/echo:generateContent");
        let answer = call.key(&key).body(body.to_string()).send().await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let count = app.call(Method::POST, "/v1/messages/count_tokens");
    let count = count.key(&key).body(request(
        Dialect::AnthropicMessages,
        false,
        &json!({"model": "echo"}),
    ));
    let refused = count.send().await;
    refused.assert_error(Family::Anthropic, 403, "permission_denied");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_for_an_agent_calls_as_that_agent_only() {
    let scopes = Scopes {
        agents: names(&["planner"]),
        ..Scopes::default()
    };
    let (app, key) = app_with_key(scopes).await;
    let ask = || chat(&app, &key, &json!({"model": "echo"}));
    let silent = ask().send().await;
    assert_eq!(silent.status, 200);
    let named = ask().header("x-seaworthy-agent", "planner").send().await;
    assert_eq!(named.status, 200);
    let other = ask().header("x-seaworthy-agent", "coder").send().await;
    other.assert_error(Family::OpenAi, 403, "permission_denied");
    let odd = ask().header("x-seaworthy-agent", "a b").send().await;
    odd.assert_error(Family::OpenAi, 400, "invalid_request");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn limits_tell_teams_agents_and_sessions_apart() {
    for (section, header) in [
        ("[rate_limits]\nper_team = \"1/hour\"\n", None),
        (
            "[rate_limits]\nper_agent = \"1/hour\"\n",
            Some("x-seaworthy-agent"),
        ),
        (
            "[cost_controls.per_session]\ntotal_token_limit = 9000\n",
            Some("x-seaworthy-session-id"),
        ),
    ] {
        let (app, key) = app_with(Scopes::default(), section).await;
        let ask = |key: &str, name: &str| {
            let call = chat(&app, key, &json!({"model": "echo", "max_tokens": 5000}));
            match header {
                Some(header) => call.header(header, name),
                None => call,
            }
        };
        assert_eq!(ask(&key, "one").send().await.status, 200, "{section}");
        let again = |name: &'static str| ask(&key, name).send();
        if header.is_some() {
            let other = again("two").await;
            assert_eq!(other.status, 200, "{section}: {}", other.text());
        } else {
            assert_eq!(again("one").await.status, 429, "{section}");
            let other = ask(&app.user_key, "one").send().await;
            assert_eq!(other.status, 200, "a key without a team: {section}");
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_names_team_agent_and_session() {
    let (app, key) = app_with_key(Scopes::default()).await;
    let call = chat(&app, &key, &json!({"model": "echo"}));
    let call = call.header("x-seaworthy-agent", "planner");
    let call = call.header("x-seaworthy-session-id", "s:1");
    assert_eq!(call.send().await.status, 200);
    let log = app.finish().await;
    for field in [
        "\"team_id\":\"blue\"",
        "\"agent\":\"planner\"",
        "\"session_id\":\"s:1\"",
    ] {
        assert!(log.contains(field), "{field} in {log}");
    }
}
