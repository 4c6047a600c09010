//! The data plane on connections in memory, with a clock that moves only when told to.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use seaworthy_config::{Format, Loaded, LocalSecrets, Overrides, load_str};
use seaworthy_core::cache::memory::MemoryAnswers;
use seaworthy_core::clock::{Clock as _, ManualClock, UnixMillis};
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::key::NewKey;
use seaworthy_core::ledger::Settlement;
use seaworthy_core::nonces::memory::MemoryNonces;
use seaworthy_core::principal::Role;
use seaworthy_core::store::{Stores, memory};
use seaworthy_edge::log::{LogSink, LogWriter};
use seaworthy_edge::server::{Options, Timeouts, serve_io};
use seaworthy_gateway::{
    DataPlane, Dependencies, Gateway, Lifecycle, Metrics, Plane, RequestLog, Style, render_refusal,
};
use seaworthy_sandbox::Launcher;
use tokio::io::DuplexStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::client::Call;
use super::stores::{Keys, Logbook, Outage, Recorder};
use super::upstream::Upstream;

/// A provider of the Responses API behind the model `responses`, and one of Gemini's behind `gemini`.
pub(crate) const RESPONSES_AND_GEMINI: &str = r#"
[providers.responses]
kind = "openai"
api = "responses"
base_url = "http://responses.test/v1"
api_key = "k"
[models.responses]
targets = ["responses/real"]
[providers.google]
kind = "gemini"
base_url = "http://google.test"
api_key = "k"
[models.gemini]
targets = ["google/real"]
"#;

/// The gateway's own credentials at the providers.
pub(crate) const OPENAI_SECRET: &str = "sk-openai-5ecret-of-the-gateway";
pub(crate) const ANTHROPIC_SECRET: &str = "sk-ant-5ecret-of-the-gateway";

/// How a [`TestApp`] is set up.
#[derive(Default)]
pub(crate) struct Builder {
    server: String,
    sections: String,
    timeouts: String,
    is_shared: bool,
    plane: Option<Plane>,
    attempts: Option<usize>,
    upstream: Upstream,
    secrets: Secrets,
}

/// Values of secrets, which a test can change.
type Secrets = Arc<Mutex<HashMap<String, String>>>;

impl Builder {
    /// Allows so many attempts; one, unless a test is about trying again.
    pub(crate) fn attempts(mut self, most: usize) -> Self {
        self.attempts = Some(most);
        self
    }

    /// What the providers and issuers do, decided before the start.
    pub(crate) fn upstream(mut self, upstream: &Upstream) -> Self {
        self.upstream = upstream.clone();
        self
    }

    /// Sets the value of a secret in the environment.
    pub(crate) fn secret(self, name: &str, value: &str) -> Self {
        self.secrets.lock().insert(name.into(), value.into());
        self
    }

    /// Adds an option of `[server]`.
    pub(crate) fn server(mut self, option: &str) -> Self {
        self.server.push_str(option);
        self.server.push('\n');
        self
    }

    /// Adds whole sections.
    pub(crate) fn sections(mut self, text: &str) -> Self {
        self.sections.push_str(text);
        self
    }

    /// Sets the timeouts of both providers.
    pub(crate) fn timeouts(mut self, table: &str) -> Self {
        table.clone_into(&mut self.timeouts);
        self
    }

    /// The store is one that other replicas use, too.
    pub(crate) fn shared_store(mut self) -> Self {
        self.is_shared = true;
        self
    }

    pub(crate) fn plane(mut self, plane: Plane) -> Self {
        self.plane = Some(plane);
        self
    }

    fn config(&self) -> String {
        let timeouts = match self.timeouts.as_str() {
            "" => String::new(),
            table => format!("timeouts = {{ {table} }}"),
        };
        // A machine with other work would refuse calls for its own sake.
        format!(
            r#"
            [server]
            overload_control = false
            {server}
            [resilience.retries]
            max_attempts = {attempts}
            [storage]
            url = "memory:"
            [providers.openai]
            kind = "openai"
            base_url = "http://openai.test/v1"
            api_key = "secret://env/OPENAI_KEY"
            {timeouts}
            [providers.anthropic]
            kind = "anthropic"
            base_url = "http://anthropic.test:8443/base"
            api_key = "secret://env/ANTHROPIC_KEY"
            {timeouts}
            [providers.echo]
            kind = "echo"
            [models.gpt]
            targets = ["openai/gpt-real"]
            aliases = ["gpt-alias"]
            [models.claude]
            targets = ["anthropic/claude-real"]
            [models.echo]
            targets = ["echo/echo"]
            {sections}
            "#,
            server = self.server,
            attempts = self.attempts.unwrap_or(1),
            sections = self.sections,
        )
    }

