//! What the target of a request says about the call: the model in the path, the framing in the query.

use std::borrow::Cow;

use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_llm::Framing;

use super::{Operation, Route};

/// What the path of a model call says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InPath {
    pub(crate) model: String,
    pub(crate) stream: bool,
}

impl InPath {
    pub(crate) fn as_llm(&self) -> seaworthy_llm::InPath<'_> {
        seaworthy_llm::InPath {
            model: &self.model,
            stream: self.stream,
        }
    }
}

/// What is asked for, as far as the target of the request says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    pub(crate) in_path: Option<InPath>,
    /// How the caller wants to have a stream.
    pub(crate) framing: Framing,
    /// The rest of the query: what is not for us.
    pub(crate) query: Option<String>,
}

impl Asked {
    /// Reads the target of a request that this route was found for.
    pub(crate) fn read(
        route: &Route,
        operation: Operation,
        parameter: &str,
        query: Option<&str>,
    ) -> Self {
        let in_path = (!parameter.is_empty()).then(|| InPath {
            model: named(route, parameter),
            stream: route.path.ends_with("stream") || route.path.contains(":stream"),
        });
        let dialect = operation.dialect();
        let framing = match dialect {
            Dialect::Gemini if !asks_for_sse(query) => Framing::JsonArray,
            dialect => Framing::of(dialect),
        };
        Self {
            operation,
            in_path,
            framing,
            query: query.and_then(|query| passed_on(route, dialect, query)),
        }
    }
}

/// The model that a path names: it may be percent-encoded, and with Google its name has a prefix.
pub(crate) fn named(route: &Route, parameter: &str) -> String {
    let name = decoded(parameter);
    match name.strip_prefix("models/") {
        Some(bare) if route.family == Family::Gemini => bare.to_owned(),
        _ => name,
    }
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

fn asks_for_sse(query: Option<&str>) -> bool {
    parameters(query.unwrap_or_default()).any(|parameter| parameter == ("alt", "sse"))
}

/// The key that Gemini's callers may send in the query.
pub(crate) fn key_in_query(query: Option<&str>) -> Option<String> {
    parameters(query?)
        .find(|(name, _)| *name == "key")
        .map(|(_, key)| decoded(key))
}

/// What the provider should see of the query: the caller's key, the version of the API that we
/// serve and the framing end here.
fn passed_on(route: &Route, dialect: Dialect, query: &str) -> Option<String> {
    let is_for_us = |name: &str| match name {
        "key" | "alt" => dialect == Dialect::Gemini,
        "api-version" => route.path.starts_with("/openai/"),
        _ => false,
    };
    if !parameters(query).any(|(name, _)| is_for_us(name)) {
        return Some(query.to_owned());
    }
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            !parameter.is_empty() && !is_for_us(name)
        })
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Text with its percent-encoding undone. What is no UTF-8 then is shown as such.
pub(crate) fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let encoded = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match encoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Action, Lookup, find};
    use http::Method;

    fn asked(path: &str, query: Option<&str>) -> Asked {
        let Lookup::Found(route, parameter) = find(&Method::POST, path) else {
            panic!("nothing at {path}");
        };
        let Action::Model(operation) = route.action else {
            panic!("no model call at {path}");
        };
        Asked::read(route, operation, parameter, query)
    }

    fn in_path(model: &str, stream: bool) -> Option<InPath> {
        let model = model.to_owned();
        Some(InPath { model, stream })
    }

    #[test]
    fn models_stand_in_the_paths_of_three_faces() {
        let azure = asked("/openai/deployments/gpt-4o/chat/completions", None);
        assert_eq!(azure.in_path, in_path("gpt-4o", false));
        assert_eq!(azure.operation, Operation::Chat(Dialect::OpenAiChat));
        let bedrock = asked("/model/arn%3Aaws%3Ax%2Feu.y/converse-stream", None);
        assert_eq!(bedrock.in_path, in_path("arn:aws:x/eu.y", true));
        assert_eq!(bedrock.framing, Framing::EventStream);
        let bedrock = asked("/model/converse/converse", None);
        assert_eq!(bedrock.in_path, in_path("converse", false));
        let gemini = asked(
            "/v1beta/models/g:streamGenerateContent",
            Some("alt=sse&key=k"),
        );
        assert_eq!(gemini.in_path, in_path("g", true));
        assert_eq!(gemini.framing, Framing::ServerSentEvents);
        assert_eq!(gemini.query, None);
        let gemini = asked("/v1/models/g:generateContent", None);
        assert_eq!(gemini.in_path, in_path("g", false));
        assert_eq!(asked("/v1/chat/completions", None).in_path, None);
    }

    #[test]
    fn only_what_is_for_us_leaves_the_query() {
        let query = |path, query| asked(path, Some(query)).query;
        let gemini = "/v1beta/models/g:streamGenerateContent";
        assert_eq!(
            query(gemini, "key=k&$fields=a&alt=sse").as_deref(),
            Some("$fields=a")
        );
        let framing = asked(gemini, Some("$fields=a")).framing;
        assert_eq!(framing, Framing::JsonArray);
        let classic = "/openai/deployments/d/chat/completions";
        assert_eq!(query(classic, "api-version=2026-01-01"), None);
        let plain = query("/v1/messages", "beta=true&key=a&api-version=b");
        assert_eq!(plain.as_deref(), Some("beta=true&key=a&api-version=b"));
        assert_eq!(key_in_query(Some("a=b&key=x%2Fy")).as_deref(), Some("x/y"));
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        for (text, expected) in [
            ("a%3Ab", "a:b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }
}
