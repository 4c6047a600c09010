//! The fast look at a request: what routing and limits need, and where to splice, in one pass.
//!
//! The body is never parsed into a tree and never re-serialised: on a same-dialect path the
//! provider gets the caller's own bytes, except for the few that [`splice`] replaces.

mod bound;
mod fields;
mod messages;
mod rules;
mod settings;
mod tools;

pub use bound::bound_output;
pub(crate) use rules::{Conversation, HeadRules, ModelPlace, Shape};
pub use tools::{TypedTools, bound_tool_calls, typed_tools};

use crate::tier::{self, ServiceTier};
use crate::{depth, fault::Fault, wire};
use bytes::Bytes;
use fields::Fields;
use seaworthy_core::dialect::Dialect;
use serde::de::DeserializeSeed as _;
use serde_json::value::RawValue;
use std::{borrow::Cow, ops::Range};

/// What the path of a request says, in dialects that do not say it in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPath<'a> {
    /// The model that is asked for.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// What a request says at its top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The model that is asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the caller asked for usage within the stream.
    pub include_usage: bool,
    /// The bound of the output of one choice, if the caller set one.
    pub max_output_tokens: Option<u64>,
    /// How many alternative answers are asked for; at least 1.
    pub choices: u64,
    /// Size of the body. No tokenizer makes more tokens of it than it has bytes, media given by
    /// URL or file ID aside.
    pub input_bytes: usize,
    /// The stored answer that the request continues.
    pub previous_response_id: Option<String>,
    /// Whether the answer should be kept for later requests; `None` where that is the default.
    pub store: Option<bool>,
    /// Whether the caller wants to fetch the answer later.
    pub background: bool,
    /// Whether the provider adds to the input what it has kept: a conversation or a prompt.
    pub reads_kept: bool,
    /// Whether it offers tools to the model.
    pub offers_tools: bool,
    /// The tier of service that is asked for.
    pub tier: Option<ServiceTier>,
    /// Where the value of `model` stands in the body, quotes included. `None`: not in the body.
    model_at: Option<Range<usize>>,
    /// Where the values that bound the output stand in the body.
    bounds_at: Vec<Range<usize>>,
    /// Where the model can be written into a body that does not name it, although its dialect does.
    model_missing_at: Option<usize>,
    /// Whether the path said it, so that the body may say another one.
    is_model_in_path: bool,
    /// What to change so that the provider reports usage within the stream.
    usage_edit: Option<Edit>,
}

impl Head {
    /// Whether the body names the model itself.
    #[must_use]
    pub fn names_model(&self) -> bool {
        self.model_at.is_some()
    }
}

/// Bytes to put in the place of others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    at: Range<usize>,
    text: &'static str,
}

/// Reads the head of a request for a model's answer.
///
/// # Errors
/// A sentence for the caller, when the body is not a request of this dialect.
pub fn head(dialect: Dialect, body: &Bytes) -> Result<Head, Fault> {
    read(wire::of(dialect).head_rules(), None, body)
}

/// As [`head`], for requests whose path names the model. Where it also says whether to stream, the
/// body has no say in that; where the body has a model, too, the path counts.
///
/// # Errors
/// As [`head`].
pub fn head_in_path(dialect: Dialect, path: InPath<'_>, body: &Bytes) -> Result<Head, Fault> {
    read(wire::of(dialect).head_rules(), Some(path), body)
}

/// Reads the head of a request that only counts tokens: no bound of the output is needed.
///
/// # Errors
/// As [`head`].
pub fn count_tokens_head(
    dialect: Dialect,
    path: Option<InPath<'_>>,
    body: &Bytes,
) -> Result<Head, Fault> {
    let rules = HeadRules {
        max_tokens_required: false,
        ..*wire::of(dialect).head_rules()
    };
    read(&rules, path, body)
}

