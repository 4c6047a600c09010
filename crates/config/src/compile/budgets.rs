//! Limits of what may be spent.

use seaworthy_core::budget::{self, WindowKind};
use seaworthy_core::limit::policy::{BudgetRule, Scope, Subjects};
use seaworthy_core::principal::scope::OPERATIONS;

use super::rules::{Rules, rule_name};
use crate::config::{
    Budget, BudgetScope, BudgetWindow, Config, CostConfig, SpendLimits, UnknownPricePolicy,
};
use crate::nearest::suggest;

impl Rules {
    pub(super) fn cost_controls(&mut self, config: &Config) {
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

    pub(super) fn cost_config(&mut self, config: &CostConfig) {
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

    pub(super) fn budget(&mut self, name: &str, budget: &Budget) {
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
        let is_operation = |name: &&String| OPERATIONS.contains(&name.as_str());
        let unknown = budget.only.iter().find(|name| !is_operation(name));
        if let Some(unknown) = unknown.filter(|_| budget.scope == BudgetScope::Operation) {
            let message = format!("`{unknown}` is no operation, so that nothing would count");
            let help = suggest(unknown, "the operations are", &OPERATIONS);
            self.mistake(&["budgets", name, "only"], message, &help);
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
