//! The PostgreSQL back end: a small pool of connections on a thread of their own.
//!
//! What is asked for runs there to its end, whoever asked: a client that hangs up cannot leave a
//! transaction open. Every statement has a deadline, here and in the server, and a server that does
//! not answer is left alone for a moment, so that it stalls nobody.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use parking_lot::Mutex;
use seaworthy_core::store::{self, Error, Lifecycle, Stores};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::observe::Observer;
use crate::open::OpenError;
use crate::schema::Upgrade;
use crate::tls;

mod idempotency;
mod intents;
mod keys;
mod ledger;
mod migrate;
mod objects;
mod shares;
mod switches;
mod text;

/// Connections of one replica.
const MAX_CONNECTIONS: usize = 8;
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one answer may take that a request waits for.
pub(super) const QUICK: Duration = Duration::from_millis(750);
/// How long one answer may take that nobody waits for.
pub(super) const PATIENT: Duration = Duration::from_secs(10);
/// A server that did not answer is left alone for so long.
const PAUSE: Duration = Duration::from_millis(250);
/// What the server itself does about statements that last and transactions that nobody ends.
const SERVER_LIMITS: &str = "-c statement_timeout=10000 -c lock_timeout=5000 \
                             -c idle_in_transaction_session_timeout=10000";

/// How a database is opened.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// The password, where it does not stand in the URL.
    pub password: Option<String>,
    /// Certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name of this replica, which no other has or had.
    pub replica: String,
    /// Where calls are told.
    pub observer: Observer,
}

/// Opens the database at `url` and brings its schema up to date. Blocks.
pub(crate) fn open(url: &str, options: &PostgresOptions) -> Result<Stores, OpenError> {
    let (config, name) = configure(url, options)?;
    let tls = connector(&config, options.ca_file.as_deref())?;
    let (opened, answer) = std::sync::mpsc::channel();
    let closing = Arc::new(Notify::new());
    let stop = Arc::clone(&closing);
    let observer = options.observer.clone();
    let thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(source) => {
                let _nobody = opened.send(Err(OpenError::NoThread { source }));
                return;
            }
        };
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let database = Database::open(config, tls, name, handle, observer).await;
            let failed = database.is_err();
            let _nobody = opened.send(database);
            if !failed {
                stop.notified().await;
            }
        });
    };
    std::thread::Builder::new()
        .name("store-postgres".to_owned())
        .spawn(thread)
        .map_err(|source| OpenError::NoThread { source })?;
    let database = answer.recv().map_err(|_| OpenError::NoThread {
        source: std::io::Error::other("the thread ended"),
    })??;
    let database = Arc::new(database);
    let lifecycle = PostgresLifecycle {
        database: Arc::clone(&database),
        closing,
    };
    Ok(Stores {
        backend: "postgres",
        is_shared: true,
        keys: Arc::new(keys::PostgresKeys(Arc::clone(&database))),
        ledger: Arc::new(ledger::PostgresLedger(Arc::clone(&database))),
        idempotency: Arc::new(idempotency::PostgresIdempotency(Arc::clone(&database))),
        switches: Arc::new(switches::PostgresSwitches(Arc::clone(&database))),
        objects: Arc::new(objects::PostgresObjects(Arc::clone(&database))),
        shares: Some(Arc::new(shares::PostgresShares(Arc::clone(&database)))),
        shared_journal: Some(Arc::new(intents::Intents {
            database,
            replica: options.replica.clone(),
        })),
        lifecycle: Arc::new(lifecycle),
    })
}

/// What has to be done to the schema of the database at `url`.
pub(crate) fn plan(url: &str, options: &PostgresOptions) -> Result<Upgrade, OpenError> {
    with_client(url, options, async |client, name| {
        migrate::plan(client, name).await
    })
}

/// Brings the schema of the database at `url` up to date.
pub(crate) fn upgrade(url: &str, options: &PostgresOptions) -> Result<Upgrade, OpenError> {
    with_client(url, options, async |client, name| {
        migrate::migrate(client, name).await
    })
}

/// Does one piece of work with a connection of its own.
fn with_client<T>(
    url: &str,
    options: &PostgresOptions,
    work: impl AsyncFnOnce(&mut Object, &Path) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let (config, name) = configure(url, options)?;
    let tls = connector(&config, options.ca_file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| OpenError::NoThread { source })?;
    runtime.block_on(async {
        let (_pool, mut client) = connect(config, tls, &name).await?;
        work(&mut client, &name).await
    })
}

