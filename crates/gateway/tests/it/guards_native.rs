//! Calls that only the provider's own API knows, and what their tools returned, while answers are guarded:
//! they arrive as they were, or not at all, whole and streamed, however the stream is cut.

mod bedrock;
mod items;
mod read;

use seaworthy_core::dialect::Dialect;
use serde_json::{Value, json};

use self::items::{FORMS, Form, Told};
use crate::support::app::{RESPONSES_AND_GEMINI, TestApp};
use crate::support::client::Answer;
use crate::support::plants::secret;
use crate::support::upstream::Step;
use crate::support::wire::{chunk, json_response, last_chunk, stream, stream_head_of};

/// Guards of everything that an answer may hold.
const GUARDS: &str = "[output_handling]\nfilter_secrets = true\nredact_pii = true\n\
                      escape_shell_commands = true\nvalidate_generated_code = true\n";

async fn guarded_by(guards: &str) -> TestApp {
    TestApp::with(&format!(
        "{RESPONSES_AND_GEMINI}{}{guards}",
        bedrock::SECTIONS
    ))
    .await
}

/// A stream with this item, its text in pieces of so many characters.
fn script(form: &Form, item: &Value, size: usize) -> Vec<Step> {
    let head = stream_head_of(form.stream_type());
    vec![head, chunk(form.streamed(item, size)), last_chunk()]
}

