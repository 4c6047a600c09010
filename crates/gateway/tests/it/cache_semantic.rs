//! Remembered answers to other words, answers from a file, and forgetting all of them.

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::{Role, Scopes};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::wire::{json_response, ok, reply, usage_object};

const OPENAI: Dialect = Dialect::OpenAiChat;

async fn with_meanings(more: &str) -> TestApp {
    with_meanings_and(more, "").await
}

async fn with_meanings_and(more: &str, sections: &str) -> TestApp {
    let sections = format!(
        "[cache]\nenabled = true\n{more}\n[cache.semantic]\nmodel = \"gpt-alias\"\nthreshold = 0.9\n\
         {sections}"
    );
    TestApp::builder().sections(&sections).start().await
}

fn said(words: &str, more: &Value) -> String {
    let mut body = json!({"model": "gpt", "messages": [{"role": "user", "content": words}]});
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    body.to_string()
}

fn vector(of: [f32; 2]) -> bytes::Bytes {
    json_response(
        200,
        &json!({"object": "list", "model": "gpt-real",
            "data": [{"object": "embedding", "index": 0, "embedding": of}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3}}),
    )
}

fn answer(text: &str) -> bytes::Bytes {
    let mut body = reply(OPENAI, false, &usage_object(OPENAI));
    body["choices"][0]["message"]["content"] = json!(text);
    json_response(200, &body)
}

async fn ask(app: &TestApp, key: &str, body: String) -> Answer {
    let call = app
        .call(http::Method::POST, "/v1/chat/completions")
        .key(key);
    call.body(body).send().await
}

