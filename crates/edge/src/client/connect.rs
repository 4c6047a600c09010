//! Opening a connection: name, TCP, TLS.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use http::uri::{PathAndQuery, Scheme, Uri};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::trust::Trust;

/// Scheme, host and port of a provider, and the path that its API starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
    authority: HeaderValue,
    base_path: String,
}

/// Why a base URL cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a base URL such as \"https://api.example.com/v1\", found {0:?}")]
pub struct OriginError(String);

impl Origin {
    /// Reads a base URL, for example `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// When it is not an absolute `http` or `https` URL, or has a user name, a query or a fragment.
    pub fn parse(base_url: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(base_url.to_owned());
        let uri: Uri = base_url.parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') || uri.query().is_some() || base_url.contains('#') {
            return Err(wrong());
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if is_tls { 443 } else { 80 });
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            is_tls,
            host,
            port,
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            base_path,
        })
    }

    /// `host` or `host:port`, the value of the `host` header.
    #[must_use]
    pub fn host_header(&self) -> HeaderValue {
        self.authority.clone()
    }

    /// The request target of an API path, for example `/v1` + `/chat/completions`; `/` where there is
    /// neither.
    ///
    /// # Errors
    /// When the path has characters that no URL may have.
    pub fn target(&self, path_and_query: &str) -> Result<PathAndQuery, http::uri::InvalidUri> {
        if self.base_path.is_empty() && path_and_query.is_empty() {
            return Ok(PathAndQuery::from_static("/"));
        }
        PathAndQuery::try_from(format!("{}{path_and_query}", self.base_path))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(
            f,
            "{scheme}://{}",
            self.authority.to_str().unwrap_or(&self.host)
        )
    }
}

/// A connection, encrypted or not.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Io for T {}

/// A connection that is being opened.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send + 'a>>;

/// Opens connections.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Opens a connection to `origin`, TLS included if it asks for it.
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a>;
}

/// The network. The system's root certificates are read when the first `https` connection is
/// opened, not at start.
#[derive(Debug, Default)]
pub struct Network {
    tls: OnceLock<Arc<rustls::ClientConfig>>,
}

impl Dial for Network {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let tcp = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
            // A request is one write and a stream's pieces must not wait for each other's ACK.
            tcp.set_nodelay(true)?;
            if !origin.is_tls {
                return Ok(Box::new(tcp) as Box<dyn Io>);
            }
            let name = ServerName::try_from(origin.host.clone()).map_err(io::Error::other)?;
            let tls = TlsConnector::from(self.tls_config()?)
                .connect(name, tcp)
                .await?;
            Ok(Box::new(tls) as Box<dyn Io>)
        })
    }
}

impl Network {
    /// The network, with a choice of whom to trust.
    ///
    /// # Errors
    /// When the certificates or the key cannot be used.
    pub fn trusting(trust: &Trust<'_>) -> Result<Self, crate::BoxError> {
        let network = Self::default();
        network.tls.get_or_init({
            let config = Arc::new(trust.config()?);
            || config
        });
        Ok(network)
    }

    fn tls_config(&self) -> io::Result<Arc<rustls::ClientConfig>> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = Trust::default().config().map_err(io::Error::other)?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_read_and_wrong_ones_are_named() {
        let origin = Origin::parse("http://127.0.0.1:9000/v1/").unwrap();
        assert_eq!(origin.host_header(), "127.0.0.1:9000");
        assert_eq!(
            origin.target("/chat/completions?a=b").unwrap(),
            "/v1/chat/completions?a=b"
        );
        let bare = Origin::parse("https://[::1]").unwrap();
        assert_eq!(bare.to_string(), "https://[::1]");
        assert_eq!(bare.target("").unwrap(), "/");
        for wrong in [
            "",
            "api.openai.com",
            "ftp://a",
            "http://a:b@c",
            "https://a?b=c",
            "/v1",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
