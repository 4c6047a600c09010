//! Who is calling.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, the control plane included.
    Admin,
    /// Model calls.
    User,
}

impl Role {
    /// The name in configuration, command line and API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "user" => Ok(Self::User),
            other => Err(format!(
                "expected the role \"admin\" or \"user\", found {other:?}"
            )),
        }
    }
}

/// An authenticated caller: proof that the credentials were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key that was presented.
    pub key_id: Arc<str>,
    /// The user that the key belongs to.
    pub user_id: Arc<str>,
    /// What the caller may do.
    pub role: Role,
}