/// The bytes of an answer, for people; frames are not all text.
fn shown(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

async fn ask(app: &TestApp, form: &Form, is_stream: bool) -> Answer {
    asked(app, form, is_stream, &json!({})).await
}

async fn asked(app: &TestApp, form: &Form, is_stream: bool, more: &Value) -> Answer {
    let (path, mut body) = form.request(is_stream);
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let answer = app.post(path, body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{form:?}: {}", shown(&answer));
    assert!(answer.whole, "{form:?}: {}", shown(&answer));
    answer
}

/// What comes of this item, whole and streamed with its text in pieces of so many characters.
async fn both(app: &TestApp, form: &Form, item: &Value, size: usize) -> [(Answer, Told); 2] {
    app.upstream
        .will_send(json_response(200, &form.whole(item)));
    let whole = ask(app, form, false).await;
    app.upstream.will(script(form, item, size));
    let streamed = ask(app, form, true).await;
    let told = (form.read_whole(&whole), form.read_stream(&streamed));
    [(whole, told.0), (streamed, told.1)]
}

#[tokio::test(start_paused = true)]
async fn calls_of_every_form_arrive_as_they_were() {
    let app = guarded_by(GUARDS).await;
    for form in &FORMS {
        let item = form.item("look", "note the tide of 1977");
        for (answer, told) in both(&app, form, &item, 5).await {
            let Told { items, stop } = told;
            assert_eq!(items, [item.to_string()], "{form:?}: {}", shown(&answer));
            assert_eq!(stop, form.stop(), "{form:?}: {}", shown(&answer));
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_calls_is_the_same_however_it_is_cut() {
    let app = guarded_by(GUARDS).await;
    for form in &FORMS {
        let text = format!(
            "{{\"to\":\"jo.hull@harbour.example\",\"é\":\"{}\"}}",
            secret()
        );
        let item = form.item("look", &text);
        app.upstream.will(script(form, &item, 1_000));
        let expected = ask(&app, form, true).await.body;
        for size in [1, 2, 7] {
            app.upstream.will(script(form, &item, size));
            let answer = ask(&app, form, true).await;
            assert_eq!(answer.body, expected, "{form:?} in pieces of {size}");
        }
        for size in [1, 3, 64] {
            let whole = form.streamed(&item, 7);
            let chunks = whole.chunks(size).map(chunk);
            let script = [stream_head_of(form.stream_type())]
                .into_iter()
                .chain(chunks);
            app.upstream.will(script.chain([last_chunk()]));
            let answer = ask(&app, form, true).await;
            assert_eq!(answer.body, expected, "{form:?} in chunks of {size}");
        }
    }
    app.finish().await;
}

/// The most bytes of a plant that stand in a row in a text, from eight on.
fn leaked(text: &str, plant: &str) -> usize {
    let most = (8..=plant.len()).rev();
    let mut leaks = most.filter(|length| {
        let parts = plant.as_bytes().windows(*length);
        parts
            .into_iter()
            .any(|part| text.contains(str::from_utf8(part).unwrap()))
    });
    leaks.next().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn a_secret_in_a_call_or_its_result_leaks_no_byte() {
    let secret = secret();
    for (action, passes) in [("true", true), ("\"block\"", false)] {
        let app = guarded_by(&format!("[output_handling]\nfilter_secrets = {action}\n")).await;
        for form in &FORMS {
            let item = form.item("look", &format!("take {secret} along"));
            for (answer, told) in both(&app, form, &item, 4).await {
                let text = shown(&answer);
                assert_eq!(leaked(&text, &secret), 0, "{form:?}: {text}");
                assert_eq!(told.items.len(), usize::from(passes), "{form:?}: {text}");
                assert_eq!(text.contains("[REDACTED:"), passes, "{form:?}: {text}");
                if !passes {
                    assert_eq!(told.stop, form.refusal(), "{form:?}: {text}");
                }
            }
        }
        app.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn tools_that_are_denied_are_not_called_in_any_form() {
    let app = guarded_by("[guards.scope]\ndenied_tools = [\"delete_*\"]\n").await;
    let mut count = 0;
    for form in FORMS.iter().filter(|form| form.names_its_tool()) {
        let item = form.item("delete_all", "everything");
        for (answer, told) in both(&app, form, &item, 3).await {
            assert!(!shown(&answer).contains("delete_all"), "{}", shown(&answer));
            assert!(!shown(&answer).contains("everything"), "{}", shown(&answer));
            assert_eq!(told.stop, form.refusal(), "{form:?}: {}", shown(&answer));
            count += 1;
        }
    }
    let metrics = app.metrics().await;
    let line = format!("guard=\"scope\",place=\"tool_arguments\",action=\"block\"}} {count}");
    assert!(metrics.contains(&line), "{metrics}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn tools_without_names_count_by_what_they_are_offered_as() {
    for form in FORMS.iter().filter(|form| !form.names_its_tool()) {
        let item = form.item("", "the tide");
        let tool = form.offered_as();
        for (rule, passes) in [
            (format!("denied_tools = [{tool:?}]"), false),
            (format!("allowed_tools = [{tool:?}]"), true),
            ("allowed_tools = [\"other\"]".to_owned(), form.is_result()),
        ] {
            let app = guarded_by(&format!("[guards.scope]\n{rule}\n")).await;
            for (answer, told) in both(&app, form, &item, 3).await {
                let text = shown(&answer);
                assert_eq!(told.items.len(), usize::from(passes), "{rule}: {text}");
                assert_eq!(text.contains("the tide"), passes, "{rule}: {text}");
            }
            app.finish().await;
        }
    }
}

/// Whether the item passes, whole and streamed in pieces of so many bytes.
async fn expect_passes(app: &TestApp, form: &Form, item: &Value, size: usize, passes: bool) {
    for (answer, told) in both(app, form, item, size).await {
        let text = shown(&answer);
        assert_eq!(!told.items.is_empty(), passes, "{form:?}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn commands_are_judged_in_every_form_of_call_and_not_in_results() {
    let app = guarded_by("[output_handling]\nescape_shell_commands = true\n").await;
    for form in &FORMS {
        let tool = if form.names_its_tool() { "bash" } else { "" };
        let is_command = form.names_its_tool() || form.offered_as().contains("shell");
        let item = form.item(tool, "rm -rf /");
        expect_passes(&app, form, &item, 2, form.is_result() || !is_command).await;
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn lengths_hold_for_what_tools_are_given_and_not_for_what_they_return() {
    let app = guarded_by("[input_validation]\nmax_tool_param_length = 100\n").await;
    for form in &FORMS {
        let item = form.item("look", &"tide ".repeat(30));
        expect_passes(&app, form, &item, 50, form.is_result()).await;
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_stood_for_a_person_is_put_back_into_calls_of_every_form() {
    let app = guarded_by("[input_validation]\nredact_pii = \"tokenize\"\n").await;
    const MAIL: &str = "jo.hull@harbour.example";
    for form in &FORMS {
        let asking = form.asking(&format!("Write to {MAIL}."));
        let item = form.item("look", "nobody");
        app.upstream
            .will_send(json_response(200, &form.whole(&item)));
        asked(&app, form, false, &asking).await;
        let seen = app.upstream.received().last().unwrap().text();
        let start = seen.find("[EMAIL_").unwrap();
        let placeholder = &seen[start..=start + seen[start..].find(']').unwrap()];
        let item = form.item("look", &format!("to {placeholder} now"));
        let expected = form.item("look", &format!("to {MAIL} now")).to_string();
        app.upstream.will(script(form, &item, 3));
        let answer = asked(&app, form, true, &asking).await;
        let told = form.read_stream(&answer);
        assert_eq!(told.items, [expected], "{form:?}: {}", shown(&answer));
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_tool_with_effects_is_not_called_behind_what_the_answer_itself_returned() {
    let app = guarded_by("[guards.scope]\nside_effect_tools = [\"send_*\"]\n").await;
    let form = FORMS.iter().find(|form| form.kind == "mcp_call").unwrap();
    let asked = form.item("look", "the tide");
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1",
        "name": "send_mail", "arguments": "{}", "status": "completed"});
    for (items, passes) in [([&call, &asked], true), ([&asked, &call], false)] {
        let mut whole = form.whole(&asked);
        whole["output"] = json!(items);
        app.upstream.will_send(json_response(200, &whole));
        let whole = ask(&app, form, false).await;
        app.upstream.will(stream(form.stream_of(&items, 4)));
        let streamed = ask(&app, form, true).await;
        for answer in [whole, streamed] {
            let text = shown(&answer);
            assert_eq!(text.contains("send_mail"), passes, "{text}");
        }
    }
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_the_time_before_tools_are_answered_in_their_own_words() {
    let app = guarded_by(GUARDS).await;
    let form = FORMS
        .iter()
        .find(|form| form.kind == "function_call")
        .unwrap();
    let functions = json!({"functions": [{"name": "look", "parameters": {"type": "object"}}],
        "function_call": {"name": "look"}});
    let item = form.item("look", "the tide");
    app.upstream
        .will_send(json_response(200, &form.whole(&item)));
    let answer = asked(&app, form, false, &functions).await.json();
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["function_call"], item);
    assert_eq!(choice["message"].get("tool_calls"), None);
    assert_eq!(choice["finish_reason"], "function_call");
    let denied = guarded_by("[guards.scope]\ndenied_tools = [\"look\"]\n").await;
    let body = json!({"model": "gpt", "messages": [{"role": "user", "content": "Aye?"}],
        "function_call": {"name": "look"}});
    let answer = denied.post("/v1/chat/completions", body.to_string());
    let answer = answer.send().await;
    answer.assert_error(Dialect::OpenAiChat.family(), 400, "out_of_scope");
    denied.finish().await;
    app.finish().await;
}
