//! The names of headers that are looked up or set for every request, and parsed once: a
//! name as text is parsed, checked and hashed each time.

use std::sync::LazyLock;

use http::HeaderName;
use seaworthy_core::limit::headers;

macro_rules! names {
    ($($name:ident: $text:literal),* $(,)?) => {
        $(pub(crate) static $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    ACCEL_BUFFERING: "x-accel-buffering",
    AMZN_REQUEST_ID: "x-amzn-requestid",
    ANTHROPIC_VERSION: "anthropic-version",
    API_KEY: "api-key",
    AUTHORIZATION: "authorization",
    CORRELATION_ID: "x-correlation-id",
    GOOGLE_KEY: "x-goog-api-key",
    IDEMPOTENCY_KEY: "idempotency-key",
    RATE_LIMIT_POLICY: "ratelimit-policy",
    PROVIDER_REQUEST_ID: "request-id",
    REQUEST_ID: "x-request-id",
    STAINLESS_TIMEOUT: "x-stainless-timeout",
    TRACEPARENT: "traceparent",
    TRACESTATE: "tracestate",
    X_API_KEY: "x-api-key",
    // Ours.
    AGENT: "x-seaworthy-agent",
    ATTEMPTS: "x-seaworthy-attempts",
    CACHE: "x-seaworthy-cache",
    COST: "x-seaworthy-cost-usd",
    DROPPED: "x-seaworthy-dropped",
    FEATURE: "x-seaworthy-feature",
    MAX_OUTPUT_TOKENS: "x-seaworthy-max-output-tokens",
    OPERATION: "x-seaworthy-operation",
    PRIORITY: "x-seaworthy-priority",
    SESSION: "x-seaworthy-session-id",
    TARGET: "x-seaworthy-target",
    TIER: "x-seaworthy-tier",
    TIMEOUT: "x-seaworthy-timeout-ms",
    UPSTREAM_REQUEST_ID: "x-seaworthy-upstream-request-id",
}

/// The headers that tell how a caller stands with its limits.
static OF_LIMITS: LazyLock<[HeaderName; headers::NAMES.len()]> =
    LazyLock::new(|| headers::NAMES.map(HeaderName::from_static));

/// The name of a header about limits, by its place in [`headers::NAMES`].
pub(crate) fn of_limit(place: usize) -> Option<HeaderName> {
    OF_LIMITS.get(place).cloned()
}
