//! AWS Secrets Manager.

use http::Method;
use seaworthy_config::{AwsSecrets, ManagedSecret, Secret, SecretRef};
use seaworthy_core::sigv4::{self, Credentials, Request, Scope};
use seaworthy_edge::client::Origin;

use crate::ask::{Ask, FetchError, Question, text};

const NAME: &str = "AWS Secrets Manager";
const TARGET: &str = "secretsmanager.GetSecretValue";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

pub(crate) async fn fetch(
    ask: &Ask<'_>,
    config: &AwsSecrets,
    secret: &ManagedSecret,
) -> Result<String, FetchError> {
    let region = config.region.clone();
    let region = region.or_else(|| ask.variable("AWS_REGION"));
    let region = region.or_else(|| ask.variable("AWS_DEFAULT_REGION"));
    let region = region.ok_or(FetchError::Unconfigured(
        "the region of AWS Secrets Manager is not known: set `secret_managers.aws.region`",
    ))?;
    let base = match &config.endpoint {
        Some(endpoint) => endpoint.as_str().to_owned(),
        None => format!("https://secretsmanager.{region}.amazonaws.com"),
    };
    let body = serde_json::json!({ "SecretId": secret.path }).to_string();
    let headers = signed(ask, config, &region, &base, &body)?;
    let answer = ask
        .json(Question {
            manager: NAME,
            method: Method::POST,
            base: &base,
            path: "/".to_owned(),
            headers,
            body,
        })
        .await?;
    text(
        &answer,
        "/SecretString",
        NAME,
        "a secret with `SecretString`",
    )
    .map(str::to_owned)
}

fn signed(
    ask: &Ask<'_>,
    config: &AwsSecrets,
    region: &str,
    base: &str,
    body: &str,
) -> Result<Vec<(&'static str, String)>, FetchError> {
    let own = |reference: &Option<SecretRef>, variable: &str| match reference {
        Some(reference) => ask.own(reference).map(Some),
        None => Ok(ask.variable(variable).map(Secret::new)),
    };
    let missing = || {
        FetchError::Unconfigured(
            "there is no access key for AWS Secrets Manager: set `secret_managers.aws.access_key_id` \
             and `secret_access_key`, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    };
    let id = own(&config.access_key_id, "AWS_ACCESS_KEY_ID")?.ok_or_else(missing)?;
    let key = own(&config.secret_access_key, "AWS_SECRET_ACCESS_KEY")?.ok_or_else(missing)?;
    let token = own(&config.session_token, "AWS_SESSION_TOKEN")?;
    let origin = Origin::parse(base).map_err(|_| FetchError::Unconfigured("no address"))?;
    let host = origin.host_header();
    let headers = [
        ("host", host.to_str().unwrap_or_default()),
        ("content-type", CONTENT_TYPE),
        ("x-amz-target", TARGET),
    ];
    let request = Request {
        method: "POST",
        path: "/",
        query: "",
        headers: &headers,
        body_sha256: &sigv4::body_sha256(body.as_bytes()),
    };
    let credentials = Credentials {
        access_key_id: id.expose(),
        secret_access_key: key.expose(),
        session_token: token.as_ref().map(Secret::expose),
    };
    let scope = Scope {
        region,
        service: "secretsmanager",
    };
    let signature = sigv4::sign(request, credentials, scope, ask.clock.now());
    let mut headers = vec![
        ("content-type", CONTENT_TYPE.to_owned()),
        ("x-amz-target", TARGET.to_owned()),
        ("x-amz-date", signature.date),
        ("authorization", signature.authorization),
    ];
    headers.extend(token.map(|token| ("x-amz-security-token", token.expose().to_owned())));
    Ok(headers)
}
