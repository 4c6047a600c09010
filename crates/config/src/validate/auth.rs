//! What the options of authentication must be together.

use std::collections::BTreeMap;
use std::time::Duration;

use seaworthy_core::principal::{Role, Scopes, is_name};

use super::Check;
use crate::config::JwtIssuer;
use crate::nearest::suggest;

/// Clocks that differ by more are broken.
const MAX_LEEWAY: Duration = Duration::from_secs(300);
const NAMES: &str = "use up to 128 letters, digits, `-`, `_`, `.` and `:`";

impl Check<'_> {
    pub(super) fn auth(&mut self) {
        self.roles();
        let config = self.config;
        if let Some(environment) = &config.auth.environment
            && !is_name(environment)
        {
            let message = format!("`{environment}` cannot be the name of an environment");
            self.error(&["auth", "environment"], message, NAMES);
        }
        let scope = &config.api_key_practices.scope;
        if scope.separate_keys_per_environment && config.auth.environment.is_none() {
            let path = [
                "api_key_practices",
                "scope",
                "separate_keys_per_environment",
            ];
            let message = "keys of other environments cannot be told while this one has no name";
            self.warn(&path, message, "set `auth.environment`");
        }
        for (name, user) in &config.auth.users {
            let path = ["auth", "users", name.as_str()];
            if name.is_empty() || name.contains([':', '\n', '\r']) || name.chars().count() > 256 {
                let message = format!("`{name}` cannot be the name of a user");
                self.key_error(&path, message, "use up to 256 characters, but no colon");
            }
            self.role(&["auth", "users", name, "role"], &user.role);
            if let Some(team) = user.team.as_deref().filter(|team| !is_name(team)) {
                let message = format!("`{team}` cannot be the name of a team");
                self.error(&["auth", "users", name, "team"], message, NAMES);
            }
            let scopes = Scopes {
                models: user.models.clone(),
                ..Scopes::default()
            };
            if let Err(message) = scopes.check() {
                let help = "a `*` may stand at the end of a name";
                self.error(&["auth", "users", name, "models"], message, help);
            }
        }
        self.issuers();
    }

    fn issuers(&mut self) {
        let config = self.config;
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, issuer) in &config.auth.jwt.issuers {
            let path = |key| ["auth", "jwt", "issuers", name.as_str(), key];
            if !is_name(name) {
                let message = format!("`{name}` cannot be the name of an issuer");
                self.key_error(&path("issuer")[..4], message, NAMES);
            }
            if issuer.issuer.is_empty() {
                let message = "expected what tokens say in `iss`, found an empty text";
                self.error(&path("issuer"), message, "copy it from the provider");
            } else if let Some(other) = known.insert(&issuer.issuer, name) {
                let message = format!("`{other}` has the same issuer");
                self.error(&path("issuer"), message, "each can be configured once");
            }
            if issuer.audience.is_empty() || issuer.audience.iter().any(String::is_empty) {
                let message = "expected what tokens for this gateway say in `aud`, found nothing";
                let help = "without it, tokens for other services would be accepted";
                self.error(&path("audience"), message, help);
            }
            self.issuer_times(name, issuer);
            if !issuer.jwks_url.is_private() {
                let message = "keys are fetched from this address without encryption";
                self.warn(&path("jwks_url"), message, "use https");
            }
            for role in issuer.roles.values() {
                self.role(&path("roles"), role);
            }
            if let Some(role) = &issuer.default_role {
                self.role(&path("default_role"), role);
            }
            if !issuer.roles.is_empty() && issuer.roles_claim.is_none() {
                let message = "`roles` has no meaning without `roles_claim`";
                self.error(&path("roles"), message, "name the claim");
            }
        }
    }

    fn issuer_times(&mut self, name: &str, issuer: &JwtIssuer) {
        let path = |key| ["auth", "jwt", "issuers", name, key];
        if issuer.algorithms.is_empty() {
            let help = "leave it out for all that are supported";
            self.error(&path("algorithms"), "no token could be signed", help);
        }
        if issuer.leeway.as_std() > MAX_LEEWAY {
            let message = format!("expected at most 5m, found {}", issuer.leeway);
            self.error(&path("leeway"), message, "set the clocks right");
        }
        if issuer.jwks_ttl.as_std() <= issuer.jwks_refresh.as_std() {
            let message = format!(
                "expected more than `jwks_refresh`, which is {}, found {}",
                issuer.jwks_refresh, issuer.jwks_ttl
            );
            let help = "keys have to outlive an outage of the provider";
            self.error(&path("jwks_ttl"), message, help);
        }
        if issuer.jwks_min_interval.as_std() < Duration::from_secs(1) {
            let message = format!("expected at least 1s, found {}", issuer.jwks_min_interval);
            let help = "whoever makes up names of keys would make us ask that often";
            self.error(&path("jwks_min_interval"), message, help);
        }
    }

    fn role(&mut self, path: &[&str], role: &str) {
        let config = self.config;
        let built_in = Role::BUILT_IN.iter().map(Role::as_str);
        let own = config.auth.roles.keys().map(String::as_str);
        let known: Vec<&str> = built_in.chain(own).collect();
        if !known.contains(&role) {
            let help = suggest(role, "the roles are", &known);
            self.error(path, format!("there is no role `{role}`"), help);
        }
    }

    fn roles(&mut self) {
        let config = self.config;
        let sigv4 = &config.auth.sigv4;
        for (key, secret) in [
            ("secret", &sigv4.secret),
            ("previous_secret", &sigv4.previous_secret),
        ] {
            if let Some(secret) = secret {
                self.literal(&["auth", "sigv4", key], secret);
            }
        }
        if sigv4.secret.is_none() && sigv4.previous_secret.is_some() {
            let message = "there is a previous secret, but no present one".to_owned();
            self.key_error(
                &["auth", "sigv4", "previous_secret"],
                message,
                "set `secret`, too",
            );
        }
        for (name, role) in &config.auth.roles {
            let path = ["auth", "roles", name.as_str()];
            if Role::BUILT_IN.iter().any(|role| role.as_str() == name) {
                let message = format!("`{name}` is a built-in role");
                self.key_error(&path, message, "choose another name");
            } else if !is_name(name) {
                let message = format!("`{name}` cannot be the name of a role");
                self.key_error(&path, message, NAMES);
            }
            if role.permissions.is_empty() && self.intact(&path) {
                let message = format!("the role `{name}` allows nothing");
                self.warn(&path, message, "add permissions, such as \"call_models\"");
            }
        }
    }
}
