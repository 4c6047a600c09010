//! Errors in the words of each family of dialects, as a body and within a stream.

mod decode;

pub use decode::{ProviderError, decode_error};

use crate::{
    json::{self, Members},
    wire,
};
use seaworthy_core::dialect::{Dialect, Family};
use std::time::Duration;

/// An error to be told to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorView<'a> {
    /// The HTTP status it has, or would have if the answer had not begun.
    pub status: u16,
    /// The family's own word for the class of error. `None`: the usual one for the status.
    pub kind: Option<&'a str>,
    /// A stable code that programs can match on.
    pub code: Option<&'a str>,
    /// The sentence for people.
    pub message: &'a str,
    /// The field of the request that is at fault.
    pub param: Option<&'a str>,
    /// How long to wait before the next attempt, where waiting helps. Gemini's clients look for it in
    /// the body, all others in a header.
    pub retry_after: Option<Duration>,
    /// The ID under which the request is logged.
    pub request_id: Option<&'a str>,
}

/// The body of an error response.
#[must_use]
pub fn encode_error(family: Family, error: &ErrorView<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(error.message.len() + 160);
    write(family, error, &mut out);
    out
}

/// Appends an error as the last event of a stream that has begun.
pub fn encode_stream_error(dialect: Dialect, error: &ErrorView<'_>, out: &mut Vec<u8>) {
    wire::of(dialect).stream_error(error, 0, out);
}

/// Appends one server-sent event with a name and a JSON object.
pub(crate) fn sse_event(name: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Members<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    json::object(out, fill);
    out.extend_from_slice(b"\n\n");
}

/// Appends an error in the words of a family as a server-sent event.
pub(crate) fn sse_error(
    name: Option<&str>,
    family: Family,
    error: &ErrorView<'_>,
    out: &mut Vec<u8>,
) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    write(family, error, out);
    out.extend_from_slice(b"\n\n");
}

/// The status that means the same in this family: 529 is known to Anthropic's clients alone, AWS
/// has no 401, and clients of Cohere and AWS have no word for a gateway's own troubles. A wrong
/// method and a conflict stay what they are: the status is all that a program can go by.
#[must_use]
pub fn error_status(family: Family, status: u16) -> u16 {
    match (family, status) {
        (Family::OpenAi | Family::Gemini | Family::Cohere | Family::Bedrock, 529) => 503,
        (Family::Cohere | Family::Bedrock, 502) => 503,
        (Family::Bedrock, 401) => 403,
        (Family::Bedrock, 402 | 413 | 415 | 422) => 400,
        (Family::Bedrock, 504) => 408,
        (Family::Cohere, 413 | 415) => 400,
        _ => status,
    }
}

/// The family's usual class of error for a status.
#[must_use]
pub fn error_kind(family: Family, status: u16) -> &'static str {
    match family {
        Family::OpenAi => match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        },
        // Told in the header `x-amzn-ErrorType`.
        Family::Bedrock => match status {
            401 | 403 => "AccessDeniedException",
            402 => "ServiceQuotaExceededException",
            404 => "ResourceNotFoundException",
            408 | 504 => "ModelTimeoutException",
            409 => "ConflictException",
            424 => "ModelErrorException",
            429 => "ThrottlingException",
            502 | 503 | 529 => "ServiceUnavailableException",
            500.. => "InternalServerException",
            _ => "ValidationException",
        },
        // Its errors have a sentence and no class, so this is for logs alone.
        Family::Cohere => match status {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            429 => "too_many_requests",
            503 | 529 => "service_unavailable",
            504 => "gateway_timeout",
            500.. => "internal_server_error",
            _ => "bad_request",
        },
        Family::Gemini => match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ABORTED",
            408 | 504 => "DEADLINE_EXCEEDED",
            429 => "RESOURCE_EXHAUSTED",
            499 => "CANCELLED",
            502 | 503 | 529 => "UNAVAILABLE",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        },
        Family::Anthropic => match status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            408 | 504 => "timeout_error",
            409 => "conflict_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        },
    }
}

/// The status that a provider's own class of error stands for, where there was no status: within a
/// stream that had begun with 200.
pub(crate) fn status_of_kind(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "tokens"
        | "requests" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

fn write(family: Family, error: &ErrorView<'_>, out: &mut Vec<u8>) {
    let kind = error
        .kind
        .unwrap_or_else(|| error_kind(family, error.status));
    json::object(out, |body| match family {
        Family::OpenAi => {
            body.object("error", |inner| {
                inner
                    .str("message", error.message)
                    .str("type", kind)
                    .str_or_null("param", error.param)
                    .str_or_null("code", error.code);
            });
        }
        Family::Bedrock => {
            body.str("message", error.message);
        }
        Family::Cohere => {
            if let Some(request_id) = error.request_id {
                body.str("id", request_id);
            }
            body.str("message", error.message);
            if let Some(code) = error.code {
                body.str("code", code);
            }
        }
        Family::Gemini => {
            body.object("error", |inner| {
                let status = error_status(family, error.status);
                inner
                    .num("code", u64::from(status))
                    .str("message", error.message)
                    .str("status", error_kind(family, status));
                let reason = error.code.or(error.kind);
                if reason.is_some() || error.retry_after.is_some() {
                    inner.array("details", |details| {
                        if let Some(reason) = reason {
                            details.object(|detail| error_info(detail, reason, error.param));
                        }
                        if let Some(wait) = error.retry_after {
                            details.object(|detail| retry_info(detail, wait));
                        }
                    });
                }
            });
        }
        Family::Anthropic => {
            body.str("type", "error").object("error", |inner| {
                inner.str("type", kind).str("message", error.message);
                if let Some(code) = error.code {
                    inner.object("details", |details| {
                        details.str("error_code", code);
                    });
                }
            });
            if let Some(request_id) = error.request_id {
                body.str("request_id", request_id);
            }
        }
    });
}

fn error_info(detail: &mut Members<'_>, reason: &str, param: Option<&str>) {
    detail
        .str("@type", "type.googleapis.com/google.rpc.ErrorInfo")
        .str("reason", reason)
        .str("domain", "seaworthy");
    if let Some(param) = param {
        detail.object("metadata", |metadata| {
            metadata.str("field", param);
        });
    }
}

/// In whole seconds, as in the header `retry-after`.
fn retry_info(detail: &mut Members<'_>, wait: Duration) {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    detail
        .str("@type", "type.googleapis.com/google.rpc.RetryInfo")
        .str("retryDelay", &format!("{seconds}s"));
}
