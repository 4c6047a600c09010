//! Long requests and answers are guarded beside the worker: others are answered meanwhile, and whoever
//! does not want to wait for it is told so.

use seaworthy_core::dialect::Dialect;
use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::testing::Dice;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::app::{TestApp, eventually};
use crate::support::client::Answer;
use crate::support::upstream::Step;
use crate::support::wire::{self, json_response, usage_object};

const PATH: &str = "/v1/chat/completions";
/// So many times seven numbers are a quarter of a second of a processor's work.
const TIMES: usize = 400_000;

fn ask(text: &str) -> String {
    json!({"model": "echo", "messages": [{"role": "user", "content": text}]}).to_string()
}

/// A gateway on one thread, which screens something long that is refused in the end.
async fn busy() -> (TestApp, JoinHandle<Answer>) {
    let app = TestApp::builder()
        .sections("[input_validation]\nredact_pii = true\nfilter_secrets = \"block\"\n[output_handling]\nredact_pii = true")
        .start()
        .await;
    let mut dice = Dice::new(7);
    let examples = Secrets::built_in().unwrap();
    let mut examples = examples.examples(|count| dice.below(count)).into_iter();
    let secret = examples.find(|example| example.rule.starts_with("github"));
    let secret = secret.unwrap().text;
    let text = format!("{}{secret}", "4 8 1 5 9 2 6 ".repeat(TIMES));
    let long = tokio::spawn(app.post(PATH, ask(&text)).send());
    // Where the thread screens, nobody sees the call before it has ended.
    eventually("it is screened", || app.gateway.running_calls() == 1).await;
    (app, long)
}

#[tokio::test]
async fn others_are_answered_while_a_long_request_is_screened() {
    let (app, long) = busy().await;
    let answer = app.post(PATH, ask("Ahoy")).send().await;
    assert_eq!(answer.status, 200);
    assert!(!long.is_finished(), "the other one had to wait");
    let answer = long.await.unwrap();
    assert_eq!(answer.status, 400, "{:?}", answer.body);
    app.finish().await;
}

#[tokio::test]
async fn nobody_waits_longer_than_wished_for_a_place_to_be_screened() {
    let (app, long) = busy().await;
    let other = app.post(PATH, ask(&"Ahoy ".repeat(60_000)));
    let answer = other.header("x-seaworthy-timeout-ms", "20").send().await;
    assert_eq!(answer.status, 504, "{:?}", answer.body);
    assert!(!long.is_finished(), "it had to wait");
    assert_eq!(long.await.unwrap().status, 400);
    app.finish().await;
}

#[tokio::test]
async fn a_long_answer_waits_for_a_place_to_be_guarded_as_a_request_does() {
    let (app, long) = busy().await;
    let ask_for_it = || {
        let text = format!("{}jo.hull@harbour.example", "Ahoy ".repeat(60_000));
        let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": usage_object(Dialect::OpenAiChat)});
        app.upstream.will([Step::Send(json_response(200, &body))]);
        let path = wire::path(Dialect::OpenAiChat);
        app.post(path, wire::ask(Dialect::OpenAiChat, false))
    };
    let hasty = ask_for_it().header("x-seaworthy-timeout-ms", "50");
    let answer = hasty.send().await;
    assert_eq!(answer.status, 504, "{:?}", answer.body);
    assert!(answer.text().contains("the answer"), "{}", answer.text());
    assert!(!long.is_finished(), "it had to wait");
    assert_eq!(long.await.unwrap().status, 400);
    let patient = ask_for_it().send().await;
    let answer: Value = serde_json::from_slice(&patient.body).unwrap();
    let told = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(told.ends_with("Ahoy [REDACTED:email]"));
    app.finish().await;
}
