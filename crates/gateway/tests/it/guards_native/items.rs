//! What providers answer of each kind, and what callers read of it, by hand.

use seaworthy_core::dialect::Dialect;
use serde_json::{Value, json};

use super::bedrock;
use super::read::{last, read_chunks, read_message, read_response, written};
use crate::support::client::Answer;

/// A form of a call or of a result.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) dialect: Dialect,
    pub(super) kind: &'static str,
    /// What its tool is called where it is offered; empty if it has a name of its own.
    offered_as: &'static str,
    is_result: bool,
}

use Dialect::{AnthropicMessages, BedrockConverse, Gemini, OpenAiChat, OpenAiResponses};

const fn call(dialect: Dialect, kind: &'static str) -> Form {
    run(dialect, kind, "")
}

const fn run(dialect: Dialect, kind: &'static str, offered_as: &'static str) -> Form {
    Form {
        dialect,
        kind,
        offered_as,
        is_result: false,
    }
}

const fn result(dialect: Dialect, kind: &'static str, offered_as: &'static str) -> Form {
    Form {
        dialect,
        kind,
        offered_as,
        is_result: true,
    }
}

pub(super) const FORMS: [Form; 20] = [
    call(OpenAiChat, "custom"),
    call(OpenAiChat, "function_call"),
    call(OpenAiResponses, "custom_tool_call"),
    call(OpenAiResponses, "mcp_call"),
    call(OpenAiResponses, "mcp_approval_request"),
    run(OpenAiResponses, "shell_call", "shell"),
    run(OpenAiResponses, "local_shell_call", "local_shell"),
    run(OpenAiResponses, "apply_patch_call", "apply_patch"),
    run(OpenAiResponses, "code_interpreter_call", "code_interpreter"),
    run(OpenAiResponses, "web_search_call", "web_search"),
    run(
        OpenAiResponses,
        "a_call_of_tomorrow_call",
        "a_call_of_tomorrow",
    ),
    result(OpenAiResponses, "shell_call_output", "shell"),
    call(AnthropicMessages, "server_tool_use"),
    call(AnthropicMessages, "mcp_tool_use"),
    result(AnthropicMessages, "web_search_tool_result", "web_search"),
    result(AnthropicMessages, "mcp_tool_result", "mcp"),
    run(Gemini, "executableCode", "code_execution"),
    result(Gemini, "codeExecutionResult", "codeExecution"),
    call(BedrockConverse, "toolUse"),
    result(BedrockConverse, "toolResult", "toolResult"),
];

/// What a caller reads: the items as they are written, and why the answer stopped.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) items: Vec<String>,
    pub(super) stop: String,
}

impl Form {
    pub(super) fn names_its_tool(&self) -> bool {
        self.offered_as.is_empty()
    }

