//! The way to a Redis server: one connection for each thread that asks, made when it is needed, and
//! a deadline for every call, connecting included.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _};
use redis::{RedisConnectionInfo, RedisError, ScriptInvocation};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::patience::{Heard, within};
use crate::tls;

/// Why a server cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The URL is none of a Redis server.
    #[error(
        "expected a URL such as `redis://HOST:6379/0` or `rediss://USER:PASSWORD@HOST:6379/0`, \
         found {0}"
    )]
    Url(String),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing came in time. Nothing is known about the outcome.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// There is no connection, or it broke. Nothing is known about the outcome.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server refused the call or answered something else than expected.
    #[error("the server refused")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The answer to a call, or why there is none.
pub type Asked<T> = Result<T, Failure>;

impl From<Failure> for seaworthy_core::store::Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable {
            backend: "redis",
            source: Box::new(failure),
        }
    }
}

/// What a connection is made of.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How connections are made, where they are not made over TCP.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Connects to a server.
    async fn dial(&self, host: &str, port: u16) -> std::io::Result<Box<dyn Stream>>;
}

/// A connection of one thread.
struct Lane {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The place of a thread's connection. Who waits for an answer keeps its connection alive, even
/// when others have given it up.
#[derive(Default)]
struct Slot {
    lane: tokio::sync::Mutex<Option<Lane>>,
    heard: Heard,
}

/// The way to one server. Everything that a deployment keeps lies in one hash slot, so where the
/// server is part of a cluster, the one node that has the slot is found by following its redirection.
pub struct Link {
    host: Mutex<(String, u16)>,
    settings: RedisConnectionInfo,
    tls: Option<tls::Connector>,
    dial: Option<Arc<dyn Dial>>,
    lanes: Mutex<HashMap<ThreadId, Arc<Slot>>>,
    /// Whether the last that is known of the server is that it did not answer.
    is_lost: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("host", &*self.host.lock())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// The way to the server at `url`, `redis://` or, encrypted, `rediss://`. Nothing is connected
    /// yet. `ca_file` holds the certificates to trust instead of the system's.
    ///
    /// # Errors
    /// When the URL or the certificates cannot be used.
    pub fn new(
        url: &str,
        password: Option<&str>,
        ca_file: Option<&Path>,
    ) -> Result<Self, LinkError> {
        let (is_encrypted, plain) = match url.strip_prefix("rediss://") {
            Some(rest) => (true, format!("redis://{rest}")),
            None => (false, url.to_owned()),
        };
        // The error of the client may repeat the URL, which may hold a password.
        let wrong = || LinkError::Url("another kind of text".to_owned());
        let info = plain.as_str().into_connection_info().map_err(|_| wrong())?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(wrong());
        };
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        let tls = is_encrypted
            .then(|| tls::Connector::new(ca_file))
            .transpose()?;
        Ok(Self {
            host: Mutex::new((host.clone(), *port)),
            settings,
            tls,
            dial: None,
            lanes: Mutex::default(),
            is_lost: AtomicBool::new(false),
        })
    }

    /// Connects in another way than over TCP.
    #[must_use]
    pub fn through(self, dial: Arc<dyn Dial>) -> Self {
        Self {
            dial: Some(dial),
            ..self
        }
    }

