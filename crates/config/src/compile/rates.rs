//! Limits of requests and tokens in a time.

use seaworthy_core::limit::policy::{RateRule, Scope, SlotRule, Subjects};
use seaworthy_core::limit::{Period, Quota, Unit};

use super::rules::{Rules, rule_name};
use crate::config::{AgentRateLimit, Config, InputValidation, LimitTable};
use crate::value::{Count, Factor};

impl Rules {
    pub(super) fn rate_limits(&mut self, config: &Config) {
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

    /// The limits of `input_validation`, which are those of each user.
    pub(super) fn input_validation(&mut self, input: &InputValidation) {
        let subjects = Subjects::all(Scope::User);
        for (key, period, limit) in [
            (
                "requests_per_minute",
                Period::Minute,
                input.requests_per_minute,
            ),
            ("requests_per_hour", Period::Hour, input.requests_per_hour),
        ] {
            let limit = (limit, period, None);
            self.rate(&["input_validation", key], &subjects, Unit::Requests, limit);
        }
        let path = ["input_validation", "concurrent_requests"];
        self.slot(&path, &subjects, input.concurrent_requests);
    }

    pub(super) fn agent(&mut self, limits: &AgentRateLimit) {
        if !limits.enabled {
            return;
        }
        let scope = match (limits.per_user, limits.fallback_to_session) {
            (true, true) => Scope::UserOrSession,
            (true, false) => Scope::User,
            (false, _) => Scope::Global,
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
}