    pub(super) fn offered_as(&self) -> &'static str {
        self.offered_as
    }

    pub(super) fn is_result(&self) -> bool {
        self.is_result
    }

    /// An item of this kind of a tool of this name, with this text.
    pub(super) fn item(&self, tool: &str, text: &str) -> Value {
        match self.kind {
            "custom" => {
                json!({"id": "call_1", "type": "custom", "custom": {"name": tool, "input": text}})
            }
            "function_call" => {
                json!({"name": tool, "arguments": json!({"command": text}).to_string()})
            }
            "custom_tool_call" => json!({"type": "custom_tool_call", "id": "ctc_1",
                "status": "completed", "call_id": "call_1", "name": tool, "input": text}),
            "mcp_call" => json!({"type": "mcp_call", "id": "mcp_1", "status": "completed",
                "server_label": "harbour", "name": tool, "output": "Calm.", "error": null,
                "arguments": json!({"command": text}).to_string()}),
            "mcp_approval_request" => json!({"type": "mcp_approval_request", "id": "mcpr_1",
                "server_label": "harbour", "name": tool,
                "arguments": json!({"command": text}).to_string()}),
            "shell_call" => json!({"type": "shell_call", "id": "sh_1", "status": "completed",
                "call_id": "call_1", "action": {"commands": [text], "timeout_ms": null}}),
            "local_shell_call" => json!({"type": "local_shell_call", "id": "lsh_1",
                "status": "completed", "call_id": "call_1",
                "action": {"type": "exec", "command": ["bash", "-lc", text], "env": {}}}),
            "apply_patch_call" => json!({"type": "apply_patch_call", "id": "apc_1",
                "status": "completed", "call_id": "call_1",
                "operation": {"type": "create_file", "path": "tide.md", "diff": text}}),
            "code_interpreter_call" => json!({"type": "code_interpreter_call", "id": "ci_1",
                "status": "completed", "container_id": "cntr_1", "code": text,
                "outputs": [{"type": "logs", "logs": "Calm."}]}),
            "web_search_call" => json!({"type": "web_search_call", "id": "ws_1",
                "status": "completed", "action": {"type": "search", "query": text}}),
            "shell_call_output" => json!({"type": "shell_call_output", "id": "sho_1",
                "call_id": "call_1", "output": [{"stdout": text, "stderr": "",
                    "outcome": {"type": "exit", "exit_code": 0}}]}),
            "server_tool_use" | "mcp_tool_use" => json!({"type": self.kind, "id": "srvtoolu_1",
                "name": tool, "input": {"command": text}}),
            "web_search_tool_result" => json!({"type": self.kind, "tool_use_id": "srvtoolu_1",
                "content": [{"type": "web_search_result", "title": text,
                    "url": "https://harbour.example/", "encrypted_content": "RW5j"}]}),
            "mcp_tool_result" => json!({"type": self.kind, "tool_use_id": "mcptoolu_1",
                "is_error": false, "content": [{"type": "text", "text": text}]}),
            "executableCode" => json!({"executableCode": {"language": "PYTHON", "code": text}}),
            "toolUse" | "toolResult" => bedrock::item(self.kind, tool, text),
            "codeExecutionResult" => {
                json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": text}})
            }
            other => json!({"type": other, "id": "x_1", "deep": [{"text": text}]}),
        }
    }

    /// The word with which an answer with such an item stops.
    pub(super) fn stop(&self) -> &'static str {
        match (self.dialect, self.kind) {
            (_, "function_call") => "function_call",
            (OpenAiChat, _) => "tool_calls",
            (OpenAiResponses, _) => "completed",
            (AnthropicMessages | BedrockConverse, _) => "end_turn",
            _ => "STOP",
        }
    }

    /// The word for an answer that a guard ended.
    pub(super) fn refusal(&self) -> &'static str {
        match self.dialect {
            OpenAiChat => "content_filter",
            OpenAiResponses => "incomplete",
            AnthropicMessages => "refusal",
            BedrockConverse => "content_filtered",
            _ => "SAFETY",
        }
    }

    /// Members of a request that says this.
    pub(super) fn asking(&self, words: &str) -> Value {
        let messages = json!([{"role": "user", "content": words}]);
        match self.dialect {
            OpenAiResponses => json!({"input": words}),
            Gemini => json!({"contents": [{"role": "user", "parts": [{"text": words}]}]}),
            BedrockConverse => {
                json!({"messages": [{"role": "user", "content": [{"text": words}]}]})
            }
            _ => json!({"messages": messages}),
        }
    }

    /// The path and the body of a request.
    pub(super) fn request(&self, is_stream: bool) -> (&'static str, Value) {
        let (path, model) = match (self.dialect, is_stream) {
            (OpenAiChat, _) => ("/v1/chat/completions", "gpt"),
            (OpenAiResponses, _) => ("/v1/responses", "responses"),
            (AnthropicMessages, _) => ("/v1/messages", "claude"),
            (BedrockConverse, false) => ("/model/bedrock/converse", ""),
            (BedrockConverse, true) => ("/model/bedrock/converse-stream", ""),
            (_, false) => ("/v1beta/models/gemini:generateContent", ""),
            _ => ("/v1beta/models/gemini:streamGenerateContent?alt=sse", ""),
        };
        let mut body = self.asking("Is the hull tight?");
        let fields = body.as_object_mut().unwrap();
        if !model.is_empty() {
            fields.insert("model".to_owned(), json!(model));
            fields.insert("stream".to_owned(), json!(is_stream));
        }
        match self.dialect {
            OpenAiResponses => fields.insert("store".to_owned(), json!(false)),
            AnthropicMessages => fields.insert("max_tokens".to_owned(), json!(99)),
            _ => None,
        };
        (path, body)
    }

    /// A whole answer that is this item.
    pub(super) fn whole(&self, item: &Value) -> Value {
        match self.dialect {
            OpenAiChat => {
                let (name, value) = match self.kind {
                    "custom" => ("tool_calls", json!([item])),
                    legacy => (legacy, item.clone()),
                };
                let mut message = json!({"role": "assistant", "content": null});
                message[name] = value;
                json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1,
                    "model": "real", "choices": [{"index": 0, "message": message,
                    "finish_reason": self.stop()}]})
            }
            OpenAiResponses => response("completed", &json!([item])),
            AnthropicMessages => json!({"id": "msg_1", "type": "message", "role": "assistant",
                "model": "real", "content": [item], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}}),
            BedrockConverse => bedrock::whole(item),
            _ => candidate(item, true),
        }
    }

    /// The type of its streams.
    pub(super) fn stream_type(&self) -> &'static str {
        match self.dialect {
            BedrockConverse => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        }
    }

    /// The same as a stream, its text in pieces of so many characters.
    pub(super) fn streamed(&self, item: &Value, size: usize) -> Vec<u8> {
        match self.dialect {
            BedrockConverse => bedrock::frames(item, size),
            _ => self.stream_of(&[item], size).into_bytes(),
        }
    }

    pub(super) fn stream_of(&self, items: &[&Value], size: usize) -> String {
        match self.dialect {
            OpenAiChat => self.chunks(items[0], size),
            OpenAiResponses => events_of_response(items, size),
            AnthropicMessages => events_of_message(items[0], size),
            _ => format!(
                "data: {}\r\n\r\ndata: {}\r\n\r\n",
                candidate(items[0], false),
                candidate(&json!({"text": ""}), true)
            ),
        }
    }

    fn chunks(&self, item: &Value, size: usize) -> String {
        let chunk = |delta: Value, stop: Value| {
            let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk",
                "created": 1, "model": "real",
                "choices": [{"index": 0, "delta": delta, "finish_reason": stop}]});
            format!("data: {chunk}\n\n")
        };
        let call = |more: Value| json!({"tool_calls": [more]});
        let mut out = chunk(json!({"role": "assistant", "content": null}), Value::Null);
        let mut say = |delta| out.push_str(&chunk(delta, Value::Null));
        if self.kind == "custom" {
            let input = item["custom"]["input"].as_str().unwrap();
            let name = &item["custom"]["name"];
            say(call(json!({"index": 0, "id": item["id"], "type": "custom",
                "custom": {"name": name, "input": ""}})));
            for piece in pieces(input, size) {
                say(call(json!({"index": 0, "custom": {"input": piece}})));
            }
        } else {
            say(json!({"function_call": {"name": item["name"], "arguments": ""}}));
            for piece in pieces(item["arguments"].as_str().unwrap(), size) {
                say(json!({"function_call": {"arguments": piece}}));
            }
        }
        out + &chunk(json!({}), json!(self.stop())) + "data: [DONE]\n\n"
    }

    pub(super) fn read_whole(&self, answer: &Answer) -> Told {
        if self.dialect == BedrockConverse {
            return bedrock::read_whole(answer);
        }
        let value = answer.json();
        let told = |items: &Value, stop: &Value| Told {
            items: written(items),
            stop: stop.as_str().unwrap_or_default().to_owned(),
        };
        match self.dialect {
            OpenAiChat => {
                let choice = &value["choices"][0];
                let items = match &choice["message"]["function_call"] {
                    Value::Null => choice["message"]["tool_calls"].clone(),
                    legacy => json!([legacy]),
                };
                told(&items, &choice["finish_reason"])
            }
            OpenAiResponses => told(&value["output"], &value["status"]),
            AnthropicMessages => told(&value["content"], &value["stop_reason"]),
            _ => {
                let candidate = &value["candidates"][0];
                told(&candidate["content"]["parts"], &candidate["finishReason"])
            }
        }
    }

    pub(super) fn read_stream(&self, answer: &Answer) -> Told {
        if self.dialect == BedrockConverse {
            return bedrock::read_frames(answer);
        }
        let text = answer.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let data = data.filter(|data| *data != "[DONE]");
        let events: Vec<Value> = data
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        match self.dialect {
            OpenAiChat => read_chunks(&events),
            OpenAiResponses => read_response(&events),
            AnthropicMessages => read_message(&events),
            _ => {
                let candidates = || events.iter().map(|event| &event["candidates"][0]);
                let parts = candidates().filter_map(|c| c["content"]["parts"].as_array());
                let parts = parts.flatten().filter(|part| part["text"] != "").cloned();
                Told {
                    items: written(&Value::Array(parts.collect())),
                    stop: last(candidates().map(|candidate| &candidate["finishReason"])),
                }
            }
        }
    }
}

