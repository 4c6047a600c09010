//! `seaworthy fake-provider`: a scriptable stand-in for the providers.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use seaworthy_fake_provider::{Directives, Options, serve};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{self, Failure};
use crate::output;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// What it does unless a call says otherwise, for example `latency_ms=50,chunks=10`. All
    /// directives: docs/reference/fake-provider.md.
    #[arg(long, default_value = "")]
    defaults: String,
    /// A key that it accepts; may be repeated. Without one, every key is accepted.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A model that it lists; may be repeated. It answers for any model.
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Work on so many calls at a time, each for its `latency_ms`; others wait in line.
    #[arg(long, value_name = "COUNT")]
    slots: Option<NonZeroUsize>,
    /// Write the line that names the address to this file as well, once it listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut defaults = Directives::default();
    defaults
        .apply(&arguments.defaults)
        .map_err(|error| Failure::of(exit::USAGE, &error))?;
    let mut options = Options {
        listen: arguments.listen,
        defaults,
        keys: arguments.keys,
        slots: arguments.slots,
        ..Options::default()
    };
    if !arguments.models.is_empty() {
        options.models = arguments.models;
    }
    super::block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let running = serve(options).await.map_err(|error| {
            Failure::new(
                exit::UNAVAILABLE,
                format!("cannot listen on {}: {error}", arguments.listen),
            )
        })?;
        let line = json!({"listening": running.addr().to_string()}).to_string();
        output::line(&line)?;
        if let Some(path) = &arguments.ready_file {
            std::fs::write(path, line)?;
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        running.stop().await;
        Ok(())
    })
}
