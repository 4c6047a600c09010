//! HashiCorp Vault: the key-value store of version 2, opened by a token, AppRole or Kubernetes.

use http::Method;
use seaworthy_config::{ManagedSecret, Manager, Secret, SecretRef, VaultSecrets};
use serde_json::{Value, json};

use crate::ask::{Ask, FetchError, Question, encode, text};
use crate::token::lifetime;

const NAME: &str = "Vault";

pub(crate) async fn fetch(
    ask: &Ask<'_>,
    config: &VaultSecrets,
    secret: &ManagedSecret,
) -> Result<Secret, FetchError> {
    let (token, is_kept) = token(ask, config).await?;
    let answer = match read(ask, config, secret, &token).await {
        // A token that was revoked before its time.
        Err(FetchError::Status { status: 403, .. }) if is_kept => {
            ask.tokens.forget(Manager::Vault);
            let (token, _) = self::token(ask, config).await?;
            read(ask, config, secret, &token).await?
        }
        answer => answer?,
    };
    let expected = "a secret of the key-value store of version 2";
    let data = answer.pointer("/data/data").filter(|data| data.is_object());
    let data = data.ok_or(FetchError::Malformed {
        manager: NAME,
        expected,
    })?;
    let key = secret.key.as_deref().unwrap_or_default();
    match data.get(key).and_then(Value::as_str) {
        None => Err(FetchError::NoKey(key.to_owned())),
        Some("") => Err(FetchError::Empty),
        Some(value) => Ok(Secret::new(value.to_owned())),
    }
}

async fn read(
    ask: &Ask<'_>,
    config: &VaultSecrets,
    secret: &ManagedSecret,
    token: &Secret,
) -> Result<Value, FetchError> {
    let path: Vec<String> = secret.path.split('/').map(encode).collect();
    let path = format!("/v1/{}/data/{}", config.mount, path.join("/"));
    let mut headers = vec![("x-vault-token", token.expose().to_owned())];
    headers.extend(namespace(config));
    ask.json(Question {
        manager: NAME,
        method: Method::GET,
        base: address(config)?,
        path,
        headers,
        body: String::new(),
    })
    .await
}

/// A token, and whether it was used before.
async fn token(ask: &Ask<'_>, config: &VaultSecrets) -> Result<(Secret, bool), FetchError> {
    if let Some(token) = &config.token {
        return Ok((ask.own(token)?, false));
    }
    let now = ask.clock.now();
    if let Some(token) = ask.tokens.live(Manager::Vault, now) {
        return Ok((token, true));
    }
    let (path, body) = match (&config.role_id, &config.secret_id, &config.kubernetes_role) {
        (Some(role), Some(secret), _) => {
            let (role, secret) = (ask.own(role)?, ask.own(secret)?);
            let body = json!({ "role_id": role.expose(), "secret_id": secret.expose() });
            ("/v1/auth/approle/login", body)
        }
        (_, _, Some(role)) => {
            // Kubernetes renews this file.
            let jwt = ask.own(&SecretRef::File(config.kubernetes_token_file.clone()))?;
            let body = json!({ "role": role, "jwt": jwt.expose() });
            ("/v1/auth/kubernetes/login", body)
        }
        _ => {
            return Err(FetchError::Unconfigured(
                "there is no way to authenticate to Vault: see `secret_managers.vault`",
            ));
        }
    };
    let answer = ask
        .json(Question {
            manager: NAME,
            method: Method::POST,
            base: address(config)?,
            path: path.to_owned(),
            headers: namespace(config).into_iter().collect(),
            body: body.to_string(),
        })
        .await?;
    let token = text(&answer, "/auth/client_token", NAME, "a token")?;
    let token = Secret::new(token.to_owned());
    let seconds = lifetime(answer.pointer("/auth/lease_duration"));
    ask.tokens.keep(Manager::Vault, &token, seconds, now);
    Ok((token, false))
}

fn namespace(config: &VaultSecrets) -> Option<(&'static str, String)> {
    let namespace = config.namespace.clone();
    namespace.map(|namespace| ("x-vault-namespace", namespace))
}

fn address(config: &VaultSecrets) -> Result<&str, FetchError> {
    let address = config.address.as_ref().map(|address| address.as_str());
    address.ok_or(FetchError::Unconfigured(
        "the address of Vault is not known: set `secret_managers.vault.address`",
    ))
}
