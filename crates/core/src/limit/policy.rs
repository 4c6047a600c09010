//! All limits and budgets of a configuration, compiled: who is calling goes in, the claim that the
//! request has to make comes out.

use std::fmt::Write as _;
use std::sync::Arc;

use super::caps::Caps;
use super::headers::{self, Shown};
use super::{Quota, Standing, Unit};
use crate::budget::watch::Share;
use crate::budget::{self, Amount, Calendar, WindowKind};
use crate::clock::UnixMillis;
use crate::counters::{BudgetClaim, Claim, Key, RateClaim, SlotClaim};
use crate::principal::ANONYMOUS;

/// What a limit is kept apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Nothing: everybody together.
    Global,
    /// The API key, together with those that it took the place of by rotation.
    Key,
    /// The user that the key belongs to.
    User,
    /// The user, or the session of a caller that is nobody in particular.
    UserOrSession,
    /// The team that the user belongs to.
    Team,
    /// The model that was asked for.
    Model,
    /// The agent that calls.
    Agent,
    /// The session of an agent.
    Session,
    /// The address that the request came from.
    Ip,
    /// The class of the operation.
    Operation,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 10] = [
        Self::Global,
        Self::Key,
        Self::User,
        Self::UserOrSession,
        Self::Team,
        Self::Model,
        Self::Agent,
        Self::Session,
        Self::Ip,
        Self::Operation,
    ];

    /// The name in the configuration, keys and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Key => "key",
            Self::User => "user",
            Self::UserOrSession => "user_or_session",
            Self::Team => "team",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Ip => "ip",
            Self::Operation => "operation",
        }
    }
}

/// What is known of a caller and its request. A limit whose scope is not known does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// The ID of the API key.
    pub key: Option<&'a str>,
    /// Those of the keys that it took the place of by rotation, latest first.
    pub earlier_keys: &'a [Arc<str>],
    /// The user that the key belongs to.
    pub user: Option<&'a str>,
    /// The team that the user belongs to.
    pub team: Option<&'a str>,
    /// The configured name of the model, never what the caller wrote.
    pub model: Option<&'a str>,
    /// The agent that calls.
    pub agent: Option<&'a str>,
    /// The session of an agent.
    pub session: Option<&'a str>,
    /// The address that the request came from.
    pub ip: Option<&'a str>,
    /// The class of the operation.
    pub operation: Option<&'a str>,
    /// The class of work beside it that the caller says.
    pub class: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// Those of a request of which nothing is known but one attribute.
    #[must_use]
    pub fn only(scope: Scope, subject: &'a str) -> Self {
        let mut attributes = Self::default();
        let attribute = match scope {
            Scope::Global => return attributes,
            Scope::Key => &mut attributes.key,
            Scope::User | Scope::UserOrSession => &mut attributes.user,
            Scope::Team => &mut attributes.team,
            Scope::Model => &mut attributes.model,
            Scope::Agent => &mut attributes.agent,
            Scope::Session => &mut attributes.session,
            Scope::Ip => &mut attributes.ip,
            Scope::Operation => &mut attributes.operation,
        };
        *attribute = Some(subject);
        attributes
    }

    /// Whom a limit of this scope counts this request for.
    #[must_use]
    pub fn subject(&self, scope: Scope) -> Option<&'a str> {
        match scope {
            Scope::Global => Some("all"),
            Scope::Key => self.earlier_keys.last().map(|first| &**first).or(self.key),
            Scope::User => self.user,
            Scope::UserOrSession => match self.user {
                Some(ANONYMOUS) => self.session.or(self.user),
                user => user,
            },
            Scope::Team => self.team,
            Scope::Model => self.model,
            Scope::Agent => self.agent,
            Scope::Session => self.session,
            Scope::Ip => self.ip,
            Scope::Operation => self.operation,
        }
    }
}

/// Whom a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    /// What it is kept apart by.
    pub scope: Scope,
    /// Only these subjects; empty for all of them.
    pub only: Vec<String>,
}

impl Subjects {
    /// Every subject of the scope.
    #[must_use]
    pub fn all(scope: Scope) -> Self {
        Self {
            scope,
            only: Vec::new(),
        }
    }

    fn subject<'a>(&self, attributes: &Attributes<'a>) -> Option<&'a str> {
        let is_named = |subject: &str| self.only.iter().any(|s| s == subject);
        if self.scope == Scope::Operation
            && let Some(class) = attributes.class.filter(|class| is_named(class))
        {
            return Some(class);
        }
        let is_listed = |subject: &str| match self.scope {
            // Whichever of the keys it names, it follows them from there on.
            Scope::Key => {
                let earlier = attributes.earlier_keys.iter().map(|key| &**key);
                attributes.key.into_iter().chain(earlier).any(is_named)
            }
            _ => is_named(subject),
        };
        let listed = |subject: &&str| self.only.is_empty() || is_listed(subject);
        attributes.subject(self.scope).filter(listed)
    }
}

