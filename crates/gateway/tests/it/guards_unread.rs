//! Parts of a request that only its provider can read, though a model does: `guards.unread_parts` says what
//! follows, and without a word of it they pass and are told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seaworthy_fake_provider::{Options, Running, serve};
use serde_json::{Value, json};

use crate::guards_embeddings::code;
use crate::matrix;
use crate::support::app::TestApp;

/// What makes the guards judge requests.
const JUDGED: &str = "[input_validation]\nreject_known_injection_patterns = true\n";

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/gemini:generateContent";
const BEDROCK: &str = "/model/bedrock/converse";

/// A request with one part that cannot be read.
struct Case {
    path: &'static str,
    body: Value,
    /// Where the part stands.
    at: String,
    place: &'static str,
}

/// A request at this path whose user says this.
fn asking(path: &str, part: &Value) -> Value {
    let text = json!({"type": "text", "text": "Read it."});
    match path {
        CHAT => json!({"model": "openai", "messages": [{"role": "user", "content": [text, part]}]}),
        RESPONSES => json!({"model": "openai-responses", "store": false,
            "input": [{"role": "user", "content": [part]}]}),
        GEMINI => json!({"contents": [{"role": "user", "parts": [{"text": "Read it."}, part]}]}),
        BEDROCK => {
            json!({"messages": [{"role": "user", "content": [{"text": "Read it."}, part]}]})
        }
        _ => json!({"model": "anthropic", "max_tokens": 9,
            "messages": [{"role": "user", "content": [text, part]}]}),
    }
}

fn pdf() -> String {
    STANDARD.encode("%PDF-1.7\n1 0 obj")
}

/// Requests with each of these parts, which stand below this.
fn of<'a>(
    path: &'static str,
    below: &str,
    parts: impl IntoIterator<Item = (Value, &'a str)>,
) -> Vec<Case> {
    let case = |(part, at): (Value, &str)| Case {
        path,
        body: asking(path, &part),
        at: format!("{below}{at}"),
        // Documents are what a retrieval returned.
        place: match at.contains("source.") {
            true => "tool_result",
            false => "input",
        },
    };
    parts.into_iter().map(case).collect()
}

fn document(source: &Value) -> Value {
    json!({"type": "document", "source": source})
}

fn cases() -> Vec<Case> {
    let mut cases = of_openai();
    cases.extend(of_responses());
    cases.extend(of_anthropic());
    cases.extend(of_google());
    cases.extend(of_amazon());
    cases
}

fn of_openai() -> Vec<Case> {
    let url = format!("data:application/pdf;base64,{}", pdf());
    let parts = [
        (json!({"file": {"file_id": "file-1"}}), "file.file_id"),
        (json!({"file": {"file_data": url}}), "file.file_data"),
        (json!({"image_url": {"url": url}}), "image_url.url"),
    ];
    of(CHAT, "messages[0].content[1].", parts)
}

fn of_responses() -> Vec<Case> {
    let url = format!("data:application/pdf;base64,{}", pdf());
    let input = |key: &str, value: &str| json!({"type": "input_file", key: value});
    let file = input("file_id", "file-1");
    let parts = [
        (file.clone(), "file_id"),
        (input("file_url", "https://a.example/a.pdf"), "file_url"),
        (input("file_data", &url), "file_data"),
    ];
    let mut cases = of(RESPONSES, "input[0].content[0].", parts);
    let said = || asking(RESPONSES, &json!({"type": "input_text", "text": "Aye."}));
    let mut stored = said();
    stored["prompt"] = json!({"id": "pmpt_1", "variables": {"a": "b"}});
    let mut variable = said();
    variable["prompt"] = json!({"variables": {"a": file}});
    let mut compacted = said();
    let item = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"});
    compacted["input"].as_array_mut().unwrap().push(item);
    let mut returned = said();
    let item = json!({"type": "function_call_output", "call_id": "c", "output": [file]});
    returned["input"].as_array_mut().unwrap().push(item);
    for (body, at, place) in [
        (stored, "prompt.id", "input"),
        (variable, "prompt.variables", "input"),
        (compacted, "input[1].encrypted_content", "input"),
        (returned, "input[1].output[0].file_id", "tool_result"),
    ] {
        cases.push(Case {
            path: RESPONSES,
            body,
            at: at.to_owned(),
            place,
        });
    }
    cases
}

fn of_anthropic() -> Vec<Case> {
    let packed = |kind: &str| json!({"type": "base64", "media_type": kind, "data": pdf()});
    let named = || document(&json!({"type": "file", "file_id": "file_1"}));
    let at_address = |url: &str| document(&json!({"type": "url", "url": url}));
    let at = "messages[0].content[1].";
    let parts = [
        (named(), "source.file_id"),
        (at_address("https://a.example/a.pdf"), "source.url"),
        (at_address("d.example/a.pdf"), "source.url"),
        (document(&packed("application/pdf")), "source.data"),
        // Nothing else is a document than what is called one.
        (document(&packed("image/png")), "source.data"),
        (
            json!({"type": "container_upload", "file_id": "file_1"}),
            "file_id",
        ),
    ];
    let mut cases = of(MESSAGES, at, parts);
    let counted = [(named(), "source.file_id")];
    cases.extend(of("/v1/messages/count_tokens", at, counted));
    cases
}

