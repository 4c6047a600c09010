//! What the options of TLS must be together.

use super::Check;
use crate::config::{ClientAuth, Tls};

impl Check<'_> {
    pub(super) fn transport(&mut self) {
        let config = self.config;
        if let Some(tls) = &config.server.tls {
            self.tls(&["server", "tls"], tls);
        }
        if let Some(tls) = &config.admin.tls {
            self.tls(&["admin", "tls"], tls);
            if config.admin.listen.is_none() {
                let message = "`admin.tls` has no meaning without `admin.listen`".to_owned();
                let help = "set `admin.listen`, or remove it: `server.tls` is used";
                self.key_error(&["admin", "tls"], message, help);
            }
        }
        self.plain_addresses();
        if let Some(redirect) = &config.server.http_redirect {
            let path = ["server", "http_redirect"];
            if config.server.tls.is_none() {
                let message = "there is no TLS to send callers to".to_owned();
                self.key_error(&path, message, "set `server.tls`, or remove this section");
            }
            let taken = [Some(config.server.listen), config.admin.listen];
            if redirect.listen.socket_addr().port() != 0 && taken.contains(&Some(redirect.listen)) {
                let message = format!("`{}` is the address of another listener", redirect.listen);
                let path = ["server", "http_redirect", "listen"];
                self.error(&path, message, "choose another port, such as 80");
            }
        }
    }

    fn tls(&mut self, section: &[&str; 2], tls: &Tls) {
        let [first, second] = *section;
        if tls.client_ca.is_none() && tls.client_auth != ClientAuth::default() {
            let message = "`client_auth` has no meaning without `client_ca`";
            let help = "name the authorities of callers' certificates";
            self.error(&[first, second, "client_auth"], message, help);
        }
        if tls.handshake_timeout.as_std().is_zero() {
            let message = "expected more than no time at all";
            let help = "the usual time is 10s";
            self.error(&[first, second, "handshake_timeout"], message, help);
        }
    }

    /// Keys of callers pass in plain text where other machines can reach a listener without TLS.
    fn plain_addresses(&mut self) {
        let config = self.config;
        if config.server.tls.is_some() || config.server.listen.is_loopback() {
            return;
        }
        let message = format!(
            "callers send their keys to {} without encryption",
            config.server.listen
        );
        let help = "set `server.tls`, unless a proxy or a mesh in front of the gateway does it";
        self.warn(&["server", "listen"], message, help);
    }
}
