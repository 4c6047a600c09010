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

/// The limits, as OpenAI, Azure and others, Anthropic and Cohere call what is left of them and how much
/// they are. Google and AWS say nothing of that.
const REQUESTS: [[&str; 2]; 3] = [
    [
        "x-ratelimit-remaining-requests",
        "x-ratelimit-limit-requests",
    ],
    [
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-limit",
    ],
    [
        "x-trial-endpoint-call-remaining",
        "x-trial-endpoint-call-limit",
    ],
];
const TOKENS: [[&str; 2]; 4] = [
    ["x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens"],
    [
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-limit",
    ],
    [
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-limit",
    ],
    [
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-limit",
    ],
];
/// What all of these names begin with.
const PREFIXES: [&str; 3] = ["x-ratelimit-", "anthropic-ratelimit-", "x-trial-"];

impl Quota {
    /// Reads the headers of an answer, most of which say nothing of that.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut requests = [[None; 2]; REQUESTS.len()];
        let mut tokens = [[None; 2]; TOKENS.len()];
        // One pass over what is there: each look-up would hash a long name.
        for (name, value) in headers {
            let name = name.as_str();
            if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let Some(number) = value
                .to_str()
                .ok()
                .and_then(|text| text.trim().parse().ok())
            else {
                continue;
            };
            note(&REQUESTS, &mut requests, name, number);
            note(&TOKENS, &mut tokens, name, number);
        }
        let quota = Self {
            requests: least(&requests),
            tokens: least(&tokens),
        };
        (quota != Self::default()).then_some(quota)
    }

    /// The least that is left of any of them.
    pub(crate) fn least(&self) -> Option<u64> {
        let left = [self.requests, self.tokens].into_iter().flatten();
        left.map(|left| left.remaining).min()
    }
}

fn note(names: &[[&str; 2]], found: &mut [[Option<u64>; 2]], name: &str, number: u64) {
    for (names, found) in names.iter().zip(found) {
        if let Some(at) = names.iter().position(|known| *known == name) {
            found[at] = Some(number);
        }
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
