//! Wiring: the only place that knows every concrete type.

use std::path::Path;
use std::sync::Arc;

use seaworthy_config::{
    CacheStore, Config, Loaded, LocalSecrets, LogLevel, OnLoss, Overrides, Secret, SecretRef,
    SecretSource, SharedStateUrl, StorageUrl,
};
use seaworthy_core::cache::AnswerStore;
use seaworthy_core::cache::memory::MemoryAnswers;
use seaworthy_core::clock::{SharedClock, SystemClock};
use seaworthy_core::counters::Counters;
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::nonces::Nonces;
use seaworthy_core::nonces::memory::MemoryNonces;
use seaworthy_core::resilience::openings::Openings;
use seaworthy_core::store::memory::NoJournal;
use seaworthy_core::store::{Journal, Stores};
use seaworthy_core::trace::RequestId;
use seaworthy_edge::client::Network;
use seaworthy_edge::log::LogSink;
use seaworthy_edge::server;
use seaworthy_edge::tls::Acceptor;
use seaworthy_gateway::{Dependencies, Gateway, Metrics, RequestLog, Style, render_refusal};
use seaworthy_sandbox::Launcher;
use seaworthy_secrets::Secrets;
use seaworthy_store::observe::Observer;
use seaworthy_store::{FileJournal, PostgresOptions, Recovery, redis};

use crate::exit::{self, Failure};
use crate::output;
use crate::telemetry;

/// The command that makes the program a worker of the sandbox. Not for people.
pub(crate) const SANDBOX_WORKER: &str = "sandbox-worker";

/// The version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads the configuration: the file, or the built-in defaults, with the environment on top.
pub(crate) fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Loaded, Failure> {
    let loaded = match path {
        Some(path) => seaworthy_config::load(path, overrides),
        None => seaworthy_config::load_default(overrides),
    };
    let loaded =
        loaded.map_err(|problems| Failure::new(exit::CONFIG, problems.render(output::colour())))?;
    Ok(loaded)
}

/// Settings that environment variables lay over the file.
pub(crate) fn environment() -> Overrides {
    Overrides::from_environment(std::env::vars())
}

/// Opens the durable state that the configuration names.
pub(crate) fn open_stores(loaded: &Loaded) -> Result<Stores, Failure> {
    open_observed_stores(loaded, Observer::default())
}

/// [`open_stores`], with somebody who counts the calls to a server.
pub(crate) fn open_observed_stores(loaded: &Loaded, observer: Observer) -> Result<Stores, Failure> {
    let (url, options) = store_options(loaded, observer)?;
    let opened = seaworthy_store::open_with(&url, &options);
    opened.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))
}

/// Where the durable state is, and what is needed to reach it.
pub(crate) fn store_options(
    loaded: &Loaded,
    observer: Observer,
) -> Result<(String, PostgresOptions), Failure> {
    let storage = &loaded.config.storage;
    let url = match &storage.url {
        StorageUrl::Postgres(url) => url.expose().to_owned(),
        url => url.to_string(),
    };
    let options = PostgresOptions {
        password: storage
            .password
            .as_ref()
            .map(|reference| secret(&loaded.config, reference))
            .transpose()?
            .map(|secret| secret.expose().to_owned()),
        ca_file: storage.ca_file.clone(),
        replica: RequestId::generate().as_str().to_owned(),
        observer,
    };
    Ok((url, options))
}

/// Opens the journal of calls and settles what an earlier process left in it.
pub(crate) async fn open_journal(
    loaded: &Loaded,
    stores: &Stores,
    workers: usize,
) -> Result<Arc<dyn Journal>, Failure> {
    let storage = &loaded.config.storage;
    let opened = match &storage.url {
        StorageUrl::Postgres(_) => FileJournal::open_free(&storage.journal, workers),
        url => match seaworthy_store::journal_folder(&url.to_string()) {
            Some(folder) => FileJournal::open(&folder, workers)
                .map(|(journal, recovery)| (journal, vec![recovery])),
            None => return Ok(Arc::new(NoJournal)),
        },
    };
    let (journal, recoveries) = opened.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))?;
    for recovery in recoveries {
        settle_left(recovery, stores).await?;
    }
    Ok(Arc::new(journal))
}

