//! A provider's stream on its way to the caller: whole events only, metered in passing, ended with
//! the dialect's own error when the provider breaks off.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::ledger::Outcome;
use seaworthy_edge::client::{Error, UpstreamBody};
use seaworthy_llm::sse::{EventTooLarge, Splitter};
use seaworthy_llm::usage::{Seen, UsageMeter};
use seaworthy_llm::{ErrorView, encode_stream_error};

use crate::exchange::Exchange;
use crate::open_call::OpenCall;
use crate::refusal::Refusal;
use crate::stage::relay::broke_off;

/// Longest event that is waited for in memory.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// How long the rest of an answer is read after its last event, to keep the connection.
const TAIL_TIMEOUT: Duration = Duration::from_secs(1);

/// The relay of one stream.
#[derive(Debug)]
pub(crate) struct StreamRelay {
    dialect: Dialect,
    /// `None` once the stream has ended, for whatever reason.
    upstream: Option<UpstreamBody>,
    splitter: Splitter,
    meter: UsageMeter,
    strip_usage: bool,
    /// Bytes of an event whose end has not come yet.
    partial_bytes: usize,
}

impl StreamRelay {
    pub(crate) fn new(dialect: Dialect, upstream: UpstreamBody, strip_usage: bool) -> Self {
        Self {
            dialect,
            upstream: Some(upstream),
            splitter: Splitter::new(MAX_EVENT_BYTES),
            meter: UsageMeter::new(dialect),
            strip_usage,
            partial_bytes: 0,
        }
    }

    /// The next bytes for the caller; `None` when the stream is over.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
    ) -> Poll<Option<Bytes>> {
        loop {
            let Some(upstream) = &mut self.upstream else {
                return Poll::Ready(None);
            };
            let polled = Pin::new(upstream).poll_frame(cx);
            if polled.is_pending() && self.meter.terminal_seen() {
                return Poll::Ready(self.end_early(exchange));
            }
            match ready!(polled) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let events = self.whole_events(data);
                    if self.meter.terminal_seen() {
                        // Before the caller sees the end.
                        self.note_complete(exchange);
                    }
                    match events {
                        Ok(events) if events.is_empty() => {}
                        Ok(events) => return Poll::Ready(Some(events)),
                        Err(error) => {
                            let message = "The provider sent an event that is too large.";
                            let refusal =
                                Refusal::new(Code::UpstreamInvalid, message).because(&error);
                            return Poll::Ready(Some(self.break_off(exchange, refusal)));
                        }
                    }
                }
                Some(Err(error)) => return Poll::Ready(self.end(exchange, Some(&error))),
                None => return Poll::Ready(self.end(exchange, None)),
            }
        }
    }

    /// The complete events of a frame. They are a slice of the frame unless one began in an earlier
    /// frame or was removed.
    fn whole_events(&mut self, frame: Bytes) -> Result<Bytes, EventTooLarge> {
        let arrived = self.partial_bytes + frame.len();
        let whole = frame.clone();
        let mut out = if self.partial_bytes == 0 {
            Out::Slice(0)
        } else {
            Out::Copy(BytesMut::new())
        };
        let mut taken = 0;
        self.splitter.push(frame);
        while let Some(event) = self.splitter.next_event()? {
            let seen = self.meter.observe(&event);
            let raw = event.raw();
            taken += raw.len();
            let is_removed = self.strip_usage && seen == Seen::UsageOnly;
            out = match out {
                Out::Slice(end) if !is_removed => Out::Slice(end + raw.len()),
                Out::Slice(end) => Out::Copy(BytesMut::from(&whole[..end])),
                Out::Copy(mut copy) => {
                    if !is_removed {
                        copy.extend_from_slice(raw);
                    }
                    Out::Copy(copy)
                }
            };
        }
        self.partial_bytes = arrived - taken;
        Ok(match out {
            Out::Slice(end) => whole.slice(..end),
            Out::Copy(copy) => copy.freeze(),
        })
    }

    /// The provider has nothing more to say. An event without an end is not passed on: the caller
    /// could not read it.
    fn end(&mut self, exchange: &mut Exchange, error: Option<&Error>) -> Option<Bytes> {
        if self.meter.terminal_seen() || (error.is_none() && self.meter.is_complete()) {
            self.finish(exchange);
            return None;
        }
        if self.meter.error_seen() {
            exchange.fail(Code::UpstreamError);
            self.upstream = None;
            return None;
        }
        let provider = exchange.target().map_or("", |target| &target.provider.name);
        let refusal = match error {
            Some(error) => broke_off(provider, error),
            None => Refusal::new(
                Code::UpstreamUnreachable,
                format!("The provider `{provider}` ended its answer before it was complete."),
            ),
        };
        Some(self.break_off(exchange, refusal))
    }

    fn finish(&mut self, exchange: &mut Exchange) {
        self.upstream = None;
        if self.meter.error_seen() {
            exchange.fail(Code::UpstreamError);
        } else {
            exchange.outcome = Outcome::Success;
        }
    }

    /// The last event was passed on and only the end of the connection's framing is missing: the
    /// caller does not wait for it.
    fn end_early(&mut self, exchange: &mut Exchange) -> Option<Bytes> {
        if let Some(mut tail) = self.upstream.take() {
            tokio::spawn(tokio::time::timeout(TAIL_TIMEOUT, async move {
                while let Some(Ok(_rest)) = tail.frame().await {}
            }));
        }
        self.finish(exchange);
        None
    }

    /// Ends the stream with the dialect's own error event.
    fn break_off(&mut self, exchange: &mut Exchange, mut refusal: Refusal) -> Bytes {
        self.upstream = None;
        exchange.fail(refusal.code);
        exchange.detail = refusal.detail.take();
        let view = ErrorView {
            status: refusal.code.status(),
            kind: None,
            code: Some(refusal.code.as_str()),
            message: &refusal.message,
            param: None,
            request_id: Some(exchange.request_id.as_str()),
        };
        let mut event = Vec::new();
        encode_stream_error(self.dialect, &view, &mut event);
        event.into()
    }

    fn note_complete(&self, exchange: &mut Exchange) {
        let input_bytes = exchange.call.as_ref().map_or(0, OpenCall::input_bytes);
        exchange.note_complete(self.meter.usage_or_estimate(input_bytes));
    }

    /// Tells the exchange what was used, whether or not the stream came to its end.
    pub(crate) fn note_usage(&mut self, exchange: &mut Exchange) {
        if let Some(call) = &mut exchange.call {
            let used = self.meter.usage_or_estimate(call.input_bytes());
            call.note_usage(used);
        }
    }
}

/// What a frame's events become.
enum Out {
    /// The first bytes of the frame, as they are.
    Slice(usize),
    /// Bytes put together anew.
    Copy(BytesMut),
}
