//! What one request may use at most, decided from the request alone.

use crate::money::Micros;

/// What one request may use at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// Tokens in.
    pub max_input_tokens: Option<u64>,
    /// Tokens out.
    pub max_output_tokens: Option<u64>,
    /// Tokens in and out.
    pub max_total_tokens: Option<u64>,
    /// Money.
    pub max_cost: Option<Micros>,
}

/// A cap that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverCap {
    /// The name of the cap, as in the configuration.
    pub cap: &'static str,
    /// What it allows.
    pub allowed: u64,
    /// What the request needs.
    pub needed: u64,
}

impl Caps {
    /// The narrower of both, cap by cap.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn narrower<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            max_input_tokens: narrower(self.max_input_tokens, other.max_input_tokens),
            max_output_tokens: narrower(self.max_output_tokens, other.max_output_tokens),
            max_total_tokens: narrower(self.max_total_tokens, other.max_total_tokens),
            max_cost: narrower(self.max_cost, other.max_cost),
        }
    }

    /// The most that a request with this input may generate; `None` without a cap.
    #[must_use]
    pub fn output_allowance(&self, input_tokens: u64) -> Option<u64> {
        let of_total = self
            .max_total_tokens
            .map(|total| total.saturating_sub(input_tokens));
        match (self.max_output_tokens, of_total) {
            (Some(output), Some(rest)) => Some(output.min(rest)),
            (output, rest) => output.or(rest),
        }
    }

    /// Whether a request may use this much.
    pub fn check(
        &self,
        input_tokens: u64,
        output_tokens: u64,
        cost: Micros,
    ) -> Result<(), OverCap> {
        let total = input_tokens.saturating_add(output_tokens);
        let checks = [
            ("max_input_tokens", self.max_input_tokens, input_tokens),
            ("max_output_tokens", self.max_output_tokens, output_tokens),
            ("max_total_tokens", self.max_total_tokens, total),
            ("max_cost_usd", self.max_cost.map(|max| max.0), cost.0),
        ];
        for (cap, allowed, needed) in checks {
            if let Some(allowed) = allowed.filter(|allowed| needed > *allowed) {
                return Err(OverCap {
                    cap,
                    allowed,
                    needed,
                });
            }
        }
        Ok(())
    }
}
