//! Directives: the `key=value` commands that tell the fake provider how to behave.

use memchr::memmem;

/// Every directive with its meaning; the reference and the error for an unknown key come from here.
pub const KEYS: &[(&str, &str)] = &[
    ("answer_bytes", "answer with a text of exactly N bytes"),
    (
        "bad_json",
        "break the JSON of the answer, or of one event of the stream",
    ),
    (
        "bad_utf8",
        "put a byte that is not UTF-8 into the answer's text",
    ),
    (
        "cache_write_tokens",
        "report N input tokens as written to the prompt cache",
    ),
    (
        "cached_tokens",
        "report N input tokens as read from the prompt cache",
    ),
    (
        "chunk_delay_ms",
        "wait N milliseconds before each streamed chunk of text",
    ),
    (
        "chunks",
        "stream the text in N chunks (one a word otherwise)",
    ),
    (
        "content_type",
        "send this content-type instead of the right one",
    ),
    (
        "cut",
        "how to break the connection: `reset` (TCP RST, the default) or `close` (FIN)",
    ),
    (
        "cut_after_bytes",
        "break the connection after N bytes of the body",
    ),
    ("disconnect", "break the connection without answering"),
    (
        "drip_bytes",
        "send the body in pieces of N bytes, chunk_delay_ms (20 if unset) apart",
    ),
    ("duplicate_events", "send each event of a stream twice"),
    (
        "echo",
        "answer with the last user `text`, or with the whole `request` as it arrived",
    ),
    (
        "error",
        "the error's type and code, with `status` or `error_after_tokens`",
    ),
    (
        "error_after_tokens",
        "send an error event after N tokens and end the stream",
    ),
    (
        "finish",
        "give this finish reason (OpenAI) or stop reason (Anthropic)",
    ),
    (
        "garbage",
        "answer 200 with bytes that are no JSON and no events",
    ),
    ("hang", "read the request and never answer"),
    (
        "input_tokens",
        "report N input tokens instead of counting them",
    ),
    (
        "latency_ms",
        "wait N milliseconds before the response headers",
    ),
    (
        "missing_terminator",
        "end a stream without `[DONE]` or `message_stop`",
    ),
    ("output_tokens", "answer with N words"),
    (
        "reasoning_tokens",
        "think for N tokens first (Anthropic: in a thinking block)",
    ),
    ("retry_after", "send `retry-after: N` with an error"),
    ("retry_after_ms", "send `retry-after-ms: N` with an error"),
    (
        "secret_pieces",
        "split the secret of `secret_split` over N chunks (4 if unset)",
    ),
    (
        "secret_split",
        "answer with this secret (`auto`: a made-up key) split over chunks",
    ),
    (
        "should_retry",
        "send `x-should-retry: true` or `false` with an error",
    ),
    (
        "stall_after_tokens",
        "send N tokens, then nothing more, keeping the connection open",
    ),
    ("status", "answer with this HTTP error status"),
    ("text", "answer with this text"),
    ("tool", "call these tools of the request, separated by `+`"),
    (
        "tool_args",
        "call the tools with this JSON instead of a sample made from their schema",
    ),
    (
        "usage",
        "how usage is reported: `exact`, `missing`, `zero`, `late`, `after_end`",
    ),
];

/// The longest answer that can be asked for.
pub const MAX_ANSWER_BYTES: u64 = 64 << 20;
/// The most words or chunks that can be asked for.
pub const MAX_WORDS: u64 = 1 << 20;
/// The longest pause that can be asked for.
pub const MAX_PAUSE_MS: u64 = 600_000;

/// How usage is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageMode {
    /// As the documented rule counts it.
    #[default]
    Exact,
    /// Left out.
    Missing,
    /// Present, and all zeros.
    Zero,
    /// In an event of its own, 100 ms after the finish reason.
    Late,
    /// In an event after the one that ends the stream.
    AfterEnd,
}

/// What an echo repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// The last user text.
    Text,
    /// The body of the request.
    Request,
}

