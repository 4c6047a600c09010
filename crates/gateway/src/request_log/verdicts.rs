//! One line for each verdict of a guard, before the line of its request: an event for the audit.
//! Names and counts, never what was found.

use std::io::Write as _;

use seaworthy_core::clock::UnixMillis;

use super::{Line, caller};
use crate::exchange::Exchange;

/// By this name the audit knows these lines from others. It never changes.
const EVENT: &str = "guard.verdict";

pub(super) fn lines(out: &mut Vec<u8>, exchange: &Exchange, at: UnixMillis) {
    for counted in exchange.verdicts.iter() {
        // Writing to memory cannot fail; `write!` says it could.
        let _infallible = write!(out, "{{\"timestamp\":\"{at}\"");
        let mut line = Line(out);
        line.plain("level", "INFO");
        line.plain("message", "guard verdict");
        line.plain("event", EVENT);
        line.plain("request_id", exchange.request_id.as_str());
        let trace_id = exchange.trace.trace_id();
        let trace_id = std::str::from_utf8(&trace_id).unwrap_or_default();
        line.plain("trace_id", trace_id);
        line.plain("action", exchange.action_name());
        caller(&mut line, exchange);
        if let Some(operation) = exchange.operation() {
            line.plain("dialect", operation.dialect().as_str());
        }
        if let Some(model) = &exchange.model {
            line.text("model", &model.name);
        }
        line.plain("guard", counted.guard);
        line.plain("place", counted.place);
        line.plain("verdict", counted.action);
        line.number("times", counted.times);
        out.extend_from_slice(b"}\n");
    }
}
