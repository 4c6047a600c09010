//! Errors of a provider in the words of a caller who speaks another dialect: the status is the one
//! for which the caller's official client raises the exception that means the same.

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_llm::{ProviderError, error_status};

/// How a caller is told about a provider's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// The class of error in the caller's words, where it is not the usual one for the status.
    pub(crate) kind: Option<&'static str>,
    /// Whether official clients have to be told not to try again, which they would by the status.
    pub(crate) is_final: bool,
}

/// What a caller of this family is told when the provider answered with this status.
pub(crate) fn told(caller: Family, status: u16, error: &ProviderError) -> Told {
    let is_quota = status == 402 || error.is_quota_exhausted();
    let usual = |status| Told {
        status,
        kind: None,
        is_final: false,
    };
    match (caller, status) {
        // The account is out of money, which waiting does not mend.
        (Family::OpenAi, _) if is_quota => Told {
            status: 429,
            kind: Some("insufficient_quota"),
            is_final: true,
        },
        (Family::Anthropic, _) if is_quota => Told {
            status: 402,
            kind: Some("billing_error"),
            is_final: true,
        },
        // There is no other word for it than that of a rate limit.
        (Family::Gemini, _) if is_quota => Told {
            status: 429,
            kind: None,
            is_final: true,
        },
        // Clients of these two send 429 again, whatever its headers say.
        (Family::Cohere, _) if is_quota => Told {
            status: 402,
            kind: None,
            is_final: true,
        },
        (Family::Bedrock, _) if is_quota => Told {
            status: 400,
            kind: Some("ServiceQuotaExceededException"),
            is_final: true,
        },
        // The provider took too long, or its model broke off: AWS says both with statuses that blame
        // the request in everyone else's words.
        (Family::Bedrock, 408 | 424) => usual(status),
        (family, 408) => usual(error_status(family, 504)),
        (family, 424) => usual(error_status(family, 502)),
        // Overload has a status of its own with Anthropic.
        (Family::Anthropic, 503 | 529) => usual(529),
        (family, status) => usual(error_status(family, status)),
    }
}

/// Our own code for a provider's status: logs and metrics have it, and callers where the provider
/// has no code.
pub(crate) fn code(status: u16) -> Code {
    match status {
        429 => Code::UpstreamRateLimited,
        408 | 424 => Code::UpstreamError,
        400..500 => Code::UpstreamRefused,
        _ => Code::UpstreamError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_llm::error_kind;

    /// A status and a class of error.
    type Seen = (u16, &'static str);

    /// What a provider says, and what OpenAI's and Anthropic's callers see of it.
    #[rustfmt::skip]
    const TABLE: &[(Seen, Seen, Seen)] = &[
        ((400, "invalid_request_error"), (400, "invalid_request_error"), (400, "invalid_request_error")),
        ((402, "billing_error"), (429, "insufficient_quota"), (402, "billing_error")),
        ((404, "not_found_error"), (404, "invalid_request_error"), (404, "not_found_error")),
        ((408, "ModelTimeoutException"), (504, "server_error"), (504, "timeout_error")),
        ((409, "conflict_error"), (409, "invalid_request_error"), (409, "conflict_error")),
        ((413, "request_too_large"), (413, "invalid_request_error"), (413, "request_too_large")),
        ((422, "invalid_request_error"), (422, "invalid_request_error"), (422, "invalid_request_error")),
        ((424, "ModelErrorException"), (502, "server_error"), (502, "api_error")),
        ((429, "rate_limit_error"), (429, "rate_limit_error"), (429, "rate_limit_error")),
        ((429, "insufficient_quota"), (429, "insufficient_quota"), (402, "billing_error")),
        ((400, "ServiceQuotaExceededException"), (429, "insufficient_quota"), (402, "billing_error")),
        ((500, "api_error"), (500, "server_error"), (500, "api_error")),
        ((502, "server_error"), (502, "server_error"), (502, "api_error")),
        ((503, "server_error"), (503, "server_error"), (529, "overloaded_error")),
        ((504, "timeout_error"), (504, "server_error"), (504, "timeout_error")),
        ((529, "overloaded_error"), (503, "server_error"), (529, "overloaded_error")),
    ];

    #[test]
    fn every_status_has_the_one_that_means_the_same_to_the_callers_client() {
        for &((status, kind), openai, anthropic) in TABLE {
            let error = ProviderError {
                kind: Some(kind.to_owned()),
                ..ProviderError::default()
            };
            for (family, expected) in [(Family::OpenAi, openai), (Family::Anthropic, anthropic)] {
                let told = told(family, status, &error);
                let kind = told.kind.unwrap_or(error_kind(family, told.status));
                assert_eq!((told.status, kind), expected, "{status} for {family:?}");
            }
        }
    }

    #[test]
    fn only_an_exhausted_quota_is_final() {
        for &((status, kind), ..) in TABLE {
            let error = ProviderError {
                kind: Some(kind.to_owned()),
                ..ProviderError::default()
            };
            let is_quota = status == 402
                || ["insufficient_quota", "ServiceQuotaExceededException"].contains(&kind);
            for family in [Family::OpenAi, Family::Anthropic] {
                assert_eq!(told(family, status, &error).is_final, is_quota);
            }
            let aws = told(Family::Bedrock, status, &error);
            let is_told = aws.kind == Some("ServiceQuotaExceededException");
            assert_eq!((is_told, aws.status == 429 && is_quota), (is_quota, false));
            let cohere = told(Family::Cohere, status, &error);
            assert_eq!(cohere.status == 402, is_quota);
        }
    }
}
