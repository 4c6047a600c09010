//! URLs of servers that may hold a password, which is never shown.

use std::fmt;

use super::Refusal;
use crate::mark;
use crate::mask::REDACTED;
use crate::secret::Secret;

/// The URL of a server. Where it is shown, its password is not.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    exact: Secret,
    shown: String,
}

impl ServerUrl {
    /// The URL with its password, for the one place that connects.
    pub fn expose(&self) -> &str {
        self.exact.expose()
    }

    /// Whether the connection is encrypted by the scheme.
    pub(super) fn parse(text: &str, expected: &'static str) -> Result<Self, Refusal> {
        if text.contains(REDACTED) {
            return Refusal::because(format!(
                "expected {expected}, found the placeholder of a hidden password"
            ));
        }
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::Unlike)?;
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let is_named = !host.is_empty() && !host.starts_with(':');
        if !is_named || text.contains(['#', ' ']) {
            return Err(Refusal::Unlike);
        }
        let port = host.rsplit_once(':').filter(|_| !host.ends_with(']'));
        if port.is_some_and(|(_, port)| port.parse::<u16>().is_err()) {
            return Refusal::because("expected a port between 1 and 65535");
        }
        if path.contains("password=") {
            return Refusal::because(
                "expected the password before the host, or as a key of its own",
            );
        }
        let user = match user.map(|user| user.split_once(':')) {
            None => String::new(),
            Some(None) => format!("{}@", user.unwrap_or_default()),
            Some(Some((name, _))) => format!("{name}:{REDACTED}@"),
        };
        Ok(Self {
            exact: Secret::new(text.to_owned()),
            shown: format!("{scheme}://{user}{host}{path}"),
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.shown, mark::of(self.expose()))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_and_not_shown() {
        for (text, shown) in [
            ("redis://h", "redis://h"),
            ("redis://:pw@h:6379/2", "redis://:[redacted]@h:6379/2"),
            (
                "rediss://me:p@w:x@[::1]:1",
                "rediss://me:[redacted]@[::1]:1",
            ),
            (
                "postgres://me@h/d?sslmode=require",
                "postgres://me@h/d?sslmode=require",
            ),
        ] {
            let url = ServerUrl::parse(text, "a URL").unwrap();
            assert_eq!(url.expose(), text);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in [
            "redis",
            "redis://",
            "redis://:6379",
            "redis://a@",
            "redis://h:99999",
        ] {
            assert!(ServerUrl::parse(text, "a URL").is_err(), "{text}");
        }
        let shown = "redis://:[redacted]@h";
        assert!(ServerUrl::parse(shown, "a URL").is_err());
    }
}
