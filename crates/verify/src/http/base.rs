//! The base URL of a server, taken apart.

use http::Uri;

/// Where the server is: scheme, host, port and a path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) https: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    prefix: String,
}

impl Base {
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wanted = "expected a URL such as http://127.0.0.1:8080";
        let uri: Uri = url
            .parse()
            .map_err(|e| format!("{wanted}, found {url:?} ({e})"))?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(format!("{wanted} (or https), found {url:?}")),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("{wanted}, found {url:?} without a host"))?;
        if uri.query().is_some() {
            return Err(format!("{wanted}, found {url:?} with a query"));
        }
        Ok(Self {
            https,
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The same place, over TLS.
    pub(crate) fn over_tls(&self) -> Self {
        Self {
            https: true,
            ..self.clone()
        }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The host as a URL has it.
    pub(crate) fn host_in_url(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// Value of the `host` header.
    pub(crate) fn authority(&self) -> String {
        let host = self.host_in_url();
        match (self.https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// A path below the base's own.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The URL without a trailing slash.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::Base;

    #[test]
    fn keeps_a_path_prefix() {
        let base = Base::parse("https://example.com/llm/").expect("valid");
        assert_eq!(base.path("/health"), "/llm/health");
        assert_eq!(base.url(), "https://example.com/llm");
        assert_eq!(base.port, 443);
    }

    #[test]
    fn writes_ipv6_hosts_in_brackets() {
        let base = Base::parse("http://[::1]:8080").expect("valid");
        assert_eq!(
            (base.host.as_str(), base.authority().as_str()),
            ("::1", "[::1]:8080")
        );
    }

    #[test]
    fn refuses_what_is_not_a_base_url() {
        for url in [
            "127.0.0.1:8080",
            "ftp://host",
            "http://",
            "/health",
            "http://h/?a=b",
        ] {
            assert!(Base::parse(url).is_err(), "{url} was accepted");
        }
    }
}
