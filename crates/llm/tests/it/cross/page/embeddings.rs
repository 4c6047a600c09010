//! The part of the page that is about vectors.

use seaworthy_llm::embed::{Embedding, decode_embed, encode_embed};
use std::fmt::Write as _;

use super::{left_out, paths};

const PROVIDERS: [(&str, Embedding); 3] = [
    ("OpenAI", Embedding::OpenAi),
    ("Gemini", Embedding::GeminiBatch),
    ("Cohere", Embedding::Cohere),
];

#[rustfmt::skip]
const REQUESTS: &[(Embedding, &str, &str)] = &[
    (Embedding::OpenAi, "OpenAI: texts", r#"{"input":["a","b"]}"#),
    (Embedding::OpenAi, "OpenAI: `dimensions`", r#"{"input":"a","dimensions":8}"#),
    (Embedding::OpenAi, "OpenAI: vectors in base64", r#"{"input":"a","encoding_format":"base64"}"#),
    (Embedding::OpenAi, "OpenAI: tokens instead of texts", r#"{"input":[1,2]}"#),
    (Embedding::OpenAi, "OpenAI: `user`", r#"{"input":"a","user":"u"}"#),
    (Embedding::Gemini, "Gemini: `taskType`, of retrieval, classification and clustering", r#"{"content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY"}"#),
    (Embedding::Gemini, "Gemini: `taskType`, any other", r#"{"content":{"parts":[{"text":"a"}]},"taskType":"SEMANTIC_SIMILARITY"}"#),
    (Embedding::Gemini, "Gemini: `outputDimensionality`", r#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":8}"#),
    (Embedding::Gemini, "Gemini: `title`", r#"{"content":{"parts":[{"text":"a"}]},"title":"t"}"#),
    (Embedding::Gemini, "Gemini: what is no text", r#"{"content":{"parts":[{"inlineData":{}}]}}"#),
    (Embedding::GeminiBatch, "Gemini: settings that differ within a batch", r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"outputDimensionality":8}]}"#),
    (Embedding::Cohere, "Cohere: `input_type`", r#"{"texts":["a"],"input_type":"search_query"}"#),
    (Embedding::Cohere, "Cohere: `output_dimension`", r#"{"texts":["a"],"output_dimension":8}"#),
    (Embedding::Cohere, "Cohere: `embedding_types` other than `float`", r#"{"texts":["a"],"embedding_types":["int8"]}"#),
    (Embedding::Cohere, "Cohere: `truncate`", r#"{"texts":["a"],"truncate":"END"}"#),
    (Embedding::Cohere, "Cohere: pictures", r#"{"images":["data:"]}"#),
];

pub(super) fn write(page: &mut String) {
    page.push_str(
        "\n## Embeddings\n\nA column is what the provider speaks. Cohere wants to know what texts are for: \
         `search_document` is sent when the caller does not say. The other providers have no vectors: \
         `unsupported_operation`.\n\n| request | OpenAI | Gemini | Cohere |\n|---|---|---|---|\n",
    );
    for (caller, what, body) in REQUESTS {
        let asked = decode_embed(*caller, "m", body.as_bytes()).unwrap();
        let cell = |(_, provider): (&str, Embedding)| {
            if provider.dialect() == caller.dialect() {
                return "=".to_owned();
            }
            match encode_embed(provider, &asked) {
                Ok(encoded) => left_out(&encoded.dropped, &mut Default::default()),
                Err(lost) => format!("**400** {}", paths(&lost.refused)),
            }
        };
        let cells: Vec<String> = PROVIDERS.map(cell).into();
        writeln!(page, "| {what} | {} |", cells.join(" | ")).unwrap();
    }
}
