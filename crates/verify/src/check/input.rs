//! Bad input: refused with a 4xx in the caller's dialect and a sentence that helps.

use serde_json::json;

use super::dialect::{
    self, Dialect, NO_SUCH_MODEL, ensure_admitted, ensure_sentence, ensure_status,
};
use super::{Area, Check, Kind, Need, Severity};
use crate::http::Request;
use crate::outcome::{Probed, Stop, ensure};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "input.malformed-json-is-400",
        title: "Malformed JSON is a 400 with a sentence",
        why: "A 500 hides a client's mistake as yours, and clients retry it for ever.",
        severity: Severity::High,
        areas: &[Area::Reliability, Area::Compatibility],
        needs: &[Need::Key],
        verified_by: "A body that ends in the middle, to every model API.",
        remedy: "Answer 400 in the dialect's error shape, and say where the JSON breaks.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(malformed_json(s)),
    },
    Check {
        id: "input.wrong-type-is-400",
        title: "A field of the wrong type is a 400 with a sentence",
        why: "Input that is not checked at the door fails somewhere worse.",
        severity: Severity::High,
        areas: &[Area::Reliability, Area::Compatibility],
        needs: &[Need::Key],
        verified_by: "`messages` as a number, to every model API.",
        remedy: "Validate types before anything else, and name the field in the message.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(wrong_type(s)),
    },
    Check {
        id: "input.bad-utf8-is-refused",
        title: "Bytes that are not UTF-8 are refused",
        why: "They break logs, stores and providers further down.",
        severity: Severity::Medium,
        areas: &[Area::Reliability],
        needs: &[Need::Key],
        verified_by: "A JSON string with the byte ff in it, to every model API.",
        remedy: "Check the encoding when reading the body, and answer 400.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(bad_utf8(s)),
    },
    Check {
        id: "input.deep-nesting-is-refused",
        title: "Absurdly nested JSON is refused and harmless",
        why: "A recursive parser without a bound overflows its stack and takes every request along.",
        severity: Severity::Critical,
        areas: &[Area::Reliability, Area::Security],
        needs: &[Need::Key],
        verified_by: "100,000 nested arrays to every model API, then an ordinary request.",
        remedy: "Bound the depth of JSON, and answer 400.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(deep_nesting(s)),
    },
    Check {
        id: "input.unknown-model-is-404",
        title: "An unknown model is a 404 that names the models there are",
        why: "A misspelt model is the most common mistake; the answer should end it.",
        severity: Severity::Medium,
        areas: &[Area::Compatibility],
        needs: &[Need::Key],
        verified_by: "A request for a model that no one has, to every model API.",
        remedy: "Answer 404 in the dialect's shape, and list the names that this key may use.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(unknown_model(s)),
    },
];

/// Sends the same body to every served dialect and expects a refusal with a sentence.
async fn refused_everywhere(
    s: &Session<'_>,
    body: Vec<u8>,
    allowed: &[u16],
    what: &str,
) -> Result<Vec<(Dialect, String)>, Stop> {
    let mut messages = Vec::new();
    for dialect in dialect::served(s)? {
        let request = dialect.with_key(dialect.request(body.clone()), s.key()?);
        let answer = s.send(request).await?;
        ensure_admitted(&answer)?;
        ensure_status(&answer, allowed, &format!("{what} to {}", dialect.path()))?;
        let message = dialect.error_message(&answer)?;
        ensure_sentence(&message)?;
        messages.push((dialect, message));
    }
    Ok(messages)
}

fn sentences(messages: &[(Dialect, String)]) -> String {
    let parts: Vec<_> = messages
        .iter()
        .map(|(d, m)| format!("{}: {m}", d.name()))
        .collect();
    parts.join("; ")
}

async fn malformed_json(s: &Session<'_>) -> Probed {
    let body = br#"{"model": "x", "messages": [{"role": "user", "conte"#.to_vec();
    Ok(sentences(
        &refused_everywhere(s, body, &[400], "malformed JSON").await?,
    ))
}

async fn wrong_type(s: &Session<'_>) -> Probed {
    let model = s
        .facts()
        .model
        .clone()
        .unwrap_or_else(|_| NO_SUCH_MODEL.to_owned());
    let body = json!({"model": model, "max_tokens": 1, "messages": 7})
        .to_string()
        .into_bytes();
    Ok(sentences(
        &refused_everywhere(s, body, &[400, 422], "a wrong type").await?,
    ))
}

async fn bad_utf8(s: &Session<'_>) -> Probed {
    let mut body = dialect::body(NO_SUCH_MODEL, "caf\u{1}", 1, false)
        .to_string()
        .into_bytes();
    // The escape of the marker becomes a byte that no UTF-8 text has.
    if let Some(at) = body.windows(6).position(|w| w == b"\\u0001") {
        body.splice(at..at + 6, [0xff]);
    }
    Ok(sentences(
        &refused_everywhere(s, body, &[400, 415, 422], "bad UTF-8").await?,
    ))
}

async fn deep_nesting(s: &Session<'_>) -> Probed {
    const DEPTH: usize = 100_000;
    let mut body =
        format!(r#"{{"model":"{NO_SUCH_MODEL}","max_tokens":1,"messages":"#).into_bytes();
    body.extend(std::iter::repeat_n(b'[', DEPTH));
    body.extend(std::iter::repeat_n(b']', DEPTH));
    body.push(b'}');
    let messages = refused_everywhere(s, body, &[400, 413, 422], "deep nesting").await?;
    // A stack overflow would have taken the whole process down.
    s.send(Request::get("/health")).await?;
    Ok(format!("{}; it still answers", sentences(&messages)))
}

async fn unknown_model(s: &Session<'_>) -> Probed {
    let body = dialect::body(NO_SUCH_MODEL, "hi", 1, false)
        .to_string()
        .into_bytes();
    let messages = refused_everywhere(s, body, &[404], "an unknown model").await?;
    let models = &s.facts().models;
    for (dialect, message) in &messages {
        ensure(
            models.is_empty() || models.iter().any(|model| message.contains(model.as_str())),
            format!(
                "a message of the {} dialect that names a model there is",
                dialect.name()
            ),
            message.as_str(),
        )?;
    }
    Ok(sentences(&messages))
}
