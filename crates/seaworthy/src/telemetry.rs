//! Log lines of the program itself, in the same form and to the same place as those of requests.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use seaworthy_config::{LogFormat, LogLevel};
use seaworthy_core::clock::{Clock as _, SystemClock};
use seaworthy_edge::log::{LogSink, LogWriter};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::reload;

/// The running log. Dropping it writes what is pending.
pub(crate) struct Telemetry {
    pub(crate) sink: LogSink,
    _writer: LogWriter,
    filter: reload::Handle<EnvFilter, tracing_subscriber::Registry>,
    json: Arc<AtomicBool>,
}

impl Telemetry {
    /// Starts to log to standard error.
    pub(crate) fn start(level: LogLevel, format: LogFormat) -> std::io::Result<Self> {
        let (sink, writer) = LogSink::start(std::io::stderr())?;
        let (filter, handle) = reload::Layer::new(filter(level));
        let json = Arc::new(AtomicBool::new(is_json(format)));
        let lines = Lines {
            sink: sink.clone(),
            json: Arc::clone(&json),
        };
        let subscriber = tracing_subscriber::registry().with(filter).with(lines);
        tracing::subscriber::set_global_default(subscriber).map_err(std::io::Error::other)?;
        log_panics();
        Ok(Self {
            sink,
            _writer: writer,
            filter: handle,
            json,
        })
    }

    /// Changes level and form from now on.
    pub(crate) fn apply(&self, level: LogLevel, format: LogFormat) {
        self.json.store(is_json(format), Ordering::Relaxed);
        if let Err(error) = self.filter.reload(filter(level)) {
            tracing::error!(%error, "the log level could not be changed");
        }
    }
}

/// Whether lines are JSON: as configured, or wherever no person watches.
pub(crate) fn is_json(format: LogFormat) -> bool {
    use std::io::IsTerminal as _;
    match format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    }
}

/// Our own lines at the configured level, those of libraries only when they warn.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!(
        "warn,seaworthy={0},seaworthy_core={0},seaworthy_config={0},seaworthy_edge={0},seaworthy_gateway={0},seaworthy_store={0}",
        level.as_str()
    ))
}

/// Says where a panic happened. Its message may quote what a caller sent, so it is not repeated.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let thread = std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned();
        tracing::error!(
            location,
            thread,
            "a panic cost a request or a background task"
        );
    }));
}

struct Lines {
    sink: LogSink,
    json: Arc<AtomicBool>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = SystemClock.now().to_string();
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let text = if self.json.load(Ordering::Relaxed) {
            let mut line = Map::new();
            line.insert("timestamp".to_owned(), now.into());
            line.insert("level".to_owned(), level.into());
            line.insert("message".to_owned(), fields.message.into());
            line.insert("target".to_owned(), target.into());
            line.extend(fields.others);
            Value::Object(line).to_string()
        } else {
            let mut line = format!("{now} {level:5} {}", fields.message);
            for (name, value) in &fields.others {
                // Writing to a String cannot fail.
                let _infallible = write!(line, " {name}={value}");
            }
            line
        };
        self.sink.line(|out| {
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        });
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }
}