/// A rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRule {
    /// Its name, unique among rate limits; part of the key and of the headers.
    pub name: Arc<str>,
    /// Whom it is for.
    pub subjects: Subjects,
    /// What it counts.
    pub unit: Unit,
    /// How much may pass.
    pub quota: Quota,
}

/// A limit of requests at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRule {
    /// Its name, unique among its kind.
    pub name: Arc<str>,
    /// Whom it is for.
    pub subjects: Subjects,
    /// How many may run.
    pub max: u64,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRule {
    /// Its name, unique among budgets; part of the key.
    pub name: Arc<str>,
    /// Whom it is for.
    pub subjects: Subjects,
    /// What it counts.
    pub unit: budget::Unit,
    /// When it is given anew.
    pub window: WindowKind,
    /// What may be spent in a window.
    pub limit: u64,
    /// What is told of as soon as it is spent.
    pub thresholds: Vec<Share>,
}

/// All limits and budgets of a configuration.
#[derive(Debug)]
pub struct Policy {
    /// Names the deployment in keys, so that several can share one Redis.
    pub deployment: String,
    /// Rate limits.
    pub rates: Vec<RateRule>,
    /// Limits of requests at the same time.
    pub slots: Vec<SlotRule>,
    /// Budgets.
    pub budgets: Vec<BudgetRule>,
    /// What any request may use.
    pub caps: Caps,
    /// What a request of an operation class may use, beside that.
    pub operation_caps: Vec<(String, Caps)>,
    /// Where days and months begin.
    pub calendar: Calendar,
}

/// What a request may cost at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// What is reserved of budgets.
    pub amount: Amount,
    /// What is counted under limits of tokens a time.
    pub rate_tokens: u64,
}

/// The rules that apply to a caller, with their keys: as long as the policy and the attributes are
/// the same it can be kept and used for any number of requests.
#[derive(Debug, Clone)]
pub struct Bound {
    policy: Arc<Policy>,
    rates: Vec<(usize, Key)>,
    slots: Vec<(usize, Key)>,
    budgets: Vec<(usize, Key)>,
    /// The names of the rate limits, as headers have them.
    labels: Vec<String>,
    /// What every answer says of the rate limits themselves.
    told: Option<String>,
}

/// No limits and no budgets.
impl Default for Policy {
    fn default() -> Self {
        Self {
            deployment: "main".to_owned(),
            rates: Vec::new(),
            slots: Vec::new(),
            budgets: Vec::new(),
            caps: Caps::default(),
            operation_caps: Vec::new(),
            calendar: Calendar::utc(),
        }
    }
}

impl Policy {
    /// What a request of this operation class may use.
    #[must_use]
    pub fn caps(&self, operation: Option<&str>) -> Caps {
        let of_class = self
            .operation_caps
            .iter()
            .find(|(class, _)| Some(class.as_str()) == operation);
        of_class.map_or(self.caps, |(_, caps)| self.caps.and(*caps))
    }

    /// The classes of work that have limits or caps of their own, operations among them.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        let rates = self.rates.iter().map(|rule| &rule.subjects);
        let slots = self.slots.iter().map(|rule| &rule.subjects);
        let of_operation = |subjects: &&Subjects| subjects.scope == Scope::Operation;
        let limited = rates.chain(slots).filter(of_operation);
        let capped = self.operation_caps.iter().map(|(class, _)| class);
        let classes = limited.flat_map(|subjects| &subjects.only).chain(capped);
        classes.map(String::as_str)
    }

    /// The rules that apply to this caller.
    #[must_use]
    pub fn bind(self: &Arc<Self>, attributes: &Attributes<'_>) -> Bound {
        let mut text = String::with_capacity(96);
        let mut key = |kind: &str, name: &str, subject: &str| {
            text.clear();
            let _ = write!(text, "sw:{{{}}}:{kind}:{name}:{subject}", self.deployment);
            Key::new(&text)
        };
        let rates = self.rates.iter().enumerate();
        let rates = rates.filter_map(|(index, rule)| {
            let subject = rule.subjects.subject(attributes)?;
            Some((index, key("rate", &rule.name, subject)))
        });
        let rates: Vec<_> = rates.collect();
        let slots = self.slots.iter().enumerate();
        let slots = slots.filter_map(|(index, rule)| {
            let subject = rule.subjects.subject(attributes)?;
            Some((index, key("slot", &rule.name, subject)))
        });
        let slots = slots.collect();
        let budgets = self.budgets.iter().enumerate();
        let budgets = budgets.filter_map(|(index, rule)| {
            let subject = rule.subjects.subject(attributes)?;
            Some((index, key("budget", &rule.name, subject)))
        });
        let budgets = budgets.collect();
        let mut bound = Bound {
            policy: Arc::clone(self),
            labels: of(&self.rates, &rates)
                .map(|(rule, _)| headers::quoted(&rule.name))
                .collect(),
            rates,
            slots,
            budgets,
            told: None,
        };
        let untouched = Standing {
            remaining: 0,
            reset_ms: 0,
        };
        let untouched = vec![untouched; bound.rates.len()];
        bound.told = headers::policy(&bound.shown(&untouched));
        bound
    }

    /// The first budget that another policy does not keep account of in the same way.
    #[must_use]
    pub fn budget_beside(&self, other: &Self, now: UnixMillis) -> Option<&str> {
        let account = |policy: &Self, rule: &BudgetRule| {
            let window = policy.calendar.window(rule.window, now);
            (rule.name.clone(), rule.subjects.clone(), rule.unit, window)
        };
        let kept: Vec<_> = other
            .budgets
            .iter()
            .map(|rule| account(other, rule))
            .collect();
        let mut new = self
            .budgets
            .iter()
            .filter(|rule| !kept.contains(&account(self, rule)));
        new.next().map(|rule| &*rule.name)
    }

    /// The budget whose accounts lie under this key.
    #[must_use]
    pub fn budget_of<'k>(&self, key: &'k Key) -> Option<(&BudgetRule, &'k str)> {
        let rest = key.as_str().strip_prefix("sw:{")?;
        let rest = rest.strip_prefix(self.deployment.as_str())?;
        let (name, subject) = rest.strip_prefix("}:budget:")?.split_once(':')?;
        let rule = self.budgets.iter().find(|rule| *rule.name == *name)?;
        Some((rule, subject))
    }
}

