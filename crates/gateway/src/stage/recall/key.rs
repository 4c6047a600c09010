//! What makes two requests the same.

use http::HeaderMap;
use seaworthy_config::CacheScope;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use seaworthy_core::principal::Principal;
use seaworthy_llm::Framing;
use serde_json::Value;

use crate::identity::strict_json;
use crate::routes::Operation;

/// A request whose answer may be known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Whose answers the caller can get.
    pub(crate) tenant: (&'static str, &'a str),
    /// Everything in the configuration that can change an answer.
    pub(crate) rules: &'a Fingerprint,
    /// What guards do for this caller.
    pub(crate) policy: Option<&'a str>,
    /// The configured name of the model.
    pub(crate) model: &'a str,
    pub(crate) operation: Operation,
    pub(crate) stream: bool,
    /// How a stream is to be framed.
    pub(crate) framing: Framing,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    /// The body as it came.
    pub(crate) body: &'a [u8],
}

/// What a body says, but for the model and the form of the answer. Read once for all keys.
#[derive(Debug)]
pub(crate) struct Said {
    rest: Fingerprint,
    stream_options: Option<Value>,
}

/// Whose answers a caller can get, as the parts of a key.
pub(crate) fn tenant(scope: CacheScope, caller: &Principal) -> (&'static str, &str) {
    match scope {
        CacheScope::Key => ("key", &caller.key_id),
        CacheScope::User => ("user", &caller.user_id),
        CacheScope::Team => match &caller.team_id {
            Some(team) => ("team", team),
            None => ("user", &caller.user_id),
        },
        CacheScope::Global => ("global", ""),
    }
}

impl Asked<'_> {
    /// What the body says; `None` for a body that is no JSON object, or that its provider may read
    /// otherwise than we do.
    pub(crate) fn said(&self) -> Option<Said> {
        if !has_exact_numbers(self.body) {
            return None;
        }
        let mut fields = strict_json::object(self.body)?;
        // An alias is the same model, and the form is told by the frame.
        fields.remove("model");
        fields.remove("stream");
        let stream_options = fields.remove("stream_options");
        let mut rest = Fingerprinter::default();
        rest.json(&Value::Object(fields));
        Some(Said {
            rest: rest.finish(),
            stream_options,
        })
    }

    /// The key of a remembered answer: who asks, everything that is asked, and under which rules.
    pub(crate) fn key(&self, said: &Said) -> Fingerprint {
        self.key_of(said, said.stream_options.as_ref())
    }

    /// The keys of the same request for the other form: whole instead of streamed, or a stream that says
    /// as much as a whole answer, framed in one way or another.
    pub(crate) fn keys_of_other_form(&self, said: &Said) -> Vec<Fingerprint> {
        let Operation::Chat(dialect) = self.operation else {
            return Vec::new();
        };
        let says_usage = serde_json::json!({"include_usage": true});
        let has_options = !self.stream && dialect == Dialect::OpenAiChat;
        let options = has_options.then_some(&says_usage);
        let mut framings = vec![Framing::of(dialect)];
        if !self.stream && dialect == Dialect::Gemini {
            framings.push(Framing::JsonArray);
        }
        let other = |framing| Self {
            stream: !self.stream,
            framing,
            ..*self
        };
        let keys = framings
            .into_iter()
            .map(|framing| other(framing).key_of(said, options));
        keys.collect()
    }

    fn key_of(&self, said: &Said, stream_options: Option<&Value>) -> Fingerprint {
        let mut key = Fingerprinter::default();
        key.part(b"answer");
        self.frame(&mut key);
        key.part(&said.rest.0);
        key.json(stream_options.unwrap_or(&Value::Null));
        key.finish()
    }

    /// Everything around the body: who asks whom, in which form, and under which rules.
    pub(crate) fn frame(&self, key: &mut Fingerprinter) {
        let (kind, tenant) = self.tenant;
        for part in [
            kind,
            tenant,
            self.operation.as_str(),
            self.operation.form(),
            self.model,
            if self.stream { "stream" } else { "whole" },
            // Whole answers are framed in one way.
            if self.stream {
                self.framing.content_type()
            } else {
                ""
            },
            self.query.unwrap_or_default(),
            self.policy.unwrap_or_default(),
        ] {
            key.part(part.as_bytes());
        }
        key.part(&self.rules.0);
        headers(key, self.headers);
    }
}

/// Whether every number is read as it is written. Two that differ only in digits beyond the precision
/// of ours would be one.
fn has_exact_numbers(body: &[u8]) -> bool {
    /// So many characters are exact in any case.
    const EXACT: usize = 16;
    let mut rest = body;
    while let Some(at) = rest.iter().position(|&b| is_of_number(b) || b == b'"') {
        rest = &rest[at..];
        let is_string = rest[0] == b'"';
        let length = if is_string {
            1 + end_of_string(&rest[1..])
        } else {
            let end = rest.iter().position(|&b| !is_of_number(b));
            end.unwrap_or(rest.len())
        };
        let (token, behind) = rest.split_at(length);
        if !is_string && token.len() > EXACT && !is_exact(token) {
            return false;
        }
        rest = behind;
    }
    true
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

/// How many bytes a string has from its first character to its closing quote.
fn end_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        match text[at + found] {
            b'"' => return at + found + 1,
            _ => at = (at + found + 2).min(text.len()),
        }
    }
    text.len()
}

fn is_exact(number: &[u8]) -> bool {
    let read = serde_json::from_slice::<serde_json::Number>(number);
    read.is_ok_and(|read| read.to_string().as_bytes() == number)
}

/// Headers of ours that are for accounts, the order of work and the way here.
const WITHOUT_INFLUENCE: [&str; 7] = [
    "x-seaworthy-agent",
    "x-seaworthy-operation",
    "x-seaworthy-session-id",
    "x-seaworthy-priority",
    "x-seaworthy-timeout-ms",
    "x-seaworthy-timestamp",
    "x-seaworthy-nonce",
];

/// The headers that can change an answer.
fn headers(key: &mut Fingerprinter, headers: &HeaderMap) {
    let matters = |name: &str| {
        ["anthropic-", "openai-", "x-seaworthy-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            && !WITHOUT_INFLUENCE.contains(&name)
    };
    let mut found: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| matters(name))
        .collect();
    found.sort_unstable();
    for (name, value) in found {
        key.part(name.as_bytes());
        key.part(value);
    }
    key.part(b"");
}

/// The key of a request that is carried out once: whose it is and the caller's own key.
pub(crate) fn of_idempotency(caller: &Principal, key: &[u8]) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(b"idempotency");
    print.part(caller.user_id.as_bytes());
    print.part(key);
    print.finish()
}

/// What is asked for, to the byte.
pub(crate) fn of_request(action: &str, query: Option<&str>, body: &[u8]) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(action.as_bytes());
    print.part(query.unwrap_or_default().as_bytes());
    print.part(body);
    print.finish()
}
