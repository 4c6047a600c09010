//! What the tests run against and is not ours: servers, interpreters, packages of PyPI and npm.

use std::path::PathBuf;

use super::{node, python};
use crate::command;

/// Where the interpreters and packages are.
#[derive(Clone)]
pub(super) struct Peers {
    /// The Python with the official SDKs.
    pub(super) python: PathBuf,
    /// The folder with the official SDKs for Node.
    pub(super) node: PathBuf,
    /// The folder with the OpenID provider.
    pub(super) oidc: PathBuf,
}

/// Fetches what is not there yet. Most of the time is waiting for registries, so they are asked at
/// the same time; Debian's installer runs once at a time.
pub(super) fn fetch() -> anyhow::Result<Peers> {
    servers()?;
    python::interpreter()?;
    node::runtime()?;
    std::thread::scope(|scope| {
        let packages = scope.spawn(|| -> anyhow::Result<_> {
            Ok((node::install_folder("node")?, node::install_folder("oidc")?))
        });
        let python = python::environment()?;
        let (node, oidc) = packages
            .join()
            .map_err(|_| anyhow::anyhow!("the installation for Node panicked"))??;
        Ok(Peers { python, node, oidc })
    })
}

/// Installs the servers and clients that tests start, on Debian.
pub(crate) fn servers() -> anyhow::Result<()> {
    for client in ["curl", "openssl"] {
        if !command::is_there(client, &["--help"]) {
            command::install(client)?;
        }
    }
    for server in ["redis-server", "prometheus"] {
        if !command::is_there(server, &["--version"]) {
            command::install(server)?;
        }
    }
    if !std::path::Path::new("/usr/lib/postgresql").is_dir()
        && !command::is_there("initdb", &["--version"])
    {
        command::install("postgresql")?;
    }
    Ok(())
}
