//! The rules of a configuration, one for each limit and budget that is set.

use std::sync::Arc;

use seaworthy_core::budget::watch::Share as CoreShare;
use seaworthy_core::budget::{self, WindowKind};
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::{BudgetRule, Policy, RateRule, Scope, SlotRule, Subjects};
use seaworthy_core::limit::{Period, Quota, Unit};

use super::Mistake;
use crate::config::{
    AgentRateLimit, Budget, BudgetScope, BudgetWindow, Config, CostConfig, LimitTable, RequestCaps,
    SpendLimits, UnknownPricePolicy,
};
use crate::value::{Count, Factor, Share, Usd};

pub(super) fn compile(config: &Config, deployment: &str) -> Result<Policy, Vec<Mistake>> {
    let mut rules = Rules::new(&config.cost_controls.alert_thresholds);
    rules.rate_limits(config);
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

struct Rules {
    thresholds: Vec<CoreShare>,
    rates: Vec<RateRule>,
    slots: Vec<SlotRule>,
    budgets: Vec<BudgetRule>,
    mistakes: Vec<Mistake>,
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

    fn mistake(&mut self, path: &[&str], message: String, help: &str) {
        self.mistakes.push(Mistake {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            message,
            help: help.to_owned(),
        });
    }

    fn rate_limits(&mut self, config: &Config) {
        let limits = &config.rate_limits;
        for (key, scope, limits) in [
            ("global", Scope::Global, &limits.global),
            ("per_user", Scope::User, &limits.per_user),
            ("per_key", Scope::Key, &limits.per_key),
            ("per_team", Scope::Team, &limits.per_team),
            ("per_model", Scope::Model, &limits.per_model),
            ("per_agent", Scope::Agent, &limits.per_agent),
            ("per_ip", Scope::Ip, &limits.per_ip),
        ] {
            self.limits(&["rate_limits", key], &Subjects::all(scope), &limits.0);
        }
        for (class, limits) in &limits.per_operation {
            let path = ["rate_limits", "per_operation", class];
            self.name(&path, class, "an operation class");
            let subjects = Subjects {
                scope: Scope::Operation,
                only: vec![class.clone()],
            };
            self.limits(&path, &subjects, &limits.0);
        }
    }

    fn limits(&mut self, path: &[&str], subjects: &Subjects, limits: &LimitTable) {
        use Period::{Day, Hour, Minute, Second};
        for (key, unit, period, limit) in [
            (
                "requests_per_second",
                Unit::Requests,
                Second,
                limits.requests_per_second,
            ),
            (
                "requests_per_minute",
                Unit::Requests,
                Minute,
                limits.requests_per_minute,
            ),
            (
                "requests_per_hour",
                Unit::Requests,
                Hour,
                limits.requests_per_hour,
            ),
            (
                "requests_per_day",
                Unit::Requests,
                Day,
                limits.requests_per_day,
            ),
            (
                "tokens_per_minute",
                Unit::Tokens,
                Minute,
                limits.tokens_per_minute,
            ),
            (
                "tokens_per_hour",
                Unit::Tokens,
                Hour,
                limits.tokens_per_hour,
            ),
            ("tokens_per_day", Unit::Tokens, Day, limits.tokens_per_day),
        ] {
            let path = [path, &[key]].concat();
            self.rate(&path, subjects, unit, (limit, period, None));
        }
        let path = [path, &["concurrent_requests"]].concat();
        self.slot(&path, subjects, limits.concurrent_requests);
    }

    /// A rate limit, if there is one. The burst is a multiple of the limit, or the limit itself.
    fn rate(
        &mut self,
        path: &[&str],
        subjects: &Subjects,
        unit: Unit,
        (limit, period, burst): (Option<Count>, Period, Option<Factor>),
    ) {
        let Some(limit) = limit.map(Count::get) else {
            return;
        };
        let burst = burst.map_or(limit, |factor| factor.times(limit));
        let Some(quota) = Quota::with_burst(limit, period, burst) else {
            let (largest, period) = (Quota::largest(period), period.as_str());
            let message = format!("expected 1 to {largest} in a {period}, found {limit}");
            let help = "leave it out for no limit";
            return self.mistake(path, message, help);
        };
        self.rates.push(RateRule {
            name: rule_name(path),
            subjects: subjects.clone(),
            unit,
            quota,
        });
    }

    fn slot(&mut self, path: &[&str], subjects: &Subjects, max: Option<Count>) {
        match max.map(Count::get) {
            None => {}
            Some(0) => {
                let message = "expected 1 or more at the same time, found 0".to_owned();
                self.mistake(path, message, "leave it out for no limit");
            }
            Some(max) => self.slots.push(SlotRule {
                name: rule_name(path),
                subjects: subjects.clone(),
                max,
            }),
        }
    }

    fn agent(&mut self, limits: &AgentRateLimit) {
        if !limits.enabled {
            return;
        }
        let scope = if limits.per_user {
            Scope::User
        } else {
            Scope::Global
        };
        let subjects = Subjects::all(scope);
        let burst = limits.burst_multiplier;
        for (key, unit, limit) in [
            (
                "requests_per_minute",
                Unit::Requests,
                (limits.requests_per_minute, Period::Minute, burst),
            ),
            (
                "requests_per_hour",
                Unit::Requests,
                (limits.requests_per_hour, Period::Hour, None),
            ),
            (
                "tokens_per_minute",
                Unit::Tokens,
                (limits.tokens_per_minute, Period::Minute, None),
            ),
            (
                "tokens_per_hour",
                Unit::Tokens,
                (limits.tokens_per_hour, Period::Hour, None),
            ),
        ] {
            self.rate(
                &["agent", "security", "rate_limit", key],
                &subjects,
                unit,
                limit,
            );
        }
        let path = ["agent", "security", "rate_limit", "max_concurrent_requests"];
        self.slot(&path, &subjects, limits.max_concurrent_requests);
    }

    fn cost_controls(&mut self, config: &Config) {
        let controls = &config.cost_controls;
        for (key, scope, limits) in [
            ("global", Scope::Global, &controls.global),
            ("per_user", Scope::User, &controls.per_user),
            ("per_key", Scope::Key, &controls.per_key),
            ("per_team", Scope::Team, &controls.per_team),
            ("per_agent", Scope::Agent, &controls.per_agent),
            ("per_session", Scope::Session, &controls.per_session),
        ] {
            self.spend(&["cost_controls", key], &Subjects::all(scope), limits);
        }
        for class in controls.per_operation.keys() {
            self.name(
                &["cost_controls", "per_operation", class],
                class,
                "an operation class",
            );
        }
        let is_flat = controls.unknown_price == UnknownPricePolicy::ReserveFlat;
        let path = ["cost_controls", "unknown_price_usd"];
        match controls.unknown_price_usd {
            None if is_flat => {
                let message =
                    "`unknown_price_usd` is missing: `reserve_flat` charges it".to_owned();
                self.mistake(
                    &path,
                    message,
                    "set it to what an unknown call may cost, such as 1.00",
                );
            }
            Some(_) if !is_flat => {
                let message =
                    "`unknown_price_usd` has a meaning for `reserve_flat` only".to_owned();
                self.mistake(
                    &path,
                    message,
                    "remove it, or set `unknown_price` to `reserve_flat`",
                );
            }
            _ => {}
        }
    }

    fn spend(&mut self, path: &[&str], subjects: &Subjects, limits: &SpendLimits) {
        use WindowKind::{Day, Hour, Month, Total};
        for (key, window, limit) in [
            ("hourly_token_limit", Hour, limits.hourly_token_limit),
            ("daily_token_limit", Day, limits.daily_token_limit),
            ("monthly_token_limit", Month, limits.monthly_token_limit),
            ("total_token_limit", Total, limits.total_token_limit),
        ] {
            let limit = limit.map(|limit| (budget::Unit::Tokens, limit.get()));
            self.account(&[path, &[key]].concat(), subjects, window, limit);
        }
        for (key, window, limit) in [
            ("hourly_budget_usd", Hour, limits.hourly_budget_usd),
            ("daily_budget_usd", Day, limits.daily_budget_usd),
            ("monthly_budget_usd", Month, limits.monthly_budget_usd),
            ("total_budget_usd", Total, limits.total_budget_usd),
        ] {
            let limit = limit.map(|limit| (budget::Unit::Micros, limit.micros().0));
            self.account(&[path, &[key]].concat(), subjects, window, limit);
        }
    }

    fn account(
        &mut self,
        path: &[&str],
        subjects: &Subjects,
        window: WindowKind,
        limit: Option<(budget::Unit, u64)>,
    ) {
        if let Some((unit, limit)) = limit {
            self.budgets.push(BudgetRule {
                name: rule_name(path),
                subjects: subjects.clone(),
                unit,
                window,
                limit,
                thresholds: self.thresholds.clone(),
            });
        }
    }

    fn cost_config(&mut self, config: &CostConfig) {
        let first = self.budgets.len();
        let limits = SpendLimits {
            daily_token_limit: config.daily_token_limit,
            monthly_token_limit: config.monthly_token_limit,
            daily_budget_usd: config.daily_budget_usd,
            monthly_budget_usd: config.monthly_budget_usd,
            ..SpendLimits::default()
        };
        self.spend(&["cost_config"], &Subjects::all(Scope::Global), &limits);
        if let Some(threshold) = config.alert_threshold {
            for rule in self.budgets.iter_mut().skip(first) {
                rule.thresholds = vec![threshold.get()];
            }
        }
    }

    fn budget(&mut self, name: &str, budget: &Budget) {
        let path = ["budgets", name];
        self.name(&path, name, "a budget");
        if budget.token_limit.is_none() && budget.budget_usd.is_none() {
            let message = format!("the budget `{name}` limits nothing");
            self.mistake(&path, message, "set `token_limit`, `budget_usd` or both");
        }
        if budget.scope == BudgetScope::Global && !budget.only.is_empty() {
            let message = "`only` has no meaning for the scope `global`".to_owned();
            self.mistake(
                &["budgets", name, "only"],
                message,
                "remove it, or choose another scope",
            );
        }
        let first = self.budgets.len();
        let subjects = Subjects {
            scope: scope(budget.scope),
            only: budget.only.clone(),
        };
        let window = window(budget.window);
        let tokens = budget
            .token_limit
            .map(|limit| (budget::Unit::Tokens, limit.get()));
        let money = budget
            .budget_usd
            .map(|limit| (budget::Unit::Micros, limit.micros().0));
        self.account(&["budgets", name, "token_limit"], &subjects, window, tokens);
        self.account(&["budgets", name, "budget_usd"], &subjects, window, money);
        if let Some(thresholds) = &budget.alert_thresholds {
            for rule in self.budgets.iter_mut().skip(first) {
                rule.thresholds = thresholds.iter().map(|share| share.get()).collect();
            }
        }
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
    fn name(&mut self, path: &[&str], name: &str, what: &str) {
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
fn rule_name(path: &[&str]) -> Arc<str> {
    let path = match path {
        ["rate_limits" | "cost_controls", rest @ ..] => rest,
        path => path,
    };
    path.join(".").into()
}

fn scope(scope: BudgetScope) -> Scope {
    match scope {
        BudgetScope::Global => Scope::Global,
        BudgetScope::Key => Scope::Key,
        BudgetScope::User => Scope::User,
        BudgetScope::Team => Scope::Team,
        BudgetScope::Model => Scope::Model,
        BudgetScope::Agent => Scope::Agent,
        BudgetScope::Session => Scope::Session,
        BudgetScope::Operation => Scope::Operation,
    }
}

fn window(window: BudgetWindow) -> WindowKind {
    match window {
        BudgetWindow::Hour => WindowKind::Hour,
        BudgetWindow::Day => WindowKind::Day,
        BudgetWindow::Month => WindowKind::Month,
        BudgetWindow::Total => WindowKind::Total,
    }
}
