//! Texts as vectors: the requests and answers of the three APIs that have them, and the way between
//! two of them. Where both sides speak the same form, only the name of the model changes.

mod cohere;
mod gemini;
mod openai;
mod rename;

pub use rename::rename;

use crate::{
    endpoint::path_segment,
    fault::Fault,
    head::{self, Conversation, Head, HeadRules, InPath, ModelPlace, Shape},
    json::{Node, Trail},
    loss::{Encoded, Feature, Losses, Lost},
};
use bytes::Bytes;
use seaworthy_core::{dialect::Dialect, usage::Usage};
use std::borrow::Cow;

/// The form of a request for vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Embedding {
    /// OpenAI's `/embeddings`.
    OpenAi,
    /// Gemini's `embedContent`: one text.
    Gemini,
    /// Gemini's `batchEmbedContents`.
    GeminiBatch,
    /// Cohere's `/v2/embed`.
    Cohere,
}

/// What the vectors are for, as far as two APIs have a word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Query,
    Document,
    Classification,
    Clustering,
}

/// A request for vectors, whatever its form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Embed {
    /// The model that is asked for.
    pub model: String,
    /// A vector is wanted for each of them.
    pub texts: Vec<String>,
    /// How long the vectors should be.
    pub dimensions: Option<u64>,
    /// Whether the caller reads vectors in base64 only.
    pub as_base64: bool,
    purpose: Option<Purpose>,
    user: Option<String>,
    /// The form in which the caller asked.
    asked: Option<Embedding>,
    /// What cannot be carried over, and where it stands.
    lost: Vec<(Feature, String)>,
}

/// Vectors, each as the JSON array that the provider wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vectors(Vec<String>);

/// What is told beside the vectors.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The name of the answer.
    pub id: &'a str,
    /// The model, as the caller knows it.
    pub model: &'a str,
    /// Tokens of the input.
    pub input_tokens: u64,
    /// Whether the caller reads vectors in base64 only.
    pub as_base64: bool,
}

impl Embedding {
    /// The form in which providers of a dialect take texts; `None`: they have no vectors.
    #[must_use]
    pub fn of(provider: Dialect) -> Option<Self> {
        match provider {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => Some(Self::OpenAi),
            Dialect::Gemini => Some(Self::GeminiBatch),
            Dialect::CohereChat => Some(Self::Cohere),
            Dialect::AnthropicMessages | Dialect::BedrockConverse => None,
        }
    }

    /// The dialect of the API that has it.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi => Dialect::OpenAiChat,
            Self::Gemini | Self::GeminiBatch => Dialect::Gemini,
            Self::Cohere => Dialect::CohereChat,
        }
    }

    /// Where a provider takes it, below its base URL.
    #[must_use]
    pub fn endpoint(self, model: &str) -> Cow<'static, str> {
        let gemini = |method: &str| {
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/v1beta/models/{}:{method}", path_segment(model)).into()
        };
        match self {
            Self::OpenAi => "/embeddings".into(),
            Self::Gemini => gemini("embedContent"),
            Self::GeminiBatch => gemini("batchEmbedContents"),
            Self::Cohere => "/v2/embed".into(),
        }
    }

    fn rules(self) -> HeadRules {
        let (model, field, is_required) = match self {
            Self::OpenAi => (ModelPlace::Body, "input", true),
            Self::Gemini => (ModelPlace::Path, "content", true),
            Self::GeminiBatch => (ModelPlace::Path, "requests", true),
            // There may be pictures instead.
            Self::Cohere => (ModelPlace::Body, "texts", false),
        };
        HeadRules {
            model,
            conversation: Conversation {
                field,
                is_required,
                shape: Shape::Anything,
            },
            settings: &[],
            max_tokens: &[],
            max_tokens_required: false,
            max_tokens_least: 0,
            choices: &[],
            keeps_answers: false,
            usage_on_request: false,
        }
    }
}

/// Reads the head of a request for vectors.
///
/// # Errors
/// A sentence for the caller, when the body is not a request of this form.
pub fn embed_head(form: Embedding, path: Option<InPath<'_>>, body: &Bytes) -> Result<Head, Fault> {
    head::read(&form.rules(), path, body)
}