    /// Calls a script, which is loaded if the server does not have it.
    ///
    /// # Errors
    /// When no answer comes before the deadline.
    pub async fn call<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        deadline: Duration,
    ) -> Result<T, Failure> {
        let slot = self.slot();
        let ask = async {
            let mut connection = self.connection(&slot).await?;
            let answer = script.invoke_async(&mut connection).await;
            self.heard(&slot, answer)
        };
        self.wait(deadline, &slot, ask).await
    }

    /// Sends one command.
    ///
    /// # Errors
    /// When no answer comes before the deadline.
    pub async fn command<T: FromRedisValue>(
        &self,
        command: &redis::Cmd,
        deadline: Duration,
    ) -> Result<T, Failure> {
        let slot = self.slot();
        let ask = async {
            let mut connection = self.connection(&slot).await?;
            let answer = command.query_async(&mut connection).await;
            self.heard(&slot, answer)
        };
        self.wait(deadline, &slot, ask).await
    }

    /// Sends several commands at once.
    ///
    /// # Errors
    /// When no answer comes before the deadline.
    pub async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &redis::Pipeline,
        deadline: Duration,
    ) -> Result<T, Failure> {
        let slot = self.slot();
        let ask = async {
            let mut connection = self.connection(&slot).await?;
            let answer = pipeline.query_async(&mut connection).await;
            self.heard(&slot, answer)
        };
        self.wait(deadline, &slot, ask).await
    }

    /// Whether the server did not answer when it was asked last, by whomever: one request waits for
    /// it once, not at each of its steps. Those who look for it in the background end this.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Forgets all connections: the next calls make new ones.
    pub fn reset(&self) {
        self.lanes.lock().clear();
    }

    fn slot(&self) -> Arc<Slot> {
        let thread = std::thread::current().id();
        Arc::clone(self.lanes.lock().entry(thread).or_default())
    }

    /// Waits for an answer. A connection that brought nothing meanwhile is not used again.
    async fn wait<T>(
        &self,
        deadline: Duration,
        slot: &Arc<Slot>,
        ask: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let known = slot.heard.count();
        let answer = within(deadline, &slot.heard, ask).await;
        let is_useless = match answer {
            Err(Failure::Timeout(_)) => slot.heard.count() == known,
            Err(Failure::Connection(_)) => true,
            _ => false,
        };
        if is_useless {
            self.is_lost.store(true, Ordering::Relaxed);
            self.give_up(slot);
        }
        answer
    }

    /// Has this thread make a new connection for its next call.
    fn give_up(&self, slot: &Arc<Slot>) {
        let mut lanes = self.lanes.lock();
        let thread = std::thread::current().id();
        if lanes
            .get(&thread)
            .is_some_and(|known| Arc::ptr_eq(known, slot))
        {
            lanes.remove(&thread);
        }
    }

    async fn connection(&self, slot: &Slot) -> Result<MultiplexedConnection, Failure> {
        let mut lane = slot.lane.lock().await;
        if let Some(lane) = lane.as_ref().filter(|lane| !lane.driver.is_finished()) {
            return Ok(lane.connection.clone());
        }
        // Rare and large: not part of the future of every request.
        let made = Box::pin(self.connect()).await?;
        let connection = made.connection.clone();
        *lane = Some(made);
        Ok(connection)
    }

    async fn connect(&self) -> Result<Lane, Failure> {
        let (host, port) = self.host.lock().clone();
        if let Some(dial) = &self.dial {
            return self
                .greet(dial.dial(&host, port).await.map_err(lost)?)
                .await;
        }
        let stream = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        match &self.tls {
            None => self.greet(stream).await,
            Some(tls) => {
                self.greet(tls.connect(&host, stream).await.map_err(lost)?)
                    .await
            }
        }
    }

    async fn greet<S>(&self, stream: S) -> Result<Lane, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let made = MultiplexedConnection::new_with_config(&self.settings, stream, config).await;
        let (connection, driver) = made.map_err(|error| self.failed(error))?;
        let driver = Box::pin(async_send(driver));
        Ok(Lane {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
        })
    }

    fn heard<T>(&self, slot: &Slot, answer: Result<T, RedisError>) -> Result<T, Failure> {
        let answer = answer.map_err(|error| self.failed(error));
        if let Ok(_) | Err(Failure::Server(_)) = answer {
            slot.heard.note();
            if self.is_lost() {
                self.is_lost.store(false, Ordering::Relaxed);
            }
        }
        answer
    }

    fn failed(&self, error: RedisError) -> Failure {
        if let Some((host, port)) = error.redirect_node() {
            *self.host.lock() = (host.to_owned(), port);
            self.reset();
            return lost(error);
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return lost(error);
        }
        Failure::Server(Box::new(error))
    }
}

fn async_send<F: Future<Output = ()> + Send>(future: F) -> F {
    future
}

fn lost(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::Connection(error.into())
}