/// The body with another model and, if asked for, with usage in the stream switched on.
///
/// Every other byte stays as it was; if nothing changes, the very same buffer is returned.
#[must_use]
pub fn splice(
    body: &Bytes,
    head: &Head,
    new_model: Option<&str>,
    force_include_usage: bool,
) -> Bytes {
    let model = match (new_model, &head.model_at, head.model_missing_at) {
        (Some(name), Some(at), _) if name != head.model || head.is_model_in_path => {
            let name = json_string(name);
            (body[at.clone()] != *name.as_bytes()).then(|| (at.clone(), name))
        }
        (Some(name), None, Some(at)) => {
            let member = format!("\"model\":{},", json_string(name));
            Some((at..at, Cow::Owned(member)))
        }
        _ => None,
    };
    let usage = head
        .usage_edit
        .as_ref()
        .filter(|_| force_include_usage)
        .map(|edit| (edit.at.clone(), Cow::Borrowed(edit.text)));
    let mut edits: Vec<(Range<usize>, Cow<'_, str>)> = model.into_iter().chain(usage).collect();
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|(at, _)| at.start);
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for (at, text) in edits {
        out.extend_from_slice(&body[copied..at.start]);
        out.extend_from_slice(text.as_bytes());
        copied = at.end;
    }
    out.extend_from_slice(&body[copied..]);
    Bytes::from(out)
}

fn json_string(text: &str) -> Cow<'static, str> {
    let mut out = Vec::with_capacity(text.len() + 2);
    crate::json::write_string(&mut out, text);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

pub(crate) fn read(
    rules: &HeadRules,
    path: Option<InPath<'_>>,
    body: &Bytes,
) -> Result<Head, Fault> {
    let text = crate::json::text(body)?;
    let fields = parse(rules, text)?;
    let (model, model_at) = model(rules, path, &fields, text)?;
    let in_body = rules.model == ModelPlace::Body;
    let model_missing_at =
        (in_body && model_at.is_none()).then(|| after_brace(text.as_bytes(), 0).start);
    let conversation = &rules.conversation;
    if conversation.is_required && !fields.conversation_seen {
        let expected = match conversation.shape {
            Shape::Messages { .. } => "missing; expected a non-empty array of messages",
            Shape::Anything => "missing; it is what the answer is made from",
        };
        return Err(Fault::at(conversation.field, expected));
    }
    let max_output_tokens = max_output_tokens(rules, &fields)?;
    let stream = match (rules.model, path) {
        (ModelPlace::Path, path) => path.is_some_and(|path| path.stream),
        _ => optional_bool("stream", fields.stream)?,
    };
    let previous = present(fields.previous_response_id);
    let previous = previous.map(|raw| {
        serde_json::from_str(raw.get()).map_err(|_| wrong("previous_response_id", "a string", raw))
    });
    let usage = match fields.stream_options {
        Some(options) if rules.usage_on_request => usage_in_options(text, options)?,
        _ => Usage {
            asked: !rules.usage_on_request,
            edit: Edit {
                at: after_brace(text.as_bytes(), 0),
                text: r#""stream_options":{"include_usage":true},"#,
            },
        },
    };
    Ok(Head {
        model,
        stream,
        include_usage: usage.asked,
        max_output_tokens,
        choices: choices(rules, &fields)?,
        input_bytes: body.len(),
        previous_response_id: previous.transpose()?,
        store: match present(fields.store) {
            Some(raw) => Some(optional_bool("store", Some(raw))?),
            None => None,
        },
        background: optional_bool("background", fields.background)?,
        reads_kept: present(fields.conversation)
            .or(present(fields.prompt))
            .is_some(),
        offers_tools: present(fields.tools).is_some(),
        tier: present(fields.tier).and_then(tier::asked),
        model_at,
        bounds_at: fields
            .max_tokens
            .iter()
            .filter_map(|raw| raw.map(|raw| range_in(text, raw.get())))
            .collect(),
        model_missing_at,
        is_model_in_path: path.is_some(),
        usage_edit: (stream && !usage.asked).then_some(usage.edit),
    })
}

fn parse<'a>(rules: &HeadRules, text: &'a str) -> Result<Fields<'a>, Fault> {
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(Fault::whole("the body is empty; expected a JSON object"));
    }
    let place = fields::Place::start_of(text);
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = fields::Reader {
        rules,
        place: &place,
    }
    .deserialize(&mut json)
    .and_then(|fields| json.end().map(|()| fields));
    let fields = fields.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => place.fault(&error),
        _ => Fault::syntax(&error),
    })?;
    if place.depth.is_too_deep_at_end() {
        return Err(Fault::whole(depth::TOO_DEEP));
    }
    Ok(fields)
}

