//! Tools of the provider's that a request offers, and bounds of how often they may be called.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use serde_json::value::RawValue;

use super::bound::replaced;
use super::{after_brace, present, range_in};

/// The tools that a request offers, as far as they have a type, and how often they may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedTools {
    /// How often all tools together may be called that the provider runs.
    pub most: Option<u64>,
    /// Types of tools, and how often each may be called.
    pub each: Vec<(String, Option<u64>)>,
}

const MAX_TOOL_CALLS: &str = "max_tool_calls";
const MAX_USES: &str = "max_uses";

/// The members of an object. One that is `null` is there all the same.
type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// The tools that a request offers; `None` in dialects whose tools have no types.
#[must_use]
pub fn typed_tools(dialect: Dialect, body: &[u8]) -> Option<TypedTools> {
    if !matches!(
        dialect,
        Dialect::OpenAiResponses | Dialect::AnthropicMessages
    ) {
        return None;
    }
    let request: Members<'_> = serde_json::from_slice(body).ok()?;
    let number = |of: &Members<'_>, name: &str| of.get(name)?.get().parse::<u64>().ok();
    let each =
        tools_of(&request).filter_map(|(_, tool)| Some((kind(&tool)?, number(&tool, MAX_USES))));
    Some(TypedTools {
        // Messages have no such field.
        most: number(&request, MAX_TOOL_CALLS),
        each: each.collect(),
    })
}

/// The body with the calls of tools bounded that the provider runs and the request does not bound;
/// `tool` is how the types of those tools begin. `None` where nothing is to be changed, as in dialects
/// without such a bound.
#[must_use]
pub fn bound_tool_calls(dialect: Dialect, body: &Bytes, tool: &str, calls: u64) -> Option<Bytes> {
    let text = str::from_utf8(body).ok()?;
    let request: Members<'_> = serde_json::from_str(text).ok()?;
    let edits: Vec<_> = match dialect {
        Dialect::OpenAiResponses => bound(text, (0, &request), MAX_TOOL_CALLS, calls)
            .into_iter()
            .collect(),
        Dialect::AnthropicMessages => tools_of(&request)
            .filter(|(_, found)| kind(found).is_some_and(|kind| kind.starts_with(tool)))
            .filter_map(|(raw, found)| {
                let start = range_in(text, raw.get()).start;
                bound(text, (start, &found), MAX_USES, calls)
            })
            .collect(),
        _ => Vec::new(),
    };
    (!edits.is_empty()).then(|| replaced(body, &edits))
}

/// What to write into an object that begins there, so that it has a bound, if it has none.
fn bound(
    text: &str,
    (start, object): (usize, &Members<'_>),
    name: &str,
    calls: u64,
) -> Option<(Range<usize>, String)> {
    match object.get(name) {
        None => Some((
            after_brace(text.as_bytes(), start),
            format!("\"{name}\":{calls},"),
        )),
        Some(raw) if present(Some(raw)).is_none() => {
            Some((range_in(text, raw.get()), calls.to_string()))
        }
        Some(_) => None,
    }
}

/// The tools of a request, each as it stands there.
fn tools_of<'a>(request: &Members<'a>) -> impl Iterator<Item = (&'a RawValue, Members<'a>)> {
    let tools = request.get("tools").copied();
    let tools = tools.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
    let read = |raw: &'a RawValue| Some((raw, serde_json::from_str(raw.get()).ok()?));
    tools.into_iter().flatten().filter_map(read)
}

fn kind(tool: &Members<'_>) -> Option<String> {
    serde_json::from_str(tool.get("type")?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(dialect: Dialect, body: &str) -> Option<String> {
        let bounded = bound_tool_calls(
            dialect,
            &Bytes::copy_from_slice(body.as_bytes()),
            "web_search",
            4,
        );
        bounded.map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn responses_have_one_bound_for_all_tools() {
        let of = |body| bounded(Dialect::OpenAiResponses, body);
        assert_eq!(
            of(r#"{"model":"m"}"#).unwrap(),
            r#"{"max_tool_calls":4,"model":"m"}"#
        );
        assert_eq!(
            of(r#"{"max_tool_calls": null}"#).unwrap(),
            r#"{"max_tool_calls": 4}"#
        );
        assert_eq!(of(r#"{"max_tool_calls":9}"#), None);
        let body = br#"{"max_tool_calls":9,"tools":[{"type":"web_search"}]}"#;
        let tools = typed_tools(Dialect::OpenAiResponses, body).unwrap();
        assert_eq!(tools.most, Some(9));
        assert_eq!(tools.each, [("web_search".to_owned(), None)]);
    }

    #[test]
    fn messages_have_a_bound_in_each_tool() {
        let of = |body| bounded(Dialect::AnthropicMessages, body);
        let search = r#"{"type":"web_search_20250305","name":"web_search"}"#;
        let request = format!(r#"{{"tools":[{{"name":"web_search"}},{search},{search}]}}"#);
        let with = search.replacen('{', r#"{"max_uses":4,"#, 1);
        assert_eq!(of(&request).unwrap(), request.replace(search, &with));
        let own = r#"{"tools":[{"type":"web_search_20250305","max_uses":2}]}"#;
        assert_eq!(of(own), None);
        let tools = typed_tools(Dialect::AnthropicMessages, own.as_bytes()).unwrap();
        assert_eq!(tools.each, [("web_search_20250305".to_owned(), Some(2))]);
        assert_eq!(of(r#"{"tools":[{"name":"a"}]}"#), None);
        assert_eq!(of(r#"{"messages":[]}"#), None);
    }

    #[test]
    fn other_dialects_have_none() {
        let body = r#"{"tools":[{"type":"web_search"}]}"#;
        for dialect in [
            Dialect::OpenAiChat,
            Dialect::Gemini,
            Dialect::CohereChat,
            Dialect::BedrockConverse,
        ] {
            assert_eq!(bounded(dialect, body), None, "{dialect:?}");
            assert_eq!(typed_tools(dialect, body.as_bytes()), None);
        }
    }
}