#[tokio::test(start_paused = true)]
async fn other_words_with_the_same_meaning_get_the_answer_and_every_call_is_recorded() {
    let app = with_meanings("").await;
    let key = app.user_key.clone();
    app.upstream.will_send(vector([1.0, 0.0]));
    app.upstream.will_send(answer("tight"));
    let first = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    assert_eq!(
        first.header("x-seaworthy-cache"),
        "miss",
        "{}",
        first.text()
    );
    app.upstream.will_send(vector([0.95, 0.1]));
    let second = ask(&app, &key, said("Does the hull leak?", &json!({}))).await;
    assert_eq!(second.header("x-seaworthy-cache"), "semantic");
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("age"), "0");
    // Below the threshold.
    app.upstream.will_send(vector([0.0, 1.0]));
    app.upstream.will_send(answer("noon"));
    let third = ask(&app, &key, said("When is dinner?", &json!({}))).await;
    assert_eq!(third.header("x-seaworthy-cache"), "miss");
    let settlements = app.settlements().await;
    let count = |operation: &str| {
        let of = settlements
            .iter()
            .filter(|settled| settled.operation == operation);
        of.filter(|settled| *settled.user_id == *"the-user").count()
    };
    assert_eq!((count("embeddings"), count("chat")), (3, 2));
    let metrics = app.metrics().await;
    assert!(
        metrics.contains("seaworthy_cache_hits_total{kind=\"semantic\"} 1\n"),
        "{metrics}"
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_other_words_costs_what_comparing_them_did() {
    let prices = "[prices.\"openai/gpt-real\"]\ninput = 1000\noutput = 5000\n";
    let app = with_meanings_and("", prices).await;
    let key = app.user_key.clone();
    app.upstream.will_send(vector([1.0, 0.0]));
    app.upstream.will_send(answer("tight"));
    let first = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    let paid: f64 = first.header("x-seaworthy-cost-usd").parse().unwrap();
    assert!(paid > 0.003, "{paid}");
    app.upstream.will_send(vector([0.95, 0.1]));
    let second = ask(&app, &key, said("Does the hull leak?", &json!({}))).await;
    assert_eq!(second.header("x-seaworthy-cache"), "semantic");
    // Three tokens in.
    assert_eq!(second.header("x-seaworthy-cost-usd"), "0.003000");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn another_tenant_instruction_or_parameter_is_never_the_same() {
    let app = with_meanings("").await;
    let (user, admin) = (app.user_key.clone(), app.admin_key.clone());
    app.upstream.will_send(vector([1.0, 0.0]));
    app.upstream.will_send(answer("for the user"));
    ask(&app, &user, said("Is the hull tight?", &json!({}))).await;
    let other_words = "Does the hull leak?";
    let instructed = json!({"messages": [{"role": "system", "content": "Lie."},
        {"role": "user", "content": other_words}]});
    let longer = json!({"messages": [{"role": "user", "content": "Ahoy."},
        {"role": "assistant", "content": "Ahoy."}, {"role": "user", "content": other_words}]});
    for (key, more) in [
        (&admin, json!({})),
        (&user, json!({"temperature": 0})),
        (
            &user,
            json!({"tools": [{"type": "function", "function": {"name": "a"}}]}),
        ),
        (&user, instructed),
        (&user, longer),
    ] {
        app.upstream.will_send(vector([1.0, 0.0]));
        app.upstream.will_send(answer("another"));
        let answer = ask(&app, key, said(other_words, &more)).await;
        assert_eq!(answer.header("x-seaworthy-cache"), "miss", "{more}");
        assert!(!answer.text().contains("for the user"), "{more}");
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_embeddings_model_the_provider_is_asked_as_ever() {
    let app = with_meanings("").await;
    app.upstream
        .will_send(json_response(400, &json!({"error": {"message": "no"}})));
    app.upstream.will_send(ok(OPENAI));
    let key = app.user_key.clone();
    let answer = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    // What is known to the letter needs no meaning.
    let again = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    assert_eq!(again.header("x-seaworthy-cache"), "hit");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_fills_the_memory_and_the_operator_empties_it() {
    let app = TestApp::builder()
        .sections("[cache]\nenabled = true\n")
        .start()
        .await;
    let request: Value = serde_json::from_str(&said("Is the hull tight?", &json!({}))).unwrap();
    let response = |user: &str| {
        let chat = Dialect::OpenAiChat;
        let mut response = reply(chat, false, &usage_object(chat));
        response["id"] = json!(format!("for {user}"));
        response
    };
    let line = |user: &str| {
        json!({"path": "/v1/chat/completions", "user": user, "request": request,
            "response": response(user)})
    };
    let text = format!("{}\n\n{}\n", line("the-user"), line("somebody else"));
    assert_eq!(app.gateway.warm_up(&text).await, Ok(2));
    let key = app.user_key.clone();
    let answer = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    assert_eq!(answer.header("x-seaworthy-cache"), "hit");
    assert_eq!(answer.json(), response("the-user"));
    for (wrong, why) in [
        ("{}".to_owned(), "line 1: missing field"),
        (
            line("a").to_string().replace("\"choices\"", "\"chances\""),
            "no answer of `/v1/chat/completions`",
        ),
        (
            line("a").to_string().replace("\"user\":\"a\",", ""),
            "expected `user`",
        ),
        (
            line("a").to_string().replace("\"gpt\"", "\"none\""),
            "there is no model `none`",
        ),
        (
            line("a")
                .to_string()
                .replace("/v1/chat/completions", "/v1/moderations"),
            "not remembered",
        ),
    ] {
        let error = app.gateway.warm_up(&wrong).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let purge = |key: &str| {
        app.call(http::Method::POST, "/admin/v1/cache/purge")
            .key(key)
            .send()
    };
    let refused = purge(&app.user_key).await;
    refused.assert_error(Family::OpenAi, 403, "permission_denied");
    assert_eq!(purge(&app.admin_key).await.json(), json!({"purged": 2}));
    app.upstream.will_send(ok(OPENAI));
    let answer = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
    assert_eq!(answer.header("x-seaworthy-cache"), "miss");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn words_of_a_key_that_is_not_for_the_embeddings_model_do_not_go_there() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let sections = "[cache]\nenabled = true\n[cache.semantic]\nmodel = \"meanings\"\n\
        [models.meanings]\ntargets = [\"openai/meanings\"]\n";
    let scoped = [
        (Scopes::default(), 2),
        (
            Scopes {
                models: names(&["gpt"]),
                ..Scopes::default()
            },
            1,
        ),
        (
            Scopes {
                operations: names(&["chat"]),
                ..Scopes::default()
            },
            1,
        ),
    ];
    for (scopes, calls) in scoped {
        let app = TestApp::builder().sections(sections).start().await;
        let wanted = NewKey {
            scopes,
            ..NewKey::of("scoped", "ada", Role::User)
        };
        let (key, _) = app.issue(wanted).await;
        app.keys_noticed().await;
        if calls == 2 {
            app.upstream.will_send(vector([1.0, 0.0]));
        }
        app.upstream.will_send(answer("tight"));
        let asked = ask(&app, &key, said("Is the hull tight?", &json!({}))).await;
        assert_eq!(asked.status, 200, "{}", asked.text());
        assert_eq!(app.upstream.requests(), calls);
        app.finish().await;
    }
}
