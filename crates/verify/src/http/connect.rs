//! Opens connections: TCP, with TLS on top when the URL says so.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, lookup_host};
use tokio_rustls::TlsConnector;

use super::{Base, HttpError};

/// Both ways of a connection.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Opens connections to any base URL, with one TLS configuration for the whole run.
#[derive(Clone)]
pub(crate) struct Dialer {
    tls: Arc<rustls::ClientConfig>,
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
    /// A dialer that trusts the certificate authorities of this machine.
    pub(crate) fn new() -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        // Certificates that do not parse are skipped, as every browser does.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot set up TLS: {e}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Arc::new(config),
        })
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

async fn dial_tcp(base: &Base, how: Dial) -> Result<tokio::net::TcpStream, HttpError> {
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
