//! The table itself: one line a route, so that it can be read as one.

use http::Method;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::principal::Permission;

use super::{Access, Action, Operation, Route, route};

/// Every route, most frequent first.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    route(Method::POST, "/v1/chat/completions", Action::Model(Operation::Chat(Dialect::OpenAiChat)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/v1/responses", Action::Model(Operation::Chat(Dialect::OpenAiResponses)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/v1/messages", Action::Model(Operation::Chat(Dialect::AnthropicMessages)), Access::Needs(Permission::CallModels), Family::Anthropic),
    route(Method::POST, "/v1/messages/count_tokens", Action::Model(Operation::CountTokens(Dialect::AnthropicMessages)), Access::Needs(Permission::CallModels), Family::Anthropic),
    route(Method::POST, "/v1/embeddings", Action::Model(Operation::Embeddings), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/v1/moderations", Action::Model(Operation::Moderations), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::GET, "/v1/models", Action::ListModels, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::GET, "/v1/models/{model}", Action::GetModel, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::POST, "/openai/v1/chat/completions", Action::Model(Operation::Chat(Dialect::OpenAiChat)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/openai/v1/responses", Action::Model(Operation::Chat(Dialect::OpenAiResponses)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/openai/v1/embeddings", Action::Model(Operation::Embeddings), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::GET, "/openai/v1/models", Action::ListModels, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::GET, "/openai/v1/models/{model}", Action::GetModel, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::POST, "/v1beta/openai/chat/completions", Action::Model(Operation::Chat(Dialect::OpenAiChat)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/v1beta/openai/embeddings", Action::Model(Operation::Embeddings), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::GET, "/v1beta/openai/models", Action::ListModels, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::GET, "/v1beta/openai/models/{model}", Action::GetModel, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::POST, "/openai/deployments/{model}/chat/completions", Action::Model(Operation::Chat(Dialect::OpenAiChat)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/openai/deployments/{model}/embeddings", Action::Model(Operation::Embeddings), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::POST, "/openai/responses", Action::Model(Operation::Chat(Dialect::OpenAiResponses)), Access::Needs(Permission::CallModels), Family::OpenAi),
    route(Method::GET, "/openai/models", Action::ListModels, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::POST, "/v1beta/models/{model}:generateContent", Action::Model(Operation::Chat(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::POST, "/v1beta/models/{model}:streamGenerateContent", Action::Model(Operation::Chat(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::POST, "/v1beta/models/{model}:countTokens", Action::Model(Operation::CountTokens(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::POST, "/v1/models/{model}:generateContent", Action::Model(Operation::Chat(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::POST, "/v1/models/{model}:streamGenerateContent", Action::Model(Operation::Chat(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::POST, "/v1/models/{model}:countTokens", Action::Model(Operation::CountTokens(Dialect::Gemini)), Access::Needs(Permission::CallModels), Family::Gemini),
    route(Method::GET, "/v1beta/models", Action::ListModels, Access::Needs(Permission::ListModels), Family::Gemini),
    route(Method::GET, "/v1beta/models/{model}", Action::GetModel, Access::Needs(Permission::ListModels), Family::Gemini),
    route(Method::POST, "/v2/chat", Action::Model(Operation::Chat(Dialect::CohereChat)), Access::Needs(Permission::CallModels), Family::Cohere),
    route(Method::POST, "/model/{model}/converse", Action::Model(Operation::Chat(Dialect::BedrockConverse)), Access::Needs(Permission::CallModels), Family::Bedrock),
    route(Method::POST, "/model/{model}/converse-stream", Action::Model(Operation::Chat(Dialect::BedrockConverse)), Access::Needs(Permission::CallModels), Family::Bedrock),
    route(Method::GET, "/health", Action::Health, Access::Public, Family::OpenAi),
    route(Method::GET, "/health/live", Action::Live, Access::Public, Family::OpenAi),
    route(Method::GET, "/health/ready", Action::Ready, Access::Public, Family::OpenAi),
    route(Method::GET, "/ready", Action::Ready, Access::Public, Family::OpenAi),
    route(Method::GET, "/health/deep", Action::DeepHealth, Access::Public, Family::OpenAi),
    route(Method::GET, "/v1/features", Action::ListFeatures, Access::Needs(Permission::ListModels), Family::OpenAi),
    route(Method::GET, "/metrics", Action::Metrics, Access::Public, Family::OpenAi),
    route(Method::GET, "/admin/v1/status", Action::Status, Access::Needs(Permission::ReadStatus), Family::OpenAi),
    route(Method::GET, "/admin/v1/config", Action::EffectiveConfig, Access::Needs(Permission::ReadConfig), Family::OpenAi),
    route(Method::POST, "/v1/auth/token", Action::CreateToken, Access::Needs(Permission::CreateTokens), Family::OpenAi),
    route(Method::GET, "/admin/v1/tier", Action::ShowTier, Access::Needs(Permission::ReadStatus), Family::OpenAi),
    route(Method::POST, "/admin/v1/tier", Action::SetTier, Access::Needs(Permission::WriteSwitches), Family::OpenAi),
    route(Method::GET, "/admin/v1/features", Action::ShowFeatures, Access::Needs(Permission::ReadStatus), Family::OpenAi),
    route(Method::POST, "/admin/v1/features/{name}", Action::SetFeature, Access::Needs(Permission::WriteSwitches), Family::OpenAi),
    route(Method::GET, "/admin/v1/keys", Action::ListKeys, Access::Needs(Permission::ReadKeys), Family::OpenAi),
    route(Method::POST, "/admin/v1/keys", Action::CreateKey, Access::Needs(Permission::WriteKeys), Family::OpenAi),
    route(Method::POST, "/admin/v1/keys/{id}/rotate", Action::RotateKey, Access::Needs(Permission::WriteKeys), Family::OpenAi),
    route(Method::POST, "/admin/v1/keys/{id}/revoke", Action::RevokeKey, Access::Needs(Permission::WriteKeys), Family::OpenAi),
];
