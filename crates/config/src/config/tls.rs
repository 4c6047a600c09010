//! TLS towards callers.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::server::count;
use crate::value::{Duration, Listen, Pem};

/// TLS of a listener. A change of anything in it takes effect for new connections; to begin with it
/// or to end it needs a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate in PEM format, followed by those that lead from it to the authority: a file
    /// or a secret. When it changes, new connections get the new one.
    pub certificate: Pem,
    /// The private key of the certificate in PEM format: a file or a secret.
    pub key: Pem,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Authorities in PEM format whose certificates callers show: a file or a secret. With it,
    /// callers need a certificate beside their key.
    #[serde(default)]
    pub client_ca: Option<Pem>,
    /// Whether callers have to show a certificate of `client_ca`. One that is shown has to be right
    /// in any case.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// How long a handshake may take, from the connection on.
    #[serde(default = "handshake_timeout")]
    pub handshake_timeout: Duration,
    /// How many handshakes may go on at the same time. More wait for their turn, within
    /// `handshake_timeout`.
    #[serde(default = "max_handshakes")]
    pub max_handshakes: NonZeroUsize,
    /// For how long browsers are told to use nothing but TLS here, by the header
    /// `strict-transport-security`; `0s` for no such header.
    #[serde(default = "hsts")]
    pub hsts: Duration,
    /// Whether that holds for names below this one as well.
    #[serde(default = "yes")]
    pub hsts_include_subdomains: bool,
}

fn handshake_timeout() -> Duration {
    Duration::from_secs(10)
}

fn max_handshakes() -> NonZeroUsize {
    count(1000)
}

fn hsts() -> Duration {
    Duration::from_secs(365 * 24 * 60 * 60)
}

fn yes() -> bool {
    true
}

impl Tls {
    /// The value of the header `strict-transport-security`, if there is to be one.
    pub fn hsts_header(&self) -> Option<String> {
        let seconds = self.hsts.as_std().as_secs();
        let subdomains = if self.hsts_include_subdomains {
            "; includeSubDomains"
        } else {
            ""
        };
        (seconds > 0).then(|| format!("max-age={seconds}{subdomains}"))
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whether callers show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Who shows none is refused.
    #[default]
    Required,
    /// Who shows none is served.
    Optional,
}

/// A second listener, for those who come without TLS. It serves nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRedirect {
    /// The address to listen on.
    pub listen: Listen,
    /// What requests get: `redirect` sends them to the same path over TLS with 308, `refuse` says
    /// 403. A key that came this way was sent in plain text.
    #[serde(default)]
    pub action: HttpAction,
    /// The port that callers reach TLS at, if it is another one than that of `server.listen`.
    #[serde(default)]
    pub port: Option<u16>,
}

/// What becomes of requests without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpAction {
    /// They are sent to TLS.
    #[default]
    Redirect,
    /// They are refused.
    Refuse,
}