fn of_google() -> Vec<Case> {
    // UTF-16 is no text here.
    let wide = STANDARD.encode("R\0e\0a\0d\0 \0m\0e\0");
    let uri = "https://a.example/files/1";
    let parts = [
        (
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": uri}}),
            "fileData.fileUri",
        ),
        (
            json!({"file_data": {"file_uri": uri}}),
            "file_data.file_uri",
        ),
        (
            json!({"inlineData": {"mimeType": "application/pdf", "data": pdf()}}),
            "inlineData.data",
        ),
        (
            json!({"inline_data": {"mime_type": "text/plain", "data": wide}}),
            "inline_data.data",
        ),
    ];
    let mut cases = of(GEMINI, "contents[0].parts[1].", parts);
    cases.push(Case {
        path: "/v1beta/models/gemini:embedContent",
        body: json!({"content": {"parts": [{"fileData": {"fileUri": uri}}]}}),
        at: "content.parts[0].fileData.fileUri".to_owned(),
        place: "input",
    });
    cases
}

fn of_amazon() -> Vec<Case> {
    let document =
        |source: Value| json!({"document": {"format": "pdf", "name": "a", "source": source}});
    let parts = [
        (document(json!({"bytes": pdf()})), "source.bytes"),
        (
            document(json!({"s3Location": {"uri": "s3://a/a.pdf"}})),
            "source.s3Location.uri",
        ),
    ];
    of(BEDROCK, "messages[0].content[1].document.", parts)
}

async fn guarded(guards: &str) -> (Running, TestApp) {
    let fake = serve(Options::default()).await.unwrap();
    let sections = matrix::config(&format!("http://{}", fake.addr()));
    let app = TestApp::with(&format!("{sections}{guards}")).await;
    (fake, app)
}

fn counted(cases: &[Case], place: &str, action: &str) -> String {
    let count = cases.iter().filter(|case| case.place == place).count();
    format!("guard=\"unreadable\",place=\"{place}\",action=\"{action}\"}} {count}")
}

