//! Are the lines of a batch requests that can be carried out? Every line is looked at before the
//! first is carried out.

use std::collections::HashSet;

use bytes::Bytes;
use seaworthy_core::fingerprint::Fingerprint;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Most mistakes that are told.
const MAX_ERRORS: usize = 100;
/// Longest name of a request.
const MAX_CUSTOM_ID: usize = 512;

/// A request of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) custom_id: String,
    /// The body, as it was written.
    pub(crate) body: Bytes,
}

#[derive(Deserialize)]
struct Written {
    custom_id: Option<String>,
    method: Option<String>,
    url: Option<String>,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Head {
    model: Option<String>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    background: Option<bool>,
}

/// A line that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    code: &'static str,
    message: String,
    param: Option<&'static str>,
}

fn mistake(code: &'static str, param: &'static str, message: String) -> Mistake {
    Mistake {
        code,
        message,
        param: Some(param),
    }
}

/// Reads a line.
pub(crate) fn read(
    text: &[u8],
    endpoint: &str,
    is_model: impl Fn(&str) -> bool,
) -> Result<Line, Mistake> {
    let written: Written = serde_json::from_slice(text).map_err(|error| Mistake {
        code: "invalid_json_line",
        message: format!("This line is not a request as JSON: {error}."),
        param: None,
    })?;
    let missing = |param| {
        let message = format!("This line has no `{param}`.");
        mistake("missing_required_parameter", param, message)
    };
    let custom_id = written.custom_id.ok_or_else(|| missing("custom_id"))?;
    if !(1..=MAX_CUSTOM_ID).contains(&custom_id.len()) {
        let message = format!("`custom_id` has 1 to {MAX_CUSTOM_ID} bytes.");
        return Err(mistake("invalid_custom_id", "custom_id", message));
    }
    let method = written.method.ok_or_else(|| missing("method"))?;
    if method != "POST" {
        let message = "`method` has to be `POST`.".to_owned();
        return Err(mistake("invalid_method", "method", message));
    }
    let url = written.url.ok_or_else(|| missing("url"))?;
    if url != endpoint {
        let message = format!("`url` has to be the endpoint of the batch, `{endpoint}`.");
        return Err(mistake("mismatched_endpoint", "url", message));
    }
    let body = written.body.ok_or_else(|| missing("body"))?;
    let head: Head = serde_json::from_str(body.get()).map_err(|error| {
        let message = format!("`body` is not a request: {error}.");
        mistake("invalid_body", "body", message)
    })?;
    let model = head.model.ok_or_else(|| missing("body.model"))?;
    if !is_model(&model) {
        let shown: String = model.chars().take(100).collect();
        let message = format!("There is no model `{shown}`.");
        return Err(mistake("model_not_found", "body.model", message));
    }
    for (name, is_set) in [("stream", head.stream), ("background", head.background)] {
        if is_set == Some(true) {
            let param = if name == "stream" {
                "body.stream"
            } else {
                "body.background"
            };
            let message = format!("A request of a batch cannot have `{name}`.");
            return Err(mistake("unsupported_parameter", param, message));
        }
    }
    let body = Bytes::from(body.get().to_owned());
    Ok(Line { custom_id, body })
}

/// The lines of a piece that are not blank, each with the number of its line in the piece.
pub(crate) fn lines(piece: &Bytes) -> impl Iterator<Item = (u64, Bytes)> {
    let of_slice = |line: &[u8]| piece.slice_ref(line);
    let lines: Vec<Bytes> = piece.split(|byte| *byte == b'\n').map(of_slice).collect();
    let is_blank = |line: &Bytes| line.iter().all(u8::is_ascii_whitespace);
    (0..).zip(lines).filter(move |(_, line)| !is_blank(line))
}

/// What is found while all lines are looked at.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How many requests there are.
    pub(crate) total: u64,
    errors: Vec<Value>,
    /// Lines before the piece that is looked at.
    lines: u64,
    known: HashSet<Fingerprint>,
}

