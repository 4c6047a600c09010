//! How API keys are to be handled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Count;

/// How API keys are to be handled. What is broken shows as a warning, in
/// `seaworthy_key_practice_violations` and in `/admin/v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKeyPractices {
    /// Where keys of providers are kept.
    pub storage: KeyStorage,
    /// How keys are replaced.
    pub rotation: KeyRotation,
    /// What a key is for.
    pub scope: KeyScope,
}

/// Where keys of providers are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyStorage {
    /// Refuses keys of providers that are written into the configuration, and warns of those that
    /// come from environment variables.
    pub use_secret_manager: bool,
    /// Refuses keys of providers that are written into the configuration.
    pub never_in_code: bool,
    /// Looks for keys in files named `.env` of the repository that the configuration is in.
    pub never_in_env_files_in_repo: bool,
}

/// How keys are replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyRotation {
    /// After how many days a key of a caller or of a provider is too old.
    pub rotate_every_days: Option<Count>,
    /// Refuses rotations that let the old key stop working at once.
    pub support_zero_downtime_rotation: bool,
}

/// What a key is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyScope {
    /// Warns of keys that are not restricted to models, and of administrators' keys that never
    /// expire.
    pub principle_of_least_privilege: bool,
    /// Warns of keys that are for no environment; new ones are for `auth.environment`.
    pub separate_keys_per_environment: bool,
    /// Warns of keys that are for no service.
    pub separate_keys_per_service: bool,
}
