//! The API families that callers speak and providers understand.

use serde::{Deserialize, Serialize};

/// One wire format of model calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI chat completions, `POST /v1/chat/completions`.
    OpenAiChat,
    /// OpenAI Responses, `POST /v1/responses`.
    OpenAiResponses,
    /// Anthropic messages, `POST /v1/messages`.
    AnthropicMessages,
    /// Gemini, `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    Gemini,
    /// Cohere chat, `POST /v2/chat`.
    CohereChat,
    /// Bedrock Converse, `POST /model/{model}/converse` and `/converse-stream`.
    BedrockConverse,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 6] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::CohereChat,
        Self::BedrockConverse,
    ];

    /// The dialect that [`Dialect::as_str`] names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.as_str() == name)
    }

    /// The name in logs, metrics and errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
            Self::CohereChat => "cohere_chat",
            Self::BedrockConverse => "bedrock_converse",
        }
    }

    /// Whose conventions errors and headers of this dialect follow.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => Family::OpenAi,
            Self::AnthropicMessages => Family::Anthropic,
            Self::Gemini => Family::Gemini,
            Self::CohereChat => Family::Cohere,
            Self::BedrockConverse => Family::Bedrock,
        }
    }
}

/// Whose conventions a route follows where no model call is involved: error bodies, request IDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}, "request_id"}`
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`
    Gemini,
    /// `{"id", "message"}`
    Cohere,
    /// `{"message"}`, and the class in the header `x-amzn-ErrorType`
    Bedrock,
}