/// All directives in force for one call. [`KEYS`] says what each means.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    missing_docs,
    reason = "KEYS documents each directive, under the same name"
)]
pub struct Directives {
    pub answer_bytes: Option<usize>,
    pub bad_json: bool,
    pub bad_utf8: bool,
    pub cache_write_tokens: u64,
    pub cached_tokens: u64,
    pub chunk_delay_ms: Option<u64>,
    pub chunks: Option<usize>,
    pub content_type: Option<String>,
    pub close_gently: bool,
    pub cut_after_bytes: Option<usize>,
    pub disconnect: bool,
    pub drip_bytes: Option<usize>,
    pub duplicate_events: bool,
    pub echo: Option<Echo>,
    pub error: Option<String>,
    pub error_after_tokens: Option<u64>,
    pub finish: Option<String>,
    pub garbage: bool,
    pub hang: bool,
    pub input_tokens: Option<u64>,
    pub latency_ms: u64,
    pub missing_terminator: bool,
    pub output_tokens: Option<usize>,
    pub reasoning_tokens: u64,
    pub retry_after: Option<u64>,
    pub retry_after_ms: Option<u64>,
    pub secret_pieces: Option<usize>,
    pub secret_split: Option<String>,
    pub should_retry: Option<bool>,
    pub stall_after_tokens: Option<u64>,
    pub status: Option<u16>,
    pub text: Option<String>,
    pub tools: Vec<String>,
    pub tool_args: Option<String>,
    pub usage: UsageMode,
}

/// A directive that cannot be obeyed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DirectiveError {
    /// No directive has this name.
    #[error("unknown directive `{found}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// What was asked for.
        found: String,
        /// The known key that looks most like it.
        nearest: &'static str,
    },
    /// The value does not fit the directive.
    #[error("directive `{key}` expects {expected}, found `{found}`")]
    BadValue {
        /// The directive.
        key: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
}

impl std::str::FromStr for Directives {
    type Err = DirectiveError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let mut directives = Self::default();
        directives.apply(list)?;
        Ok(directives)
    }
}

