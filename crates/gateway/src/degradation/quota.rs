//! What providers say is left of their limits, in the headers of their answers.

use http::HeaderMap;

/// What a provider said of its limits for this account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) requests: Option<Left>,
    /// Of the limits of tokens the one with the least left.
    pub(crate) tokens: Option<Left>,
}

/// What is left of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) remaining: u64,
    /// How much it is when nothing is used.
    pub(crate) limit: Option<u64>,
}

/// How many limits are told of: the first ones are of requests, the others of tokens.
const LIMITS: usize = 7;
const OF_REQUESTS: usize = 3;
/// What is told of a limit.
const REMAINING: usize = 0;
const LIMIT: usize = 1;

/// Which limit a header tells of, and what of it, in the words of OpenAI, Azure and others, of Anthropic,
/// and of Cohere. Google and AWS say nothing of that.
fn told(name: &str) -> Option<(usize, usize)> {
    if let Some(of) = name.strip_prefix("x-ratelimit-") {
        return match of {
            "remaining-requests" => Some((0, REMAINING)),
            "limit-requests" => Some((0, LIMIT)),
            "remaining-tokens" => Some((OF_REQUESTS, REMAINING)),
            "limit-tokens" => Some((OF_REQUESTS, LIMIT)),
            _ => None,
        };
    }
    if let Some(of) = name.strip_prefix("anthropic-ratelimit-") {
        let (of, what) = match (of.strip_suffix("-remaining"), of.strip_suffix("-limit")) {
            (Some(of), _) => (of, REMAINING),
            (None, Some(of)) => (of, LIMIT),
            (None, None) => return None,
        };
        return match of {
            "requests" => Some((1, what)),
            "tokens" => Some((OF_REQUESTS + 1, what)),
            "input-tokens" => Some((OF_REQUESTS + 2, what)),
            "output-tokens" => Some((OF_REQUESTS + 3, what)),
            _ => None,
        };
    }
    match name.strip_prefix("x-trial-endpoint-call-")? {
        "remaining" => Some((2, REMAINING)),
        "limit" => Some((2, LIMIT)),
        _ => None,
    }
}

impl Quota {
    /// Reads the headers of an answer, most of which say nothing of that.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut found = [[None; 2]; LIMITS];
        // One pass over what is there: each look-up would hash a long name.
        for (name, value) in headers {
            let Some((limit, what)) = told(name.as_str()) else {
                continue;
            };
            let text = value.to_str().unwrap_or_default().trim();
            found[limit][what] = text.parse().ok().or(found[limit][what]);
        }
        let (requests, tokens) = found.split_at(OF_REQUESTS);
        let quota = Self {
            requests: least(requests),
            tokens: least(tokens),
        };
        (quota != Self::default()).then_some(quota)
    }

    /// The least that is left of any of them.
    pub(crate) fn least(&self) -> Option<u64> {
        let left = [self.requests, self.tokens].into_iter().flatten();
        left.map(|left| left.remaining).min()
    }
}

fn least(found: &[[Option<u64>; 2]]) -> Option<Left> {
    let left = found.iter().filter_map(|[remaining, limit]| {
        let (remaining, limit) = ((*remaining)?, *limit);
        Some(Left { remaining, limit })
    });
    left.min_by_key(|left| left.remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Option<Quota> {
        let headers = headers.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        Quota::read(&headers.collect())
    }

    fn left(remaining: u64, limit: impl Into<Option<u64>>) -> Option<Left> {
        let limit = limit.into();
        Some(Left { remaining, limit })
    }

    #[test]
    fn each_provider_s_words_are_understood() {
        let openai = read(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ])
        .unwrap();
        assert_eq!(openai.requests, left(59, 60));
        assert_eq!(openai.tokens, left(149_984, None));
        assert_eq!(openai.least(), Some(59));
        let anthropic = read(&[
            ("anthropic-ratelimit-requests-remaining", "7"),
            ("anthropic-ratelimit-tokens-remaining", "900"),
            ("anthropic-ratelimit-tokens-limit", "1000"),
            ("anthropic-ratelimit-output-tokens-remaining", "80"),
            ("anthropic-ratelimit-output-tokens-limit", "800"),
        ])
        .unwrap();
        assert_eq!(anthropic.requests, left(7, None));
        assert_eq!(anthropic.tokens, left(80, 800));
        let cohere = read(&[("x-trial-endpoint-call-remaining", "0")]).unwrap();
        assert_eq!(cohere.requests, left(0, None));
        assert_eq!(read(&[("x-ratelimit-remaining-tokens", "some")]), None);
        assert_eq!(read(&[("x-ratelimit-limit-tokens", "1")]), None);
        assert_eq!(read(&[("content-type", "1")]), None);
    }
}
