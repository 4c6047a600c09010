//! Errors of providers, read leniently: whatever stands in the body, there is something to tell.

use seaworthy_core::dialect::Family;
use serde_json::Value;
use std::time::Duration;

/// What a provider said when it refused or failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// The provider's word for the class of error.
    pub kind: Option<String>,
    /// The provider's code.
    pub code: Option<String>,
    /// The provider's sentence; empty if the body is not in its own format.
    pub message: String,
    /// The field of the request that it blames.
    pub param: Option<String>,
    /// How long to wait before the next attempt, where the body says so.
    pub retry_after: Option<Duration>,
}

impl ProviderError {
    /// Whether the account is out of money, which waiting does not mend: it comes with the status
    /// of a rate limit, which waiting does mend.
    #[must_use]
    pub fn is_quota_exhausted(&self) -> bool {
        let words = [self.kind.as_deref(), self.code.as_deref()];
        words.into_iter().flatten().any(|word| {
            matches!(
                word,
                "insufficient_quota"
                    | "billing_error"
                    | "billing_hard_limit_reached"
                    | "ServiceQuotaExceededException"
            ) || word.ends_with("spend_limit_reached")
        })
    }

    /// Whether the key of the request is not taken: Google says so with the status of a request
    /// that is wrong.
    #[must_use]
    pub fn is_key_refused(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("API_KEY_INVALID" | "API_KEY_EXPIRED" | "ACCESS_TOKEN_EXPIRED")
        )
    }
}

/// Reads the body of an error response.
#[must_use]
pub fn decode_error(family: Family, body: &[u8]) -> ProviderError {
    let Ok(document) = serde_json::from_slice::<Value>(body) else {
        return ProviderError::default();
    };
    // Google sends errors as the only element of a list, where a list was asked for and elsewhere.
    let mut document = match document {
        Value::Array(list) => list.into_iter().next().unwrap_or_default(),
        other => other,
    };
    let error = match family {
        // The sentence stands at the top.
        Family::Cohere | Family::Bedrock => document,
        Family::OpenAi | Family::Anthropic | Family::Gemini => {
            let inner = document.get_mut("error").map(Value::take);
            // Servers that imitate OpenAI put it at the top as well.
            inner.filter(|error| !error.is_null()).unwrap_or(document)
        }
    };
    // Some servers send just a sentence.
    if let Value::String(message) = error {
        return ProviderError {
            message,
            ..ProviderError::default()
        };
    }
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        // Codes are numbers with some servers.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let code = match family {
        Family::OpenAi | Family::Cohere | Family::Bedrock => &error["code"],
        Family::Anthropic => &error["details"]["error_code"],
        Family::Gemini => reason(&error["details"]),
    };
    let kind = match family {
        Family::OpenAi | Family::Anthropic | Family::Cohere => &error["type"],
        Family::Gemini => &error["status"],
        // Mostly in a header; where it is in the body, it has this name.
        Family::Bedrock => &error["__type"],
    };
    ProviderError {
        kind: text(kind),
        code: text(code),
        message: sentence(&error).unwrap_or_default(),
        param: text(&error["param"]),
        retry_after: retry_delay(&error["details"]),
    }
}

/// The sentence under each of the names that servers have for it: `Message` is what AWS's doors say,
/// `detail` what FastAPI does, as a text or as a list of faults.
fn sentence(error: &Value) -> Option<String> {
    let names = ["message", "Message", "detail"];
    let said = names.iter().find_map(|name| error.get(name))?;
    let said = match said {
        Value::Array(faults) => faults.first()?.get("msg")?,
        said => said,
    };
    said.as_str().map(str::to_owned)
}

/// `"reason": "API_KEY_INVALID"` among the details.
fn reason(details: &Value) -> &Value {
    let reasons = details.as_array().into_iter().flatten();
    let mut reasons = reasons.map(|detail| &detail["reason"]);
    reasons
        .find(|reason| reason.is_string())
        .unwrap_or(&Value::Null)
}

/// `"retryDelay": "34.5s"` among the details.
fn retry_delay(details: &Value) -> Option<Duration> {
    let mut delays = details
        .as_array()?
        .iter()
        .map(|detail| &detail["retryDelay"]);
    let text = delays.find_map(Value::as_str)?;
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}
