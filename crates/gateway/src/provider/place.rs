//! Where a provider takes calls: the path below its base URL, and what stands in it.

use std::borrow::Cow;

use seaworthy_config::{Provider as ProviderConfig, ProviderApi, ProviderKind};
use seaworthy_core::dialect::Dialect;

use crate::routes::Operation;

/// How a provider lays out its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// As the dialect's own API does.
    Own,
    /// Azure's API v1: as OpenAI's, below `/openai/v1`.
    AzureV1,
    /// Azure's classic paths, which name the deployment and ask for a version.
    AzureClassic { version: String },
}

/// The place for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: Cow<'static, str>,
    /// Whether the path says which model is asked, so that the body need not.
    pub(crate) names_model: bool,
}

impl Layout {
    pub(super) fn of(config: &ProviderConfig) -> Self {
        match (config.kind, &config.api_version) {
            (ProviderKind::AzureOpenai, Some(version)) => Self::AzureClassic {
                version: version.clone(),
            },
            (ProviderKind::AzureOpenai, None) => Self::AzureV1,
            _ => Self::Own,
        }
    }

    pub(super) fn place(&self, operation: Operation, model: &str, stream: bool) -> Place {
        let own = match operation {
            Operation::Chat(dialect) => seaworthy_llm::endpoint(dialect, model, stream),
            Operation::CountTokens(dialect) => seaworthy_llm::count_endpoint(dialect, model),
            Operation::Embeddings(form) => form.endpoint(model),
            Operation::Moderations => "/moderations".into(),
        };
        match self {
            Self::Own => {
                let dialect = operation.dialect();
                Place {
                    path: own,
                    names_model: matches!(dialect, Dialect::Gemini | Dialect::BedrockConverse),
                }
            }
            Self::AzureV1 => Place {
                path: format!("/openai/v1{own}").into(),
                names_model: false,
            },
            Self::AzureClassic { version } => {
                // Responses are not below a deployment.
                let names_model = operation.dialect() != Dialect::OpenAiResponses;
                let deployment = match names_model {
                    true => format!("/deployments/{}", seaworthy_llm::path_segment(model)),
                    false => String::new(),
                };
                Place {
                    path: format!("/openai{deployment}{own}?api-version={version}").into(),
                    names_model,
                }
            }
        }
    }
}

/// What a provider of this kind speaks; `None` for the built-in one.
pub(super) fn dialect(config: &ProviderConfig) -> Option<Dialect> {
    match (config.kind, config.api) {
        (ProviderKind::Echo, _) => None,
        (
            ProviderKind::Openai | ProviderKind::OpenaiCompatible | ProviderKind::AzureOpenai,
            ProviderApi::Chat,
        ) => Some(Dialect::OpenAiChat),
        (
            ProviderKind::Openai | ProviderKind::OpenaiCompatible | ProviderKind::AzureOpenai,
            ProviderApi::Responses,
        ) => Some(Dialect::OpenAiResponses),
        (ProviderKind::Anthropic, _) => Some(Dialect::AnthropicMessages),
        (ProviderKind::Bedrock, _) => Some(Dialect::BedrockConverse),
        (ProviderKind::Gemini, _) => Some(Dialect::Gemini),
        (ProviderKind::Cohere, _) => Some(Dialect::CohereChat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_llm::embed::Embedding;

    fn path(layout: &Layout, operation: Operation) -> String {
        layout.place(operation, "gpt 4", false).path.into_owned()
    }

    #[test]
    fn azure_has_two_layouts() {
        let version = "2024-10-21".to_owned();
        let classic = Layout::AzureClassic { version };
        let (chat, responses) = (
            Operation::Chat(Dialect::OpenAiChat),
            Operation::Chat(Dialect::OpenAiResponses),
        );
        for (layout, operation, expected) in [
            (&Layout::Own, chat, "/chat/completions"),
            (&Layout::AzureV1, chat, "/openai/v1/chat/completions"),
            (&Layout::AzureV1, responses, "/openai/v1/responses"),
            (
                &classic,
                chat,
                "/openai/deployments/gpt%204/chat/completions?api-version=2024-10-21",
            ),
            (
                &classic,
                Operation::Embeddings(Embedding::OpenAi),
                "/openai/deployments/gpt%204/embeddings?api-version=2024-10-21",
            ),
            (
                &classic,
                responses,
                "/openai/responses?api-version=2024-10-21",
            ),
        ] {
            assert_eq!(path(layout, operation), expected);
        }
    }
}