    pub(crate) async fn start(self) -> TestApp {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let (upstream, values) = (self.upstream.clone(), Arc::clone(&self.secrets));
        let (keys_outage, past_outage, lookups) =
            (Outage::default(), Outage::default(), Arc::default());
        let lookups_held_up = Arc::default();
        let ledger = Arc::new(Recorder::default());
        let journal = Logbook::default();
        let inner = memory::open();
        let stores = Stores {
            is_shared: self.is_shared,
            keys: Arc::new(Keys {
                inner: Arc::clone(&inner.keys),
                outage: keys_outage.clone(),
                past_outage: past_outage.clone(),
                lookups: Arc::clone(&lookups),
                held_up: Arc::clone(&lookups_held_up),
            }),
            ledger: Arc::clone(&ledger) as Arc<dyn seaworthy_core::store::Ledger>,
            ..inner
        };
        let log = Captured::default();
        let (sink, writer) = LogSink::start(log.clone()).unwrap();
        let secret = move |name: &str| match (values.lock().get(name), name) {
            (Some(value), _) => Some(value.clone()),
            (None, "OPENAI_KEY") => Some(OPENAI_SECRET.to_owned()),
            (None, "ANTHROPIC_KEY") => Some(ANTHROPIC_SECRET.to_owned()),
            _ => None,
        };
        let deps = Dependencies {
            clock: Arc::clone(&clock) as seaworthy_core::clock::SharedClock,
            stores: stores.clone(),
            counters: Arc::new(MemoryCounters::default()),
            answers: Arc::new(MemoryAnswers::new(1 << 20)),
            nonces: Arc::new(MemoryNonces::default()),
            openings: None,
            journal: Arc::new(journal.clone()),
            secrets: Arc::new(LocalSecrets(secret)),
            metrics: Metrics::new(),
            log: RequestLog::new(sink, Style::Json),
            dial: Arc::new(upstream.clone()),
            // Nothing can be run in these tests: the worker is the program, which is not here.
            sandbox: Launcher::new("/no/such/worker", &[]),
            workers: 1,
            version: "test",
        };
        let config = self.config();
        let gateway = Gateway::build(load(&config), deps).unwrap();
        gateway.health.set(Lifecycle::Serving);
        let background = Arc::clone(&gateway);
        let background = tokio::spawn(async move { background.run_background().await });
        let mut app = TestApp {
            gateway,
            clock,
            upstream,
            keys_outage,
            past_outage,
            lookups,
            lookups_held_up,
            ledger,
            journal,
            stores,
            config,
            secrets: self.secrets,
            user_key: String::new(),
            admin_key: String::new(),
            plane: self.plane.unwrap_or(Plane::All),
            connections: Arc::default(),
            log,
            writer: Some(writer),
            background,
            is_finished: false,
        };
        app.user_key = app.create_key(Role::User, None).await.0;
        app.admin_key = app.create_key(Role::Admin, None).await.0;
        app.keys_noticed().await;
        app
    }
}

fn load(text: &str) -> Loaded {
    load_str(text, Format::Toml, "test.toml", &Overrides::default())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

/// A running data plane. A test ends with [`TestApp::finish`], which fails on anything left behind.
pub(crate) struct TestApp {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) upstream: Upstream,
    pub(crate) keys_outage: Outage,
    pub(crate) past_outage: Outage,
    pub(crate) lookups: Arc<AtomicUsize>,
    pub(crate) lookups_held_up: Arc<Mutex<Option<Arc<Notify>>>>,
    pub(crate) ledger: Arc<Recorder>,
    pub(crate) journal: Logbook,
    pub(crate) stores: Stores,
    pub(crate) user_key: String,
    pub(crate) admin_key: String,
    config: String,
    pub(crate) secrets: Secrets,
    plane: Plane,
    connections: Arc<AtomicUsize>,
    log: Captured,
    writer: Option<LogWriter>,
    background: JoinHandle<()>,
    is_finished: bool,
}

impl TestApp {
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn start() -> Self {
        Builder::default().start().await
    }

    /// With these sections beside the usual ones.
    pub(crate) async fn with(sections: &str) -> Self {
        Builder::default().sections(sections).start().await
    }

