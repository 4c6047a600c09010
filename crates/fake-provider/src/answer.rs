//! Deciding what to answer: text, tool calls and exact usage, from the request and the directives.

use serde_json::{Map, Value, json};

use crate::directive::{Directives, Echo, without_markers};
use crate::request::{Ask, Tool, ToolChoice};

const WORDS: &[&str] = &[
    "the", "ship", "holds", "her", "course", "while", "a", "steady", "wind", "fills", "every",
    "sail", "and", "the", "lookout", "reports", "clear", "water", "ahead",
];
const DEFAULT_WORDS: usize = 16;
const MAX_CHUNKS_UNASKED: usize = 1024;

/// Tokens by class. `input` is what was neither read from nor written to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Input tokens counted from the message text.
    pub input: u64,
    /// Input tokens read from the prompt cache.
    pub cached: u64,
    /// Input tokens written to the prompt cache.
    pub cache_write: u64,
    /// Output tokens that the caller sees.
    pub output: u64,
    /// Output tokens spent on thinking.
    pub reasoning: u64,
}

/// A call of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl ToolCall {
    pub(crate) fn tokens(&self) -> u64 {
        1 + (self.arguments.len() as u64).div_ceil(4)
    }

    /// The arguments in the pieces in which they are streamed.
    pub(crate) fn pieces(&self) -> Vec<&str> {
        split_evenly(&self.arguments, self.arguments.len().div_ceil(8).max(2))
    }
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Tools,
    Other(String),
}

/// A streamed piece of text and the tokens that begin in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) tokens: u64,
}

/// What the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) thinking: Option<String>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) tools: Vec<ToolCall>,
    pub(crate) finish: Finish,
    pub(crate) usage: Usage,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }
}

/// The documented rule for input: a token for every 4 bytes, rounded up, at least 1.
pub(crate) fn input_tokens(text_bytes: u64) -> u64 {
    text_bytes.div_ceil(4).max(1)
}

/// Decides the answer to a chat request; `raw` is its body as it arrived.
pub(crate) fn decide(ask: &Ask, directives: &Directives, raw: &[u8]) -> Answer {
    let tools = tool_calls(ask, directives);
    let mut finish = if tools.is_empty() {
        Finish::Stop
    } else {
        Finish::Tools
    };
    let mut pieces = if tools.is_empty() {
        pieces(ask, directives, raw)
    } else {
        Vec::new()
    };
    let thinking_words = match directives.reasoning_tokens {
        0 if ask.thinking => 8,
        asked => asked,
    };
    if let Some(limit) = ask.max_tokens
        && shorten(&mut pieces, limit)
    {
        finish = Finish::Length;
    }
    if let Some(reason) = &directives.finish {
        finish = Finish::Other(reason.clone());
    }
    let output = pieces.iter().map(|piece| piece.tokens).sum::<u64>()
        + tools.iter().map(ToolCall::tokens).sum::<u64>();
    Answer {
        thinking: (thinking_words > 0).then(|| words(thinking_words).join(" ")),
        pieces,
        tools,
        finish,
        usage: Usage {
            input: directives
                .input_tokens
                .unwrap_or(input_tokens(ask.text_bytes)),
            cached: directives.cached_tokens,
            cache_write: directives.cache_write_tokens,
            output,
            reasoning: thinking_words,
        },
    }
}

fn words(count: u64) -> Vec<&'static str> {
    WORDS
        .iter()
        .copied()
        .cycle()
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .collect()
}

/// Keeps the first `limit` tokens; true when there were more.
fn shorten(pieces: &mut Vec<Piece>, limit: u64) -> bool {
    let mut left = limit;
    for at in 0..pieces.len() {
        let piece = &mut pieces[at];
        if piece.tokens > left {
            let kept: Vec<_> = piece
                .text
                .split_inclusive(' ')
                .take(usize::try_from(left).unwrap_or(0))
                .collect();
            *piece = Piece {
                text: kept.concat().trim_end().to_owned(),
                tokens: left,
            };
            pieces.truncate(if left == 0 { at } else { at + 1 });
            return true;
        }
        left -= piece.tokens;
    }
    false
}