pub(super) fn pieces(text: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}

fn response(status: &str, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status,
        "model": "real", "output": output, "error": null, "incomplete_details": null,
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 3}})
}

fn candidate(part: &Value, is_last: bool) -> Value {
    let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
    if is_last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": "real", "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}})
}

/// The text that comes in pieces: its member and what its events are called.
pub(super) fn told_in_pieces(item: &Value) -> Option<(&'static str, &'static str)> {
    Some(match item["type"].as_str()? {
        "custom_tool_call" => ("input", "custom_tool_call_input"),
        "mcp_call" => ("arguments", "mcp_call_arguments"),
        "function_call" => ("arguments", "function_call_arguments"),
        "code_interpreter_call" => ("code", "code_interpreter_call_code"),
        _ => return None,
    })
}

fn events_of_response(items: &[&Value], size: usize) -> String {
    let (mut out, mut number) = (String::new(), 0);
    let mut event = |kind: &str, mut data: Value| {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(number);
        number += 1;
        out.push_str(&format!("event: {kind}\ndata: {data}\n\n"));
    };
    let begun = response("in_progress", &json!([]));
    event("response.created", json!({"response": begun}));
    for (index, item) in items.iter().enumerate() {
        let mut opened = (*item).clone();
        opened["status"] = json!("in_progress");
        let told = told_in_pieces(item);
        if let Some((name, _)) = told {
            opened[name] = json!("");
        }
        let at = json!({"output_index": index});
        event("response.output_item.added", with(&at, "item", &opened));
        let at = with(&at, "item_id", &item["id"]);
        if let Some((name, events)) = told {
            for piece in pieces(item[name].as_str().unwrap(), size) {
                let kind = format!("response.{events}.delta");
                event(&kind, with(&at, "delta", &json!(piece)));
            }
            event(
                &format!("response.{events}.done"),
                with(&at, name, &item[name]),
            );
        }
        event(
            &format!("response.{}.completed", item["type"].as_str().unwrap()),
            at.clone(),
        );
        event(
            "response.output_item.done",
            with(&json!({"output_index": index}), "item", item),
        );
    }
    let whole = response("completed", &json!(items));
    event("response.completed", json!({"response": whole}));
    out
}

fn with(value: &Value, name: &str, member: &Value) -> Value {
    let mut value = value.clone();
    value[name] = member.clone();
    value
}

fn events_of_message(item: &Value, size: usize) -> String {
    let mut out = String::new();
    let mut event = |data: Value| {
        let kind = data["type"].as_str().unwrap();
        out.push_str(&format!("event: {kind}\ndata: {data}\n\n"));
    };
    event(
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message",
        "role": "assistant", "model": "real", "content": [], "stop_reason": null,
        "usage": {"input_tokens": 1, "output_tokens": 1}}}),
    );
    let mut opened = item.clone();
    if let Some(input) = opened.get_mut("input") {
        *input = json!({});
    }
    event(json!({"type": "content_block_start", "index": 0, "content_block": opened}));
    if let Some(input) = item.get("input") {
        for piece in pieces(&input.to_string(), size) {
            event(json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece}}));
        }
    }
    event(json!({"type": "content_block_stop", "index": 0}));
    event(
        json!({"type": "message_delta", "usage": {"output_tokens": 2},
        "delta": {"stop_reason": "end_turn", "stop_sequence": null}}),
    );
    event(json!({"type": "message_stop"}));
    out
}
