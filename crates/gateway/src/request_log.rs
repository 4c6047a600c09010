//! One line a request, with the field names that the readiness checklists ask for. Never content.

mod verdicts;

use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Fault;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::money::Micros;
use seaworthy_edge::log::LogSink;

use crate::exchange::Exchange;
use crate::routes::Action;
use crate::translate::losses;

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
    /// No lines for requests.
    Off,
}

/// Where the lines of requests go.
#[derive(Debug)]
pub struct RequestLog {
    sink: LogSink,
    style: AtomicU8,
}

impl RequestLog {
    /// A log that writes to `sink`.
    #[must_use]
    pub fn new(sink: LogSink, style: Style) -> Self {
        let log = Self {
            sink,
            style: AtomicU8::new(0),
        };
        log.set_style(style);
        log
    }

    /// Changes what lines look like from now on.
    pub fn set_style(&self, style: Style) {
        let number = match style {
            Style::Json => 0,
            Style::Pretty => 1,
            Style::Off => 2,
        };
        self.style.store(number, Ordering::Relaxed);
    }

    pub(crate) fn write(&self, exchange: &Exchange, finished_at: UnixMillis, took: Duration) {
        let style = self.style.load(Ordering::Relaxed);
        if style == 2 || is_probe(exchange) {
            return;
        }
        self.sink.line(|out| {
            if style == 0 {
                verdicts::lines(out, exchange, finished_at);
                json_line(out, exchange, finished_at, took)
            } else {
                pretty_line(out, exchange, finished_at, took)
            }
        });
    }
}

/// Successful probes and scrapes come every few seconds and say nothing.
fn is_probe(exchange: &Exchange) -> bool {
    exchange.status < 500
        && matches!(
            exchange.action,
            Some(Action::Health | Action::Live | Action::Ready | Action::Metrics)
        )
}

fn level(exchange: &Exchange) -> &'static str {
    match exchange.code.map(seaworthy_core::code::Code::fault) {
        Some(Fault::Gateway | Fault::Operator) => "ERROR",
        Some(Fault::Upstream) => "WARN",
        Some(Fault::Caller) | None => "INFO",
    }
}

/// Writing to memory cannot fail; `write!` says it could.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _infallible = write!($out, $($arg)*); };
}

/// A line under construction. Every request writes one, so that nothing is formatted twice.
struct Line<'a>(&'a mut Vec<u8>);

impl Line<'_> {
    /// A member whose value needs no escaping: names of ours, identifiers that were checked.
    fn plain(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        // Serialising a string into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *self.0, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn millis(&mut self, name: &str, value: Duration) {
        self.number(name, u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
        let micros = value.subsec_micros() % 1000;
        self.0.push(b'.');
        for digit in [micros / 100, micros / 10 % 10, micros % 10] {
            self.0.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
    }

    fn dollars(&mut self, name: &str, value: Micros) {
        self.name(name);
        put!(self.0, "{value}");
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

fn json_line(out: &mut Vec<u8>, exchange: &Exchange, finished_at: UnixMillis, took: Duration) {
    let message = "request finished";
    let mut line = begin(out, exchange, finished_at, (level(exchange), message));
    if let Some(model) = &exchange.model {
        line.text("model", &model.name);
    }
    if let Some(target) = exchange.target() {
        line.text("target", &target.id);
    }
    if exchange.operation().is_some() {
        line.flag("stream", exchange.stream);
    }
    let succeeded = exchange.outcome == Outcome::Success;
    line.plain("status", if succeeded { "success" } else { "failure" });
    line.number("http_status", u64::from(exchange.status));
    line.millis("duration_ms", took);
    if let Some(first_byte) = exchange.first_byte {
        line.millis("first_byte_ms", first_byte);
    }
    if exchange.attempts > 1 {
        line.number("attempts", u64::from(exchange.attempts));
    }
    if !exchange.waited.is_zero() {
        line.millis("waited_ms", exchange.waited);
    }
    if exchange.herald.has_told() {
        line.flag("told_to_wait", true);
    }
    if let Some(usage) = exchange.usage() {
        line.number("token_count", usage.total());
        line.number("input_tokens", usage.total_input());
        line.number("cached_tokens", usage.cached_read_tokens);
        line.number("output_tokens", usage.output_tokens);
        line.flag("usage_estimated", usage.estimated);
    }
    if let Some(cost) = exchange.cost() {
        line.dollars("cost_usd", cost);
    }
    if let Some(cache) = exchange.cache {
        line.plain("cache", cache);
    }
    if let Some(code) = exchange.code {
        line.plain("error_code", code.as_str());
    }
    if let Some(names) = exchange.verdicts.names() {
        line.plain("guard", &names);
    }
    if let Some(id) = &exchange.upstream_request_id {
        line.text("upstream_request_id", id);
    }
    if !exchange.dropped.is_empty() {
        line.text("dropped", &losses::line(&exchange.dropped));
    }
    if let Some(detail) = &exchange.detail {
        line.text("error", detail);
    }
    out.extend_from_slice(b"}\n");
}

/// The beginning of every line about a request.
fn begin<'a>(
    out: &'a mut Vec<u8>,
    exchange: &Exchange,
    at: UnixMillis,
    (level, message): (&str, &str),
) -> Line<'a> {
    put!(out, "{{\"timestamp\":\"{at}\"");
    let mut line = Line(out);
    line.plain("level", level);
    line.plain("message", message);
    line.plain("request_id", exchange.request_id.as_str());
    let correlation_id = exchange
        .correlation_id
        .as_ref()
        .unwrap_or(&exchange.request_id);
    line.plain("correlation_id", correlation_id.as_str());
    let trace_id = exchange.trace.trace_id();
    let trace_id = std::str::from_utf8(&trace_id).unwrap_or_default();
    line.plain("trace_id", trace_id);
    line.plain("action", exchange.action_name());
    caller(&mut line, exchange);
    line
}

/// Whom the request is accounted to.
fn caller(line: &mut Line<'_>, exchange: &Exchange) {
    if let Some(principal) = &exchange.principal {
        line.text("user_id", &principal.user_id);
        line.text("key_id", &principal.key_id);
        if let Some(team) = &principal.team_id {
            line.text("team_id", team);
        }
    }
    if let Some(agent) = &exchange.agent {
        line.plain("agent", agent);
    }
    if let Some(session) = &exchange.session {
        line.plain("session_id", session);
    }
}

fn pretty_line(out: &mut Vec<u8>, exchange: &Exchange, finished_at: UnixMillis, took: Duration) {
    put!(
        out,
        "{finished_at} {:5} {} {}",
        level(exchange),
        exchange.action_name(),
        exchange.status
    );
    put!(
        out,
        " in {}.{:03} ms",
        took.as_millis(),
        took.subsec_micros() % 1000
    );
    if let Some(model) = &exchange.model {
        put!(out, " model={}", model.name);
    }
    if let Some(principal) = &exchange.principal {
        put!(out, " user={}", principal.user_id.escape_debug());
    }
    if let Some(usage) = exchange.usage() {
        put!(
            out,
            " tokens={}+{}",
            usage.total_input(),
            usage.output_tokens
        );
    }
    if let Some(cost) = exchange.cost() {
        put!(out, " cost_usd={cost}");
    }
    if let Some(code) = exchange.code {
        put!(out, " error_code={}", code.as_str());
    }
    if let Some(detail) = &exchange.detail {
        put!(out, " error={}", detail.escape_debug());
    }
    put!(out, " request_id={}\n", exchange.request_id);
}
