//! `seaworthy serve`: start, announce, watch for signals and changes, drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seaworthy_config::{Fingerprint, Listen, Loaded, Overrides};
use seaworthy_edge::server::Server;
use seaworthy_gateway::{Gateway, Lifecycle};
use seaworthy_secrets::Secrets;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app;
use crate::cli::keys;
use crate::exit::{self, Failure};
use crate::output;
use crate::ports::Ports;
use crate::process;
use crate::secrets;
use crate::telemetry::Telemetry;
use crate::tls;

/// How often the configuration file is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);
/// How long connections may take to close after their last answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the ledger may take to write what it does not have yet.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs until told to stop.
pub(crate) fn run(config: Option<PathBuf>, listen: Option<String>) -> Result<(), Failure> {
    // For tests: a release cannot be told to die.
    #[cfg(debug_assertions)]
    if let Ok(text) = std::env::var("SEAWORTHY_CRASH_AT") {
        seaworthy_core::crash::arm(&text, || std::process::abort());
    }
    let mut overrides = app::environment();
    if let Some(listen) = listen {
        overrides = overrides.with_flag("--listen", "server.listen", listen);
    }
    let loaded = app::load(config.as_deref(), &overrides)?;
    let is_dev = config.is_none();
    if is_dev {
        refuse_public_dev_mode(&loaded)?;
    }
    if !loaded.warnings.is_empty() {
        output::note(loaded.warnings.render(output::colour()));
    }
    let is_public = !public_listeners(&loaded).is_empty();
    let fingerprint = loaded.fingerprint.clone();
    let logging = &loaded.config.logging;
    let telemetry = Telemetry::start(logging.level, logging.format)?;
    if let Some(path) = &config {
        crate::env_files::warn_of_keys(&loaded, path);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before anybody can know of us: a signal in the first moment must not kill.
        let signals = signals()?;
        let server = Running::start(loaded, is_dev, &telemetry).await?;
        let source = Source {
            path: config,
            overrides,
            is_public,
            loaded: fingerprint,
        };
        server.serve_until_told(&source, &telemetry, signals).await
    })
}

/// The configured addresses that other machines can reach.
fn public_listeners(loaded: &Loaded) -> Vec<Listen> {
    let config = &loaded.config;
    let listeners = [Some(config.server.listen), config.admin.listen];
    listeners
        .into_iter()
        .flatten()
        .filter(|listen| !listen.is_loopback())
        .collect()
}

/// Without a configuration there is no TLS and a key on the screen: not for a network.
fn refuse_public_dev_mode(loaded: &Loaded) -> Result<(), Failure> {
    match public_listeners(loaded).first() {
        None => Ok(()),
        Some(listen) => Err(Failure::new(
            exit::CONFIG,
            format!(
                "without a configuration the gateway listens on loopback only, not on {listen}. \
                 Write a configuration with `seaworthy init`, then run `seaworthy serve --config \
                 seaworthy.toml`"
            ),
        )),
    }
}

/// Where the configuration comes from.
struct Source {
    path: Option<PathBuf>,
    overrides: Overrides,
    /// Whether a listener that is bound can be reached from other machines. It stays bound whatever
    /// a reload says.
    is_public: bool,
    /// The text that was loaded at the start.
    loaded: Fingerprint,
}

/// Ends a task with what began it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A started server.
struct Running {
    gateway: Arc<Gateway>,
    stores: seaworthy_core::store::Stores,
    servers: Vec<Server>,
    tls: tls::Listeners,
    secrets: Arc<Secrets>,
    drain_timeout: Duration,
    drain_delay: Duration,
}

