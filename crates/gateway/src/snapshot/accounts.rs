//! Roles, users and issuers of a configuration.

use std::collections::HashMap;
use std::sync::Arc;

use seaworthy_config::{Config, CustomRole, SecretSource};
use seaworthy_core::principal::{
    Credential, Identity, Permission, Permissions, Principal, Role, Scopes,
};

use super::{CompileError, Snapshot, Tools};
use crate::identity::issuer::Issuer;
use crate::identity::password::{self, Users};

/// What each role of a configuration allows.
pub(super) fn roles(config: &Config) -> HashMap<Arc<str>, Permissions> {
    let allowed = |(name, role): (&String, &CustomRole)| {
        let permissions: Vec<Permission> = role.permissions.iter().map(|p| p.0).collect();
        (Arc::from(name.as_str()), Permissions::of(&permissions))
    };
    config.auth.roles.iter().map(allowed).collect()
}

/// The users with their hashes.
pub(super) fn users(config: &Config, secrets: &dyn SecretSource) -> Result<Users, CompileError> {
    let mut users = Vec::new();
    for (name, user) in &config.auth.users {
        let wrong = |why: String| {
            CompileError::Auth(format!("`auth.users.\"{name}\".password_hash`: {why}"))
        };
        let hash = secrets
            .resolve(&user.password_hash)
            .map_err(|error| wrong(seaworthy_core::error::chain(&error)))?;
        password::check(hash.expose()).map_err(wrong)?;
        let role: Role = user.role.parse().map_err(CompileError::Auth)?;
        let principal = Principal::new(Identity {
            credential: Credential::Password,
            key_id: format!("user:{name}").into(),
            earlier_keys: Arc::default(),
            user_id: name.as_str().into(),
            team_id: user.team.as_deref().map(Into::into),
            roles: vec![role],
            scopes: Scopes {
                models: user.models.clone(),
                ..Scopes::default()
            },
            session: None,
            environment: None,
        });
        users.push((name.clone(), hash.expose().to_owned(), principal));
    }
    Ok(Users::new(users))
}

/// The issuers. One that did not change keeps its keys.
pub(super) fn issuers(
    config: &Config,
    tools: &Tools<'_>,
    previous: Option<&Snapshot>,
) -> Result<Vec<Arc<Issuer>>, CompileError> {
    let known = previous.map_or(&[][..], |snapshot| &snapshot.issuers);
    let wanted = config.auth.jwt.issuers.iter();
    let issuer = |(name, wanted): (&String, &seaworthy_config::JwtIssuer)| {
        let kept = known
            .iter()
            .find(|known| known.name == *name && known.config == *wanted);
        if let Some(kept) = kept {
            return Ok(Arc::clone(kept));
        }
        let built = Issuer::new(name, wanted, tools.dial);
        built.map(Arc::new).map_err(|error| {
            CompileError::Auth(format!("`auth.jwt.issuers.{name}.jwks_url`: {error}"))
        })
    };
    wanted.map(issuer).collect()
}
