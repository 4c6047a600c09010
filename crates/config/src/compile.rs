//! From the configuration to the rules that requests are decided by.

mod budgets;
mod rates;
mod rules;
pub(crate) mod tiers;

use seaworthy_core::limit::policy::Policy;
use seaworthy_core::price::{self, KnownRates, Price, PriceList};

use crate::config::{Config, LongPrice, ModelPrice, TierPrice, UnknownPricePolicy};
use crate::value::Usd;

/// Something in the limits, budgets or prices that cannot be. A configuration that was loaded has
/// none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The keys that lead to the value.
    pub path: Vec<String>,
    /// What was expected and what was found.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// The limits and budgets of a configuration. `deployment` keeps the keys of several deployments
/// apart that share one store.
pub fn policy(config: &Config, deployment: &str) -> Result<Policy, Vec<Mistake>> {
    rules::compile(config, deployment)
}

/// The prices that are built in, with those of the configuration over them.
pub fn prices(config: &Config) -> PriceList {
    let mut list = PriceList::built_in();
    for (target, price) in &config.prices {
        list.set(target, price.into());
    }
    list
}

/// What to do with a model that has no price.
pub fn unknown_price(config: &Config) -> price::UnknownPrice {
    let amount = config.cost_controls.unknown_price_usd.map(Usd::micros);
    match config.cost_controls.unknown_price {
        UnknownPricePolicy::Deny => price::UnknownPrice::Deny,
        UnknownPricePolicy::ReserveFlat => {
            price::UnknownPrice::ReserveFlat(amount.unwrap_or_default())
        }
        UnknownPricePolicy::AllowFlagged => price::UnknownPrice::AllowFlagged,
    }
}

impl From<&ModelPrice> for Price {
    fn from(price: &ModelPrice) -> Self {
        let amount = |usd: Option<Usd>| usd.map(Usd::micros);
        let rates = KnownRates {
            input: price.input.micros(),
            output: price.output.micros(),
            cached_read: amount(price.cached_read),
            cache_write_5m: amount(price.cache_write_5m),
            cache_write_1h: amount(price.cache_write_1h),
            reasoning: amount(price.reasoning),
            audio_input: amount(price.audio_input),
            audio_output: amount(price.audio_output),
        };
        let long = |long: &LongPrice| {
            let rates = KnownRates {
                input: long.input.micros(),
                output: long.output.micros(),
                cached_read: amount(long.cached_read),
                cache_write_5m: amount(long.cache_write_5m),
                cache_write_1h: amount(long.cache_write_1h),
                ..KnownRates::default()
            };
            (long.above.get(), rates.into())
        };
        let tier = |tier: &TierPrice| {
            let rates = KnownRates {
                input: tier.input.micros(),
                output: tier.output.micros(),
                cached_read: amount(tier.cached_read),
                cache_write_5m: amount(tier.cache_write_5m),
                cache_write_1h: amount(tier.cache_write_1h),
                ..KnownRates::default()
            };
            rates.into()
        };
        Self {
            long: price.long.as_ref().map(long),
            priority: price.priority.as_ref().map(tier),
            image: amount(price.image).unwrap_or_default(),
            tool_call: amount(price.tool_call).unwrap_or_default(),
            request: amount(price.request).unwrap_or_default(),
            ..Self::of_tokens(rates)
        }
    }
}