/// The text in the pieces in which it is streamed.
fn pieces(ask: &Ask, directives: &Directives, raw: &[u8]) -> Vec<Piece> {
    if let Some(secret) = &directives.secret_split {
        return secret_pieces(secret, directives.secret_pieces.unwrap_or(4));
    }
    let text = match (directives.echo, &directives.text, directives.answer_bytes) {
        (Some(Echo::Text), _, _) => without_markers(&ask.last_user_text),
        (Some(Echo::Request), _, _) => String::from_utf8_lossy(raw).into_owned(),
        (None, Some(text), _) => text.clone(),
        (None, None, Some(size)) => sized_text(size),
        (None, None, None) => match (directives.output_tokens, &ask.schema) {
            (None, Some(schema)) => sample(schema, 0).to_string(),
            (count, _) => {
                let usual = || DEFAULT_WORDS.max(directives.chunks.unwrap_or(0));
                words(count.unwrap_or_else(usual) as u64).join(" ")
            }
        },
    };
    // A whole answer needs no pieces.
    if !ask.stream {
        return count_tokens(vec![text]);
    }
    let by_word: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let wanted = directives
        .chunks
        .unwrap_or(by_word.len().min(MAX_CHUNKS_UNASKED));
    let texts: Vec<String> = if wanted <= by_word.len() {
        group_evenly(by_word.len(), wanted)
            .map(|range| by_word[range].concat())
            .collect()
    } else {
        split_evenly(&text, wanted)
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    count_tokens(texts)
}

/// Gives each piece the words that begin in it, so that the sum is the words of the whole.
fn count_tokens(texts: Vec<String>) -> Vec<Piece> {
    let mut in_word = false;
    let count = |text: String| {
        let mut tokens = 0;
        for character in text.chars() {
            tokens += u64::from(!character.is_whitespace() && !in_word);
            in_word = !character.is_whitespace();
        }
        Piece { text, tokens }
    };
    texts.into_iter().map(count).collect()
}

/// Words up to exactly `size` bytes.
fn sized_text(size: usize) -> String {
    let mut text = String::with_capacity(size + 16);
    for word in WORDS.iter().cycle() {
        if text.len() >= size {
            break;
        }
        text.push_str(word);
        text.push(' ');
    }
    text.truncate(size);
    if text.ends_with(' ') {
        text.pop();
        text.push('.');
    }
    text
}

fn secret_pieces(secret: &str, count: usize) -> Vec<Piece> {
    let made_up = made_up_key();
    let secret = if secret == "auto" { &made_up } else { secret };
    let mut texts = vec!["Here is the key: ".to_owned()];
    texts.extend(split_evenly(secret, count).into_iter().map(str::to_owned));
    texts.push(" keep it safe.".to_owned());
    count_tokens(texts)
}

/// A key of the shape that secret scanners know, always the same and good for nothing.
fn made_up_key() -> String {
    let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let letters = (0..48usize).map(|at| char::from(alphabet[(at * 37 + 11) % alphabet.len()]));
    format!("sk-{}", letters.collect::<String>())
}

/// `count` ranges of nearly equal length that cover `0..total`.
fn group_evenly(total: usize, count: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..count).map(move |at| at * total / count..(at + 1) * total / count)
}

/// Cuts a text into at most `count` pieces of nearly equal length, never inside a character.
fn split_evenly(text: &str, count: usize) -> Vec<&str> {
    let at_character = |at: usize| text.ceil_char_boundary(at);
    group_evenly(text.len(), count.clamp(1, text.len().max(1)))
        .map(|range| &text[at_character(range.start)..at_character(range.end)])
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// Tools are called when a directive or the request's `tool_choice` asks for it, once a turn.
fn tool_calls(ask: &Ask, directives: &Directives) -> Vec<ToolCall> {
    if ask.ends_with_tool_result || ask.tool_choice == ToolChoice::Never {
        return Vec::new();
    }
    let wanted: Vec<&Tool> = match &ask.tool_choice {
        _ if !directives.tools.is_empty() => {
            let find = |name: &String| ask.tools.iter().find(|tool| tool.name == *name);
            directives.tools.iter().filter_map(find).collect()
        }
        ToolChoice::Named(name) => ask.tools.iter().filter(|tool| tool.name == *name).collect(),
        ToolChoice::Any => ask.tools.iter().take(1).collect(),
        ToolChoice::Auto | ToolChoice::Never => Vec::new(),
    };
    let arguments = |tool: &Tool| match &directives.tool_args {
        Some(arguments) => arguments.clone(),
        None => sample(&tool.schema, 0).to_string(),
    };
    wanted
        .into_iter()
        .map(|tool| ToolCall {
            name: tool.name.clone(),
            arguments: arguments(tool),
        })
        .collect()
}

/// A value that satisfies a JSON schema of the usual kind.
fn sample(schema: &Value, depth: usize) -> Value {
    if let Some(first) = schema["enum"]
        .as_array()
        .and_then(|choices| choices.first())
    {
        return first.clone();
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("string") => json!("sample"),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("number") => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") if depth < 8 => json!([sample(&schema["items"], depth + 1)]),
        Some("array") => json!([]),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let filled = properties
                .filter(|_| depth < 8)
                .map(|(name, of)| (name.clone(), sample(of, depth + 1)));
            Value::Object(filled.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests;
