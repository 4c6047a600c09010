//! Signing calls to AWS.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};
use seaworthy_config::{Provider as ProviderConfig, Secret, SecretRef};
use seaworthy_core::clock::SharedClock;
use seaworthy_core::sigv4::{self, Credentials, Request, Scope};

use super::Error;
use crate::snapshot::Tools;

/// An access key of ours, and where it counts.
#[derive(Debug)]
pub(super) struct Signer {
    access_key_id: Secret,
    secret_access_key: Secret,
    session_token: Option<Secret>,
    region: String,
    clock: SharedClock,
}

impl Signer {
    /// The signer of a provider that has an access key.
    pub(super) fn build(
        name: &str,
        config: &ProviderConfig,
        tools: &Tools<'_>,
    ) -> Result<Option<Self>, Error> {
        let (Some(id), Some(secret), Some(region)) = (
            &config.access_key_id,
            &config.secret_access_key,
            &config.region,
        ) else {
            return Ok(None);
        };
        let resolve = |key: &str, reference: &SecretRef| {
            tools
                .secrets
                .resolve(reference)
                .map_err(|source| Error::Secret {
                    name: name.to_owned(),
                    key: key.to_owned(),
                    source,
                })
        };
        let token = config.session_token.as_ref();
        Ok(Some(Self {
            access_key_id: resolve("access_key_id", id)?,
            secret_access_key: resolve("secret_access_key", secret)?,
            session_token: token
                .map(|token| resolve("session_token", token))
                .transpose()?,
            region: region.clone(),
            clock: tools.clock.clone(),
        }))
    }

    /// Adds the signature of a call that is about to leave. Headers that a proxy may change are not
    /// signed.
    pub(super) fn sign(&self, uri: &Uri, headers: &mut HeaderMap, body: &Bytes) {
        let host = headers.get(http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let digest = sigv4::body_sha256(body);
        let signed = [("host", host)];
        let request = Request {
            method: "POST",
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &signed,
            body_sha256: &digest,
        };
        let credentials = Credentials {
            access_key_id: self.access_key_id.expose(),
            secret_access_key: self.secret_access_key.expose(),
            session_token: self.session_token.as_ref().map(Secret::expose),
        };
        let scope = Scope {
            region: &self.region,
            service: "bedrock",
        };
        let signature = sigv4::sign(request, credentials, scope, self.clock.now());
        let token = credentials.session_token.unwrap_or_default().to_owned();
        for (name, value) in [
            ("x-amz-date", signature.date),
            ("authorization", signature.authorization),
            ("x-amz-security-token", token),
        ] {
            if let Ok(mut value) = HeaderValue::try_from(value)
                && !value.is_empty()
            {
                value.set_sensitive(name != "x-amz-date");
                headers.insert(name, value);
            }
        }
    }
}
