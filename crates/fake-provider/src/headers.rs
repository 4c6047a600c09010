//! The response headers that real providers send and clients act upon.

use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::directive::Directives;
use crate::request::Dialect;

/// A header list in the order in which it is sent.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// A JSON answer.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// A stream of binary frames.
pub(crate) const BINARY_EVENTS: HeaderValue =
    HeaderValue::from_static("application/vnd.amazon.eventstream");
/// A stream of events.
pub(crate) const EVENT_STREAM: HeaderValue =
    HeaderValue::from_static("text/event-stream; charset=utf-8");

const fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// Request identifier and rate-limit state; a 429 shows nothing left.
pub(crate) fn provider(
    dialect: Dialect,
    request_id: &str,
    now: Timestamp,
    limited: bool,
) -> Headers {
    let text = HeaderValue::from_static;
    let id = HeaderValue::from_str(request_id).unwrap_or(text("unprintable"));
    let (requests_left, tokens_left) = if limited {
        ("0", "0")
    } else {
        ("9999", "1999000")
    };
    match dialect {
        Dialect::Bedrock => vec![(name("x-amzn-requestid"), id)],
        Dialect::Gemini => vec![(name("server-timing"), text("gfet4t7; dur=1"))],
        Dialect::Cohere => vec![(name("x-debug-trace-id"), id)],
        Dialect::OpenAi | Dialect::Responses => vec![
            (name("x-request-id"), id),
            (name("openai-processing-ms"), text("1")),
            (name("openai-version"), text("2020-10-01")),
            (name("openai-organization"), text("fake-org")),
            (name("x-ratelimit-limit-requests"), text("10000")),
            (name("x-ratelimit-limit-tokens"), text("2000000")),
            (name("x-ratelimit-remaining-requests"), text(requests_left)),
            (name("x-ratelimit-remaining-tokens"), text(tokens_left)),
            (name("x-ratelimit-reset-requests"), text("6ms")),
            (name("x-ratelimit-reset-tokens"), text("30ms")),
        ],
        Dialect::Anthropic => {
            let reset = now
                .checked_add(jiff::SignedDuration::from_secs(1))
                .unwrap_or(now);
            let reset = HeaderValue::from_str(&reset.strftime("%FT%TZ").to_string())
                .unwrap_or(text("unprintable"));
            vec![
                (name("request-id"), id),
                (name("anthropic-organization-id"), text("fake-org")),
                (name("anthropic-ratelimit-requests-limit"), text("10000")),
                (
                    name("anthropic-ratelimit-requests-remaining"),
                    text(requests_left),
                ),
                (name("anthropic-ratelimit-requests-reset"), reset.clone()),
                (name("anthropic-ratelimit-tokens-limit"), text("2000000")),
                (
                    name("anthropic-ratelimit-tokens-remaining"),
                    text(tokens_left),
                ),
                (name("anthropic-ratelimit-tokens-reset"), reset),
            ]
        }
    }
}

/// What an error says about trying again.
pub(crate) fn retry(directives: &Directives) -> Headers {
    let mut headers = Headers::new();
    if let Some(seconds) = directives.retry_after {
        headers.push((name("retry-after"), HeaderValue::from(seconds)));
    }
    if let Some(millis) = directives.retry_after_ms {
        headers.push((name("retry-after-ms"), HeaderValue::from(millis)));
    }
    if let Some(again) = directives.should_retry {
        let value = if again { "true" } else { "false" };
        headers.push((name("x-should-retry"), HeaderValue::from_static(value)));
    }
    headers
}
