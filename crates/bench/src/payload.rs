//! Request bodies that are the same in every run.

use serde_json::{Value, json};

/// A chat completion whose JSON is about `size` bytes long; `directive` commands the fake provider.
pub fn chat(model: &str, size: usize, stream: bool, directive: Option<&str>) -> String {
    let lead = directive.map_or_else(String::new, |list| format!("[[fake:{list}]] "));
    let with = |padding: &str| {
        let mut body = json!({
            "model": model,
            "messages": [
                {"role": "system", "content": "Answer in the fewest words that are enough."},
                {"role": "user", "content": format!("{lead}{padding}")},
            ],
            "temperature": 0.2,
        });
        if stream {
            body["stream"] = Value::Bool(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string()
    };
    let bare = with("").len();
    let sentence = "How much may a ship carry before the mark on her side goes under? ";
    let padding: String = sentence
        .chars()
        .cycle()
        .take(size.saturating_sub(bare))
        .collect();
    with(&padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_and_the_stream_flag_asked_for() {
        for stream in [false, true] {
            let body = chat("fake-gpt", 1024, stream, Some("chunks=3"));
            assert_eq!(body.len(), 1024);
            let parsed: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(parsed["stream"] == true, stream);
        }
    }
}
