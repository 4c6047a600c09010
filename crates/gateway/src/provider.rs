//! A configured provider: how it is reached and with which credentials.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use seaworthy_config::{
    Duration as Length, Provider as ProviderConfig, ProviderKind, ProviderTimeouts, SecretError,
    SecretSource, TargetTimeouts,
};
use seaworthy_core::dialect::Dialect;
use seaworthy_edge::client::{Origin, OriginError, Timeouts, Upstream, UpstreamBody};

use crate::routes::Operation;
use crate::snapshot::Tools;
use crate::stage::reserve::Reservation;

mod place;
mod signer;

use place::Layout;
pub(crate) use place::Place;
use signer::Signer;

const STOOD_STILL: &str = "the gateway stood still for so long that what was reserved may be gone";

/// What answers the calls of a provider.
#[derive(Debug)]
pub(crate) enum Backend {
    /// Built in.
    Echo,
    /// An HTTP API.
    Remote(Box<Remote>),
}

/// A provider's HTTP API.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) dialect: Dialect,
    layout: Layout,
    /// One per worker thread.
    upstreams: Vec<Arc<Upstream>>,
    /// Credentials and configured headers, added to each call.
    headers: HeaderMap,
    /// Signs each call, where the provider wants that.
    signer: Option<Signer>,
}

/// A configured provider.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) backend: Backend,
    /// What it was made from, to keep it when a reload changes nothing about it.
    config: ProviderConfig,
}

/// Why a provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`providers.{name}.base_url`: {source}")]
    BaseUrl { name: String, source: OriginError },
    #[error("`providers.{name}.{key}`: {source}")]
    Secret {
        name: String,
        key: String,
        source: SecretError,
    },
    #[error(
        "`providers.{name}.{key}`: expected the text of an HTTP header, found characters that cannot stand in one"
    )]
    Header { name: String, key: String },
}

impl Provider {
    pub(crate) fn build(
        name: &str,
        config: &ProviderConfig,
        tools: &Tools<'_>,
    ) -> Result<Self, Error> {
        let dialect = place::dialect(config);
        let backend = match dialect {
            None => Backend::Echo,
            Some(dialect) => {
                let origin =
                    Origin::parse(&config.base_url().unwrap_or_default()).map_err(|source| {
                        Error::BaseUrl {
                            name: name.to_owned(),
                            source,
                        }
                    })?;
                let idle = config.max_idle_connections.get();
                let upstreams = (0..tools.workers.max(1))
                    .map(|_| Upstream::new(origin.clone(), Arc::clone(tools.dial), idle))
                    .collect();
                Backend::Remote(Box::new(Remote {
                    dialect,
                    layout: Layout::of(config),
                    upstreams,
                    headers: headers(name, config, dialect, tools.secrets)?,
                    signer: Signer::build(name, config, tools)?,
                }))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            backend,
            config: config.clone(),
        })
    }

    /// The kind of API, as in the configuration.
    pub(crate) fn kind(&self) -> &'static str {
        self.config.kind.as_str()
    }

    /// The time limits of a target of this provider, which may have some of its own.
    pub(crate) fn timeouts(&self, own: Option<&TargetTimeouts>) -> Timeouts {
        timeouts(&self.config.timeouts, own)
    }

    /// Whether a provider of this configuration would be the same, secrets aside.
    pub(crate) fn is_built_from(&self, config: &ProviderConfig) -> bool {
        self.config == *config
    }

    /// The same provider with secrets read anew, keeping its open connections.
    pub(crate) fn with_fresh_secrets(&self, tools: &Tools<'_>) -> Result<Self, Error> {
        let backend = match &self.backend {
            Backend::Echo => Backend::Echo,
            Backend::Remote(remote) => Backend::Remote(Box::new(Remote {
                dialect: remote.dialect,
                layout: remote.layout.clone(),
                upstreams: remote.upstreams.clone(),
                headers: headers(&self.name, &self.config, remote.dialect, tools.secrets)?,
                signer: Signer::build(&self.name, &self.config, tools)?,
            })),
        };
        Ok(Self {
            name: self.name.clone(),
            backend,
            config: self.config.clone(),
        })
    }
}

