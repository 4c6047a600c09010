//! Whom a client of TLS trusts, and what it shows of itself.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::BoxError;

/// Whom to trust. All texts are in PEM format.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// Authorities beside those of the system.
    pub authorities: Option<&'a str>,
    /// A certificate to show, and its key.
    pub identity: Option<(&'a str, &'a str)>,
    /// Whether any certificate is good enough: for questions that hold no secret, whose answers are
    /// not relied on.
    pub is_blind: bool,
}

impl Trust<'_> {
    pub(super) fn config(&self) -> Result<ClientConfig, BoxError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if self.is_blind {
            let blind = Arc::new(Blind(provider));
            builder.dangerous().with_custom_certificate_verifier(blind)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        Ok(match self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
                builder.with_client_auth_cert(certificates(certificate)?, key)?
            }
        })
    }

    fn roots(&self) -> Result<RootCertStore, BoxError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a root certificate of the system could not be read");
        }
        roots.add_parsable_certificates(found.certs);
        if let Some(text) = self.authorities {
            let authorities = certificates(text)?;
            if authorities.is_empty() {
                return Err("expected certificates in PEM format, found none".into());
            }
            for authority in authorities {
                roots.add(authority)?;
            }
        }
        if roots.is_empty() {
            let help =
                "the system has no root certificates: install them (package ca-certificates)";
            return Err(help.into());
        }
        Ok(roots)
    }
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes());
    Ok(found.collect::<Result<_, _>>()?)
}

/// Believes every certificate, but no broken signature.
#[derive(Debug)]
struct Blind(Arc<CryptoProvider>);

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
