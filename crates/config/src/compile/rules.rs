//! The rules of a configuration, one for each limit and budget that is set.

use std::sync::Arc;

use seaworthy_core::budget::watch::Share as CoreShare;
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::{BudgetRule, Policy, RateRule, SlotRule};

use super::Mistake;
use crate::config::{Config, RequestCaps};
use crate::value::{Count, Share, Usd};

pub(super) fn compile(config: &Config, deployment: &str) -> Result<Policy, Vec<Mistake>> {
    let mut rules = Rules::new(&config.cost_controls.alert_thresholds);
    rules.rate_limits(config);
    rules.input_validation(&config.input_validation);
    rules.agent(&config.agent.security.rate_limit);
    rules.cost_controls(config);
    rules.cost_config(&config.cost_config);
    for (name, budget) in &config.budgets {
        rules.budget(name, budget);
    }
    rules.prices(config);
    if !rules.mistakes.is_empty() {
        return Err(rules.mistakes);
    }
    let of_class = |(class, tokens): (&String, &Count)| {
        let caps = Caps {
            max_total_tokens: Some(tokens.get()),
            ..Caps::default()
        };
        (class.clone(), caps)
    };
    Ok(Policy {
        deployment: deployment.to_owned(),
        rates: rules.rates,
        slots: rules.slots,
        budgets: rules.budgets,
        caps: caps(&config.cost_controls.per_request),
        operation_caps: config
            .cost_controls
            .per_operation
            .iter()
            .map(of_class)
            .collect(),
        calendar: config.cost_controls.time_zone.calendar(),
    })
}

fn caps(caps: &RequestCaps) -> Caps {
    let count = |count: Option<Count>| count.map(Count::get);
    Caps {
        max_input_tokens: count(caps.max_input_tokens),
        max_output_tokens: count(caps.max_output_tokens),
        max_total_tokens: count(caps.max_total_tokens),
        max_cost: caps.max_cost_usd.map(Usd::micros),
    }
}

pub(super) struct Rules {
    pub(super) thresholds: Vec<CoreShare>,
    pub(super) rates: Vec<RateRule>,
    pub(super) slots: Vec<SlotRule>,
    pub(super) budgets: Vec<BudgetRule>,
    pub(super) mistakes: Vec<Mistake>,
}

impl Rules {
    fn new(thresholds: &[Share]) -> Self {
        Self {
            thresholds: thresholds.iter().map(|share| share.get()).collect(),
            rates: Vec::new(),
            slots: Vec::new(),
            budgets: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    pub(super) fn mistake(&mut self, path: &[&str], message: String, help: &str) {
        self.mistakes.push(Mistake {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message,
            help: help.to_owned(),
        });
    }

    fn prices(&mut self, config: &Config) {
        for target in config.prices.keys() {
            let provider = target.split_once('/').map(|(provider, _)| provider);
            if provider.is_none_or(|provider| !config.providers.contains_key(provider)) {
                let message = format!("there is no provider for the price of `{target}`");
                let help = "write it as \"provider/model\", with a provider of this file";
                self.mistake(&["prices", target], message, help);
            }
        }
    }

    /// Names become parts of keys and headers.
    pub(super) fn name(&mut self, path: &[&str], name: &str, what: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
            let message = format!("`{name}` cannot be the name of {what}");
            self.mistake(
                path,
                message,
                "use up to 128 letters, digits, `-`, `_` and `.`",
            );
        }
    }
}

/// `rate_limits.per_user.requests_per_minute` is known as `per_user.requests_per_minute`.
pub(super) fn rule_name(path: &[&str]) -> Arc<str> {
    let path = match path {
        ["rate_limits" | "cost_controls", rest @ ..] => rest,
        path => path,
    };
    path.join(".").into()
}
