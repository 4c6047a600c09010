//! What the options of TLS must be together.

use super::Check;
use crate::config::{ClientAuth, Tls};
use crate::secret::{Manager, SecretRef};
use crate::show::secret_refs;

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

    /// What leads to a manager needs one, and what opens a manager cannot come from one.
    pub(super) fn secret_managers(&mut self) {
        let config = self.config;
        let managers = &config.secret_managers;
        let section = ["secret_managers", "refresh_interval"];
        if managers.refresh_interval.as_std() < std::time::Duration::from_secs(1) {
            let message = format!("expected at least 1s, found {}", managers.refresh_interval);
            self.error(&section, message, "the usual time is 60s");
        }
        let own = [
            ("aws", "access_key_id", &managers.aws.access_key_id),
            ("aws", "secret_access_key", &managers.aws.secret_access_key),
            ("aws", "session_token", &managers.aws.session_token),
            ("vault", "token", &managers.vault.token),
            ("vault", "role_id", &managers.vault.role_id),
            ("vault", "secret_id", &managers.vault.secret_id),
            ("azure", "client_secret", &managers.azure.client_secret),
            ("gcp", "credentials", &managers.gcp.credentials),
        ];
        for (manager, key, reference) in own {
            let path = ["secret_managers", manager, key];
            match reference {
                Some(SecretRef::Managed(_)) => {
                    let message = "what opens a secret manager cannot come from one";
                    self.error(&path, message, "use an environment variable or a file");
                }
                Some(reference) => self.literal(&path, reference),
                None => {}
            }
        }
        let is_used = |manager: Manager| {
            let mut references = secret_refs(config).into_iter();
            references
                .any(|one| matches!(one, SecretRef::Managed(managed) if managed.manager == manager))
        };
        if is_used(Manager::Vault) {
            let vault = &managers.vault;
            let has_role = vault.role_id.is_some() && vault.secret_id.is_some();
            if vault.address.is_none() {
                let message = "there is a secret of Vault, and no address of it".to_owned();
                let help = "set `secret_managers.vault.address`";
                self.error(&["secret_managers", "vault"], message, help);
            } else if vault.token.is_none() && !has_role && vault.kubernetes_role.is_none() {
                let message = "there is no way to authenticate to Vault".to_owned();
                let help = "set `token`, or `role_id` and `secret_id`, or `kubernetes_role`";
                self.error(&["secret_managers", "vault"], message, help);
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