impl Remote {
    /// Where a call goes.
    pub(crate) fn place(&self, operation: Operation, model: &str, stream: bool) -> Place {
        self.layout.place(operation, model, stream)
    }

    /// Sends a call. The reservation is the proof that the call is accounted for: there is no other
    /// way to a provider.
    pub(crate) async fn send(
        &self,
        reservation: &Reservation,
        worker: usize,
        path_and_query: &str,
        (mut headers, body): (HeaderMap, Bytes),
        timeouts: Timeouts,
    ) -> Result<Response<UpstreamBody>, seaworthy_edge::client::Error> {
        let upstream = &self.upstreams[worker % self.upstreams.len()];
        let origin = upstream.origin();
        let broken = |source: seaworthy_edge::BoxError| seaworthy_edge::client::Error::Connect {
            origin: origin.to_string(),
            source,
        };
        if !reservation.is_held() {
            // Nothing has left: another attempt reserves anew.
            return Err(broken(STOOD_STILL.into()));
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let uri: http::Uri = origin
            .target(path_and_query)
            .map_err(|error| broken(error.into()))?
            .into();
        headers.insert(http::header::HOST, upstream.host());
        if let Some(signer) = &self.signer {
            signer.sign(&uri, &mut headers, &body);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        upstream.send(request, timeouts).await
    }
}

/// The time limits of a target: its own, and those of its provider where it has none.
fn timeouts(provider: &ProviderTimeouts, own: Option<&TargetTimeouts>) -> Timeouts {
    let pick = |mine: fn(&TargetTimeouts) -> Option<Length>, theirs: Length| {
        own.and_then(mine).unwrap_or(theirs).into()
    };
    let first_token = own.and_then(|own| own.first_token);
    Timeouts {
        connect: pick(|own| own.connect, provider.connect),
        first_byte: pick(|own| own.first_byte, provider.first_byte),
        first_token: first_token.or(provider.first_token).map(Into::into),
        between_chunks: pick(|own| own.between_chunks, provider.between_chunks),
        total: pick(|own| own.total, provider.total),
        deadline: None,
    }
}

fn headers(
    name: &str,
    config: &ProviderConfig,
    dialect: Dialect,
    secrets: &dyn SecretSource,
) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if let Some(reference) = &config.api_key {
        let secret = secrets.resolve(reference).map_err(|source| Error::Secret {
            name: name.to_owned(),
            key: "api_key".to_owned(),
            source,
        })?;
        let (header, value) = match dialect {
            _ if config.kind == ProviderKind::AzureOpenai => (
                HeaderName::from_static("api-key"),
                secret.expose().to_owned(),
            ),
            Dialect::OpenAiChat
            | Dialect::OpenAiResponses
            | Dialect::CohereChat
            | Dialect::BedrockConverse => (AUTHORIZATION, format!("Bearer {}", secret.expose())),
            Dialect::AnthropicMessages => (
                HeaderName::from_static("x-api-key"),
                secret.expose().to_owned(),
            ),
            Dialect::Gemini => (
                HeaderName::from_static("x-goog-api-key"),
                secret.expose().to_owned(),
            ),
        };
        headers.insert(header, sensitive(name, "api_key", &value)?);
    }
    for (header, reference) in config.headers.iter() {
        let key = format!("headers.{header}");
        let secret = secrets.resolve(reference).map_err(|source| Error::Secret {
            name: name.to_owned(),
            key: key.clone(),
            source,
        })?;
        let header_name = HeaderName::try_from(header).map_err(|_| Error::Header {
            name: name.to_owned(),
            key: key.clone(),
        })?;
        headers.insert(header_name, sensitive(name, &key, secret.expose())?);
    }
    Ok(headers)
}

fn sensitive(name: &str, key: &str, value: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(value).map_err(|_| Error::Header {
        name: name.to_owned(),
        key: key.to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