impl Findings {
    /// Looks at a piece of the file.
    pub(crate) fn look(&mut self, piece: &Bytes, endpoint: &str, is_model: impl Fn(&str) -> bool) {
        for (number, line) in lines(piece) {
            self.total += 1;
            let found = read(&line, endpoint, &is_model).and_then(|line| {
                match self
                    .known
                    .insert(Fingerprint::of(line.custom_id.as_bytes()))
                {
                    true => Ok(()),
                    false => Err(mistake(
                        "duplicate_custom_id",
                        "custom_id",
                        "An earlier line has the same `custom_id`.".to_owned(),
                    )),
                }
            });
            if let Err(mistake) = found {
                self.note(mistake, Some(self.lines + number + 1));
            }
        }
        self.lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
    }

    fn note(&mut self, mistake: Mistake, line: Option<u64>) {
        let Mistake {
            code,
            message,
            param,
        } = mistake;
        if self.errors.len() < MAX_ERRORS {
            let error = json!({"code": code, "message": message, "param": param, "line": line});
            self.errors.push(error);
        }
    }

    /// What is wrong with the file, as clients read it; `None` if nothing is.
    pub(crate) fn errors(mut self, most: u64) -> Option<Value> {
        if self.total == 0 {
            self.note(
                Mistake {
                    code: "empty_file",
                    message: "The file has no requests.".to_owned(),
                    param: None,
                },
                None,
            );
        }
        if self.total > most {
            let message = format!(
                "The file has {} requests; at most {most} are carried out (`batches.max_requests`).",
                self.total
            );
            let mistake = Mistake {
                code: "too_many_requests",
                message,
                param: None,
            };
            self.errors.clear();
            self.note(mistake, None);
        }
        (!self.errors.is_empty()).then(|| errors(self.errors))
    }
}

/// Errors of a batch as clients read them.
pub(crate) fn errors(data: Vec<Value>) -> Value {
    json!({"object": "list", "data": data})
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = "/v1/chat/completions";

    fn line(more: &Value) -> Value {
        let mut line = json!({"custom_id": "a", "method": "POST", "url": CHAT,
            "body": {"model": "m", "messages": []}});
        for (name, value) in more.as_object().unwrap() {
            line[name] = value.clone();
        }
        line
    }

    fn codes(text: &str) -> Vec<(String, Value)> {
        let mut findings = Findings::default();
        findings.look(&Bytes::from(text.to_owned()), CHAT, |model| model == "m");
        let errors = findings.errors(3).unwrap_or_default();
        let errors = errors["data"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| {
                (
                    error["code"].as_str().unwrap().to_owned(),
                    error["line"].clone(),
                )
            })
            .collect()
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        for (more, code) in [
            (json!({"custom_id": null}), "missing_required_parameter"),
            (json!({"custom_id": ""}), "invalid_custom_id"),
            (json!({"method": "GET"}), "invalid_method"),
            (json!({"url": "/v1/embeddings"}), "mismatched_endpoint"),
            (json!({"body": null}), "missing_required_parameter"),
            (json!({"body": []}), "invalid_body"),
            (json!({"body": {}}), "missing_required_parameter"),
            (json!({"body": {"model": "x"}}), "model_not_found"),
            (
                json!({"body": {"model": "m", "stream": true}}),
                "unsupported_parameter",
            ),
        ] {
            let text = format!("{}\n\n{}\n", line(&json!({"custom_id": "b"})), line(&more));
            assert_eq!(codes(&text), [(code.to_owned(), json!(3))], "{more}");
        }
        assert_eq!(codes("{\n"), [("invalid_json_line".to_owned(), json!(1))]);
        assert_eq!(codes("\n \n"), [("empty_file".to_owned(), Value::Null)]);
        let one = line(&json!({})).to_string();
        assert_eq!(codes(&one), []);
        let twice = format!("{one}\r\n{one}");
        assert_eq!(
            codes(&twice),
            [("duplicate_custom_id".to_owned(), json!(2))]
        );
        let many = format!("{one}\n").repeat(4);
        assert_eq!(
            codes(&many),
            [("too_many_requests".to_owned(), Value::Null)]
        );
    }

    #[test]
    fn bodies_stay_as_they_were_written() {
        let text = br#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m", "x":1.0e2 }}"#;
        let line = read(text, CHAT, |_| true).unwrap();
        assert_eq!(line.body, &br#"{"model":"m", "x":1.0e2 }"#[..]);
    }
}