/// Reads a whole request.
///
/// # Errors
/// Names the first field that is not what the form expects there.
pub fn decode_embed(form: Embedding, model: &str, body: &[u8]) -> Result<Embed, Fault> {
    let trail = Trail::default();
    let mut embed = {
        let root = trail.root(body)?;
        match form {
            Embedding::OpenAi => openai::decode(root)?,
            Embedding::Gemini => gemini::decode_one(root)?,
            Embedding::GeminiBatch => gemini::decode_batch(root)?,
            Embedding::Cohere => cohere::decode(root)?,
        }
    };
    model.clone_into(&mut embed.model);
    embed.asked = Some(form);
    let unknown = trail.into_unknown().into_iter();
    embed
        .lost
        .extend(unknown.map(|path| (Feature::UnknownField, path)));
    Ok(embed)
}

impl Embed {
    /// The caller's name of what the vectors are for.
    fn purpose_name(&self) -> &'static str {
        match self.asked {
            Some(Embedding::Cohere) => "input_type",
            Some(Embedding::GeminiBatch) => "requests[0].taskType",
            Some(Embedding::Gemini | Embedding::OpenAi) | None => "taskType",
        }
    }
}

/// Writes a request for a provider, and says what had to be left out.
///
/// # Errors
/// When something cannot be carried over and leaving it out would change what is asked.
pub fn encode_embed(form: Embedding, embed: &Embed) -> Result<Encoded, Lost> {
    let mut losses = Losses::default();
    for (feature, path) in &embed.lost {
        losses.add(*feature, path);
    }
    if embed.user.is_some() && form != Embedding::OpenAi {
        losses.add(Feature::EndUser, "user");
    }
    let body = match form {
        Embedding::OpenAi => openai::encode(embed, &mut losses),
        Embedding::Gemini | Embedding::GeminiBatch => gemini::encode(embed),
        Embedding::Cohere => cohere::encode(embed),
    };
    losses.verdict(body)
}

/// Reads the vectors of a provider's answer.
///
/// # Errors
/// Names the first field that is not what the form promises.
pub fn decode_vectors(form: Embedding, body: &[u8]) -> Result<Vectors, Fault> {
    let trail = Trail::default();
    let root = trail.root(body)?;
    match form {
        Embedding::OpenAi => openai::vectors(root),
        Embedding::Gemini | Embedding::GeminiBatch => gemini::vectors(root),
        Embedding::Cohere => cohere::vectors(root),
    }
    .map(Vectors)
}

impl Vectors {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Writes vectors for a caller.
///
/// # Errors
/// When a vector is not made of numbers.
pub fn encode_vectors(
    form: Embedding,
    vectors: &Vectors,
    beside: Beside<'_>,
) -> Result<Vec<u8>, Fault> {
    match form {
        Embedding::OpenAi => openai::answer(&vectors.0, beside),
        Embedding::Gemini => Ok(gemini::answer_one(&vectors.0, beside)),
        Embedding::GeminiBatch => Ok(gemini::answer_batch(&vectors.0, beside)),
        Embedding::Cohere => Ok(cohere::answer(&vectors.0, beside)),
    }
}

/// The usage within an answer; `None` if the provider does not say.
#[must_use]
pub fn embed_usage(form: Embedding, reply: &[u8]) -> Option<Usage> {
    let document: serde_json::Value = serde_json::from_slice(reply).ok()?;
    let tokens = match form {
        Embedding::OpenAi => &document["usage"]["prompt_tokens"],
        Embedding::Gemini | Embedding::GeminiBatch => {
            &document["usageMetadata"]["promptTokenCount"]
        }
        Embedding::Cohere => &document["meta"]["billed_units"]["input_tokens"],
    };
    // Cohere counts in floating point.
    let tokens = tokens.as_u64().or_else(|| whole(tokens.as_f64()?))?;
    Some(Usage {
        input_tokens: tokens,
        ..Usage::default()
    })
}

/// A count that was written with a decimal point.
fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    let is_count = (0.0..=MOST).contains(&number) && number.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within the range of both"
    )]
    is_count.then_some(number as u64)
}

/// A vector as it is written, once it is known to be an array.
fn vector(node: Node<'_>) -> Result<String, Fault> {
    match node.is_array() {
        true => Ok(node.json().to_owned()),
        false => Err(node.expected("an array of numbers")),
    }
}

#[cfg(test)]
mod tests;