impl Running {
    async fn start(loaded: Loaded, is_dev: bool, telemetry: &Telemetry) -> Result<Self, Failure> {
        let workers = app::workers(&loaded);
        let metrics = seaworthy_gateway::Metrics::new();
        let secrets = app::secrets(&loaded.config)?;
        let mut tls = tls::Listeners::new(Arc::<Secrets>::clone(&secrets), metrics.tls());
        // Ports first: what cannot be bound is known before anything else is touched.
        let ports = Ports::bind(&loaded, workers, &mut tls)?;
        let stores = app::open_observed_stores(&loaded, app::observer(&metrics))?;
        let journal = app::open_journal(&loaded, &stores, workers).await?;
        let drain_timeout = loaded.config.server.drain_timeout.into();
        let drain_delay = loaded.config.server.drain_delay.into();
        let first_model = loaded.config.models.keys().next().cloned();
        let gateway = app::build_gateway(
            loaded,
            (stores.clone(), journal),
            (telemetry.sink.clone(), metrics),
            Arc::<Secrets>::clone(&secrets),
            workers,
        )?;
        let restored = gateway.restore_budgets().await;
        restored.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))?;
        warm_up(&gateway).await;
        let served = ports.serve(&gateway)?;
        let address = served.address;
        gateway.health.set(Lifecycle::Serving);
        served.announce()?;
        if is_dev {
            let key = keys::create_dev_key(&stores).await?;
            output::line(dev_help(address, &key, &first_model.unwrap_or_default()))?;
        }
        tracing::info!(version = app::VERSION, %address, workers, config_hash = gateway.config_hash(), "listening");
        Ok(Self {
            gateway,
            stores,
            servers: served.servers,
            tls,
            secrets,
            drain_timeout,
            drain_delay,
        })
    }

    async fn serve_until_told(
        mut self,
        source: &Source,
        telemetry: &Telemetry,
        (mut terminate, mut interrupt, mut hang_up): (Signal, Signal, Signal),
    ) -> Result<(), Failure> {
        let gateway = Arc::clone(&self.gateway);
        let mut background = Box::pin(gateway.run_background());
        let fetching = secrets::keep_fetching(Arc::clone(&self.secrets), Arc::clone(&gateway));
        let _fetching = AbortOnDrop(tokio::spawn(fetching));
        let mut keeper = secrets::Keeper::default();
        let mut process = process::Watcher::new();
        let mut watch = tokio::time::interval(WATCH_INTERVAL);
        // What was loaded, not what lies there now: a change in between counts.
        let mut known = source.path.as_ref().map(|_| source.loaded.clone());
        let is_interrupted = loop {
            tokio::select! {
                () = &mut background => {}
                _ = terminate.recv() => break false,
                _ = interrupt.recv() => break true,
                _ = hang_up.recv() => {
                    known = source.path.as_deref().and_then(|path| Fingerprint::of(path).ok());
                    reload(&gateway, &self.secrets, source, telemetry).await;
                    self.tls.look(&gateway.config(), true);
                }
                _ = watch.tick() => {
                    process.look(&self.gateway.metrics);
                    self.gateway.metrics.note_open_connections(
                        self.servers.iter().map(Server::open_connections).sum(),
                    );
                    self.gateway.metrics.note_dropped_log_lines(telemetry.sink.dropped_lines());
                    let now = source.path.as_deref().and_then(|path| Fingerprint::of(path).ok());
                    // A file that is gone for a moment is being replaced.
                    if now.is_some() && now != known {
                        known = now;
                        reload(&gateway, &self.secrets, source, telemetry).await;
                    }
                    keeper.look(&gateway, &self.secrets);
                    self.tls.look(&gateway.config(), false);
                }
            }
        };
        let drained = self.drain(is_interrupted);
        tokio::pin!(drained);
        let drained = loop {
            tokio::select! {
                drained = &mut drained => break drained,
                // Keys and the ledger are needed until the last request has ended.
                () = &mut background => {}
                _ = interrupt.recv() => return Err(interrupted()),
            }
        };
        // What still asked the store would report that it does not answer.
        drop(background);
        tokio::select! {
            result = drained.close() => result,
            _ = interrupt.recv() => Err(interrupted()),
        }
    }

    /// Readiness off, finish what was begun, write everything down.
    async fn drain(self, is_interrupted: bool) -> Drained {
        let Self {
            gateway,
            stores,
            servers,
            tls: _tls,
            secrets: _secrets,
            drain_timeout,
            drain_delay,
        } = self;
        tracing::info!(in_flight = gateway.running_calls(), "draining");
        gateway.health.set(Lifecycle::Draining);
        if !is_interrupted {
            // Load balancers need a moment to see that this replica is not ready any more.
            tokio::time::sleep(drain_delay).await;
        }
        gateway.health.set(Lifecycle::Stopping);
        let finished = tokio::time::timeout(drain_timeout, gateway.wait_until_idle()).await;
        let mut cut_off = 0;
        for server in servers {
            cut_off += server.drain(CLOSE_TIMEOUT).await;
        }
        if finished.is_err() {
            tracing::warn!(cut_off, "the drain timeout was reached");
        }
        Drained {
            unwritten: gateway.flush(FLUSH_TIMEOUT).await,
            stores,
        }
    }
}

/// What is left of an instance that serves no more.
struct Drained {
    stores: seaworthy_core::store::Stores,
    unwritten: usize,
}

