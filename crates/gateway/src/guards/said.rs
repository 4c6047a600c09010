//! Sorts out who says what in a request of any dialect, by the names and types of its members.

use seaworthy_guard::Place;

use super::texts::{Kind, Object, Outline, Text};

/// Members that hold names, references or data in base64, never words. What is encrypted by a provider
/// must come back to it unchanged.
const NOT_WORDS: [&str; 21] = [
    "type",
    "role",
    "model",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "toolUseId",
    "previous_response_id",
    "media_type",
    "mimeType",
    "signature",
    "thoughtSignature",
    "encrypted_content",
    "redactedContent",
    "file_data",
    "file_id",
    "fileId",
    "bytes",
    "cachePoint",
    "format",
];

/// Members that hold a conversation.
const CONVERSATION: [&str; 10] = [
    "messages",
    "contents",
    "input",
    "prompt",
    "promptVariables",
    "prediction",
    "documents",
    "message",
    "chat_history",
    "tool_results",
];

/// Those of them that go with a conversation: no question stands there, unless nothing else is said.
const BESIDE: [&str; 3] = ["prompt", "promptVariables", "prediction"];

/// Members that hold texts to become vectors.
const EMBEDDED: [&str; 6] = ["input", "texts", "inputs", "title", "content", "requests"];

/// Members that hold what the operator says.
const OPERATOR: [&str; 5] = [
    "system",
    "systemInstruction",
    "system_instruction",
    "instructions",
    "preamble",
];

/// Members that hold what a tool or a retrieval returned.
const RETURNED: [&str; 10] = [
    "toolResult",
    "document",
    "searchResult",
    "codeExecutionResult",
    "code_execution_result",
    "functionResponse",
    "function_response",
    "tool_results",
    "documents",
    "search_results",
];

/// Members that hold what tools there are and in which form to answer: nobody says that.
const DEFINITIONS: [&str; 10] = [
    "tools",
    "functions",
    "toolConfig",
    "tool_config",
    "response_format",
    "generationConfig",
    "generation_config",
    "output_config",
    "output_format",
    "outputConfig",
];

/// A text of the request and who stands behind it.
pub(super) struct Said<'t, 'a> {
    pub(super) text: &'t Text<'a>,
    pub(super) place: Place,
    /// The number of the object that is the message.
    pub(super) message: Option<usize>,
    /// It goes with the conversation, whose last message is the question.
    pub(super) is_beside: bool,
    pub(super) speaker: Speaker,
    /// It is inside the arguments of a tool call.
    pub(super) is_argument: bool,
    /// It is inside a document whose names are somebody's own: what a tool returned, or labels.
    pub(super) is_free: bool,
    /// It came from a provider that wants it back unchanged.
    pub(super) is_sealed: bool,
}

/// Who says a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The operator, who is trusted.
    Operator,
    /// The model, earlier.
    Model,
    /// A user, a tool, a document, or somebody unknown.
    Untrusted,
    /// Nobody: a setting of the request.
    Setting,
}

impl Said<'_, '_> {
    pub(super) fn is_untrusted(&self) -> bool {
        self.speaker == Speaker::Untrusted && !self.is_argument
    }
}

/// The objects around a text with their numbers, the innermost first.
fn objects_around<'t, 'a>(
    outline: &'t Outline<'a>,
    text: &Text<'_>,
) -> Vec<(usize, &'t Object<'a>)> {
    let indices = outline.indices(text.object);
    indices
        .filter_map(|index| Some((index, outline.objects.get(index)?)))
        .collect()
}

