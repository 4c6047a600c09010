//! The built-in model as a moderation endpoint: what `/v1/moderations` says without asking anybody.

use bytes::Bytes;
use seaworthy_core::code::Code;
use seaworthy_guard::Severity;
use seaworthy_guard::moderation::{Event, ModerationJudge};
use serde_json::{Map, Value, json};

use crate::refusal::Refusal;
use crate::stage::decode::Request;

/// The categories of the API, and what our judge calls those that it knows.
const CATEGORIES: [(&str, &str); 13] = [
    ("harassment", "abuse"),
    ("harassment/threatening", ""),
    ("hate", "hate"),
    ("hate/threatening", ""),
    ("illicit", "illicit"),
    ("illicit/violent", ""),
    ("self-harm", "self_harm"),
    ("self-harm/instructions", ""),
    ("self-harm/intent", ""),
    ("sexual", ""),
    ("sexual/minors", "sexual_minors"),
    ("violence", "violence"),
    ("violence/graphic", ""),
];

/// From this score on a category is flagged.
const FLAGGED: f64 = 0.5;

/// Answers a request.
pub(crate) fn answer(
    judge: &ModerationJudge,
    request: &Request,
    request_id: &str,
) -> Result<Bytes, Refusal> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let texts = texts(&body["input"]).ok_or_else(|| {
        let message = "`input` must be a text, a list of texts, or a list of parts of type `text`.";
        Refusal::new(Code::InvalidRequest, message).at("input".to_owned())
    })?;
    let results: Vec<Value> = texts
        .iter()
        .map(|text| result(&judge.assess(text)))
        .collect();
    let answer = json!({
        "id": format!("modr-{request_id}"),
        "model": request.head.model,
        "results": results,
    });
    Ok(answer.to_string().into())
}

/// The texts to judge: each by itself, the parts of one input together.
fn texts(input: &Value) -> Option<Vec<String>> {
    match input {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts = items.iter().filter_map(Value::as_str);
            Some(texts.map(str::to_owned).collect())
        }
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| part["text"].as_str());
            let joined: Option<Vec<&str>> = texts.collect();
            Some(vec![joined?.join("\n")])
        }
        _ => None,
    }
}

fn result(events: &[Event]) -> Value {
    let score = |ours: &str| {
        let event = events.iter().find(|event| event.category == ours);
        event.map_or(0.0, |event| match (event.probability, event.severity) {
            (Some(probability), _) => f64::from(probability),
            (None, Severity::Low) => 0.25,
            (None, Severity::Medium) => 0.6,
            (None, Severity::High) => 0.85,
            (None, Severity::Critical) => 0.97,
        })
    };
    let (mut flags, mut scores, mut kinds) = (Map::new(), Map::new(), Map::new());
    let mut is_flagged = false;
    for (theirs, ours) in CATEGORIES {
        let score = score(ours);
        is_flagged |= score >= FLAGGED;
        flags.insert(theirs.to_owned(), json!(score >= FLAGGED));
        scores.insert(theirs.to_owned(), json!(score));
        kinds.insert(theirs.to_owned(), json!(["text"]));
    }
    json!({
        "flagged": is_flagged,
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": kinds,
    })
}