    /// A new connection to the gateway.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let options = Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            workers: 1,
            max_connections: 10,
            max_header_bytes: 64 * 1024,
            timeouts: Timeouts {
                header: Duration::from_secs(10),
                keep_alive: Duration::from_secs(75),
                write: Duration::from_secs(60),
            },
            render_refusal,
        };
        let service = DataPlane::new(Arc::clone(&self.gateway), 0, self.plane);
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 4321));
        let open = OpenConnection::new(&self.connections);
        tokio::spawn(async move {
            serve_io(far, peer, options, service).await;
            drop(open);
        });
        near
    }

    pub(crate) fn call(&self, method: Method, target: &str) -> Call {
        Call::new(self.connect(), method, target)
    }

    pub(crate) fn get(&self, target: &str) -> Call {
        self.call(Method::GET, target)
    }

    /// A call with the user's key.
    pub(crate) fn post(&self, target: &str, body: impl Into<Bytes>) -> Call {
        let call = self.call(Method::POST, target).key(&self.user_key);
        let call = match target.starts_with("/v1/messages") {
            true => call.header("anthropic-version", "2023-06-01"),
            false => call,
        };
        call.body(body)
    }

    /// Puts a key into the store. The gateway notices within its refresh interval.
    pub(crate) async fn create_key(&self, role: Role, lives: Option<Duration>) -> (String, String) {
        let mut wanted = NewKey::of("test", &format!("the-{}", role.as_str()), role);
        wanted.expires_at = lives.map(|lives| self.clock.now().plus(lives));
        self.issue(wanted).await
    }

    /// Puts any key into the store.
    pub(crate) async fn issue(&self, wanted: NewKey) -> (String, String) {
        let (key, record) = wanted.issue(self.clock.now());
        let id = record.id.clone();
        self.stores.keys.insert(record).await.unwrap();
        (key.expose().to_owned(), id)
    }

    /// Waits until the gateway has looked at the store again.
    pub(crate) async fn keys_noticed(&self) {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }

    /// Reloads the configuration with a change of its text.
    pub(crate) async fn reload(&self, from: &str, to: &str) -> Result<(), String> {
        assert!(self.config.contains(from), "nothing to replace: {from}");
        let loaded = load(&self.config.replace(from, to));
        let reloaded = self.gateway.reload(loaded).await;
        reloaded.map_err(|error| error.to_string())
    }

    /// Every settlement so far.
    pub(crate) async fn settlements(&self) -> Vec<Settlement> {
        self.idle().await;
        self.gateway.flush(Duration::from_secs(5)).await;
        self.ledger.settlements.lock().clone()
    }

    /// The settlement of the only call that was made.
    pub(crate) async fn only_settlement(&self) -> Settlement {
        let settlements = self.settlements().await;
        assert_eq!(settlements.len(), 1, "{settlements:#?}");
        settlements[0].clone()
    }

    /// Waits until no model call is worked on.
    pub(crate) async fn idle(&self) {
        eventually("the last call ends", || self.gateway.running_calls() == 0).await;
    }

    /// What Prometheus would see.
    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").send().await.text()
    }

    /// The value of one series.
    pub(crate) async fn metric(&self, series: &str) -> String {
        let metrics = self.metrics().await;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {series}:\n{metrics}"))
            .to_owned()
    }

    /// Connections of clients that are served.
    pub(crate) fn open_connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Ends the test: fails when anything is left behind, and returns the log.
    pub(crate) async fn finish(mut self) -> String {
        self.is_finished = true;
        self.idle().await;
        self.gateway.flush(Duration::from_secs(5)).await;
        let metrics = self.metrics().await;
        for gauge in ["ledger_outstanding", "requests_in_flight"] {
            let zero = format!("seaworthy_{gauge} 0\n");
            assert!(metrics.contains(&zero), "something is left:\n{metrics}");
        }
        assert_eq!(
            self.journal.open.load(Ordering::SeqCst),
            0,
            "calls are left in the journal"
        );
        eventually("the last connection closes", || {
            self.open_connections() == 0
        })
        .await;
        let leftovers = self.upstream.leftovers();
        assert!(leftovers.is_empty(), "{leftovers:?}");
        drop(self.writer.take());
        String::from_utf8(std::mem::take(&mut *self.log.0.lock())).unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.background.abort();
        assert!(
            self.is_finished || std::thread::panicking(),
            "the test did not look for leftovers: call `finish`"
        );
    }
}

/// Waits for something that needs no more than the other tasks to run.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("expected within 5 s: {what}");
}

struct OpenConnection(Arc<AtomicUsize>);

impl OpenConnection {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
