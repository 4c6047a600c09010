//! How much may be spent, and what things cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_core::budget::watch::Share as CoreShare;
use serde::{Deserialize, Serialize};

use crate::value::{Count, Share, TimeZone, Usd};

/// How much may be spent. What a request can cost at most is reserved before it is made, so that
/// requests at the same time cannot exceed a limit together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CostControls {
    /// What a single request may use. One that could use more is refused.
    pub per_request: RequestCaps,
    /// All callers together.
    pub global: SpendLimits,
    /// Each user.
    pub per_user: SpendLimits,
    /// Each API key.
    pub per_key: SpendLimits,
    /// Each team.
    pub per_team: SpendLimits,
    /// Each agent.
    pub per_agent: SpendLimits,
    /// Each session of an agent.
    pub per_session: SpendLimits,
    /// How many tokens, in and out, a single request of a class may use, by the name of the class: an
    /// operation such as `chat`, or a name of your own that callers say in `x-seaworthy-operation`.
    pub per_operation: BTreeMap<String, Count>,
    /// Where hours, days and months begin.
    pub time_zone: TimeZone,
    /// At which parts of a budget the operators are told.
    pub alert_thresholds: Vec<Share>,
    /// What becomes of a call that only a smaller answer would leave room for: `shorten` lowers the
    /// bound of its output, down to a quarter of what the caller set, `refuse` does not let it pass.
    pub last_answers: LastAnswers,
    /// What to do with a model that has no price: `deny` refuses it where a budget of money applies,
    /// `reserve_flat` charges `unknown_price_usd`, `allow_flagged` charges nothing and marks the call.
    pub unknown_price: UnknownPricePolicy,
    /// Built-in prices that were last known to be right longer ago than this are reported as stale.
    pub max_price_age_days: Count,
    /// How many calls of its dearest tool are reserved for a request that offers tools with a price.
    /// What an answer calls beyond that is charged all the same, and marked. For tools that a provider runs
    /// it is also the bound that is written into a request without one, under a budget of money or a cap.
    pub reserved_tool_calls: Count,
    /// What a call to a model without a price costs, for `reserve_flat`.
    pub unknown_price_usd: Option<Usd>,
}

impl Default for CostControls {
    fn default() -> Self {
        Self {
            per_request: RequestCaps::default(),
            global: SpendLimits::default(),
            per_user: SpendLimits::default(),
            per_key: SpendLimits::default(),
            per_team: SpendLimits::default(),
            per_agent: SpendLimits::default(),
            per_session: SpendLimits::default(),
            per_operation: BTreeMap::new(),
            time_zone: TimeZone::utc(),
            alert_thresholds: vec![
                CoreShare::EIGHTY_PERCENT.into(),
                CoreShare::NINETY_FIVE_PERCENT.into(),
            ],
            last_answers: LastAnswers::Shorten,
            unknown_price: UnknownPricePolicy::Deny,
            max_price_age_days: 180.into(),
            reserved_tool_calls: 4.into(),
            unknown_price_usd: None,
        }
    }
}

/// What becomes of a call that only a smaller answer would leave room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastAnswers {
    /// The bound of its output is lowered.
    Shorten,
    /// It is refused.
    Refuse,
}

/// What to do with a model that has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPricePolicy {
    /// Refuse it where a budget of money applies.
    Deny,
    /// Reserve and charge a flat amount.
    ReserveFlat,
    /// Charge nothing, and mark the call.
    AllowFlagged,
}

/// What a single request may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestCaps {
    /// Tokens in.
    pub max_input_tokens: Option<Count>,
    /// Tokens out. Also what a request may generate that does not say how much it wants.
    pub max_output_tokens: Option<Count>,
    /// Tokens in and out.
    pub max_total_tokens: Option<Count>,
    /// Money.
    pub max_cost_usd: Option<Usd>,
}

/// The budgets of one subject. All of them apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpendLimits {
    /// Tokens in an hour of the clock, in and out.
    pub hourly_token_limit: Option<Count>,
    /// Tokens in a day.
    pub daily_token_limit: Option<Count>,
    /// Tokens in a calendar month.
    pub monthly_token_limit: Option<Count>,
    /// Tokens for ever, such as for the life of a session.
    pub total_token_limit: Option<Count>,
    /// Money in an hour of the clock.
    pub hourly_budget_usd: Option<Usd>,
    /// Money in a day.
    pub daily_budget_usd: Option<Usd>,
    /// Money in a calendar month.
    pub monthly_budget_usd: Option<Usd>,
    /// Money for ever.
    pub total_budget_usd: Option<Usd>,
}