/// Settles the calls that a killed process has left.
async fn settle_left(recovery: Recovery, stores: &Stores) -> Result<(), Failure> {
    let settlements = recovery.settlements();
    if !settlements.is_empty() {
        let (calls, interrupted) = (settlements.len(), recovery.interrupted());
        let settled = stores.ledger.settle(Arc::new(settlements)).await;
        settled.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))?;
        let damaged_records = recovery.damaged_records();
        tracing::warn!(
            calls,
            interrupted,
            damaged_records,
            "settled the calls that a killed process left open"
        );
    }
    recovery.finish()?;
    Ok(())
}

/// The wall clock.
pub(crate) fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// Builds the data plane.
pub(crate) fn build_gateway(
    loaded: Loaded,
    (stores, journal): (Stores, Arc<dyn Journal>),
    (sink, metrics): (LogSink, Metrics),
    secrets: Arc<dyn SecretSource>,
    workers: usize,
) -> Result<Arc<Gateway>, Failure> {
    let log = RequestLog::new(sink, request_style(&loaded));
    let link = shared_link(&loaded)?;
    let answers = answers(&loaded, link.as_ref());
    let nonces = nonces(&loaded, link.as_ref());
    let openings = openings(&loaded, link.as_ref());
    let counters = counters(&loaded, &metrics, &stores, link);
    let deps = Dependencies {
        clock: clock(),
        stores,
        counters,
        answers,
        nonces,
        openings,
        journal,
        secrets,
        metrics,
        log,
        dial: Arc::new(Network::default()),
        sandbox: launcher(),
        workers,
        version: VERSION,
    };
    Gateway::build(loaded, deps).map_err(|error| Failure::of(exit::CONFIG, &error))
}

/// Starts this very program as the worker of a sandbox, also after its file was replaced.
pub(crate) fn launcher() -> Launcher {
    Launcher::new("/proc/self/exe", &[SANDBOX_WORKER])
}

/// The ways to the values of secrets, with what managers have of this configuration.
pub(crate) fn secrets(config: &Config) -> Result<Arc<Secrets>, Failure> {
    let secrets = Secrets::new(variable, Arc::new(Network::default()), clock());
    // Asked for inside and outside of a runtime, which must not be blocked from within.
    let fetched = std::thread::scope(|scope| {
        let fetching =
            scope.spawn(|| crate::cli::block_on(async { Ok(secrets.prepare(config).await) }));
        fetching.join()
    });
    match fetched {
        Ok(Ok(Ok(()))) => Ok(Arc::new(secrets)),
        Ok(Ok(Err(error))) => {
            let code = match error.is_passing() {
                true => exit::UNAVAILABLE,
                false => exit::CONFIG,
            };
            Err(Failure::of(code, &error))
        }
        Ok(Err(failure)) => Err(failure),
        Err(_panic) => Err(Failure::new(exit::FAILED, "secrets could not be fetched")),
    }
}

