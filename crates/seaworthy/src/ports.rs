//! The ports of the program: bound first, served last.

use std::net::SocketAddr;
use std::sync::Arc;

use seaworthy_config::{HttpAction, HttpRedirect, Loaded};
use seaworthy_edge::redirect::Redirect;
use seaworthy_edge::server::{Listener, Server};
use seaworthy_edge::tls::Acceptor;
use seaworthy_gateway::{DataPlane, Gateway, Plane};

use crate::app;
use crate::exit::{self, Failure};
use crate::output;
use crate::tls::{self, Place};

/// The ports that were bound.
pub(crate) struct Ports {
    data: Port,
    admin: Option<Port>,
    /// For those who come without TLS.
    plain: Option<(Listener, HttpRedirect)>,
}

struct Port {
    listener: Listener,
    is_encrypted: bool,
}

/// Ports that are served.
pub(crate) struct Served {
    pub(crate) servers: Vec<Server>,
    /// Where callers are served.
    pub(crate) address: SocketAddr,
    lines: Vec<String>,
}

impl Ports {
    /// Binds what the configuration names.
    pub(crate) fn bind(
        loaded: &Loaded,
        workers: usize,
        tls: &mut tls::Listeners,
    ) -> Result<Self, Failure> {
        let config = &loaded.config;
        let bind = |listen: SocketAddr, workers, tls: Option<Arc<Acceptor>>| {
            let is_encrypted = tls.is_some();
            let listener = Listener::bind(app::listener_options(loaded, listen, workers, tls));
            let listener = listener.map_err(|error| {
                let message = format!("cannot listen on {listen}: {error}");
                Failure::new(exit::UNAVAILABLE, message)
            })?;
            Ok::<_, Failure>(Port {
                listener,
                is_encrypted,
            })
        };
        let acceptor = tls.begin(Place::Server, config)?;
        let data = bind(config.server.listen.socket_addr(), workers, acceptor)?;
        let admin = match config.admin.listen {
            Some(listen) => {
                let acceptor = tls.begin(Place::Admin, config)?;
                Some(bind(listen.socket_addr(), 1, acceptor)?)
            }
            None => None,
        };
        let plain = match &config.server.http_redirect {
            Some(redirect) => {
                let port = bind(redirect.listen.socket_addr(), 1, None)?;
                Some((port.listener, redirect.clone()))
            }
            None => None,
        };
        Ok(Self { data, admin, plain })
    }

    /// Serves them.
    pub(crate) fn serve(self, gateway: &Arc<Gateway>) -> Result<Served, Failure> {
        let plane = match self.admin {
            Some(_) => Plane::Data,
            None => Plane::All,
        };
        let serve = |port: Port, plane| {
            let listener = port.listener;
            let server = listener.serve(|worker| {
                let service = DataPlane::new(Arc::clone(gateway), worker, plane);
                match port.is_encrypted {
                    true => service.over_tls(),
                    false => service,
                }
            })?;
            Ok::<_, Failure>(server)
        };
        let address = self.data.listener.local_addr()?;
        let version = app::VERSION;
        let url = self.data.url()?;
        let mut servers = vec![serve(self.data, plane)?];
        let mut lines = vec![format!("Seaworthy {version} listens on {url}")];
        if let Some(admin) = self.admin {
            lines.push(format!("The control plane listens on {}", admin.url()?));
            servers.push(serve(admin, Plane::Control)?);
        }
        if let Some((listener, redirect)) = self.plain {
            let at = listener.local_addr()?;
            lines.push(format!("Plain HTTP is answered at http://{at}"));
            let port = match redirect.action {
                HttpAction::Redirect => Some(redirect.port.unwrap_or(address.port())),
                HttpAction::Refuse => None,
            };
            servers.push(listener.serve(|_worker| Redirect { port })?);
        }
        Ok(Served {
            servers,
            address,
            lines,
        })
    }
}

impl Served {
    /// Says where callers are served.
    pub(crate) fn announce(&self) -> Result<(), Failure> {
        self.lines.iter().try_for_each(output::line)
    }
}

impl Port {
    fn url(&self) -> std::io::Result<String> {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.listener.local_addr()?))
    }
}
