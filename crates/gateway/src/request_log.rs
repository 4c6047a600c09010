//! One line a request, with the field names that the readiness checklists ask for. Never content.

use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Fault;
use seaworthy_core::ledger::Outcome;
use seaworthy_edge::log::LogSink;

use crate::exchange::Exchange;
use crate::routes::Action;

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

    pub(crate) fn write(&self, exchange: &Exchange, finished_at: UnixMillis) {
        let style = self.style.load(Ordering::Relaxed);
        if style == 2 || is_probe(exchange) {
            return;
        }
        self.sink.line(|out| {
            if style == 0 {
                json_line(out, exchange, finished_at)
            } else {
                pretty_line(out, exchange, finished_at)
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

fn json_line(out: &mut Vec<u8>, exchange: &Exchange, finished_at: UnixMillis) {
    let duration = exchange.started.elapsed();
    put!(
        out,
        "{{\"timestamp\":\"{finished_at}\",\"level\":\"{}\"",
        level(exchange)
    );
    put!(
        out,
        ",\"message\":\"request finished\",\"request_id\":\"{}\"",
        exchange.request_id
    );
    let correlation_id = exchange
        .correlation_id
        .as_ref()
        .unwrap_or(&exchange.request_id);
    put!(
        out,
        ",\"correlation_id\":\"{correlation_id}\",\"trace_id\":\""
    );
    out.extend_from_slice(&exchange.trace.trace_id());
    put!(out, "\",\"action\":\"{}\"", exchange.action_name());
    if let Some(principal) = &exchange.principal {
        field(out, "user_id", &principal.user_id);
        field(out, "key_id", &principal.key_id);
    }
    if let Some(model) = &exchange.model {
        field(out, "model", &model.name);
    }
    if let Some(target) = exchange.target() {
        field(out, "target", &target.id);
    }
    if exchange.operation().is_some() {
        put!(out, ",\"stream\":{}", exchange.stream);
    }
    let status = if exchange.outcome == Outcome::Success {
        "success"
    } else {
        "failure"
    };
    put!(
        out,
        ",\"status\":\"{status}\",\"http_status\":{}",
        exchange.status
    );
    put!(
        out,
        ",\"duration_ms\":{}.{:03}",
        duration.as_millis(),
        duration.subsec_micros() % 1000
    );
    if let Some(first_byte) = exchange.first_byte {
        put!(
            out,
            ",\"first_byte_ms\":{}.{:03}",
            first_byte.as_millis(),
            first_byte.subsec_micros() % 1000
        );
    }
    if let Some(usage) = exchange.usage() {
        put!(
            out,
            ",\"token_count\":{},\"input_tokens\":{}",
            usage.total(),
            usage.total_input()
        );
        put!(out, ",\"cached_tokens\":{}", usage.cached_read_tokens);
        put!(out, ",\"output_tokens\":{}", usage.output_tokens);
        put!(out, ",\"usage_estimated\":{}", usage.estimated);
    }
    if let Some(code) = exchange.code {
        put!(out, ",\"error_code\":\"{}\"", code.as_str());
    }
    if let Some(id) = &exchange.upstream_request_id {
        field(out, "upstream_request_id", id);
    }
    if let Some(detail) = &exchange.detail {
        field(out, "error", detail);
    }
    out.extend_from_slice(b"}\n");
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    put!(out, ",\"{name}\":");
    // Serialising a string into memory cannot fail.
    let _infallible = serde_json::to_writer(&mut *out, value);
}

fn pretty_line(out: &mut Vec<u8>, exchange: &Exchange, finished_at: UnixMillis) {
    let duration = exchange.started.elapsed();
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
        duration.as_millis(),
        duration.subsec_micros() % 1000
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
    if let Some(code) = exchange.code {
        put!(out, " error_code={}", code.as_str());
    }
    if let Some(detail) = &exchange.detail {
        put!(out, " error={}", detail.escape_debug());
    }
    put!(out, " request_id={}\n", exchange.request_id);
}