impl Bound {
    /// The claim of one request. Without any rule it is empty: [`Claim::is_empty`].
    #[must_use]
    pub fn claim(
        &self,
        id: Arc<str>,
        at: UnixMillis,
        expires_at: UnixMillis,
        demand: Demand,
    ) -> Claim {
        let rate = |(rule, key): (&RateRule, &Key)| RateClaim {
            key: key.clone(),
            quota: rule.quota,
            unit: rule.unit,
            cost: match rule.unit {
                Unit::Requests => 1,
                Unit::Tokens => demand.rate_tokens,
            },
        };
        let slot = |(rule, key): (&SlotRule, &Key)| SlotClaim {
            key: key.clone(),
            max: rule.max,
        };
        let budget = |(rule, key): (&BudgetRule, &Key)| BudgetClaim {
            key: key.clone(),
            window: self.policy.calendar.window(rule.window, at),
            limit: rule.limit,
            unit: rule.unit,
            amount: demand.amount.in_unit(rule.unit),
        };
        Claim {
            id,
            at,
            expires_at,
            rates: self.rates().map(rate).collect(),
            slots: self.slots().map(slot).collect(),
            budgets: self.budgets().map(budget).collect(),
        }
    }

    /// The rate limits, in the order of [`Claim::rates`].
    pub fn rates(&self) -> impl Iterator<Item = (&RateRule, &Key)> {
        of(&self.policy.rates, &self.rates)
    }

    /// The limits of requests at the same time, in the order of [`Claim::slots`].
    pub fn slots(&self) -> impl Iterator<Item = (&SlotRule, &Key)> {
        of(&self.policy.slots, &self.slots)
    }

    /// The budgets, in the order of [`Claim::budgets`].
    pub fn budgets(&self) -> impl Iterator<Item = (&BudgetRule, &Key)> {
        of(&self.policy.budgets, &self.budgets)
    }

    /// Whether it matters how many tokens a request is, or what it costs.
    #[must_use]
    pub fn measures(&self) -> bool {
        !self.budgets.is_empty() || self.rates().any(|(rule, _)| rule.unit == Unit::Tokens)
    }

    /// Whether the request draws on a budget of money.
    #[must_use]
    pub fn draws_on_money(&self) -> bool {
        self.budgets()
            .any(|(rule, _)| rule.unit == budget::Unit::Micros)
    }

    /// Whom the budget counts for that lies under this key.
    #[must_use]
    pub fn subject_of<'k>(&self, key: &'k Key) -> &'k str {
        let budget = self.policy.budget_of(key);
        budget.map_or("", |(_, subject)| subject)
    }

    /// What `RateLimit-Policy` says: it is the same for every request. `None` without rate limits.
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// What the answer's headers say, from the standings of an outcome.
    #[must_use]
    pub fn shown(&self, standings: &[Standing]) -> Vec<Shown<'_>> {
        self.rates()
            .zip(&self.labels)
            .zip(standings)
            .map(|(((rule, _), label), standing)| Shown {
                rule: label,
                unit: rule.unit,
                quota: rule.quota,
                standing: *standing,
            })
            .collect()
    }
}

fn of<'a, R>(rules: &'a [R], bound: &'a [(usize, Key)]) -> impl Iterator<Item = (&'a R, &'a Key)> {
    bound
        .iter()
        .filter_map(|(index, key)| Some((rules.get(*index)?, key)))
}

#[cfg(test)]
mod tests;