/// The model's name, and where it stands in the body.
fn model(
    rules: &HeadRules,
    path: Option<InPath<'_>>,
    fields: &Fields<'_>,
    text: &str,
) -> Result<(String, Option<Range<usize>>), Fault> {
    if let (ModelPlace::Body, Some(path)) = (rules.model, path) {
        let at = fields.model.map(|raw| range_in(text, raw.get()));
        return Ok((path.model.to_owned(), at));
    }
    let raw = match (rules.model, fields.model) {
        (ModelPlace::Path, _) => {
            let name = path.map(|path| path.model).filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| {
                Fault::at("model", "missing; expected the name of a model in the path")
            })?;
            return Ok((name.to_owned(), None));
        }
        (ModelPlace::BodyOr(default), None) => return Ok((default.to_owned(), None)),
        (ModelPlace::Body, None) => {
            return Err(Fault::at("model", "missing; expected the name of a model"));
        }
        (ModelPlace::Body | ModelPlace::BodyOr(_), Some(raw)) => raw,
    };
    Ok((model_name(raw)?, Some(range_in(text, raw.get()))))
}

fn model_name(raw: &RawValue) -> Result<String, Fault> {
    let name: String = serde_json::from_str(raw.get())
        .map_err(|_| wrong("model", "a string, the name of a model", raw))?;
    if name.is_empty() {
        return Err(Fault::at(
            "model",
            "expected the name of a model, found an empty string",
        ));
    }
    Ok(name)
}

fn max_output_tokens(rules: &HeadRules, fields: &Fields<'_>) -> Result<Option<u64>, Fault> {
    let mut most = None;
    for (name, raw) in rules.max_tokens.iter().zip(fields.max_tokens) {
        let Some(raw) = present(raw) else { continue };
        let tokens = serde_json::from_str::<u64>(raw.get())
            .ok()
            .filter(|tokens| *tokens >= rules.max_tokens_least)
            .ok_or_else(|| {
                let least = rules.max_tokens_least;
                wrong(name, &format!("an integer of at least {least}"), raw)
            })?;
        most = most.max(Some(tokens));
    }
    if most.is_none() && rules.max_tokens_required {
        let name = rules.max_tokens.first().copied().unwrap_or_default();
        return Err(Fault::at(
            name,
            "missing; expected the most tokens that the answer may have",
        ));
    }
    Ok(most)
}

fn choices(rules: &HeadRules, fields: &Fields<'_>) -> Result<u64, Fault> {
    let (Some(name), Some(raw)) = (rules.choices.first(), present(fields.choices)) else {
        return Ok(1);
    };
    serde_json::from_str::<u64>(raw.get())
        .ok()
        .filter(|choices| *choices >= 1)
        .ok_or_else(|| wrong(name, "an integer of at least 1", raw))
}

fn optional_bool(name: &str, raw: Option<&RawValue>) -> Result<bool, Fault> {
    let Some(raw) = present(raw) else {
        return Ok(false);
    };
    match raw.get() {
        "false" => Ok(false),
        "true" => Ok(true),
        _ => Err(wrong(name, "true or false", raw)),
    }
}

struct Usage {
    asked: bool,
    edit: Edit,
}

/// `stream_options` as the caller wrote it, and how to switch usage on within it.
fn usage_in_options(text: &str, options: &RawValue) -> Result<Usage, Fault> {
    let at = range_in(text, options.get());
    if options.get() == "null" {
        let text = r#"{"include_usage":true}"#;
        let edit = Edit { at, text };
        return Ok(Usage { asked: false, edit });
    }
    if !options.get().starts_with('{') {
        return Err(wrong("stream_options", "an object", options));
    }
    let found: fields::StreamOptions<'_> = serde_json::from_str(options.get())
        .map_err(|_| Fault::at("stream_options.include_usage", fields::TWICE))?;
    let edit = match found.include_usage {
        Some(value) => Edit {
            at: range_in(text, value.get()),
            text: "true",
        },
        None => Edit {
            at: after_brace(text.as_bytes(), at.start),
            text: if found.is_empty {
                r#""include_usage":true"#
            } else {
                r#""include_usage":true,"#
            },
        },
    };
    Ok(Usage {
        asked: optional_bool("stream_options.include_usage", found.include_usage)?,
        edit,
    })
}

/// The empty range just behind the first `{` at or after `from`.
fn after_brace(text: &[u8], from: usize) -> Range<usize> {
    let brace = memchr::memchr(b'{', &text[from..]).map_or(from, |at| from + at + 1);
    brace..brace
}

/// Where `part`, borrowed from `whole`, stands in it.
fn range_in(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn wrong(name: &str, expected: &str, raw: &RawValue) -> Fault {
    let found = crate::json::describe(raw.get());
    Fault::at(name, format_args!("expected {expected}, found {found}"))
}
