//! Every face at every kind of provider, whole and streamed, with and without tools: generated from
//! two lists, so that a new one of either is in all cells. The provider is the fake one, over TCP; in
//! every cell the ledger has what it issued, and the caller is told the same.

use std::time::Duration;

use http::Method;
use seaworthy_core::call::{Block, Delta, StopReason};
use seaworthy_core::dialect::Dialect;
use seaworthy_core::usage::Usage;
use seaworthy_fake_provider::ledger::{Call as Seen, Usage as Issued};
use seaworthy_fake_provider::{Options, Running, serve};
use seaworthy_llm::{Framer, Framing, StreamDecoder, decode_reply};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;

/// A face: its name, its dialect, its paths for whole answers and streams, its framing.
type Face = (&'static str, Dialect, &'static str, &'static str, Framing);
/// A kind of provider: its name, what is configured, and the dialect that it speaks.
type Kind = (&'static str, &'static str, Dialect);

use Framing::{EventStream, JsonArray, ServerSentEvents};

#[rustfmt::skip]
const FACES: [Face; 8] = [
    ("chat", Dialect::OpenAiChat, "/v1/chat/completions", "/v1/chat/completions", ServerSentEvents),
    ("responses", Dialect::OpenAiResponses, "/v1/responses", "/v1/responses", ServerSentEvents),
    ("azure", Dialect::OpenAiChat, "/openai/deployments/{model}/chat/completions?api-version=2024-10-21", "/openai/deployments/{model}/chat/completions?api-version=2024-10-21", ServerSentEvents),
    ("messages", Dialect::AnthropicMessages, "/v1/messages", "/v1/messages", ServerSentEvents),
    ("gemini", Dialect::Gemini, "/v1beta/models/{model}:generateContent", "/v1beta/models/{model}:streamGenerateContent?alt=sse", ServerSentEvents),
    ("gemini-array", Dialect::Gemini, "/v1beta/models/{model}:generateContent", "/v1beta/models/{model}:streamGenerateContent", JsonArray),
    ("cohere", Dialect::CohereChat, "/v2/chat", "/v2/chat", ServerSentEvents),
    ("bedrock", Dialect::BedrockConverse, "/model/{model}/converse", "/model/{model}/converse-stream", EventStream),
];

#[rustfmt::skip]
const KINDS: [Kind; 10] = [
    ("openai", "kind = \"openai\"\nbase_url = \"{fake}/v1\"\napi_key = \"k\"", Dialect::OpenAiChat),
    ("openai-responses", "kind = \"openai\"\napi = \"responses\"\nbase_url = \"{fake}/v1\"\napi_key = \"k\"", Dialect::OpenAiResponses),
    ("compatible", "kind = \"openai-compatible\"\nbase_url = \"{fake}/v1\"\napi_key = \"k\"", Dialect::OpenAiChat),
    ("azure", "kind = \"azure-openai\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::OpenAiChat),
    ("azure-classic", "kind = \"azure-openai\"\napi_version = \"2024-10-21\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::OpenAiChat),
    ("azure-responses", "kind = \"azure-openai\"\napi = \"responses\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::OpenAiResponses),
    ("anthropic", "kind = \"anthropic\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::AnthropicMessages),
    ("gemini", "kind = \"gemini\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::Gemini),
    ("cohere", "kind = \"cohere\"\nbase_url = \"{fake}\"\napi_key = \"k\"", Dialect::CohereChat),
    ("bedrock", "kind = \"bedrock\"\nregion = \"eu-central-1\"\nbase_url = \"{fake}\"\naccess_key_id = \"AKID\"\nsecret_access_key = \"k\"", Dialect::BedrockConverse),
];

const TEXT: &str = "the ship holds her course";
const DIRECTIVES: &str = "cached_tokens=11,reasoning_tokens=3";

/// A provider and a model of each kind, at this address.
pub(crate) fn config(fake: &str) -> String {
    let section = |(name, options, _): &Kind| {
        let options = options.replace("{fake}", fake);
        format!(
            "[providers.p-{name}]\n{options}\n[models.{name}]\ntargets = [\"p-{name}/{name}\"]\n"
        )
    };
    KINDS.iter().map(section).collect()
}

/// The request of a face for a model. With tools, both of them have to be called.
fn body(dialect: Dialect, model: &str, stream: bool, tools: bool) -> Value {
    let told = match tools {
        true => format!("weather? [[fake:{DIRECTIVES},tool=sound+depth]]"),
        false => format!("words? [[fake:{DIRECTIVES},output_tokens=5]]"),
    };
    let system = "be brief";
    let schema = json!({"type": "object", "properties": {"well": {"type": "integer"}}});
    let names = ["sound", "depth"];
    let list =
        |make: &dyn Fn(&str) -> Value| -> Value { names.iter().map(|name| make(name)).collect() };
    let function = |name: &str| json!({"name": name, "description": name, "parameters": schema});
    let (mut body, listed) = match dialect {
        Dialect::OpenAiChat => (
            json!({"messages": [{"role": "system", "content": system},
                {"role": "user", "content": told}], "max_tokens": 999}),
            list(&|name| json!({"type": "function", "function": function(name)})),
        ),
        Dialect::OpenAiResponses => (
            json!({"instructions": system, "input": [{"role": "user", "content":
                [{"type": "input_text", "text": told}]}], "max_output_tokens": 999, "store": false}),
            list(&|name| json!({"type": "function", "name": name, "parameters": schema})),
        ),
        Dialect::AnthropicMessages => (
            json!({"system": system, "messages": [{"role": "user", "content": told}],
                "max_tokens": 999}),
            list(&|name| json!({"name": name, "description": name, "input_schema": schema})),
        ),
        Dialect::Gemini => (
            json!({"systemInstruction": {"parts": [{"text": system}]},
                "contents": [{"role": "user", "parts": [{"text": told}]}],
                "generationConfig": {"maxOutputTokens": 999}}),
            json!([{"functionDeclarations": list(&function)}]),
        ),
        Dialect::CohereChat => (
            json!({"messages": [{"role": "system", "content": system},
                {"role": "user", "content": told}], "max_tokens": 999}),
            list(&|name| json!({"type": "function", "function": function(name)})),
        ),
        Dialect::BedrockConverse => (
            json!({"system": [{"text": system}], "inferenceConfig": {"maxTokens": 999},
                "messages": [{"role": "user", "content": [{"text": told}]}]}),
            list(&|name| {
                json!({"toolSpec": {"name": name, "description": name,
                "inputSchema": {"json": schema}}})
            }),
        ),
    };
    let fields = body.as_object_mut().unwrap();
    if tools {
        match dialect {
            Dialect::BedrockConverse => {
                fields.insert("toolConfig".into(), json!({"tools": listed}))
            }
            _ => fields.insert("tools".into(), listed),
        };
    }
    if !matches!(dialect, Dialect::Gemini | Dialect::BedrockConverse) {
        fields.insert("model".into(), json!(model));
        if stream {
            fields.insert("stream".into(), json!(true));
        }
    }
    if dialect == Dialect::OpenAiChat && stream {
        fields.insert("stream_options".into(), json!({"include_usage": true}));
    }
    body
}

/// What a caller understands of an answer.
#[derive(Debug, Default, PartialEq)]
struct Understood {
    text: String,
    calls: Vec<(String, Value)>,
    stop: Option<StopReason>,
    usage: Usage,
}

fn whole(dialect: Dialect, answer: &Answer) -> Understood {
    let reply = decode_reply(dialect, &answer.body)
        .unwrap_or_else(|fault| panic!("{fault:?}: {}", answer.text()));
    let mut found = Understood {
        stop: Some(reply.stop_reason),
        usage: reply.usage.unwrap_or_default(),
        ..Understood::default()
    };
    for block in reply.blocks {
        match block {
            Block::Text(text) => found.text.push_str(&text),
            Block::ToolUse {
                name, arguments, ..
            } => {
                found
                    .calls
                    .push((name, serde_json::from_str(&arguments).unwrap()));
            }
            _ => {}
        }
    }
    found
}

fn streamed(dialect: Dialect, framing: Framing, answer: &Answer) -> Understood {
    assert!(answer.whole, "{:?}", answer.body);
    let mut framer = Framer::new(framing, 1 << 20);
    framer.push(answer.body.clone());
    let (mut decoder, mut deltas) = (StreamDecoder::new(dialect), Vec::new());
    while let Some(event) = framer.next_event().unwrap() {
        decoder.push(&event, &mut deltas).unwrap();
    }
    assert!(framer.finish().unwrap().is_none());
    let mut found = Understood::default();
    let mut arguments: Vec<(String, String)> = Vec::new();
    for delta in deltas {
        match delta {
            Delta::Text(text) => found.text.push_str(&text),
            Delta::Open(seaworthy_core::call::BlockOpening::ToolUse { name, .. }) => {
                arguments.push((name, String::new()));
            }
            Delta::Arguments(piece) => arguments.last_mut().unwrap().1.push_str(&piece),
            Delta::Usage(usage) => found.usage = usage,
            Delta::Finish { stop_reason, .. } => found.stop = Some(stop_reason),
            Delta::Error { .. } => panic!("{delta:?}"),
            _ => {}
        }
    }
    found.calls = arguments
        .into_iter()
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect();
    found
}

fn totals(usage: &Usage) -> (u64, u64) {
    (usage.total_input(), usage.output_tokens)
}

/// What a provider issued, by the classes of the ledger.
fn classes(issued: Issued) -> (u64, u64, u64) {
    (
        issued.input,
        issued.cached,
        issued.output + issued.reasoning,
    )
}

async fn cell(app: &TestApp, fake: &Running, face: &Face, kind: &Kind, stream: bool, tools: bool) {
    let (name, dialect, whole_path, stream_path, framing) = *face;
    let (model, _, provider) = *kind;
    let what = format!("{name} at {model}, stream {stream}, tools {tools}");
    let before = fake.calls(0).len();
    let path = if stream { stream_path } else { whole_path };
    let sent = body(dialect, model, stream, tools).to_string();
    let call = app.call(Method::POST, &path.replace("{model}", model));
    let call = match dialect {
        Dialect::AnthropicMessages => call.header("anthropic-version", "2023-06-01"),
        _ => call,
    };
    let answer = call.key(&app.user_key).body(sent.clone()).send().await;
    assert_eq!(
        answer.status,
        200,
        "{what}: {}",
        String::from_utf8_lossy(&answer.body)
    );
    let understood = match stream {
        true => streamed(dialect, framing, &answer),
        false => whole(dialect, &answer),
    };
    match tools {
        true => {
            let called = |name: &str| (name.to_owned(), json!({"well": 1}));
            assert_eq!(
                understood.calls,
                [called("sound"), called("depth")],
                "{what}"
            );
            assert_eq!(understood.stop, Some(StopReason::ToolUse), "{what}");
        }
        false => {
            assert_eq!(understood.text, TEXT, "{what}");
            assert_eq!(understood.stop, Some(StopReason::EndTurn), "{what}");
        }
    }
    let calls = fake.calls(0);
    assert_eq!(calls.len(), before + 1, "{what}");
    let seen: &Seen = calls.last().unwrap();
    let expected = classes(seen.issued);
    let settled = app.settlements().await.pop().unwrap();
    let used = settled.usage;
    assert!(!used.estimated, "{what}");
    let found = (
        used.input_tokens,
        used.cached_read_tokens,
        used.output_tokens,
    );
    assert_eq!(found, expected, "{what}");
    let (input, cached, output) = expected;
    assert_eq!(
        totals(&understood.usage),
        (input + cached, output),
        "{what}"
    );
    if dialect == provider && (dialect, stream) != (Dialect::OpenAiChat, true) {
        let received = seen.body.as_ref().unwrap();
        assert_eq!(received, sent.as_bytes(), "{what}: the caller's own bytes");
    }
    let told = answer.header("x-seaworthy-dropped");
    assert!(told.is_empty() || dialect != provider, "{what}: {told}");
}

#[tokio::test]
async fn every_face_reaches_every_kind_with_the_providers_figures() {
    let fake = serve(Options::default()).await.unwrap();
    let app = TestApp::builder()
        .sections(&config(&format!("http://{}", fake.addr())))
        .start()
        .await;
    let mut cells = 0;
    for face in &FACES {
        for kind in &KINDS {
            for (stream, tools) in [(false, false), (false, true), (true, false), (true, true)] {
                let work = cell(&app, &fake, face, kind, stream, tools);
                let limit = Duration::from_secs(30);
                tokio::time::timeout(limit, work).await.unwrap();
                cells += 1;
            }
        }
    }
    assert_eq!(cells, FACES.len() * KINDS.len() * 4);
    app.finish().await;
}

#[test]
fn the_lists_have_every_dialect() {
    for dialect in Dialect::ALL {
        assert!(FACES.iter().any(|face| face.1 == dialect), "{dialect:?}");
        assert!(KINDS.iter().any(|kind| kind.2 == dialect), "{dialect:?}");
    }
}