/// The value of a secret of the configuration.
pub(crate) fn secret(config: &Config, reference: &SecretRef) -> Result<Secret, Failure> {
    let resolved = match reference {
        SecretRef::Managed(_) => secrets(config)?.resolve(reference),
        _ => LocalSecrets(variable).resolve(reference),
    };
    resolved.map_err(|error| Failure::of(exit::CONFIG, &error))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where calls to stores are counted.
pub(crate) fn observer(metrics: &Metrics) -> Observer {
    let stores = metrics.stores();
    Observer::new(move |call| {
        stores.note(call.backend, call.operation, call.took, call.succeeded);
    })
}

/// The way to the server that replicas share, if there is one.
fn shared_link(loaded: &Loaded) -> Result<Option<Arc<redis::Link>>, Failure> {
    let config = &loaded.config.shared_state;
    let SharedStateUrl::Redis(url) = &config.url else {
        return Ok(None);
    };
    let password = config
        .password
        .as_ref()
        .map(|reference| secret(&loaded.config, reference))
        .transpose()?;
    let password = password.as_ref().map(|secret| secret.expose());
    let link = redis::Link::new(url.expose(), password, config.ca_file.as_deref())
        .map_err(|error| Failure::of(exit::CONFIG, &error))?;
    Ok(Some(Arc::new(link)))
}

/// Where answers are remembered.
fn answers(loaded: &Loaded, link: Option<&Arc<redis::Link>>) -> Arc<dyn AnswerStore> {
    let config = &loaded.config;
    let max_bytes = config.cache.max_size.bytes();
    match (config.cache.store, link) {
        (CacheStore::Redis, Some(link)) => {
            let deployment = config.shared_state.deployment.as_str();
            let link = Arc::clone(link);
            Arc::new(redis::RedisAnswers::new(link, deployment, max_bytes))
        }
        _ => Arc::new(MemoryAnswers::new(max_bytes)),
    }
}

/// Where it is remembered which nonces were used.
fn nonces(loaded: &Loaded, link: Option<&Arc<redis::Link>>) -> Arc<dyn Nonces> {
    let deployment = loaded.config.shared_state.deployment.as_str();
    match link {
        Some(link) => Arc::new(redis::RedisNonces::new(Arc::clone(link), deployment)),
        None => Arc::new(MemoryNonces::default()),
    }
}

/// Where replicas tell each other of targets that fail.
fn openings(loaded: &Loaded, link: Option<&Arc<redis::Link>>) -> Option<Arc<dyn Openings>> {
    let deployment = loaded.config.shared_state.deployment.as_str();
    let openings = redis::RedisOpenings::new(Arc::clone(link?), deployment);
    Some(Arc::new(openings))
}

/// The limits and budgets in use, in this process or where replicas share them.
fn counters(
    loaded: &Loaded,
    metrics: &Metrics,
    stores: &Stores,
    link: Option<Arc<redis::Link>>,
) -> Arc<dyn Counters> {
    let config = &loaded.config.shared_state;
    let Some(link) = link else {
        return Arc::new(MemoryCounters::default());
    };
    let server = redis::RedisCounters::new(link, config.deployment.as_str());
    let options = redis::SharedOptions {
        on_loss: match config.on_loss {
            OnLoss::Local => redis::OnLoss::Local,
            OnLoss::Reject => redis::OnLoss::Reject,
        },
        replicas: config.replicas.get(),
        replica: RequestId::generate().as_str().to_owned(),
        registry: stores.shares.clone(),
        clock: clock(),
        observer: observer(metrics),
    };
    Arc::new(redis::SharedCounters::new(server, options))
}

/// What the lines of requests look like.
pub(crate) fn request_style(loaded: &Loaded) -> Style {
    let logging = &loaded.config.logging;
    if logging.level < LogLevel::Info {
        Style::Off
    } else if telemetry::is_json(logging.format) {
        Style::Json
    } else {
        Style::Pretty
    }
}

/// How many worker threads serve requests.
pub(crate) fn workers(loaded: &Loaded) -> usize {
    let configured = loaded.config.server.workers.map(std::num::NonZero::get);
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    configured.unwrap_or_else(cores)
}

/// How a listener is set up.
pub(crate) fn listener_options(
    loaded: &Loaded,
    listen: std::net::SocketAddr,
    workers: usize,
    tls: Option<Arc<Acceptor>>,
) -> server::Options {
    let config = &loaded.config.server;
    server::Options {
        listen,
        tls,
        workers,
        max_connections: config.max_connections.get(),
        max_header_bytes: config.max_header_size.as_usize(),
        timeouts: server::Timeouts {
            header: config.header_timeout.into(),
            keep_alive: config.keep_alive_timeout.into(),
            write: config.write_timeout.into(),
        },
        render_refusal,
    }
}
