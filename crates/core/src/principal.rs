//! Who is calling, and what that allows.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize, Serializer};

/// The user of callers that need no key.
pub const ANONYMOUS: &str = "anonymous";

pub mod permission;
pub mod scope;

pub use permission::{Permission, Permissions};
pub use scope::Scopes;

/// Longest name of a role, a team, an agent or a session.
pub const MAX_NAME_CHARS: usize = 128;

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Role {
    /// Everything, the control plane included.
    Admin,
    /// Running the gateway: everything but making keys.
    Operator,
    /// Reading everything and changing nothing.
    Auditor,
    /// Model calls.
    User,
    /// A role of the configuration. One that is not configured any more allows nothing.
    Custom(Arc<str>),
}

impl Role {
    /// The roles that are built in.
    pub const BUILT_IN: [Self; 4] = [Self::Admin, Self::Operator, Self::Auditor, Self::User];

    /// The name in configuration, command line and API.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::User => "user",
            Self::Custom(name) => name,
        }
    }

    /// What the role allows by itself; `None` for a role that the configuration has to explain.
    #[must_use]
    pub fn permissions(&self) -> Option<Permissions> {
        use Permission as P;
        match self {
            Self::Admin => Some(Permissions::ALL),
            Self::Operator => Some(Permissions::ALL.without(P::WriteKeys)),
            Self::Auditor => Some(Permissions::of(&[
                P::ListModels,
                P::ReadUsage,
                P::ReadOwnUsage,
                P::ReadStatus,
                P::ReadConfig,
                P::ReadKeys,
            ])),
            Self::User => Some(Permissions::of(&[
                P::CallModels,
                P::ListModels,
                P::CreateTokens,
                P::ReadOwnUsage,
                P::RunCode,
            ])),
            Self::Custom(_) => None,
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(role) = Self::BUILT_IN.iter().find(|role| role.as_str() == text) {
            return Ok(role.clone());
        }
        if is_name(text) {
            return Ok(Self::Custom(text.into()));
        }
        Err(format!(
            "expected the name of a role, 1 to {MAX_NAME_CHARS} letters, digits, `-`, `_`, `.` or \
             `:`, found {text:?}"
        ))
    }
}

impl TryFrom<String> for Role {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether a text can name a role, a team, an agent or a session: safe in headers, logs and keys.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

/// With what a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Nothing: authentication is switched off.
    None,
    /// An API key.
    Key,
    /// A short-lived token that was made for a key.
    Token,
    /// A user's name and password.
    Password,
    /// A token of an identity provider.
    Jwt,
}

impl Credential {
    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Key => "key",
            Self::Token => "token",
            Self::Password => "password",
            Self::Jwt => "jwt",
        }
    }
}

/// What is known of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// With what the caller showed who it is.
    pub credential: Credential,
    /// The key that was presented, or a name for the credential that stands in its place.
    pub key_id: Arc<str>,
    /// The keys that this one took the place of by rotation, one after the other, latest first.
    pub earlier_keys: Arc<[Arc<str>]>,
    /// The user that calls are accounted to.
    pub user_id: Arc<str>,
    /// The team that calls are accounted to.
    pub team_id: Option<Arc<str>>,
    /// What the caller may do: the sum of these.
    pub roles: Vec<Role>,
    /// Where it may do that.
    pub scopes: Scopes,
    /// The session that the credential is bound to.
    pub session: Option<Arc<str>>,
    /// The environment that the credential is for.
    pub environment: Option<Arc<str>>,
}

/// An authenticated caller: proof that the credentials were verified. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(Arc<Identity>);

impl Principal {
    /// A caller whose credentials were verified.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(identity))
    }

    /// The caller while authentication is switched off.
    #[must_use]
    pub fn anonymous() -> Self {
        static ANYBODY: LazyLock<Principal> = LazyLock::new(|| {
            Principal::new(Identity {
                credential: Credential::None,
                key_id: "none".into(),
                earlier_keys: Arc::default(),
                user_id: ANONYMOUS.into(),
                team_id: None,
                roles: vec![Role::Admin],
                scopes: Scopes::default(),
                session: None,
                environment: None,
            })
        });
        ANYBODY.clone()
    }
}

impl Identity {
    /// The IDs that rules about keys can mean this caller by: that of the key, then those of the keys that it
    /// took the place of.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        let earlier = self.earlier_keys.iter();
        std::iter::once(&*self.key_id).chain(earlier.map(|id| &**id))
    }
}

impl Deref for Principal {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_shown_alike_and_odd_names_are_refused() {
        for role in Role::BUILT_IN {
            assert_eq!(role.as_str().parse::<Role>(), Ok(role.clone()));
            assert!(role.permissions().is_some());
        }
        let custom: Role = "night-shift".parse().unwrap();
        assert_eq!(custom, Role::Custom("night-shift".into()));
        assert_eq!(custom.permissions(), None);
        for odd in ["", "a b", "é", &"x".repeat(129), "a\n"] {
            odd.parse::<Role>().unwrap_err();
        }
    }

    #[test]
    fn only_admins_make_keys_and_auditors_change_and_spend_nothing() {
        let of = |role: Role| role.permissions().unwrap();
        assert!(of(Role::Admin).allows(Permission::WriteKeys));
        for role in [Role::Operator, Role::Auditor, Role::User] {
            assert!(!of(role).allows(Permission::WriteKeys));
        }
        assert!(!of(Role::Auditor).allows(Permission::CallModels));
        assert!(!of(Role::User).allows(Permission::ReadUsage));
    }
}