/// Sorts out a text; `None` where it holds no words.
pub(super) fn who_says<'t, 'a>(outline: &Outline<'a>, text: &'t Text<'a>) -> Option<Said<'t, 'a>> {
    let around = objects_around(outline, text);
    let is_argument = is_in_arguments(&around);
    let is_free = !is_argument && is_in_free(text, &around);
    let is_known = is_argument || is_free;
    if !is_known && (text.kind != Kind::String || !holds_words(text, &around)) {
        return None;
    }
    let is_signed = around.first().is_some_and(|(_, object)| object.is_signed);
    let role = around.iter().find_map(|(_, object)| object.role.as_deref());
    let within = |names: &[&str]| {
        let of_member = names.contains(&&*text.key) && around.len() <= 1;
        of_member
            || around
                .iter()
                .any(|(_, object)| names.contains(&&*object.key))
    };
    let is_definition = defines(text, &around);
    let returned = !is_definition
        && (matches!(role, Some("tool" | "function"))
            || within(&RETURNED)
            || around.iter().any(|(_, object)| holds_result(object)));
    let is_called = around
        .iter()
        .any(|(_, object)| object.kind.as_deref().is_some_and(is_call));
    let is_conversation = within(&CONVERSATION);
    let speaker = match role {
        _ if is_definition => Speaker::Setting,
        _ if returned => Speaker::Untrusted,
        // Items of Responses have no role.
        None if is_called => Speaker::Model,
        Some("system" | "developer") => Speaker::Operator,
        Some("assistant" | "model" | "chatbot" | "CHATBOT") => Speaker::Model,
        _ if is_conversation => Speaker::Untrusted,
        _ if within(&OPERATOR) => Speaker::Operator,
        Some(_) => Speaker::Untrusted,
        None => Speaker::Setting,
    };
    let in_list = |(_, object): &&(usize, &Object<'a>)| CONVERSATION.contains(&&*object.key);
    let outermost = around.iter().rfind(in_list);
    Some(Said {
        text,
        place: match returned {
            true => Place::ToolResult,
            false => Place::Input,
        },
        // The outermost object below the conversation.
        message: outermost.map(|(index, _)| *index),
        is_beside: outermost.is_some_and(|(_, object)| BESIDE.contains(&&*object.key)),
        speaker,
        is_argument,
        is_free,
        is_sealed: !is_known && is_signed && is_reasoning(text, &around),
    })
}

/// Whether a text is part of a definition: the outermost member that tells decides.
fn defines(text: &Text<'_>, around: &[(usize, &Object<'_>)]) -> bool {
    let names = around.iter().rev().map(|(_, object)| &*object.key);
    let mut names = names.chain(std::iter::once(&*text.key));
    let told = names.find(|name| DEFINITIONS.contains(name) || CONVERSATION.contains(name));
    told.is_some_and(|name| DEFINITIONS.contains(&name))
}

/// Where a part of the request that holds no words stands; `None` where nobody says it.
pub(super) fn place_of(outline: &Outline<'_>, text: &Text<'_>) -> Option<Place> {
    let around = objects_around(outline, text);
    let key = |at: usize| around.get(at).map_or("", |(_, object)| &*object.key);
    let is_variable = around.len() == 4 && (key(1), key(2)) == ("variables", "prompt");
    let is_own = is_in_arguments(&around) || (is_in_free(text, &around) && !is_variable);
    if is_own || defines(text, &around) {
        return None;
    }
    Some(
        match around.iter().any(|(_, object)| holds_result(object)) {
            true => Place::ToolResult,
            false => Place::Input,
        },
    )
}

/// Whether a conversation holds what a tool or a retrieval returned, be it something that cannot be read.
pub(super) fn holds_returned(outline: &Outline<'_>) -> bool {
    let is_returned = |index: usize, object: &Object<'_>| {
        let tells = holds_result(object);
        let mut keys: Vec<&str> = outline.ancestors(Some(index)).map(|o| &*o.key).collect();
        keys.reverse();
        let told = keys
            .into_iter()
            .find(|name| DEFINITIONS.contains(name) || CONVERSATION.contains(name));
        tells && told.is_none_or(|name| !DEFINITIONS.contains(&name))
    };
    let mut objects = outline.objects.iter().enumerate();
    objects.any(|(index, object)| is_returned(index, object))
}

/// Sorts out a text of a request for vectors: whatever is to become one comes from nobody in
/// particular.
pub(super) fn to_embed<'t, 'a>(outline: &Outline<'a>, text: &'t Text<'a>) -> Option<Said<'t, 'a>> {
    let mut said = who_says(outline, text)?;
    let is_embedded = EMBEDDED.contains(&&*text.key)
        || outline
            .ancestors(text.object)
            .any(|object| EMBEDDED.contains(&&*object.key));
    if is_embedded {
        said.speaker = Speaker::Untrusted;
    }
    Some(said)
}

/// Whether an object is what a tool or a retrieval returned.
fn holds_result(object: &Object<'_>) -> bool {
    RETURNED.contains(&&*object.key)
        || matches!(object.role.as_deref(), Some("tool" | "function"))
        || object.kind.as_deref().is_some_and(is_result)
}

/// Whether a text is what a model thought, where its provider's signature stands beside it.
fn is_reasoning(text: &Text<'_>, around: &[(usize, &Object<'_>)]) -> bool {
    let inner = around.first().map(|(_, object)| &*object.key);
    text.key == "thinking" || (text.key == "text" && inner == Some("reasoningText"))
}

