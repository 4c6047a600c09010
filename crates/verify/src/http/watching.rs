//! What a TLS handshake shows of a server, whether or not it can be trusted.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};

/// What a handshake showed.
#[derive(Debug, Clone)]
pub(crate) struct Inspection {
    pub(crate) version: &'static str,
    /// The server's certificate.
    pub(crate) leaf: Vec<u8>,
    /// How many certificates it sent.
    pub(crate) chain: usize,
    /// Whether the chain leads to an authority that is trusted, for this name and today.
    pub(crate) trusted: Result<(), String>,
}

/// The beginning of every TLS configuration.
pub(super) fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("cannot set up TLS: {e}"))
}

/// A verifier that remembers its verdict and lets the handshake go on; pinned, only for one
/// certificate.
#[derive(Debug)]
pub(super) struct Watching {
    inner: Arc<WebPkiServerVerifier>,
    pinned: Option<Vec<u8>>,
    verdict: Mutex<Option<Result<(), String>>>,
}

impl Watching {
    pub(super) fn new(roots: Arc<RootCertStore>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(Self {
            inner: inner.map_err(|e| format!("cannot set up TLS: {e}"))?,
            pinned: None,
            verdict: Mutex::new(None),
        })
    }

    pub(super) fn pinned(roots: Arc<RootCertStore>, leaf: Vec<u8>) -> Result<Self, String> {
        let watching = Self::new(roots)?;
        Ok(Self {
            pinned: Some(leaf),
            ..watching
        })
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict
            .clone()
            .unwrap_or_else(|| Err("no certificate was shown".to_owned()))
    }
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self
            .pinned
            .as_deref()
            .is_some_and(|pinned| pinned != end_entity.as_ref())
        {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        let judged = self
            .inner
            .verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let verdict = judged.map(|_| ()).map_err(|error| error.to_string());
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
