//! Requests for vectors in the forms of Gemini and Cohere.

use serde_json::Value;

use super::Malformed;

/// The texts of `embedContent` or `batchEmbedContents`.
pub(crate) fn gemini(body: &Value) -> Result<Vec<String>, Malformed> {
    let one = |content: &Value| {
        let parts = content["parts"].as_array().into_iter().flatten();
        let texts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
        texts.join("\n")
    };
    match (&body["content"], &body["requests"]) {
        (content, _) if content.is_object() => Ok(vec![one(content)]),
        (_, Value::Array(requests)) if !requests.is_empty() => Ok(requests
            .iter()
            .map(|request| one(&request["content"]))
            .collect()),
        _ => Err(Malformed::at(
            "content",
            "content: expected an object with parts",
        )),
    }
}

/// The texts of a request of Cohere's, which has to say what they are for.
pub(crate) fn cohere(body: &Value) -> Result<Vec<String>, Malformed> {
    if !body["input_type"].is_string() {
        return Err(Malformed::at(
            "input_type",
            "input_type: expected what the texts are for",
        ));
    }
    let texts = body["texts"].as_array().into_iter().flatten();
    let texts: Vec<String> = texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect();
    match texts.is_empty() {
        true => Err(Malformed::at("texts", "texts: expected a list of texts")),
        false => Ok(texts),
    }
}