/// Whether an object of this type is what a tool or a retrieval returned, or a call with what its tool
/// returned.
pub(super) fn is_result(kind: &str) -> bool {
    kind.ends_with("tool_result")
        || kind.ends_with("_output")
        || matches!(
            kind,
            "search_result"
                | "document"
                | "mcp_call"
                | "mcp_list_tools"
                | "file_search_call"
                | "code_interpreter_call"
                | "web_search_call"
        )
}

/// Whether an item of this type is a call or a thought of the model, which has no role. Calls that hold what
/// their tools returned are none of these.
fn is_call(kind: &str) -> bool {
    kind.ends_with("_call") || matches!(kind, "reasoning" | "mcp_approval_request")
}

/// Whether a text is below the arguments of a tool call that are written as an object. What only looks like a
/// call within what a tool returned is none.
fn is_in_arguments(around: &[(usize, &Object<'_>)]) -> bool {
    let calls_tool = |object: &Object<'_>| {
        let kind = object.kind.as_deref();
        matches!(kind, Some("tool_use" | "server_tool_use" | "mcp_tool_use"))
            || matches!(&*object.key, "toolUse" | "functionCall" | "function_call")
    };
    let mut outer = around.iter().skip(1).rev();
    let told = outer.find(|(_, object)| holds_result(object) || calls_tool(object));
    told.is_some_and(|(_, object)| !holds_result(object))
}

/// Whether a text is below a member whose own members have names that no API gives them. No name tells
/// there what is an identifier.
fn is_in_free(text: &Text<'_>, around: &[(usize, &Object<'_>)]) -> bool {
    let key = |at: usize| around.get(at).map_or("", |(_, object)| &*object.key);
    // A member of such a member may be a text itself.
    let own = (text.kind != Kind::Key).then_some((&*text.key, key(0), key(1)));
    let outer = (0..around.len()).map(|at| (key(at), key(at + 1), key(at + 2)));
    own.into_iter().chain(outer).any(|place| {
        matches!(
            place,
            ("response", "functionResponse" | "function_response", _)
                | ("json", "content", "toolResult")
                | ("data", "document" | "documents", _)
                | (
                    "metadata" | "requestMetadata" | "labels" | "additionalModelRequestFields",
                    "",
                    _
                )
                | ("variables", "prompt", _)
                | ("promptVariables", "", _)
                | ("input_examples", "tools", _)
        )
    })
}

fn holds_words(text: &Text<'_>, around: &[(usize, &Object<'_>)]) -> bool {
    let kind = || {
        around
            .first()
            .and_then(|(_, object)| object.kind.as_deref())
    };
    let is_inline = || {
        let inner = around.first().map(|(_, object)| &*object.key);
        matches!(inner, Some("inlineData" | "inline_data" | "input_audio"))
    };
    if text.packing.is_some() {
        return true;
    }
    match &*text.key {
        "data" => kind() == Some("text") || (kind().is_none() && !is_inline()),
        "url" | "image_url" => !text.value.starts_with("data:"),
        key => !NOT_WORDS.contains(&key),
    }
}

/// Members of a tool's definition below which names are no names of tools.
const SCHEMAS: [&str; 8] = [
    "parameters",
    "input_schema",
    "inputSchema",
    "parametersJsonSchema",
    "parameter_definitions",
    "schema",
    "properties",
    "allowed_tools",
];

/// The names of the tools that a request offers to the model.
pub(super) fn offered_tools<'t>(outline: &'t Outline<'_>) -> Vec<&'t str> {
    let is_tool = |key: &str| matches!(key, "tools" | "functions" | "toolConfig");
    let mut found: Vec<&str> = Vec::new();
    for text in &outline.texts {
        if text.kind != Kind::String || !matches!(&*text.key, "name" | "type") {
            continue;
        }
        let mut around = outline.ancestors(text.object);
        let inner = around.next();
        let is_below = outline
            .ancestors(text.object)
            .any(|object| is_tool(&object.key));
        let is_schema = outline
            .ancestors(text.object)
            .any(|object| SCHEMAS.contains(&&*object.key));
        let in_conversation = outline
            .ancestors(text.object)
            .any(|object| matches!(&*object.key, "messages" | "contents" | "input"));
        if !is_below || is_schema || in_conversation {
            continue;
        }
        let is_native = &*text.key == "type"
            && inner.is_some_and(|object| is_tool(&object.key))
            && !matches!(&*text.value, "function" | "custom");
        if &*text.key == "name" || is_native {
            found.push(&text.value);
        }
    }
    found
}

#[cfg(test)]
mod tests;
