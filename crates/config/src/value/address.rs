//! Addresses: where to listen, where providers are, where state is kept.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Refusal, ServerUrl, Text, text_value};

/// An IP address and a port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listen(SocketAddr);

impl Listen {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// The address as the standard library's type.
    pub const fn socket_addr(self) -> SocketAddr {
        self.0
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for Listen {
    const KIND: &'static str = "address";
    const EXPECTED: &'static str = "an IP address and a port such as \"127.0.0.1:8080\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        text.parse().map(Self).map_err(|_| Refusal::Unlike)
    }
}

/// Where a provider's API begins, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether requests to it are encrypted, or never leave this machine.
    pub(crate) fn is_private(&self) -> bool {
        let Ok(uri) = self.0.parse::<http::Uri>() else {
            return false;
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let loopback = host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
        uri.scheme_str() == Some("https") || loopback || host == "localhost"
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for BaseUrl {
    const KIND: &'static str = "URL";
    const EXPECTED: &'static str = "an http or https URL such as \"https://api.openai.com/v1\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let uri: http::Uri = text.parse().map_err(|_| Refusal::Unlike)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || text.contains('#') {
            return Err(Refusal::Unlike);
        }
        let authority = uri.authority().ok_or(Refusal::Unlike)?;
        if authority.as_str().contains('@') {
            return Refusal::because("expected a URL without user and password: use `api_key`");
        }
        if uri.query().is_some() {
            return Refusal::because("expected a URL without a query");
        }
        if authority.host().is_empty() {
            return Err(Refusal::Unlike);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Where durable state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageUrl {
    /// In this process; gone when it ends.
    Memory,
    /// In an SQLite file, relative to the working directory.
    Sqlite(PathBuf),
    /// In a PostgreSQL server.
    Postgres(ServerUrl),
}

impl fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl Text for StorageUrl {
    const KIND: &'static str = "URL";
    const EXPECTED: &'static str =
        "\"sqlite:FILE\", \"postgres://USER@HOST/DATABASE\" or \"memory:\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("sqlite", ":memory:")) => {
                Refusal::because("expected an SQLite file: write \"memory:\" to keep nothing")
            }
            Some(("sqlite", path)) => match path.strip_prefix("//").unwrap_or(path) {
                "" => Err(Refusal::Unlike),
                path if path.contains(['?', '#']) => {
                    Refusal::because("expected an SQLite file without `?` and `#` in its name")
                }
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            Some(("postgres" | "postgresql", _)) => {
                ServerUrl::parse(text, Self::EXPECTED).map(Self::Postgres)
            }
            _ => Err(Refusal::Unlike),
        }
    }
}

/// Where state that replicas share is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedStateUrl {
    /// In this process, for one replica.
    Memory,
    /// In a Redis server.
    Redis(ServerUrl),
}

impl fmt::Display for SharedStateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

impl Text for SharedStateUrl {
    const KIND: &'static str = "URL";
    const EXPECTED: &'static str =
        "\"memory:\", \"redis://HOST:PORT/DATABASE\" or the same with \"rediss\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("redis" | "rediss", _)) => {
                ServerUrl::parse(text, Self::EXPECTED).map(Self::Redis)
            }
            _ => Err(Refusal::Unlike),
        }
    }
}

text_value!(Listen);
text_value!(BaseUrl);
text_value!(StorageUrl);
text_value!(SharedStateUrl);
