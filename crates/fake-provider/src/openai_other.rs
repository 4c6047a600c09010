//! What OpenAI offers besides chat: embeddings, moderations, the list of models.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::answer::{Usage, input_tokens};
use crate::request::Dialect;

/// Embeddings: vectors that depend on the text alone, of length 1.
pub(crate) fn embeddings(model: &str, body: &Value, texts: &[String]) -> (Value, Usage) {
    const MOST_DIMENSIONS: u64 = 4096;
    let dimensions = body["dimensions"]
        .as_u64()
        .unwrap_or(1536)
        .clamp(1, MOST_DIMENSIONS);
    let as_base64 = body["encoding_format"] == "base64";
    let input = input_tokens(texts.iter().map(|text| text.len() as u64).sum());
    let used = Usage {
        input,
        ..Usage::default()
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if as_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let body = json!({
        "object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": input, "total_tokens": input},
    });
    (body, used)
}

/// The same vectors in the form of Gemini's answers, or of Cohere's.
pub(crate) fn foreign_embeddings(
    dialect: Dialect,
    id: &str,
    body: &Value,
    texts: &[String],
) -> (Value, Usage) {
    let asked = match dialect {
        Dialect::Cohere => &body["output_dimension"],
        _ => {
            let first = body.get("requests").map_or(body, |requests| &requests[0]);
            first
                .get("outputDimensionality")
                .unwrap_or(&first["output_dimensionality"])
        }
    };
    let dimensions = asked.as_u64().unwrap_or(1536).clamp(1, 4096);
    let vectors = texts.iter().map(|text| vector(text, dimensions));
    let input = input_tokens(texts.iter().map(|text| text.len() as u64).sum());
    let counted = json!({"promptTokenCount": input, "totalTokenCount": input});
    let values = |vector: Vec<f32>| json!({"values": vector});
    let answer = match dialect {
        Dialect::Cohere => {
            let vectors: Vec<Vec<f32>> = vectors.collect();
            json!({
                "id": id, "embeddings": {"float": vectors}, "texts": texts,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": input}},
                "response_type": "embeddings_by_type",
            })
        }
        _ if body.get("requests").is_some() => {
            let embeddings: Vec<Value> = vectors.map(values).collect();
            json!({"embeddings": embeddings, "usageMetadata": counted})
        }
        _ => {
            let embeddings: Vec<Value> = vectors.map(values).collect();
            json!({"embedding": embeddings[0], "usageMetadata": counted})
        }
    };
    let used = Usage {
        input,
        ..Usage::default()
    };
    (answer, used)
}

fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    // FNV-1a over the text, then one step of it for each dimension: spread out and reproducible.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let mut raw = Vec::new();
    for _ in 0..dimensions {
        state = step(state.rotate_left(17), 0x5a);
        let [high, low, ..] = state.to_be_bytes();
        raw.push(f32::from(i16::from_be_bytes([high, low])) + 0.5);
    }
    let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.into_iter().map(|x| x / length).collect()
}

const CATEGORIES: &[&str] = &[
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// Moderations: a text is flagged for each category whose name is in it.
pub(crate) fn moderations(id: &str, model: &str, texts: &[String]) -> (Value, Usage) {
    let result = |text: &String| {
        let flagged = |category: &str| text.to_lowercase().contains(category);
        let map = |of: &dyn Fn(&str) -> Value| -> Value {
            Value::Object(
                CATEGORIES
                    .iter()
                    .map(|name| ((*name).to_owned(), of(name)))
                    .collect(),
            )
        };
        json!({
            "flagged": CATEGORIES.iter().any(|name| flagged(name)),
            "categories": map(&|name| json!(flagged(name))),
            "category_scores": map(&|name| json!(if flagged(name) { 0.98 } else { 0.0001 })),
            "category_applied_input_types": map(&|_| json!(["text"])),
        })
    };
    let input = input_tokens(texts.iter().map(|text| text.len() as u64).sum());
    let results: Vec<Value> = texts.iter().map(result).collect();
    let body = json!({"id": format!("modr-{id}"), "model": model, "results": results});
    (
        body,
        Usage {
            input,
            ..Usage::default()
        },
    )
}

/// One model of the list.
pub(crate) fn model(id: &str, created: i64) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": "fake-provider"})
}

/// The list of models.
pub(crate) fn models(ids: &[String], created: i64) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| model(id, created)).collect();
    json!({"object": "list", "data": data})
}
