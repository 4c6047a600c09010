//! Encrypted connections to stores.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("expected certificates in PEM format in {0:?}, found none that can be read")]
    Unreadable(PathBuf),
    /// There is nothing to trust.
    #[error("expected certificates to trust, found none on this system: name a file of them")]
    Nothing,
    /// The cryptography cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// What to trust: the certificates of a file, or those of the system.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let unreadable = || TlsError::Unreadable(path.to_owned());
            let found = CertificateDer::pem_file_iter(path).map_err(|_| unreadable())?;
            let found: Result<Vec<_>, _> = found.collect();
            roots.add_parsable_certificates(found.map_err(|_| unreadable())?);
            if roots.is_empty() {
                return Err(unreadable());
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(TlsError::Nothing);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Encrypts connections.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl Connector {
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Ok(Self(TlsConnector::from(Arc::new(client(ca_file)?))))
    }

    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        self.0.connect(name, stream).await
    }
}
