//! A key as people and programs may see it.

use serde::Serialize;

use super::{KeyRecord, KeyState};
use crate::clock::UnixMillis;
use crate::principal::{Role, Scopes};

/// What may be shown of a key: everything but the key itself.
#[derive(Debug, Serialize)]
pub struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    user: &'a str,
    team: Option<&'a str>,
    role: &'a Role,
    scopes: &'a Scopes,
    environment: Option<&'a str>,
    service: Option<&'a str>,
    hint: &'a str,
    state: KeyState,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    rotated_from: Option<&'a str>,
    age_days: u64,
    /// The key itself, shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl KeyRecord {
    /// How the key looks at `now`.
    #[must_use]
    pub fn view(&self, now: UnixMillis) -> KeyView<'_> {
        let moment = |at: Option<UnixMillis>| at.map(|at| at.to_string());
        KeyView {
            id: &self.id,
            name: &self.name,
            user: &self.user_id,
            team: self.team_id.as_deref(),
            role: &self.role,
            scopes: &self.scopes,
            environment: self.environment.as_deref(),
            service: self.service.as_deref(),
            hint: &self.hint,
            state: self.state(now),
            created_at: self.created_at.to_string(),
            expires_at: moment(self.expires_at),
            revoked_at: moment(self.revoked_at),
            rotated_from: self.rotated_from.as_deref(),
            age_days: now.since(self.created_at).as_secs() / 86_400,
            key: None,
        }
    }
}

impl<'a> KeyView<'a> {
    /// With the key itself.
    #[must_use]
    pub fn showing(self, key: &'a super::ApiKey) -> Self {
        Self {
            key: Some(key.expose()),
            ..self
        }
    }
}
