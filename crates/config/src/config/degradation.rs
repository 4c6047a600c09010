//! What is given up, and when, so that the rest goes on: tiers and features.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Actions, Condition, Duration, Share};

/// Tiers by name: `normal`, `degraded_1`, `degraded_2` and so on, and `maintenance`, each worse than
/// the one before.
pub type DegradationTiers = BTreeMap<String, Tier>;

/// One tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tier {
    /// Of `normal` only: `enabled`, for people who read it. Features are switched under `features`.
    pub all_features: Option<AllFeatures>,
    /// Of `normal`: the model whose calls other tiers switch; without it, they switch all. Of other
    /// tiers: the same as the action `switch to NAME model`.
    pub model: Option<String>,
    /// What brings the tier about, such as `error_rate > 10%`, `API latency > 5s for 1 minute`,
    /// `Rate limited by provider` or `Manual activation`.
    pub trigger: Option<Condition>,
    /// What the tier does, such as `Switch to NAME model`, `Disable non-critical features`,
    /// `Queue requests` or `Read-only mode`, separated by commas.
    pub action: Actions,
    /// How long the trigger has to be over, with a fifth of its threshold to spare, before the tier
    /// is left. Doubles while the tier keeps coming back.
    pub recover_after: Option<Duration>,
}

/// That nothing is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllFeatures {
    /// All features work.
    Enabled,
}

/// Something that applications do and that can be switched. Requests say that they belong to it
/// with the header `x-seaworthy-feature`, or belong to it by their model or operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Feature {
    /// Whether it stays on when a tier disables what is not critical.
    pub critical: bool,
    /// Whether it is on.
    pub enabled: bool,
    /// For which share of users it is on, always the same ones, such as `25%`.
    pub percentage: Option<Share>,
    /// Users, teams or keys for whom it is on (`true`) or off (`false`), whatever `enabled` and `percentage` say. Tiers go before them.
    pub tenants: BTreeMap<String, bool>,
    /// Models whose calls belong to it.
    pub models: Vec<String>,
    /// Operations that belong to it: `chat`, `embeddings`, `moderations`, `count_tokens`.
    pub operations: Vec<String>,
}

impl Default for Feature {
    fn default() -> Self {
        Self {
            critical: true,
            enabled: true,
            percentage: None,
            tenants: BTreeMap::new(),
            models: Vec::new(),
            operations: Vec::new(),
        }
    }
}
