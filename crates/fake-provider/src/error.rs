//! Errors in each provider's own words.

use serde_json::{Value, json};

use crate::request::Dialect;

/// The body that goes with an error status. `named` overrides the type (and OpenAI's code).
pub(crate) fn body(
    dialect: Dialect,
    status: u16,
    named: Option<&str>,
    message: &str,
    param: Option<&str>,
    request_id: &str,
) -> Value {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => {
            let (kind, code) = openai_kind(status);
            let kind = named.unwrap_or(kind);
            let code = named.or(code);
            json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
        }
        Dialect::Anthropic => {
            let kind = named.unwrap_or(anthropic_kind(status));
            let error = json!({"type": kind, "message": message});
            json!({"type": "error", "error": error, "request_id": request_id})
        }
        Dialect::Gemini => {
            let kind = named.unwrap_or(gemini_kind(status));
            json!({"error": {"code": status, "message": message, "status": kind}})
        }
        Dialect::Cohere => json!({"id": request_id, "message": message}),
        Dialect::Bedrock => json!({"message": message}),
    }
}

fn openai_kind(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("invalid_request_error", Some("permission_denied")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        503 | 529 => ("server_error", Some("overloaded")),
        _ => ("server_error", None),
    }
}

fn gemini_kind(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        504 => "DEADLINE_EXCEEDED",
        503 | 529 => "UNAVAILABLE",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// The class of an error, which AWS tells in a header.
pub(crate) fn bedrock_kind(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 | 529 => "ServiceUnavailableException",
        500..=599 => "InternalServerException",
        _ => "ValidationException",
    }
}

fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

/// The sentence for an error that was asked for.
pub(crate) fn message(status: u16) -> &'static str {
    match status {
        400 => "The request was not acceptable (asked of the fake provider).",
        401 => "Incorrect API key provided.",
        403 => "You are not allowed to use this model.",
        404 => "The model does not exist or you do not have access to it.",
        413 => "The request is too large.",
        429 => "Rate limit reached for requests. Please try again later.",
        503 | 529 => "Overloaded",
        _ => "The server had an error while processing your request.",
    }
}

/// The sentence for an exhausted quota.
pub(crate) const QUOTA: &str =
    "You exceeded your current quota, please check your plan and billing details.";
