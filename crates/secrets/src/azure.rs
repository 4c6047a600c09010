//! Azure Key Vault, opened by an application's secret or by the identity of the machine.

use http::Method;
use seaworthy_config::{AzureSecrets, ManagedSecret, Manager, Secret};

use crate::ask::{Ask, FetchError, Question, encode, form, text};
use crate::token::lifetime;

const NAME: &str = "Azure Key Vault";
const RESOURCE: &str = "https://vault.azure.net";

pub(crate) async fn fetch(
    ask: &Ask<'_>,
    config: &AzureSecrets,
    secret: &ManagedSecret,
) -> Result<String, FetchError> {
    let (vault, name) = match (secret.path.split_once('/'), &config.vault) {
        (Some(named), _) => named,
        (None, Some(vault)) => (vault.as_str(), secret.path.as_str()),
        (None, None) => {
            return Err(FetchError::Unconfigured(
                "the vault of the secret is not known: set `secret_managers.azure.vault`",
            ));
        }
    };
    let base = match &config.endpoint {
        Some(endpoint) => format!("{}/{vault}", endpoint.as_str()),
        None => format!("https://{vault}.vault.azure.net"),
    };
    let token = token(ask, config).await?;
    let answer = ask
        .json(Question {
            manager: NAME,
            method: Method::GET,
            base: &base,
            path: format!("/secrets/{}?api-version=7.4", encode(name)),
            headers: vec![("authorization", format!("Bearer {}", token.expose()))],
            body: String::new(),
        })
        .await;
    if matches!(answer, Err(FetchError::Status { status: 401, .. })) {
        ask.tokens.forget(Manager::Azure);
    }
    text(&answer?, "/value", NAME, "a secret with `value`").map(str::to_owned)
}

async fn token(ask: &Ask<'_>, config: &AzureSecrets) -> Result<Secret, FetchError> {
    let now = ask.clock.now();
    if let Some(token) = ask.tokens.live(Manager::Azure, now) {
        return Ok(token);
    }
    let answer = match (&config.tenant_id, &config.client_id, &config.client_secret) {
        (Some(tenant), Some(client), Some(secret)) => {
            let secret = ask.own(secret)?;
            let public = "https://login.microsoftonline.com";
            let base = config.token_endpoint.as_ref();
            ask.json(Question {
                manager: "Microsoft Entra ID",
                method: Method::POST,
                base: base.map_or(public, |base| base.as_str()),
                path: format!("/{}/oauth2/v2.0/token", encode(tenant)),
                headers: vec![(
                    "content-type",
                    "application/x-www-form-urlencoded".to_owned(),
                )],
                body: form(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", client),
                    ("client_secret", secret.expose()),
                    ("scope", &format!("{RESOURCE}/.default")),
                ]),
            })
            .await?
        }
        (None, client, None) => {
            let public = "http://169.254.169.254";
            let base = config.token_endpoint.as_ref();
            let client = client
                .as_deref()
                .map(|id| format!("&client_id={}", encode(id)));
            ask.json(Question {
                manager: "the identity of this machine",
                method: Method::GET,
                base: base.map_or(public, |base| base.as_str()),
                path: format!(
                    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource={}{}",
                    encode(RESOURCE),
                    client.unwrap_or_default()
                ),
                headers: vec![("metadata", "true".to_owned())],
                body: String::new(),
            })
            .await?
        }
        _ => {
            return Err(FetchError::Unconfigured(
                "`secret_managers.azure` needs `tenant_id`, `client_id` and `client_secret` together, \
                 or the identity of the machine without them",
            ));
        }
    };
    let token = text(&answer, "/access_token", NAME, "a token")?;
    let token = Secret::new(token.to_owned());
    let seconds = lifetime(answer.get("expires_in"));
    ask.tokens.keep(Manager::Azure, &token, seconds, now);
    Ok(token)
}
