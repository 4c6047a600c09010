//! TLS of the listeners: the certificates that are configured, and those that take their place.

use std::sync::Arc;

use seaworthy_config::{ClientAuth, Config, Secret, SecretSource, Tls, TlsVersion};
use seaworthy_edge::tls::{Acceptor, Terms, TermsError};
use seaworthy_gateway::TlsMetrics;

use crate::app;
use crate::exit::{self, Failure};

/// The end of a certificate is warned of when it is this near.
const WARNING_DAYS: i64 = 21;
const DAY: i64 = 24 * 60 * 60;

/// A listener that can speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `server.listen`
    Server,
    /// `admin.listen`
    Admin,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Admin => "admin",
        }
    }

    /// What is configured for it, and under which name.
    fn section(self, config: &Config) -> Option<(&'static str, &Tls)> {
        let server = config.server.tls.as_ref().map(|tls| ("server.tls", tls));
        match self {
            Self::Server => server,
            Self::Admin => match &config.admin.tls {
                Some(tls) => Some(("admin.tls", tls)),
                None => server,
            },
        }
    }
}

/// The listeners that speak TLS.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    secrets: Arc<dyn SecretSource>,
    metrics: TlsMetrics,
}

struct Listener {
    place: Place,
    acceptor: Arc<Acceptor>,
    in_force: Material,
    /// What was found the last time. A file is written in steps: only what is found twice counts.
    found: Result<Material, String>,
    /// What was told already.
    told: Option<String>,
    /// The day on which the end of the certificate was looked at last.
    looked_on: i64,
}

/// Everything that TLS of a listener is made of.
#[derive(Clone, PartialEq)]
struct Material {
    options: Tls,
    certificate: Secret,
    key: Secret,
    client_ca: Option<Secret>,
}

impl Material {
    fn read((section, tls): (&str, &Tls), secrets: &dyn SecretSource) -> Result<Self, String> {
        let read = |key: &str, pem: &seaworthy_config::Pem| {
            let found = secrets.resolve(pem.reference());
            found.map_err(|error| {
                format!(
                    "`{section}.{key}`: {}",
                    Failure::of(exit::CONFIG, &error).message
                )
            })
        };
        let client_ca = tls.client_ca.as_ref();
        Ok(Self {
            certificate: read("certificate", &tls.certificate)?,
            key: read("key", &tls.key)?,
            client_ca: client_ca.map(|pem| read("client_ca", pem)).transpose()?,
            options: tls.clone(),
        })
    }

    fn terms(&self) -> Terms<'_> {
        let options = &self.options;
        Terms {
            certificate: self.certificate.expose(),
            key: self.key.expose(),
            client_ca: self.client_ca.as_ref().map(Secret::expose),
            is_client_certificate_optional: options.client_auth == ClientAuth::Optional,
            with_version_1_2: options.min_version == TlsVersion::V1_2,
            handshake_timeout: options.handshake_timeout.into(),
            max_handshakes: options.max_handshakes.get(),
        }
    }
}

impl Listeners {
    pub(crate) fn new(secrets: Arc<dyn SecretSource>, metrics: TlsMetrics) -> Self {
        Self {
            listeners: Vec::new(),
            secrets,
            metrics,
        }
    }

    /// TLS for a listener that is about to be bound, if the configuration asks for it.
    pub(crate) fn begin(
        &mut self,
        place: Place,
        config: &Config,
    ) -> Result<Option<Arc<Acceptor>>, Failure> {
        let Some(section) = place.section(config) else {
            return Ok(None);
        };
        let failed = |why: String| Failure::new(exit::CONFIG, why);
        let material = Material::read(section, &*self.secrets).map_err(failed)?;
        let metrics = self.metrics.clone();
        let on_handshake = Box::new(move |handshake: seaworthy_edge::tls::Handshake| {
            metrics.count_handshake(place.name(), handshake.as_str());
        });
        let acceptor = Acceptor::new(&material.terms(), on_handshake)
            .map_err(|error| failed(unusable(section.0, &error)))?;
        let acceptor = Arc::new(acceptor);
        let mut listener = Listener {
            place,
            acceptor: Arc::clone(&acceptor),
            found: Ok(material.clone()),
            in_force: material,
            told: None,
            looked_on: i64::MIN,
        };
        self.metrics.show_current(place.name(), true);
        listener.look_at_end(&self.metrics);
        self.listeners.push(listener);
        Ok(Some(acceptor))
    }

    /// Puts certificates in force that took the place of others. `at_once` does not wait to see the
    /// same again.
    pub(crate) fn look(&mut self, config: &Config, at_once: bool) {
        for listener in &mut self.listeners {
            // TLS that was taken out of the configuration ends with a restart.
            if let Some(section) = listener.place.section(config) {
                let found = Material::read(section, &*self.secrets);
                listener.take(section.0, found, at_once, &self.metrics);
            }
            listener.look_at_end(&self.metrics);
        }
    }
}

impl Listener {
    fn take(
        &mut self,
        section: &str,
        found: Result<Material, String>,
        at_once: bool,
        metrics: &TlsMetrics,
    ) {
        let is_settled = at_once || found == self.found;
        let name = self.place.name();
        match &found {
            _ if !is_settled => {}
            Ok(material) if *material == self.in_force => {
                if self.told.take().is_some() {
                    metrics.show_current(name, true);
                }
            }
            Ok(material) => match self.acceptor.change(&material.terms()) {
                Ok(()) => {
                    self.in_force = material.clone();
                    self.told = None;
                    self.looked_on = i64::MIN;
                    metrics.count_reload(name, true);
                    metrics.show_current(name, true);
                    tracing::info!(listener = name, "new connections get the new certificate");
                }
                Err(error) => self.keep(unusable(section, &error), metrics),
            },
            Err(why) => self.keep(why.clone(), metrics),
        }
        self.found = found;
    }

    /// The certificate in force stays.
    fn keep(&mut self, why: String, metrics: &TlsMetrics) {
        if self.told.as_ref() == Some(&why) {
            return;
        }
        let name = self.place.name();
        metrics.count_reload(name, false);
        metrics.show_current(name, false);
        tracing::error!(
            listener = name,
            error = why,
            "the certificate was not changed; the old one stays in force"
        );
        self.told = Some(why);
    }

    /// Warns once a day of a certificate that ends soon.
    fn look_at_end(&mut self, metrics: &TlsMetrics) {
        let now = app::clock().now().seconds();
        if self.looked_on == now / DAY {
            return;
        }
        self.looked_on = now / DAY;
        let ends = self.acceptor.expires_at();
        let listener = self.place.name();
        metrics.show_end(listener, ends);
        let days = (ends - now).div_euclid(DAY);
        if days < 0 {
            tracing::error!(listener, "the certificate in force has expired");
        } else if days < WARNING_DAYS {
            tracing::warn!(listener, days, "the certificate in force ends soon");
        }
    }
}

fn unusable(section: &str, error: &TermsError) -> String {
    format!(
        "`{section}`: {}",
        Failure::of(exit::CONFIG, error).message.replace('\n', "")
    )
}