/// A pool that has reached the server.
async fn connect(
    config: Config,
    tls: Option<MakeRustlsConnect>,
    name: &Path,
) -> Result<(Pool, Object), OpenError> {
    let recycling_method = RecyclingMethod::Fast;
    let manager = ManagerConfig { recycling_method };
    let manager = match tls {
        Some(tls) => Manager::from_config(config, tls, manager),
        None => Manager::from_config(config, NoTls, manager),
    };
    let pool = Pool::builder(manager)
        .max_size(MAX_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .build();
    let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Unreachable {
        name: name.to_owned(),
        source,
    };
    let pool = pool.map_err(|error| unreachable(error.into()))?;
    let client = pool
        .get()
        .await
        .map_err(|error| unreachable(error.into()))?;
    Ok((pool, client))
}

fn configure(url: &str, options: &PostgresOptions) -> Result<(Config, PathBuf), OpenError> {
    // What the client says about a URL may repeat its password.
    let mut config = Config::from_str(url).map_err(|_| OpenError::UnsupportedUrl {
        found: "a URL of PostgreSQL that cannot be read".to_owned(),
    })?;
    if let Some(password) = &options.password {
        config.password(password);
    }
    config
        .application_name("seaworthy")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(10))
        .tcp_user_timeout(Duration::from_secs(10));
    let extra = config.get_options().unwrap_or_default();
    let limits = format!("{SERVER_LIMITS} {extra}");
    config.options(limits.trim());
    let name = config.get_dbname().unwrap_or("postgres");
    let name = PathBuf::from(format!("postgres database {name}"));
    Ok((config, name))
}

/// Encryption as `sslmode` asks for it. Certificates are verified wherever it is used.
fn connector(
    config: &Config,
    ca_file: Option<&Path>,
) -> Result<Option<MakeRustlsConnect>, OpenError> {
    match (config.get_ssl_mode(), tls::client(ca_file)) {
        (SslMode::Disable, _) => Ok(None),
        (_, Ok(client)) => Ok(Some(MakeRustlsConnect::new(client))),
        // Without anything to trust, the preference is for what is possible.
        (SslMode::Prefer, Err(_)) if ca_file.is_none() => Ok(None),
        (_, Err(error)) => Err(OpenError::Tls(error)),
    }
}

/// An open database.
pub(super) struct Database {
    pool: Pool,
    handle: Handle,
    observer: Observer,
    /// Until when it is left alone.
    paused_until: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    async fn open(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        name: PathBuf,
        handle: Handle,
        observer: Observer,
    ) -> Result<Self, OpenError> {
        let (pool, mut client) = connect(config, tls, &name).await?;
        migrate::migrate(&mut client, &name).await?;
        drop(client);
        Ok(Self {
            pool,
            handle,
            observer,
            paused_until: Mutex::new(None),
        })
    }

    /// Runs `work` with a connection, to its end or its deadline, whoever waits for it.
    pub(super) async fn run<T, W, F>(
        self: &Arc<Self>,
        operation: &'static str,
        deadline: Duration,
        work: W,
    ) -> store::Result<T>
    where
        T: Send + 'static,
        W: FnOnce(Object) -> F + Send + 'static,
        F: Future<Output = store::Result<T>> + Send,
    {
        let paused = *self.paused_until.lock();
        if paused.is_some_and(|until| Instant::now() < until) {
            return Err(unavailable("it did not answer a moment ago"));
        }
        let database = Arc::clone(self);
        let task = self.handle.spawn(async move {
            let call = async {
                let client = database.pool.get().await.map_err(unavailable)?;
                work(client).await
            };
            let watched = async {
                match tokio::time::timeout(deadline, call).await {
                    Ok(answer) => answer,
                    Err(late) => Err(unavailable(late)),
                }
            };
            let answer = database
                .observer
                .watch("postgres", operation, watched)
                .await;
            let failed = matches!(answer, Err(Error::Unavailable { .. }));
            *database.paused_until.lock() = failed.then(|| Instant::now() + PAUSE);
            answer
        });
        task.await.map_err(unavailable)?
    }
}

/// Every failure of PostgreSQL, as the traits name it.
pub(super) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Unavailable {
        backend: "postgres",
        source: source.into(),
    }
}

#[derive(Debug)]
struct PostgresLifecycle {
    database: Arc<Database>,
    closing: Arc<Notify>,
}

#[async_trait]
impl Lifecycle for PostgresLifecycle {
    async fn close(&self) {
        self.database.pool.close();
        // Connections that are in use are given back when their work is done.
        for _ in 0..100 {
            if self.database.pool.status().size == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for PostgresLifecycle {
    fn drop(&mut self) {
        self.closing.notify_one();
    }
}