impl Drained {
    async fn close(self) -> Result<(), Failure> {
        let Self { stores, unwritten } = self;
        stores.lifecycle.close().await;
        if unwritten > 0 {
            tracing::error!(unwritten, "settlements could not be written");
            return Err(Failure::new(
                exit::UNAVAILABLE,
                format!(
                    "{unwritten} settlements could not be written to the ledger, which does not \
                     answer. With a store on disk they are in the journal, and the next start with \
                     it writes them"
                ),
            ));
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Who asks twice does not want to wait.
fn interrupted() -> Failure {
    Failure::new(exit::FAILED, "interrupted while draining")
}

fn signals() -> std::io::Result<(Signal, Signal, Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ))
}

/// Remembers the answers of `cache.warm_up`. A file that cannot be used is no reason not to serve.
async fn warm_up(gateway: &Gateway) {
    let config = gateway.config();
    let Some(path) = config
        .cache
        .warm_up
        .as_ref()
        .filter(|_| config.cache.enabled)
    else {
        return;
    };
    let warmed = match tokio::fs::read_to_string(path).await {
        Ok(text) => gateway.warm_up(&text).await,
        Err(error) => Err(error.to_string()),
    };
    let path = path.display();
    match warmed {
        Ok(answers) => tracing::info!(answers, %path, "the cache was warmed up"),
        Err(error) => tracing::error!(%path, error, "the cache was not warmed up"),
    }
}

/// Puts the configuration on disk in force, or keeps the old one and says why.
async fn reload(gateway: &Gateway, secrets: &Secrets, source: &Source, telemetry: &Telemetry) {
    let Some(path) = source.path.as_deref() else {
        tracing::warn!("there is no configuration file to reload");
        return;
    };
    let loaded = match load_for_reload(path, source) {
        Ok(loaded) => match secrets.prepare(&loaded.config).await {
            Ok(()) => Ok(loaded),
            Err(error) => Err(error.to_string()),
        },
        Err(problems) => Err(problems),
    };
    match loaded {
        Ok(loaded) => {
            let logging = loaded.config.logging.clone();
            let style = app::request_style(&loaded);
            let hash = loaded.hash.clone();
            let warnings = loaded.warnings.clone();
            crate::env_files::warn_of_keys(&loaded, path);
            warn_of_restarts(&gateway.config(), &loaded);
            match gateway.reload(loaded).await {
                Ok(()) => {
                    if !warnings.is_empty() {
                        let warnings = warnings.render(false);
                        tracing::warn!(warnings, "somebody should look at the configuration");
                    }
                    warm_up(gateway).await;
                    telemetry.apply(logging.level, logging.format);
                    gateway.set_log_style(style);
                    tracing::info!(config_hash = hash, "the configuration was reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "the configuration was not reloaded; the old one stays in force")
                }
            }
        }
        Err(problems) => {
            tracing::error!(
                error = problems,
                "the configuration was not reloaded; the old one stays in force"
            );
            gateway.note_reload(Some(problems));
        }
    }
}

/// What is read once, at the start.
const NEEDS_RESTART: &[&str] = &[
    "server.listen",
    "server.http_redirect.listen",
    "server.http_redirect.action",
    "server.http_redirect.port",
    "server.workers",
    "server.max_header_size",
    "server.header_timeout",
    "server.keep_alive_timeout",
    "server.write_timeout",
    "server.max_connections",
    "server.drain_delay",
    "server.drain_timeout",
    "admin.listen",
    "storage.url",
    "storage.password",
    "storage.ca_file",
    "storage.journal",
    "shared_state.url",
    "shared_state.password",
    "shared_state.ca_file",
    "shared_state.deployment",
    "shared_state.on_loss",
    "shared_state.replicas",
    "cache.max_size",
    "cache.store",
];

/// Says which changes wait for a restart: everything else is in force at once.
fn warn_of_restarts(current: &seaworthy_config::Config, loaded: &Loaded) {
    for change in seaworthy_config::diff(current, &loaded.config) {
        if NEEDS_RESTART.contains(&change.key.as_str()) {
            tracing::warn!(key = change.key, "this change takes effect after a restart");
        }
    }
}

fn load_for_reload(path: &Path, source: &Source) -> Result<Loaded, String> {
    let loaded = seaworthy_config::load(path, &source.overrides)
        .map_err(|problems| problems.render(false))?;
    if source.is_public && !loaded.config.auth.enabled {
        return Err(
            "`auth.enabled`: expected true, because the gateway is bound to an address that \
                    other machines can reach and stays so until it is restarted"
                .to_owned(),
        );
    }
    Ok(loaded)
}

fn dev_help(address: std::net::SocketAddr, key: &str, model: &str) -> String {
    format!(
        "Development mode: no configuration, loopback only, built-in model `{model}`.\n\
         \n\
         API key (shown once): {key}\n\
         \n\
         Try it:\n\
         curl http://{address}/v1/chat/completions -H 'Authorization: Bearer {key}' \
         -H 'Content-Type: application/json' \
         -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Ahoy!\"}}]}}'\n\
         \n\
         Next: `seaworthy check` judges this instance, `seaworthy init` writes a configuration."
    )
}
