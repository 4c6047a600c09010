//! The limits and budgets in force, and what a call under them costs at most.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;
use seaworthy_config::{Config, LastAnswers};
use seaworthy_core::budget::Amount;
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::{Attributes, Bound, Demand, Policy, Scope};
use seaworthy_core::money::Micros;
use seaworthy_core::price::{self, Extent, Price, UnknownPrice, Unpriced};
use seaworthy_core::principal::Principal;
use seaworthy_core::usage::Usage;
use seaworthy_llm::tier::ServiceTier;

use crate::exchange::Exchange;
use crate::pieces::{Offered, PiecePrices, ToolPrices};

/// Most combinations of caller, model and operation whose rules are remembered.
const CAPACITY: usize = 4_096;

/// Limits, budgets and what to do without a price.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Arc<Policy>,
    pub(crate) unknown_price: UnknownPrice,
    /// Whether an answer is shortened where a budget is nearly used up.
    pub(crate) may_shorten: bool,
    pub(crate) tool_prices: Arc<ToolPrices>,
    /// Whether callers that need no key are refused.
    pub(crate) requires_user: bool,
    counts_by: CountsBy,
    /// What a caller may say that its work is.
    classes: BTreeSet<Arc<str>>,
    bounds: Cache<BoundKey, Arc<Bound>>,
    /// What applies to everyone, if that is nothing.
    unbound: Option<Arc<Bound>>,
}

/// Which of the attributes that differ from call to call any rule counts by.
#[derive(Debug, Clone, Copy)]
struct CountsBy {
    ip: bool,
    agent: bool,
    session: bool,
}

/// What decides which rules apply: two calls that agree in it have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct BoundKey {
    key: Arc<str>,
    user: Arc<str>,
    team: Option<Arc<str>>,
    model: Arc<str>,
    operation: &'static str,
    class: Option<Arc<str>>,
    /// These only where a rule counts by them.
    ip: Option<IpAddr>,
    agent: Option<Arc<str>>,
    session: Option<Arc<str>>,
}

/// What of a request decides which prices can apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// It asks the provider to cache what it sends.
    pub(crate) writes_cache: bool,
    /// It sends or asks for audio.
    pub(crate) has_audio: bool,
}

/// What a call is going to be charged with.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    /// `None` for a model without a price that may be called all the same.
    pub(crate) price: Option<Price>,
    /// In the provider's priority tier, where that has a price.
    pub(crate) priority: Option<Price>,
    /// Whether it is served in that tier: as it was asked for, until the provider says.
    pub(crate) in_priority: bool,
    /// What each call costs that has no price.
    pub(crate) flat: Micros,
    /// What is paid for by the piece.
    pub(crate) pieces: PiecePrices,
}

impl Charge {
    /// What a call cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Micros {
        match self.price_in_force() {
            Some(price) => price::cost(usage, price),
            None => self.flat,
        }
    }

    fn price_in_force(&self) -> Option<&Price> {
        let priority = self.priority.as_ref().filter(|_| self.in_priority);
        priority.or(self.price.as_ref())
    }

    /// Notes the tier that the provider says it served the call in.
    pub(crate) fn note_tier(&mut self, tier: ServiceTier) {
        self.in_priority = tier == ServiceTier::Priority;
    }

    /// Whether [`Sent`] can make it dearer.
    pub(crate) fn depends_on_what_is_sent(&self) -> bool {
        let mut prices = self.price.iter().chain(&self.priority);
        prices.any(Price::depends_on_what_is_sent)
    }

    /// The most that it can cost.
    pub(crate) fn worst_case(&self, usage: &Usage, sent: Sent) -> Micros {
        let extent = Extent {
            max_input_tokens: usage.total_input(),
            max_output_tokens: usage.output_tokens,
            writes_cache: sent.writes_cache,
            has_audio: sent.has_audio,
            attempts: 1,
            ..Extent::default()
        };
        let most = |price: &Price| price::worst_case(&extent, price);
        let standard = self.price.as_ref().map_or(self.flat, most);
        // Who asks for the dearer tier may be served in the other one.
        standard.max(self.price_in_force().map_or(Micros::ZERO, most))
    }
}

impl Limits {
    pub(crate) fn new(policy: Policy, config: &Config) -> Self {
        let by = |wanted| scopes(&policy).any(|scope| scope == wanted);
        let counts_by = CountsBy {
            ip: by(Scope::Ip),
            agent: by(Scope::Agent),
            session: by(Scope::Session) || by(Scope::UserOrSession),
        };
        let controls = &config.cost_controls;
        let tools = config.tool_prices.iter();
        let tools = tools.map(|(name, price)| (name.clone(), price.micros()));
        let tools = ToolPrices::new(tools.collect(), controls.reserved_tool_calls.get());
        let agents = &config.agent.security.rate_limit;
        let policy = Arc::new(policy);
        let is_empty = scopes(&policy).next().is_none();
        Self {
            counts_by,
            classes: policy.classes().map(Arc::from).collect(),
            unbound: is_empty.then(|| Arc::new(policy.bind(&Attributes::default()))),
            policy,
            unknown_price: seaworthy_config::unknown_price(config),
            may_shorten: controls.last_answers == LastAnswers::Shorten,
            tool_prices: Arc::new(tools),
            requires_user: agents.enabled && agents.require_user_id,
            bounds: Cache::new(CAPACITY),
        }
    }

