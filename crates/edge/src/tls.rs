//! TLS towards callers: certificates that can be changed while connections are open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::Semaphore;

/// What callers are to be shown, and what they have to show. All texts are in PEM format.
pub struct Terms<'a> {
    /// The certificate, followed by those that lead to the authority.
    pub certificate: &'a str,
    /// The key of the certificate.
    pub key: &'a str,
    /// Whose certificates callers show.
    pub client_ca: Option<&'a str>,
    /// Whether callers without a certificate are served; without meaning if there is no `client_ca`.
    pub is_client_certificate_optional: bool,
    /// Whether TLS 1.2 is spoken, too.
    pub with_version_1_2: bool,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// How many handshakes may go on at the same time.
    pub max_handshakes: usize,
}

/// Why TLS cannot be spoken on these terms.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// No certificate was found.
    #[error(
        "expected a certificate in PEM format (-----BEGIN CERTIFICATE-----) in `certificate`, found none"
    )]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("expected certificates in PEM format in `{0}`, found something else")]
    Unreadable(&'static str),
    /// No key was found.
    #[error(
        "expected a private key in PEM format (-----BEGIN PRIVATE KEY-----) in `key`, found none"
    )]
    NoKey,
    /// Certificate and key are two different pairs, or of a kind that is not supported.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// The authorities of callers cannot be used.
    #[error("the authorities of `client_ca` cannot be used")]
    Authorities(#[source] crate::BoxError),
}

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A connection was made.
    Completed,
    /// The two did not agree, or the caller's certificate was not accepted.
    Failed,
    /// It took too long.
    TimedOut,
    /// The caller spoke plain HTTP.
    PlainHttp,
}

impl Handshake {
    /// The name, as in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timeout",
            Self::PlainHttp => "plain_http",
        }
    }
}

/// Told of every handshake that ended.
pub type OnHandshake = Box<dyn Fn(Handshake) + Send + Sync>;

/// TLS of one listener. New terms hold for new connections; open ones go on as they began.
pub struct Acceptor {
    current: ArcSwap<Current>,
    on_handshake: OnHandshake,
}

/// The terms in force.
pub(crate) struct Current {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) timeout: Duration,
    pub(crate) places: Semaphore,
    expires_at: i64,
}

impl Acceptor {
    /// TLS on these terms.
    ///
    /// # Errors
    /// When the certificate, the key or the authorities cannot be used.
    pub fn new(terms: &Terms<'_>, on_handshake: OnHandshake) -> Result<Self, TermsError> {
        Ok(Self {
            current: ArcSwap::from_pointee(Current::new(terms)?),
            on_handshake,
        })
    }

    /// Puts other terms in force for the connections to come. When they cannot be used, nothing
    /// changes.
    ///
    /// # Errors
    /// When the certificate, the key or the authorities cannot be used.
    pub fn change(&self, terms: &Terms<'_>) -> Result<(), TermsError> {
        self.current.store(Arc::new(Current::new(terms)?));
        Ok(())
    }

    /// When the certificate in force ends, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.current.load().expires_at
    }

    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    pub(crate) fn note(&self, handshake: Handshake) {
        (self.on_handshake)(handshake);
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

impl Current {
    fn new(terms: &Terms<'_>) -> Result<Self, TermsError> {
        let chain = certificates(terms.certificate)
            .ok_or(TermsError::Unreadable("certificate"))
            .and_then(|chain| match chain.is_empty() {
                true => Err(TermsError::NoCertificate),
                false => Ok(chain),
            })?;
        let leaf = x509_parser::parse_x509_certificate(&chain[0]);
        let (_, leaf) = leaf.map_err(|_| TermsError::Unreadable("certificate"))?;
        let expires_at = leaf.validity().not_after.timestamp();
        let key =
            PrivateKeyDer::from_pem_slice(terms.key.as_bytes()).map_err(|_| TermsError::NoKey)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions: &[_] = if terms.with_version_1_2 {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(TermsError::Pair)?;
        let builder = match terms.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = Arc::new(roots(authorities)?);
                let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                if terms.is_client_certificate_optional {
                    verifier = verifier.allow_unauthenticated();
                }
                let verifier = verifier
                    .build()
                    .map_err(|error| TermsError::Authorities(error.into()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain.clone(), key)
            .map_err(TermsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            timeout: terms.handshake_timeout,
            places: Semaphore::new(terms.max_handshakes),
            expires_at,
        })
    }
}

/// The certificates of a text; `None` when one of them cannot be read.
fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes());
    found.collect::<Result<_, _>>().ok()
}

fn roots(text: &str) -> Result<RootCertStore, TermsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(text).ok_or(TermsError::Unreadable("client_ca"))? {
        let added = roots.add(authority);
        added.map_err(|error| TermsError::Authorities(error.into()))?;
    }
    Ok(roots)
}