/// Budgets of all callers together, in short. They apply beside `cost_controls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CostConfig {
    /// Tokens in a day, in and out.
    pub daily_token_limit: Option<Count>,
    /// Tokens in a calendar month.
    pub monthly_token_limit: Option<Count>,
    /// Money in a day.
    pub daily_budget_usd: Option<Usd>,
    /// Money in a calendar month.
    pub monthly_budget_usd: Option<Usd>,
    /// At which part of these budgets the operators are told, instead of
    /// `cost_controls.alert_thresholds`.
    pub alert_threshold: Option<Share>,
}

/// A budget for some subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// What it is kept apart by.
    pub scope: BudgetScope,
    /// Only for these users, keys, teams, …; without it, for each of them.
    #[serde(default)]
    pub only: Vec<String>,
    /// When it is given anew.
    pub window: BudgetWindow,
    /// How many tokens may be spent, in and out.
    #[serde(default)]
    pub token_limit: Option<Count>,
    /// How much money may be spent.
    #[serde(default)]
    pub budget_usd: Option<Usd>,
    /// At which parts of it the operators are told, instead of `cost_controls.alert_thresholds`.
    #[serde(default)]
    pub alert_thresholds: Option<Vec<Share>>,
}

/// What a budget is kept apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// All callers together.
    Global,
    /// Each API key.
    Key,
    /// Each user.
    User,
    /// Each team.
    Team,
    /// Each model that clients ask for.
    Model,
    /// Each agent.
    Agent,
    /// Each session of an agent.
    Session,
    /// Each class of operation.
    Operation,
}

/// When a budget is given anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetWindow {
    /// With each hour of the clock.
    Hour,
    /// At midnight.
    Day,
    /// On the first of the month.
    Month,
    /// Never.
    Total,
}

/// What a model costs, in dollars per million tokens, per image, per call of a provider's tool and
/// per request. What is left out costs as much as its neighbour: cached input and audio as much as
/// input, reasoning and audio as much as output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// A million tokens in.
    pub input: Usd,
    /// A million tokens out.
    pub output: Usd,
    /// A million tokens read from the provider's prompt cache.
    #[serde(default)]
    pub cached_read: Option<Usd>,
    /// A million tokens written to it for five minutes.
    #[serde(default)]
    pub cache_write_5m: Option<Usd>,
    /// A million tokens written to it for an hour.
    #[serde(default)]
    pub cache_write_1h: Option<Usd>,
    /// A million tokens of reasoning.
    #[serde(default)]
    pub reasoning: Option<Usd>,
    /// A million tokens of audio in.
    #[serde(default)]
    pub audio_input: Option<Usd>,
    /// A million tokens of audio out.
    #[serde(default)]
    pub audio_output: Option<Usd>,
    /// An image that is generated.
    #[serde(default)]
    pub image: Option<Usd>,
    /// A call of a tool that the provider runs.
    #[serde(default)]
    pub tool_call: Option<Usd>,
    /// A request as such.
    #[serde(default)]
    pub request: Option<Usd>,
    /// What the tokens of a request with long input cost instead.
    #[serde(default)]
    pub long: Option<LongPrice>,
    /// What the tokens of a request cost that the provider serves in its priority tier. Without it,
    /// such a request has no price where a budget of money applies.
    #[serde(default)]
    pub priority: Option<TierPrice>,
}

/// What the tokens of a request in a tier of its own cost, in dollars per million.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierPrice {
    /// A million tokens in.
    pub input: Usd,
    /// A million tokens out.
    pub output: Usd,
    /// A million tokens read from the provider's prompt cache.
    #[serde(default)]
    pub cached_read: Option<Usd>,
    /// A million tokens written to it for five minutes.
    #[serde(default)]
    pub cache_write_5m: Option<Usd>,
    /// A million tokens written to it for an hour.
    #[serde(default)]
    pub cache_write_1h: Option<Usd>,
}

/// What the tokens of a request with long input cost, in dollars per million.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// A request with more tokens in than this has long input.
    pub above: Count,
    /// A million tokens in.
    pub input: Usd,
    /// A million tokens out.
    pub output: Usd,
    /// A million tokens read from the provider's prompt cache.
    #[serde(default)]
    pub cached_read: Option<Usd>,
    /// A million tokens written to it for five minutes.
    #[serde(default)]
    pub cache_write_5m: Option<Usd>,
    /// A million tokens written to it for an hour.
    #[serde(default)]
    pub cache_write_1h: Option<Usd>,
}
