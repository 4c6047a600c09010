//! The limits and budgets in force, and what a call under them costs at most.

use std::sync::Arc;

use quick_cache::sync::Cache;
use seaworthy_core::budget::Amount;
use seaworthy_core::limit::policy::{Attributes, Bound, Demand, Policy};
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Extent, Price, UnknownPrice, Unpriced};
use seaworthy_core::principal::Principal;
use seaworthy_core::usage::Usage;

/// Most combinations of caller, model and operation whose rules are remembered.
const CAPACITY: usize = 10_000;

/// Limits, budgets and what to do without a price.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Arc<Policy>,
    unknown_price: UnknownPrice,
    bounds: Cache<BoundKey, Arc<Bound>>,
}

type BoundKey = (Arc<str>, Arc<str>, &'static str);

/// What a call is going to be charged with.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    /// `None` for a model without a price that may be called all the same.
    pub(crate) price: Option<Price>,
    /// What each call costs that has no price.
    pub(crate) flat: Micros,
}

impl Charge {
    /// What a call cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Micros {
        match &self.price {
            Some(price) => price::cost(usage, price),
            None => self.flat,
        }
    }

    /// The most that it can cost.
    pub(crate) fn worst_case(&self, usage: &Usage) -> Micros {
        let extent = Extent {
            max_input_tokens: usage.total_input(),
            max_output_tokens: usage.output_tokens,
            writes_cache: true,
            attempts: 1,
            ..Extent::default()
        };
        match &self.price {
            Some(price) => price::worst_case(&extent, price),
            None => self.flat,
        }
    }
}

impl Limits {
    pub(crate) fn new(policy: Policy, unknown_price: UnknownPrice) -> Self {
        Self {
            policy: Arc::new(policy),
            unknown_price,
            bounds: Cache::new(CAPACITY),
        }
    }

    /// The rules for this caller, model and operation.
    pub(crate) fn bind(
        &self,
        caller: &Principal,
        model: &Arc<str>,
        operation: &'static str,
    ) -> Arc<Bound> {
        let key = (Arc::clone(&caller.key_id), Arc::clone(model), operation);
        if let Some(bound) = self.bounds.get(&key) {
            return bound;
        }
        let attributes = Attributes {
            key: Some(&caller.key_id),
            user: Some(&caller.user_id),
            model: Some(model),
            operation: Some(operation),
            ..Attributes::default()
        };
        let bound = Arc::new(self.policy.bind(&attributes));
        self.bounds.insert(key, Arc::clone(&bound));
        bound
    }

    /// How a call of a model with or without a price is charged; `None` if it must not leave.
    pub(crate) fn charge(&self, price: Option<&Price>, bound: &Bound) -> Option<Charge> {
        if let Some(price) = price {
            return Some(Charge {
                price: Some(price.clone()),
                flat: Micros::ZERO,
            });
        }
        match self.unknown_price.decide(bound.draws_on_money()) {
            Unpriced::Refused => None,
            Unpriced::Flagged(flat) => Some(Charge { price: None, flat }),
        }
    }
}

/// What a call that uses this much takes of budgets and of limits of tokens.
pub(crate) fn demand(usage: &Usage, cost: Micros) -> Demand {
    let tokens = usage.total();
    Demand {
        amount: Amount { tokens, cost },
        rate_tokens: tokens,
    }
}
