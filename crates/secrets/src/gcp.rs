//! Google Cloud Secret Manager, opened by a service account's key or by the identity of the machine.

use aws_lc_rs::rand as chance;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use seaworthy_config::{GcpSecrets, ManagedSecret, Manager, Secret};
use serde_json::{Value, json};

use crate::ask::{Ask, FetchError, Question, encode, form, text};
use crate::token::lifetime;

const NAME: &str = "Google Cloud Secret Manager";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long the assertion of who we are counts.
const ASSERTION_SECONDS: i64 = 600;

pub(crate) async fn fetch(
    ask: &Ask<'_>,
    config: &GcpSecrets,
    secret: &ManagedSecret,
) -> Result<String, FetchError> {
    let (project, name) = match secret.path.split_once('/') {
        Some((project, name)) => (project, name),
        None => {
            let project = config.project.as_deref().ok_or(FetchError::Unconfigured(
                "the project of the secret is not known: set `secret_managers.gcp.project`",
            ))?;
            (project, secret.path.as_str())
        }
    };
    let public = "https://secretmanager.googleapis.com";
    let base = config
        .endpoint
        .as_ref()
        .map_or(public, |base| base.as_str());
    let token = token(ask, config).await?;
    let (project, name) = (encode(project), encode(name));
    let answer = ask
        .json(Question {
            manager: NAME,
            method: Method::GET,
            base,
            path: format!("/v1/projects/{project}/secrets/{name}/versions/latest:access"),
            headers: vec![("authorization", format!("Bearer {}", token.expose()))],
            body: String::new(),
        })
        .await;
    if matches!(answer, Err(FetchError::Status { status: 401, .. })) {
        ask.tokens.forget(Manager::Gcp);
    }
    let answer = answer?;
    let data = text(&answer, "/payload/data", NAME, "a secret with `payload`")?;
    let bytes = STANDARD.decode(data).unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| FetchError::Malformed {
        manager: NAME,
        expected: "a text",
    })
}

async fn token(ask: &Ask<'_>, config: &GcpSecrets) -> Result<Secret, FetchError> {
    let now = ask.clock.now();
    if let Some(token) = ask.tokens.live(Manager::Gcp, now) {
        return Ok(token);
    }
    let own = config.token_endpoint.as_ref().map(|base| base.as_str());
    let answer = match &config.credentials {
        Some(credentials) => {
            let credentials = ask.own(credentials)?;
            let account = Account::read(credentials.expose()).ok_or(FetchError::Unconfigured(
                "`secret_managers.gcp.credentials` is not the key of a service account in JSON",
            ))?;
            let (base, path) = split(own.unwrap_or(&account.token_uri));
            ask.json(Question {
                manager: "Google's token service",
                method: Method::POST,
                base,
                path: path.to_owned(),
                headers: vec![(
                    "content-type",
                    "application/x-www-form-urlencoded".to_owned(),
                )],
                body: form(&[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", &account.assertion(now.seconds())?),
                ]),
            })
            .await?
        }
        None => {
            let public = "http://metadata.google.internal";
            ask.json(Question {
                manager: "the identity of this machine",
                method: Method::GET,
                base: own.unwrap_or(public),
                path: "/computeMetadata/v1/instance/service-accounts/default/token".to_owned(),
                headers: vec![("metadata-flavor", "Google".to_owned())],
                body: String::new(),
            })
            .await?
        }
    };
    let token = text(&answer, "/access_token", NAME, "a token")?;
    let token = Secret::new(token.to_owned());
    let seconds = lifetime(answer.get("expires_in"));
    ask.tokens.keep(Manager::Gcp, &token, seconds, now);
    Ok(token)
}

/// Where a URL's path begins.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url.get(host..).and_then(|rest| rest.find('/')) {
        Some(at) => url.split_at(host + at),
        None => (url, "/"),
    }
}

/// A service account.
struct Account {
    email: String,
    key: RsaKeyPair,
    token_uri: String,
}

impl Account {
    fn read(credentials: &str) -> Option<Self> {
        let tree: Value = serde_json::from_str(credentials).ok()?;
        let text = |key: &str| tree.get(key).and_then(Value::as_str);
        let pem = PrivatePkcs8KeyDer::from_pem_slice(text("private_key")?.as_bytes()).ok()?;
        Some(Self {
            email: text("client_email")?.to_owned(),
            key: RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).ok()?,
            token_uri: text("token_uri")
                .unwrap_or("https://oauth2.googleapis.com/token")
                .to_owned(),
        })
    }

    /// Who we are, signed.
    fn assertion(&self, now: i64) -> Result<String, FetchError> {
        let head = json!({ "alg": "RS256", "typ": "JWT" }).to_string();
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        let head = URL_SAFE_NO_PAD.encode(head);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        // Asked for, and not used by this kind of signature.
        let random = chance::SystemRandom::new();
        let outcome = self.key.sign(
            &RSA_PKCS1_SHA256,
            &random,
            signed.as_bytes(),
            &mut signature,
        );
        outcome
            .map_err(|_| FetchError::Unconfigured("the key of the service account cannot sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