#[tokio::test]
async fn what_cannot_be_read_passes_as_it_is_and_is_told() {
    let (fake, app) = guarded(JUDGED).await;
    let cases = cases();
    for case in &cases {
        let before = fake.calls(0).len();
        let answer = app.post(case.path, case.body.to_string()).send().await;
        // Those of which the stand-in knows nothing reach it all the same.
        let calls = fake.calls(0);
        assert_eq!(calls.len(), before + 1, "{}: {}", case.body, answer.text());
        let sent = calls.last().unwrap().body.clone().unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        for (key, value) in case.body.as_object().unwrap() {
            let is_same = key == "model" || sent[key] == *value;
            assert!(is_same, "{}: {sent}", case.body);
        }
    }
    let metrics = app.metrics().await;
    for place in ["input", "tool_result"] {
        let line = counted(&cases, place, "flag");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let log = app.finish().await;
    let told = |line: &&str| line.contains("\"guard\":\"unreadable\"");
    let (events, requests): (Vec<&str>, Vec<&str>) = log
        .lines()
        .filter(told)
        .partition(|line| line.contains("\"event\":\"guard.verdict\""));
    assert_eq!(
        (events.len(), requests.len()),
        (cases.len(), cases.len()),
        "{log}"
    );
    for event in events {
        assert!(event.contains("\"verdict\":\"flag\""), "{event}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_where_that_is_asked_for() {
    // It holds by itself, too.
    for judged in [JUDGED, ""] {
        let guards = format!("{judged}[guards]\nunread_parts = \"block\"\n");
        let (fake, app) = guarded(&guards).await;
        let cases = cases();
        for case in &cases {
            let answer = app.post(case.path, case.body.to_string()).send().await;
            assert_eq!(answer.status, 400, "{}: {}", case.body, answer.text());
            match case.path {
                // Amazon's errors have no more than a class.
                BEDROCK => assert_eq!(answer.header("x-amzn-errortype"), "ValidationException"),
                _ => assert_eq!(code(&answer), "content_filter", "{}", answer.text()),
            }
            let text = answer.text();
            assert!(text.contains(&format!("`{}`", case.at)), "{text}");
            assert!(text.contains("Send"), "{text}");
            if matches!(case.path, CHAT | RESPONSES) {
                assert_eq!(answer.json()["error"]["param"], case.at);
            }
        }
        assert_eq!(fake.calls(0).len(), 0);
        let metrics = app.metrics().await;
        for place in ["input", "tool_result"] {
            let line = counted(&cases, place, "block");
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        app.finish().await;
    }
}

#[tokio::test]
async fn nothing_is_told_where_that_is_allowed_or_no_request_is_judged() {
    for guards in [
        format!("{JUDGED}[guards]\nunread_parts = \"allow\"\n"),
        "[output_handling]\nfilter_secrets = true\n".to_owned(),
    ] {
        let (fake, app) = guarded(&guards).await;
        let cases = cases();
        for case in &cases {
            app.post(case.path, case.body.to_string()).send().await;
        }
        assert_eq!(fake.calls(0).len(), cases.len());
        let metrics = app.metrics().await;
        assert!(!metrics.contains("guard=\"unreadable\""), "{metrics}");
        app.finish().await;
    }
}

/// Requests with pictures, sounds and videos.
fn seen_and_heard() -> Vec<(&'static str, Value)> {
    let png = STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let url = format!("data:image/png;base64,{png}");
    let source = json!({"type": "base64", "media_type": "image/png", "data": png});
    let picture = |source: Value| json!({"type": "image", "source": source});
    let on_web = "https://a.example/a.png";
    let input = |key: &str, value: &str| json!({"type": "input_image", key: value});
    let pictures = json!({"type": "content", "content": [picture(source.clone())]});
    let sound = json!({"type": "input_audio", "input_audio": {"data": png, "format": "wav"}});
    let film = json!({"fileData": {"mimeType": "video/mp4", "fileUri": on_web}});
    let stored = json!({"s3Location": {"uri": "s3://a/a"}});
    vec![
        (
            CHAT,
            json!({"type": "image_url", "image_url": {"url": url}}),
        ),
        (
            CHAT,
            json!({"type": "image_url", "image_url": {"url": on_web}}),
        ),
        (CHAT, sound),
        (RESPONSES, input("file_id", "file-1")),
        (RESPONSES, input("image_url", &url)),
        (MESSAGES, picture(source)),
        (
            MESSAGES,
            picture(json!({"type": "file", "file_id": "file_1"})),
        ),
        (MESSAGES, picture(json!({"type": "url", "url": on_web}))),
        (MESSAGES, document(&pictures)),
        (GEMINI, film),
        (
            GEMINI,
            json!({"inlineData": {"mimeType": "Audio/wav", "data": png}}),
        ),
        (
            BEDROCK,
            json!({"image": {"format": "png", "source": {"bytes": png}}}),
        ),
        (
            BEDROCK,
            json!({"video": {"format": "mp4", "source": stored}}),
        ),
    ]
}

/// Requests with documents that are texts, and with members of the same names where they are somebody's own.
fn read() -> Vec<(&'static str, Value)> {
    let text = STANDARD.encode("The tide is low.");
    let url = format!("data:text/plain;base64,{text}");
    let own = json!({"file_id": "file-1", "fileData": {"fileUri": "https://a.example/1"},
        "type": "input_file", "file_data": pdf()});
    let plain = json!({"type": "text", "media_type": "text/plain", "data": "Aye."});
    let packed = json!({"format": "txt", "name": "a", "source": {"bytes": text}});
    vec![
        (CHAT, json!({"type": "file", "file": {"file_data": url}})),
        (
            CHAT,
            json!({"type": "file", "file": {"file_data": url, "file_id": ""}}),
        ),
        (MESSAGES, document(&plain)),
        (BEDROCK, json!({"document": packed})),
        (
            MESSAGES,
            json!({"type": "tool_use", "id": "t", "name": "a", "input": {"a": own}}),
        ),
        (
            GEMINI,
            json!({"functionCall": {"name": "a", "args": {"a": own}}}),
        ),
        (
            GEMINI,
            json!({"functionResponse": {"name": "a", "response": {"a": own}}}),
        ),
    ]
}

#[tokio::test]
async fn texts_and_what_is_no_text_by_nature_are_no_unread_parts() {
    let guards = format!("{JUDGED}[guards]\nunread_parts = \"block\"\n");
    let (fake, app) = guarded(&guards).await;
    for (path, part) in seen_and_heard().into_iter().chain(read()) {
        let (body, before) = (asking(path, &part), fake.calls(0).len());
        let answer = app.post(path, body.to_string()).send().await;
        assert_eq!(fake.calls(0).len(), before + 1, "{body}: {}", answer.text());
    }
    let metrics = app.metrics().await;
    assert!(!metrics.contains("guard=\"unreadable\""), "{metrics}");
    app.finish().await;
}

#[tokio::test]
async fn what_a_tool_is_told_to_take_is_no_part_of_the_request() {
    let guards = format!("{JUDGED}[guards]\nunread_parts = \"block\"\n");
    let (fake, app) = guarded(&guards).await;
    let mut body = asking(CHAT, &json!({"type": "text", "text": "Please."}));
    let example = json!({"file": {"file_id": "file-1"}});
    let parameters = json!({"type": "object", "properties": {}, "default": example});
    body["tools"] = json!([{"type": "function",
        "function": {"name": "a", "parameters": parameters}}]);
    let answer = app.post(CHAT, body.to_string()).send().await;
    assert_eq!(fake.calls(0).len(), 1, "{}", answer.text());
    app.finish().await;
}