    /// The class of work of this name; otherwise the names that there are.
    pub(crate) fn class(&self, name: &str) -> Result<Arc<str>, String> {
        let known = self.classes.get(name).cloned();
        known.ok_or_else(|| {
            let names: Vec<&str> = self.classes.iter().map(|class| &**class).collect();
            names.join(", ")
        })
    }

    /// The caps of a call.
    pub(crate) fn caps(&self, exchange: &Exchange, operation: &'static str) -> Caps {
        let class = exchange.class.as_deref();
        let caps = self.policy.caps(Some(operation));
        caps.and(self.policy.caps(class))
    }

    /// The rules for a call of this caller.
    pub(crate) fn bind(
        &self,
        exchange: &Exchange,
        caller: &Principal,
        model: &Arc<str>,
        operation: &'static str,
    ) -> Arc<Bound> {
        if let Some(unbound) = &self.unbound {
            return Arc::clone(unbound);
        }
        let by = self.counts_by;
        let key = BoundKey {
            key: Arc::clone(&caller.key_id),
            user: Arc::clone(&caller.user_id),
            team: caller.team_id.clone(),
            model: Arc::clone(model),
            operation,
            class: exchange.class.clone(),
            ip: by.ip.then(|| counted_as(exchange.peer)),
            agent: exchange.agent.clone().filter(|_| by.agent),
            session: exchange.session.clone().filter(|_| by.session),
        };
        if let Some(bound) = self.bounds.get(&key) {
            return bound;
        }
        let ip = key.ip.map(|ip| ip.to_string());
        let attributes = Attributes {
            key: Some(&key.key),
            earlier_keys: &caller.earlier_keys,
            user: Some(&key.user),
            team: key.team.as_deref(),
            model: Some(model),
            agent: key.agent.as_deref(),
            session: key.session.as_deref(),
            ip: ip.as_deref(),
            operation: Some(operation),
            class: key.class.as_deref(),
        };
        let bound = Arc::new(self.policy.bind(&attributes));
        self.bounds.insert(key, Arc::clone(&bound));
        bound
    }

    /// How a call of a model with or without a price, which offers these tools, is charged; `None` if it must not leave.
    pub(crate) fn charge(
        &self,
        (price, fees): (Option<&Price>, Vec<Offered>),
        tier: Option<ServiceTier>,
        bound: &Bound,
    ) -> Option<Charge> {
        let pieces = PiecePrices::of(&self.tool_prices, price, fees);
        let in_priority = tier == Some(ServiceTier::Priority);
        if let Some(price) = price {
            let priority = price.in_priority();
            let is_unknown = in_priority && priority.is_none();
            if is_unknown && self.unknown_price.decide(bound.draws_on_money()) == Unpriced::Refused
            {
                return None;
            }
            return Some(Charge {
                price: Some(*price),
                priority,
                in_priority,
                flat: Micros::ZERO,
                pieces,
            });
        }
        match self.unknown_price.decide(bound.draws_on_money()) {
            Unpriced::Refused => None,
            Unpriced::Flagged(flat) => Some(Charge {
                price: None,
                priority: None,
                in_priority,
                flat,
                pieces,
            }),
        }
    }
}

/// The address that rules by address count a caller under. Whoever has one address of IPv6 has the rest of
/// its network, 2^64 of them.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address => address,
    }
}

/// Whom the rules of a policy are kept apart by.
fn scopes(policy: &Policy) -> impl Iterator<Item = Scope> {
    let rates = policy.rates.iter().map(|rule| rule.subjects.scope);
    let slots = policy.slots.iter().map(|rule| rule.subjects.scope);
    let budgets = policy.budgets.iter().map(|rule| rule.subjects.scope);
    rates.chain(slots).chain(budgets)
}

/// What a call that uses this much takes of budgets and of limits of tokens.
pub(crate) fn demand(usage: &Usage, cost: Micros) -> Demand {
    let tokens = usage.total();
    Demand {
        amount: Amount { tokens, cost },
        rate_tokens: tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let counted = |text: &str| counted_as(text.parse().unwrap()).to_string();
        assert_eq!(counted("2001:db8:0:1::1"), "2001:db8:0:1::");
        assert_eq!(counted("2001:db8:0:1:ffff::2"), "2001:db8:0:1::");
        assert_eq!(counted("2001:db8:0:2::1"), "2001:db8:0:2::");
        assert_eq!(counted("203.0.113.7"), "203.0.113.7");
        assert_eq!(counted("::ffff:203.0.113.7"), "203.0.113.7");
    }
}