impl Directives {
    /// Applies `key=value,key=value`; a key alone means `key=true`.
    pub fn apply(&mut self, list: &str) -> Result<(), DirectiveError> {
        for item in list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let (key, value) = item.split_once('=').unwrap_or((item, "true"));
            self.set(key.trim(), &percent_decode(value.trim()))?;
        }
        Ok(())
    }

    /// Applies every `[[fake:…]]` found in a text.
    pub fn apply_text(&mut self, text: &str) -> Result<(), DirectiveError> {
        let mut rest = text;
        while let Some((_, list, after)) = next_marker(rest) {
            self.apply(list)?;
            rest = after;
        }
        Ok(())
    }

    /// Sets one directive.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), DirectiveError> {
        let number = |max: u64| match value.parse::<u64>() {
            Ok(number) if number <= max => Ok(number),
            _ => Err(bad_value(
                key,
                &format!("a whole number up to {max}"),
                value,
            )),
        };
        let size = |max: u64| number(max).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let flag = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad_value(key, "`true` or `false`", value)),
        };
        match key {
            "answer_bytes" => self.answer_bytes = Some(size(MAX_ANSWER_BYTES)?),
            "bad_json" => self.bad_json = flag()?,
            "bad_utf8" => self.bad_utf8 = flag()?,
            "cache_write_tokens" => self.cache_write_tokens = number(u64::from(u32::MAX))?,
            "cached_tokens" => self.cached_tokens = number(u64::from(u32::MAX))?,
            "chunk_delay_ms" => self.chunk_delay_ms = Some(number(MAX_PAUSE_MS)?),
            "chunks" => self.chunks = Some(size(MAX_WORDS)?.max(1)),
            "content_type" => self.content_type = Some(value.to_owned()),
            "cut" => self.close_gently = choose(key, value, &[("reset", false), ("close", true)])?,
            "cut_after_bytes" => self.cut_after_bytes = Some(size(MAX_ANSWER_BYTES)?),
            "disconnect" => self.disconnect = flag()?,
            "drip_bytes" => self.drip_bytes = Some(size(MAX_ANSWER_BYTES)?.max(1)),
            "duplicate_events" => self.duplicate_events = flag()?,
            "echo" => {
                let known = [("text", Echo::Text), ("request", Echo::Request)];
                self.echo = Some(choose(key, value, &known)?);
            }
            "error" => self.error = Some(value.to_owned()),
            "error_after_tokens" => self.error_after_tokens = Some(number(MAX_WORDS)?),
            "finish" => self.finish = Some(value.to_owned()),
            "garbage" => self.garbage = flag()?,
            "hang" => self.hang = flag()?,
            "input_tokens" => self.input_tokens = Some(number(u64::from(u32::MAX))?),
            "latency_ms" => self.latency_ms = number(MAX_PAUSE_MS)?,
            "missing_terminator" => self.missing_terminator = flag()?,
            "output_tokens" => self.output_tokens = Some(size(MAX_WORDS)?),
            "reasoning_tokens" => self.reasoning_tokens = number(MAX_WORDS)?,
            "retry_after" => self.retry_after = Some(number(u64::from(u32::MAX))?),
            "retry_after_ms" => self.retry_after_ms = Some(number(u64::from(u32::MAX))?),
            "secret_pieces" => self.secret_pieces = Some(size(MAX_WORDS)?.max(1)),
            "secret_split" => self.secret_split = Some(value.to_owned()),
            "should_retry" => self.should_retry = Some(flag()?),
            "stall_after_tokens" => self.stall_after_tokens = Some(number(MAX_WORDS)?),
            "status" => self.status = Some(error_status(key, value)?),
            "text" => self.text = Some(value.to_owned()),
            "tool" => self.tools = value.split('+').map(str::to_owned).collect(),
            "tool_args" => self.tool_args = Some(value.to_owned()),
            "usage" => {
                let known = [
                    ("exact", UsageMode::Exact),
                    ("missing", UsageMode::Missing),
                    ("zero", UsageMode::Zero),
                    ("late", UsageMode::Late),
                    ("after_end", UsageMode::AfterEnd),
                ];
                self.usage = choose(key, value, &known)?;
            }
            unknown => {
                return Err(DirectiveError::UnknownKey {
                    found: unknown.to_owned(),
                    nearest: nearest_key(unknown),
                });
            }
        }
        Ok(())
    }
}

/// The text without its `[[fake:…]]` markers.
pub fn without_markers(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, _, after)) = next_marker(rest) {
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

/// Splits at the first marker: the text before it, what it says, the text after it.
fn next_marker(text: &str) -> Option<(&str, &str, &str)> {
    let start = memmem::find(text.as_bytes(), b"[[fake:")?;
    let said = &text[start + "[[fake:".len()..];
    let end = said.find("]]")?;
    Some((&text[..start], &said[..end], &said[end + 2..]))
}

fn choose<T: Copy>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T, DirectiveError> {
    known
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            bad_value(key, &format!("one of {}", names.join(", ")), value)
        })
}

fn error_status(key: &str, value: &str) -> Result<u16, DirectiveError> {
    match value.parse::<u16>() {
        Ok(status) if (400..=599).contains(&status) => Ok(status),
        _ => Err(bad_value(key, "an HTTP error status, 400 to 599", value)),
    }
}

fn bad_value(key: &str, expected: &str, found: &str) -> DirectiveError {
    DirectiveError::BadValue {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.chars().take(80).collect(),
    }
}

/// The key with the longest common prefix; the list is short and so is the typo.
fn nearest_key(unknown: &str) -> &'static str {
    let likeness = |key: &str| {
        key.bytes()
            .zip(unknown.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    KEYS.iter()
        .map(|(key, _)| *key)
        .max_by_key(|key| likeness(key))
        .unwrap_or_default()
}

/// Decodes `%2C` and the like; what is no valid escape stays as it is.
fn percent_decode(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| value.get(at + 1..at + 3))
            .flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests;
