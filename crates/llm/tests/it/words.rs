//! Losses stand at the places and have the names that the caller's own request has.

use crate::support::{IN_PATH, decode_of};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::encode_call_of;
use serde_json::{Value, json};

/// Where the losses of a request stand.
fn places(caller: Dialect, request: &Value, provider: Dialect) -> Vec<String> {
    let call = decode_of(caller, IN_PATH, request.to_string().as_bytes()).unwrap();
    let losses = match encode_call_of(caller, provider, &call) {
        Ok(encoded) => encoded.dropped,
        Err(lost) => lost.refused,
    };
    losses.into_iter().map(|loss| loss.path).collect()
}

#[test]
fn messages_are_counted_as_the_caller_of_chat_completions_counts_them() {
    let function = |arguments: &str| json!({"name": "f", "arguments": arguments});
    let call = |id: &str| json!({"id": id, "type": "function", "function": function("[1]")});
    let sound = json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}});
    let request = json!({"model": "m", "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "system", "content": "Be kind."},
        {"role": "user", "name": "a", "content": "Hi"},
        {"role": "assistant", "reasoning_content": "Hm", "content": "Yes.",
            "tool_calls": [call("c1"), call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "user", "content": [{"type": "text", "text": "And?"}, sound]},
    ]});
    assert_eq!(
        places(Dialect::OpenAiChat, &request, Dialect::AnthropicMessages),
        [
            "messages[3].tool_calls[0]",
            "messages[3].tool_calls[1]",
            "messages[6].content[1]"
        ]
    );
    let mut small = request.clone();
    small["messages"][3] = json!({"role": "assistant", "reasoning_content": "Hm", "content": "."});
    small["messages"][6] = json!({"role": "user", "content": "And?"});
    assert_eq!(
        places(Dialect::OpenAiChat, &small, Dialect::AnthropicMessages),
        ["messages[2].name", "messages[3].reasoning_content"]
    );
}

#[test]
fn items_of_a_response_are_counted_one_by_one() {
    let call =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "[]"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "1"});
    let file = json!({"type": "input_file", "file_id": "file_1"});
    let request = json!({"model": "m", "instructions": "Be brief.", "input": [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        call("c1"),
        call("c2"),
        result("c1"),
        result("c2"),
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}, file]},
    ]});
    assert_eq!(
        places(Dialect::OpenAiResponses, &request, Dialect::Gemini),
        ["input[3]", "input[4]", "input[7].content[1]"]
    );
    let glance =
        json!({"type": "input_image", "image_url": "https://a.test/a.png", "detail": "low"});
    let looked = json!({"model": "m", "input": [{"role": "user", "content": [glance]}]});
    assert_eq!(
        places(Dialect::OpenAiResponses, &looked, Dialect::Gemini),
        ["input[0].content[0].detail"]
    );
    let mut small = request;
    for index in [3, 4] {
        small["input"][index]["arguments"] = json!("{}");
    }
    small["input"][7] = json!({"role": "user", "content": "And?"});
    small["text"] = json!({"verbosity": "low"});
    assert_eq!(
        places(Dialect::OpenAiResponses, &small, Dialect::Gemini),
        ["input[2]", "text.verbosity"]
    );
}

#[test]
fn parts_and_settings_of_gemini_have_its_names() {
    let video = json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/x"}});
    let request = json!({
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [
                {"text": "Hm", "thought": true},
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"},
                {"text": "Yes."},
            ]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no"}}}]},
        ],
        "generationConfig": {"topK": 4, "seed": 7},
        "labels": {"team": "yard"},
    });
    assert_eq!(
        places(Dialect::Gemini, &request, Dialect::OpenAiChat),
        [
            "contents[1].parts[0]",
            "contents[2].parts[0]",
            "generationConfig.topK"
        ]
    );
    let mut refused = request;
    refused["contents"][2]["parts"] = json!([{"text": "And?"}, video]);
    refused["generationConfig"]["candidateCount"] = json!(2);
    let mut found = places(Dialect::Gemini, &refused, Dialect::CohereChat);
    found.sort();
    assert_eq!(
        found,
        ["contents[2].parts[1]", "generationConfig.candidateCount"]
    );
}

#[test]
fn tools_and_results_of_bedrock_are_where_it_has_them() {
    let tool = |name: &str| json!({"toolSpec": {"name": name, "inputSchema": {"json": {}}}});
    let mark = json!({"cachePoint": {"type": "default"}});
    let text = json!({"text": "no"});
    let result = json!({"toolResult": {"toolUseId": "c1", "status": "error", "content": [text]}});
    let request = json!({
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "a", "input": {}}}]},
            {"role": "user", "content": [result]},
        ],
        "toolConfig": {"tools": [tool("a"), mark, tool("b"), mark, {"systemTool": {"name": "x"}}]},
        "inferenceConfig": {"stopSequences": ["END"]},
    });
    let found = places(Dialect::BedrockConverse, &request, Dialect::OpenAiResponses);
    assert_eq!(
        found,
        ["inferenceConfig.stopSequences", "toolConfig.tools[4]"]
    );
    let mut small = request;
    small["toolConfig"]["tools"] = json!([tool("a"), mark, tool("b")]);
    assert_eq!(
        places(Dialect::BedrockConverse, &small, Dialect::OpenAiChat),
        [
            "messages[2].content[0].toolResult.status",
            "toolConfig.tools[0]"
        ]
    );
}

#[test]
fn plans_and_settings_of_cohere_have_its_names() {
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let request = json!({"model": "m", "k": 4, "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm"}, {"type": "text", "text": "Yes."}]},
        {"role": "user", "content": "And?"},
    ]});
    assert_eq!(
        places(Dialect::CohereChat, &request, Dialect::OpenAiChat),
        ["messages[2].tool_plan", "messages[4].content[0]", "k"]
    );
}
