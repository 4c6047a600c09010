//! Every form to every form: texts, purpose and length survive, and what does not is named.

use super::*;

const FORMS: [Embedding; 4] = [
    Embedding::OpenAi,
    Embedding::Gemini,
    Embedding::GeminiBatch,
    Embedding::Cohere,
];

fn request(form: Embedding) -> &'static str {
    match form {
        Embedding::OpenAi => {
            r#"{"model":"m","input":["calm"],"dimensions":8,"encoding_format":"base64","user":"u1","x":1}"#
        }
        Embedding::Gemini => {
            r#"{"content":{"parts":[{"text":"calm"}]},"taskType":"CLUSTERING","outputDimensionality":8,"title":"t"}"#
        }
        Embedding::GeminiBatch => {
            r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"calm"}]},"task_type":"CLUSTERING","output_dimensionality":8}]}"#
        }
        Embedding::Cohere => {
            r#"{"model":"m","texts":["calm"],"input_type":"clustering","output_dimension":8,"embedding_types":["float"],"truncate":"END"}"#
        }
    }
}

fn read(form: Embedding, body: &str) -> Embed {
    decode_embed(form, "m", body.as_bytes()).unwrap()
}

#[test]
fn texts_purpose_and_length_reach_every_provider() {
    for caller in FORMS {
        let asked = read(caller, request(caller));
        assert_eq!(asked.as_base64, caller == Embedding::OpenAi);
        for provider in [Embedding::OpenAi, Embedding::GeminiBatch, Embedding::Cohere] {
            let sent = encode_embed(provider, &asked).unwrap();
            let body = String::from_utf8(sent.body).unwrap();
            let seen = read(provider, &body);
            assert_eq!(
                (&*seen.texts, seen.dimensions),
                (&["calm".to_owned()][..], Some(8))
            );
            if provider != Embedding::OpenAi && caller != Embedding::OpenAi {
                assert_eq!(seen.purpose, Some(Purpose::Clustering), "{body}");
            }
            let names: Vec<&str> = sent.dropped.iter().map(|loss| &*loss.path).collect();
            let mut expected = match caller {
                Embedding::OpenAi => vec!["x"],
                Embedding::Gemini => vec!["title"],
                Embedding::GeminiBatch => vec![],
                Embedding::Cohere => vec!["truncate"],
            };
            match (caller, provider) {
                (Embedding::OpenAi, Embedding::OpenAi) => {}
                (Embedding::OpenAi, _) => expected.push("user"),
                (Embedding::Gemini, Embedding::OpenAi) => expected.push("taskType"),
                (Embedding::GeminiBatch, Embedding::OpenAi) => {
                    expected.push("requests[0].taskType");
                }
                (Embedding::Cohere, Embedding::OpenAi) => expected.push("input_type"),
                _ => {}
            }
            assert_eq!(names, expected, "{caller:?} to {provider:?}");
        }
    }
}

#[test]
fn what_is_no_text_and_what_differs_within_a_batch_is_refused() {
    let two = r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"outputDimensionality":8}]}"#;
    let picture =
        r#"{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}}"#;
    for (form, body, path) in [
        (Embedding::OpenAi, r#"{"model":"m","input":[1,2]}"#, "input"),
        (Embedding::GeminiBatch, two, "requests[1]"),
        (Embedding::Gemini, picture, "content"),
        (
            Embedding::Cohere,
            r#"{"model":"m","images":["data:"]}"#,
            "images",
        ),
        (
            Embedding::Cohere,
            r#"{"model":"m","texts":["a"],"embedding_types":["int8"]}"#,
            "embedding_types",
        ),
        (
            Embedding::Cohere,
            r#"{"model":"m","inputs":[{"content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}"#,
            "inputs",
        ),
    ] {
        let refused = encode_embed(Embedding::OpenAi, &read(form, body)).unwrap_err();
        assert_eq!(refused.refused[0].path, path);
    }
}

#[test]
fn texts_of_newer_clients_of_cohere_are_texts() {
    let body = r#"{"model":"m","inputs":[{"content":[{"type":"text","text":"calm"}]},{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}],"input_type":"search_query"}"#;
    let asked = read(Embedding::Cohere, body);
    assert_eq!(asked.texts, ["calm", "a\nb"]);
    let sent = encode_embed(Embedding::OpenAi, &asked).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(sent["input"], serde_json::json!(["calm", "a\nb"]));
}

#[test]
fn vectors_and_usage_come_back_in_every_form() {
    let beside = |as_base64| Beside {
        id: "a1",
        model: "m",
        input_tokens: 3,
        as_base64,
    };
    let vectors = Vectors(vec!["[1.0,-0.5]".to_owned()]);
    for form in FORMS {
        let body = encode_vectors(form, &vectors, beside(false)).unwrap();
        assert_eq!(decode_vectors(form, &body).unwrap(), vectors);
        assert_eq!(embed_usage(form, &body).unwrap().input_tokens, 3);
    }
    let body = encode_vectors(Embedding::OpenAi, &vectors, beside(true)).unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(body.contains(r#""embedding":"AACAPwAAAL8=""#), "{body}");
    let counted = br#"{"meta":{"billed_units":{"input_tokens":3.0}}}"#;
    assert_eq!(
        embed_usage(Embedding::Cohere, counted)
            .unwrap()
            .input_tokens,
        3
    );
    assert_eq!(embed_usage(Embedding::OpenAi, b"{}"), None);
}

#[test]
fn the_model_is_renamed_wherever_it_stands_and_nothing_else_changes() {
    let body =
        Bytes::from_static(br#"{"requests": [{"model":"models/a", "x":1},{"model": "models/b"}]}"#);
    let renamed = rename(Embedding::GeminiBatch, &body, "real");
    assert_eq!(
        renamed,
        r#"{"requests": [{"model":"models/real", "x":1},{"model": "models/real"}]}"#
    );
    let plain = Bytes::from_static(br#"{"content":{}}"#);
    assert_eq!(rename(Embedding::Gemini, &plain, "real"), plain);
}

#[test]
fn heads_tell_the_model_wherever_it_stands() {
    for input in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2]]"] {
        let text = format!(r#"{{"input":{input},"model":"small"}}"#);
        let body = Bytes::from(text.clone());
        let head = embed_head(Embedding::OpenAi, None, &body).unwrap();
        assert_eq!((head.model.as_str(), head.stream), ("small", false));
        let spliced = crate::splice(&body, &head, Some("large"), true);
        assert_eq!(spliced, text.replace("small", "large"));
    }
    let path = InPath {
        model: "g",
        stream: false,
    };
    let body = Bytes::from_static(br#"{"content":{}}"#);
    let head = embed_head(Embedding::Gemini, Some(path), &body).unwrap();
    assert_eq!(head.model, "g");
    let body = Bytes::from_static(br#"{"model":"c","images":[]}"#);
    assert_eq!(
        embed_head(Embedding::Cohere, None, &body).unwrap().model,
        "c"
    );
    for text in [
        "",
        "[]",
        r#"{"model":"a"}"#,
        r#"{"model":1,"input":"a"}"#,
        r#"{"input":"a"}"#,
    ] {
        let body = Bytes::from(text.to_owned());
        assert!(embed_head(Embedding::OpenAi, None, &body).is_err());
    }
}
