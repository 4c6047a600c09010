//! Who may use the gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Permission;

/// Who may use the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether requests need an API key. Can only be turned off while every listener is on a
    /// loopback address.
    pub enabled: bool,
    /// Roles of your own, beside `admin`, `operator`, `auditor` and `user`.
    pub roles: BTreeMap<String, CustomRole>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: true,
            roles: BTreeMap::new(),
        }
    }
}

/// What the holder of a role may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomRole {
    /// What is allowed, from [the list of permissions](http.md#roles).
    pub permissions: Vec<Permission>,
}
