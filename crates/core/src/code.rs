//! The closed list of error codes: one row each, read by error bodies, logs, metrics and the docs.

/// Whose move it is when an error with this code appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request has to change.
    Caller,
    /// The provider failed or refused.
    Upstream,
    /// The configuration or the credentials of this gateway have to change.
    Operator,
    /// This gateway is overloaded, stopping or broken.
    Gateway,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:literal, $fault:ident;)+) => {
        /// A stable error code. Clients may match on [`Code::as_str`]; its meaning never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Code] = &[$(Code::$name),+];

            /// The stable name: error bodies, `error_code` in logs, the `code` label of metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Code::$name => $status),+ }
            }

            /// Whose move it is.
            #[must_use]
            pub fn fault(self) -> Fault {
                match self { $(Code::$name => Fault::$fault),+ }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$name => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

codes! {
    /// The request is malformed: not JSON, a wrong type, a missing or contradictory field.
    InvalidRequest = "invalid_request", 400, Caller;
    /// The provider of the model that was asked for does not offer this operation.
    UnsupportedOperation = "unsupported_operation", 400, Caller;
    /// No API key and no other credential was sent.
    MissingApiKey = "missing_api_key", 401, Caller;
    /// The API key, token or password is unknown, wrong, expired or revoked.
    InvalidApiKey = "invalid_api_key", 401, Caller;
    /// The caller is known but may not do this.
    PermissionDenied = "permission_denied", 403, Caller;
    /// No model of that name is configured.
    ModelNotFound = "model_not_found", 404, Caller;
    /// The response that is to be continued is not stored.
    PreviousResponseNotFound = "previous_response_not_found", 400, Caller;
    /// Nothing is served at this path.
    NotFound = "not_found", 404, Caller;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, Caller;
    /// An `Idempotency-Key` was used for another request before.
    IdempotencyKeyReused = "idempotency_key_reused", 409, Caller;
    /// A request with this `Idempotency-Key` is still being worked on.
    IdempotencyInProgress = "idempotency_in_progress", 409, Caller;
    /// The gateway stopped while it worked on a request with this `Idempotency-Key`; nobody knows its outcome.
    IdempotencyUnknown = "idempotency_unknown", 409, Gateway;
    /// The route takes fresh requests only, and the request does not say when it was made or bears no nonce.
    FreshnessRequired = "freshness_required", 400, Caller;
    /// The request was made too long ago, or is dated in the future.
    StaleRequest = "stale_request", 400, Caller;
    /// A request with this nonce came before.
    ReplayedRequest = "replayed_request", 409, Caller;
    /// The request body arrived too slowly.
    RequestTimeout = "request_timeout", 408, Caller;
    /// The request body is larger than `server.max_request_size`.
    RequestTooLarge = "request_too_large", 413, Caller;
    /// The texts of the request are longer than `input_validation` allows.
    ContentTooLong = "content_too_long", 400, Caller;
    /// A guard found something in the request that must not leave.
    ContentFilter = "content_filter", 400, Caller;
    /// A topic or a tool of the request is none that this gateway is for.
    OutOfScope = "out_of_scope", 400, Caller;
    /// The request can use more than a single request may.
    RequestOverCap = "request_over_cap", 400, Caller;
    /// A limit of requests, of tokens or of requests at the same time is reached.
    RateLimited = "rate_limited", 429, Caller;
    /// A budget is used up, or has less left than the request can use.
    BudgetExceeded = "budget_exceeded", 429, Caller;
    /// The request belongs to a feature that is switched off.
    FeatureDisabled = "feature_disabled", 403, Operator;
    /// A budget of money applies and the price of the model is not known.
    PriceUnknown = "price_unknown", 403, Operator;
    /// The client went away before the answer was complete.
    ClientClosed = "client_closed", 499, Caller;
    /// Something broke inside the gateway; the log has the details under the request ID.
    Internal = "internal_error", 500, Gateway;
    /// The provider refused the request itself, not its credentials or its pace.
    UpstreamRefused = "upstream_refused", 400, Caller;
    /// The provider refused the request because too many come from this gateway.
    UpstreamRateLimited = "upstream_rate_limited", 429, Upstream;
    /// The provider answered with an error of its own.
    UpstreamError = "upstream_error", 502, Upstream;
    /// No connection to the provider could be made, or it broke before the answer began.
    UpstreamUnreachable = "upstream_unreachable", 502, Upstream;
    /// The provider's answer is not what its API promises.
    UpstreamInvalid = "upstream_invalid_response", 502, Upstream;
    /// The provider's answer is larger than `server.max_response_size`.
    UpstreamTooLarge = "upstream_response_too_large", 502, Upstream;
    /// The provider refused the gateway's own credentials.
    UpstreamAuth = "upstream_authentication_failed", 502, Operator;
    /// The provider did not answer within the target's timeouts.
    UpstreamTimeout = "upstream_timeout", 504, Upstream;
    /// Only a remembered answer was asked for, and there is none.
    NotCached = "not_cached", 504, Caller;
    /// Every target of the model has kept failing and is left alone for a while.
    UpstreamUnavailable = "upstream_unavailable", 503, Upstream;
    /// The time limit passed that the caller has set for the request.
    DeadlineExceeded = "deadline_exceeded", 504, Caller;
    /// The gateway has more work than it may take on.
    Overloaded = "overloaded", 503, Gateway;
    /// The gateway is in maintenance and gives only answers that it remembers.
    Maintenance = "maintenance", 503, Gateway;
    /// The gateway is draining and takes no new work.
    ShuttingDown = "shutting_down", 503, Gateway;
    /// A guard that has to be asked does not answer.
    GuardUnavailable = "guard_unavailable", 503, Operator;
    /// Code cannot be run here, because the system lacks what the sandbox needs to be safe.
    SandboxUnavailable = "sandbox_unavailable", 503, Operator;
    /// The store that is needed to decide this request cannot be reached.
    StoreUnavailable = "store_unavailable", 503, Gateway;
    /// The credential cannot be verified now: the identity provider does not answer, or too many passwords wait.
    IdentityUnavailable = "identity_unavailable", 503, Gateway;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_snake_case_and_statuses_are_errors() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} stands twice", code.as_str());
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_')
            );
            assert!((400..600).contains(&code.status()));
            assert!(
                code.meaning().ends_with('.'),
                "{}: {:?}",
                code.as_str(),
                code.meaning()
            );
        }
    }

    #[test]
    fn what_we_cannot_verify_is_never_blamed_on_the_key() {
        assert_eq!(Code::StoreUnavailable.status(), 503);
        assert_eq!(Code::IdentityUnavailable.status(), 503);
    }
}
