//! What the configuration says about failing providers and too much work, as requests use it.

use std::collections::BTreeMap;
use std::time::Duration;

use seaworthy_config as config;
use seaworthy_core::principal::Principal;
use seaworthy_core::resilience::line::Priority;
use seaworthy_core::resilience::routing::Strategy;
use seaworthy_core::resilience::{breaker, gradient, retry};

pub(crate) mod gate;
pub(crate) mod hearsay;

/// The section `resilience`, compiled.
#[derive(Debug)]
pub(crate) struct Resilience {
    pub(crate) retries: retry::Settings,
    pub(crate) breaker: breaker::Settings,
    pub(crate) concurrency: gradient::Settings,
    pub(crate) queue: Queue,
    priorities: Priorities,
}

/// How long calls wait for their turn, and how many.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) max_length: usize,
    pub(crate) max_wait: Duration,
    /// How long a caller waits before it is told so; `None`: for ever.
    pub(crate) tell_after: Option<Duration>,
    pub(crate) tell_every: Duration,
}

#[derive(Debug)]
struct Priorities {
    keys: BTreeMap<String, Priority>,
    users: BTreeMap<String, Priority>,
    roles: BTreeMap<String, Priority>,
    operations: BTreeMap<String, Priority>,
    default: Priority,
    may_raise: bool,
}

impl Resilience {
    pub(crate) fn new(section: &config::Resilience) -> Self {
        let retries = &section.retries;
        let breaker = &section.circuit_breaker;
        let concurrency = &section.concurrency;
        let priorities = &section.priorities;
        let all = |map: &BTreeMap<String, config::Priority>| {
            map.iter()
                .map(|(name, priority)| (name.clone(), priority_of(*priority)))
                .collect()
        };
        Self {
            retries: retry::Settings {
                max_attempts: small(retries.max_attempts.get()),
                base_delay: retries.base_delay.into(),
                max_delay: retries.max_delay.into(),
                budget_per_10_000: retries.budget.get().ten_thousandths(),
            },
            breaker: breaker::Settings {
                enabled: breaker.enabled,
                window_ms: millis(breaker.window.into()),
                min_calls: small(breaker.min_calls.get()),
                failure_rate: breaker.failure_rate.get().ten_thousandths(),
                consecutive_failures: small(breaker.consecutive_failures.get()),
                slow_call_ms: millis(breaker.slow_call.into()),
                slow_call_rate: breaker.slow_call_rate.get().ten_thousandths(),
                open_ms: millis(breaker.open_for.into()),
                max_open_ms: millis(breaker.max_open_for.into()),
                probes: small(breaker.probes.get()),
            },
            concurrency: gradient::Settings {
                enabled: concurrency.adaptive,
                initial: small(concurrency.initial.get()),
                min: small(concurrency.min.get()),
                max: small(concurrency.max.get()),
                tolerance: f64::from(small(concurrency.tolerance.hundredths())) / 100.0,
            },
            queue: Queue {
                max_length: usize::try_from(section.queue.max_length.get()).unwrap_or(usize::MAX),
                max_wait: section.queue.max_wait.into(),
                tell_after: (section.queue.tell_after < section.queue.max_wait)
                    .then(|| section.queue.tell_after.into()),
                tell_every: section.queue.tell_every.into(),
            },
            priorities: Priorities {
                keys: all(&priorities.keys),
                users: all(&priorities.users),
                roles: all(&priorities.roles),
                operations: all(&priorities.operations),
                default: priority_of(priorities.default),
                may_raise: priorities.may_raise,
            },
        }
    }

    /// How much a call can matter at most, whoever its caller is.
    pub(crate) fn most_it_can_matter(&self, operation: &str, wished: Option<&str>) -> Priority {
        let rules = &self.priorities;
        let usual = rules.operations.get(operation).unwrap_or(&rules.default);
        let callers = [&rules.keys, &rules.users, &rules.roles];
        let of_callers = callers.into_iter().flat_map(BTreeMap::values);
        let configured = of_callers.chain([usual]).copied().max().unwrap_or_default();
        match wished.and_then(Priority::named) {
            Some(wished) if wished < configured || rules.may_raise => wished,
            _ => configured,
        }
    }

    /// How much a call matters, given what its caller wishes.
    pub(crate) fn priority(
        &self,
        caller: &Principal,
        operation: &str,
        wished: Option<&str>,
    ) -> Priority {
        let rules = &self.priorities;
        let mut of_keys = caller.key_ids().filter_map(|id| rules.keys.get(id));
        let configured = of_keys
            .next()
            .or_else(|| rules.users.get(&*caller.user_id))
            .or_else(|| {
                let roles = caller.roles.iter();
                roles
                    .filter_map(|role| rules.roles.get(role.as_str()))
                    .max()
            })
            .or_else(|| rules.operations.get(operation))
            .copied()
            .unwrap_or(rules.default);
        match wished.and_then(Priority::named) {
            Some(wished) if wished < configured || rules.may_raise => wished,
            _ => configured,
        }
    }
}

/// The strategy as the domain knows it.
pub(crate) fn strategy_of(strategy: config::RoutingStrategy) -> Strategy {
    match strategy {
        config::RoutingStrategy::Ordered => Strategy::Ordered,
        config::RoutingStrategy::Weighted => Strategy::Weighted,
        config::RoutingStrategy::LeastLatency => Strategy::LeastLatency,
        config::RoutingStrategy::LeastCost => Strategy::LeastCost,
    }
}

fn priority_of(priority: config::Priority) -> Priority {
    match priority {
        config::Priority::Low => Priority::Low,
        config::Priority::Normal => Priority::Normal,
        config::Priority::High => Priority::High,
        config::Priority::Critical => Priority::Critical,
    }
}

fn small(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// Whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seaworthy_core::principal::Identity;

    use super::*;

    #[test]
    fn a_key_that_takes_the_place_of_another_matters_as_much() {
        let mut section = config::Resilience::default();
        let keys = &mut section.priorities.keys;
        keys.insert("key_a".to_owned(), config::Priority::Low);
        keys.insert("key_b".to_owned(), config::Priority::High);
        let resilience = Resilience::new(&section);
        let matters = |key: &str, earlier: &[&str]| {
            let caller = Principal::new(Identity {
                key_id: key.into(),
                earlier_keys: earlier.iter().map(|id| Arc::from(*id)).collect(),
                ..(*Principal::anonymous()).clone()
            });
            resilience.priority(&caller, "chat", None)
        };
        assert_eq!(matters("key_a", &[]), Priority::Low);
        assert_eq!(matters("key_b", &["key_a"]), Priority::High);
        assert_eq!(matters("key_c", &["key_b", "key_a"]), Priority::High);
        assert_eq!(matters("key_d", &["key_a"]), Priority::Low);
        assert_eq!(matters("key_x", &[]), Priority::Normal);
    }
}
