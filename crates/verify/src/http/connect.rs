//! Opens connections: TCP, with TLS on top when the URL says so.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, lookup_host};
use tokio_rustls::TlsConnector;

use super::watching::{Inspection, Watching, builder};
use super::{Base, HttpError};

/// Both ways of a connection.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Opens connections to any base URL, with one TLS configuration for the whole run.
#[derive(Clone)]
pub(crate) struct Dialer {
    tls: Arc<rustls::ClientConfig>,
    roots: Arc<rustls::RootCertStore>,
}

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dial {
    /// Offer only HTTP/2 in the TLS handshake.
    pub(crate) h2: bool,
    /// Keep the kernel's receive buffer small, so that a server cannot finish a long answer early.
    pub(crate) small_buffer: bool,
}

impl Dialer {
    /// A dialer that trusts the certificate authorities of this machine, and those of a PEM file.
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        // Certificates that do not parse are skipped, as every browser does.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = authorities {
            let wrong = |e: String| format!("cannot read {}: {e}", path.display());
            let more = CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
            for certificate in more {
                let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
            }
        }
        let roots = Arc::new(roots);
        let config = builder()?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        let tls = Arc::new(config);
        Ok(Self { tls, roots })
    }

    /// Shakes hands once and says what was seen, whether or not it can be trusted.
    pub(crate) async fn inspect(&self, base: &Base) -> Result<Inspection, HttpError> {
        let failed = |e: &dyn std::fmt::Display| HttpError::Tls(e.to_string());
        let watching = Watching::new(Arc::clone(&self.roots)).map_err(HttpError::Tls)?;
        let watching = Arc::new(watching);
        let config = builder()
            .map_err(HttpError::Tls)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Watching>::clone(&watching))
            .with_no_client_auth();
        let tcp = dial_tcp(base, Dial::default()).await?;
        let name = ServerName::try_from(base.host.clone()).map_err(|e| failed(&e))?;
        let shaken = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await;
        let tls = shaken.map_err(|e| failed(&e))?;
        let (_, connection) = tls.get_ref();
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "an unknown version",
        };
        let chain = connection.peer_certificates().unwrap_or_default();
        Ok(Inspection {
            version,
            leaf: chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default(),
            chain: chain.len(),
            trusted: watching.verdict(),
        })
    }

    /// The same dialer, trusting exactly this certificate whatever it says.
    ///
    /// A server whose certificate is wrong is still judged; its keys must then be kept from it.
    pub(crate) fn trusting(&self, leaf: &[u8]) -> Result<Self, String> {
        let pinned = Watching::pinned(Arc::clone(&self.roots), leaf.to_vec())?;
        let config = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        let (tls, roots) = (Arc::new(config), Arc::clone(&self.roots));
        Ok(Self { tls, roots })
    }

    pub(crate) async fn dial(
        &self,
        base: &Base,
        how: Dial,
    ) -> Result<Box<dyn Connection>, HttpError> {
        let tcp = dial_tcp(base, how).await?;
        if !base.https {
            return Ok(Box::new(tcp));
        }
        let mut config = self.tls.as_ref().clone();
        config.alpn_protocols = vec![if how.h2 {
            b"h2".to_vec()
        } else {
            b"http/1.1".to_vec()
        }];
        let name = ServerName::try_from(base.host.clone())
            .map_err(|e| HttpError::Tls(format!("{} is not a server name: {e}", base.host)))?;
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .map_err(|e| HttpError::Tls(e.to_string()))?;
        if how.h2 && tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(HttpError::Tls("the server did not choose h2".to_owned()));
        }
        Ok(Box::new(tls))
    }
}

pub(super) async fn dial_tcp(base: &Base, how: Dial) -> Result<tokio::net::TcpStream, HttpError> {
    let place = base.authority();
    let refused = |e: std::io::Error| HttpError::Connect(format!("{place}: {e}"));
    let addresses = lookup_host((base.host.as_str(), base.port))
        .await
        .map_err(refused)?;
    let mut last = HttpError::Connect(format!("{place}: the name has no address"));
    for address in addresses.take(4) {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.map_err(refused)?;
        if how.small_buffer {
            socket.set_recv_buffer_size(8 * 1024).map_err(refused)?;
        }
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(refused)?;
                return Ok(stream);
            }
            Err(e) => last = refused(e),
        }
    }
    Err(last)
}
