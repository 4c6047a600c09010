//! One line for each verdict of a guard, before the line of its request: an event for the audit.
//! Names and counts, never what was found.

use seaworthy_core::clock::UnixMillis;

use super::begin;
use crate::exchange::Exchange;

/// By this name the audit knows these lines from others. It never changes.
const EVENT: &str = "guard.verdict";

pub(super) fn lines(out: &mut Vec<u8>, exchange: &Exchange, at: UnixMillis) {
    for counted in exchange.verdicts.iter() {
        let mut line = begin(out, exchange, at, ("INFO", "guard verdict"));
        line.plain("event", EVENT);
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
