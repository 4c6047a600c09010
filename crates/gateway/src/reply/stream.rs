//! A provider's stream on its way to the caller: whole events only, metered in passing, ended with
//! the dialect's own error when the provider breaks off.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use seaworthy_core::call::Delta;
use seaworthy_core::code::Code;
use seaworthy_core::crash::{self, Point};
use seaworthy_core::dialect::Dialect;
use seaworthy_core::ledger::Outcome;
use seaworthy_edge::client::{Error, UpstreamBody};
use seaworthy_llm::tier::{self, ServiceTier};
use seaworthy_llm::usage::{Piece, Seen, UsageMeter, pieces_of_event};
use seaworthy_llm::{ErrorView, Event, Framer, Framing, FramingError, StreamDecoder};
use tokio::time::{Instant, timeout_at};

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::stage::relay::{broke_off, no_stream, provider_name};
use crate::translate::Translation;
use crate::translate::stream::{StreamTranslator, failed};

/// Longest event that is waited for in memory.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// How long the rest of an answer is read after its last event, to keep the connection.
const TAIL_TIMEOUT: Duration = Duration::from_secs(1);
/// So much of a stream that has not said anything is held back, which is a thousand comments and more.
const MOST_HELD_BYTES: usize = 64 * 1024;

/// The relay of one stream.
#[derive(Debug)]
pub(crate) struct StreamRelay {
    /// What the caller speaks.
    dialect: Dialect,
    /// `None` once the stream has ended, for whatever reason.
    upstream: Option<UpstreamBody>,
    framing: Framing,
    framer: Framer,
    meter: UsageMeter,
    passing: Passing,
    /// Bytes of an event whose end has not come yet.
    partial_bytes: usize,
    /// The first events, which were read before the head of the answer was sent.
    first: Option<Bytes>,
    /// Whether nothing came yet but comments and events without data, of which a translation says nothing.
    is_silent: bool,
    /// Whether the caller was sent anything.
    has_begun: bool,
    /// Why it ended before it began.
    failed: Option<Refusal>,
    /// The dialect of the provider, if pieces of the answer are counted, and those not noted yet.
    pieces: Option<(Dialect, Vec<Piece>)>,
    /// The tier of service that the provider told.
    tier: Option<ServiceTier>,
}

/// What is done to events on their way.
#[derive(Debug)]
pub(crate) enum Passing {
    /// They pass as they are.
    Direct {
        /// Whether those are left out that only tell usage.
        strip_usage: bool,
    },
    /// They are read and written anew in the caller's dialect.
    Translated(Box<StreamTranslator>),
}

impl StreamRelay {
    /// The relay for a caller who speaks this dialect.
    pub(crate) fn new(
        dialect: Dialect,
        upstream: UpstreamBody,
        framing: Framing,
        passing: Passing,
    ) -> Self {
        let metered = match &passing {
            Passing::Direct { .. } => dialect,
            Passing::Translated(translator) => translator.provider(),
        };
        let is_silent = matches!(passing, Passing::Direct { .. });
        Self {
            dialect,
            upstream: Some(upstream),
            framing,
            framer: Framer::new(framing, MAX_EVENT_BYTES),
            meter: UsageMeter::new(metered),
            passing,
            partial_bytes: 0,
            first: None,
            is_silent,
            has_begun: false,
            failed: None,
            pieces: None,
            tier: None,
        }
    }

    /// Reads on until there is something to send. Until then nothing is lost: a stream that fails
    /// before its first event is an error with a status, or another target's turn.
    pub(crate) async fn begin(&mut self, exchange: &mut Exchange) -> Result<(), Refusal> {
        let first = self.first_events(exchange).await;
        let is_error = self.meter.error_seen() && !self.meter.content_seen();
        let said = first.as_ref().filter(|_| is_error);
        let told = said.and_then(|said| first_error(self.dialect, self.framing, said));
        match self.failed.take().or(told) {
            Some(refusal) => {
                self.upstream = None;
                Err(refusal)
            }
            None => {
                self.has_begun = true;
                self.first = first;
                Ok(())
            }
        }
    }

    /// The first events, with the comments before them. Comments alone say nothing of what becomes of the
    /// call: they are held back for as long as callers may wait without a sign.
    async fn first_events(&mut self, exchange: &mut Exchange) -> Option<Bytes> {
        let unaware = exchange.snapshot.resilience.queue.tell_after;
        let until = unaware.map(|unaware| Instant::now() + unaware);
        let mut held = BytesMut::new();
        loop {
            let next = poll_fn(|cx| self.poll_next(cx, exchange));
            let next = match until.filter(|_| !held.is_empty()) {
                None => next.await?,
                Some(until) => match timeout_at(until, next).await {
                    Ok(next) => next?,
                    Err(_elapsed) => return Some(held.freeze()),
                },
            };
            let is_over = !self.is_silent || self.upstream.is_none();
            if held.is_empty() && is_over {
                return Some(next);
            }
            held.extend_from_slice(&next);
            if is_over || held.len() > MOST_HELD_BYTES {
                return Some(held.freeze());
            }
        }
    }

    /// Whether to look for what is paid for by the piece.
    pub(crate) fn counting_pieces(mut self, counts: bool) -> Self {
        let provider = match &self.passing {
            Passing::Direct { .. } => self.dialect,
            Passing::Translated(translator) => translator.provider(),
        };
        self.pieces = counts.then_some((provider, Vec::new()));
        self
    }

    /// Looks for what makes a difference to the price. The tier stands in the events that tell usage.
    fn look_for_pieces(&mut self, event: &Event, seen: Seen) {
        if let (Seen::UsageOnly | Seen::Terminal, Some(data)) = (seen, event.data()) {
            self.tier = tier::told(data).or(self.tier);
        }
        if let (Some((dialect, found)), Some(data)) = (&mut self.pieces, event.data()) {
            found.extend(pieces_of_event(*dialect, data));
        }
    }

    fn note_pieces(&mut self, exchange: &mut Exchange) {
        exchange.note_tier(self.tier.take());
        if let Some((_, found)) = &mut self.pieces {
            exchange.note_pieces(&std::mem::take(found));
        }
    }

    /// The next bytes for the caller; `None` when the stream is over.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
    ) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            crash::point(Point::FirstEvent);
            return Poll::Ready(Some(first));
        }
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
                    let events = match self.passing {
                        Passing::Direct { strip_usage } => {
                            let events = self.whole_events(data, strip_usage);
                            self.note_pieces(exchange);
                            let events = events.map_err(|error| unframed(&error));
                            let no_answer = no_stream(exchange, &self.meter);
                            match events.and_then(|events| no_answer.map_or(Ok(events), Err)) {
                                Ok(events) => {
                                    if self.is_at_its_end() {
                                        // Before the caller sees the end.
                                        self.note_complete(exchange);
                                    }
                                    events
                                }
                                Err(refusal) => self.break_off(exchange, refusal).into(),
                            }
                        }
                        Passing::Translated(_) => self.translated_events(data, exchange),
                    };
                    self.note_token();
                    if !events.is_empty() {
                        return Poll::Ready(Some(events));
                    }
                }
                Some(Err(error)) => return Poll::Ready(self.end(exchange, Some(&error))),
                None => return Poll::Ready(self.end(exchange, None)),
            }
        }
    }

    /// From the first token on, only the pauses between pieces count.
    fn note_token(&mut self) {
        if let Some(upstream) = self.upstream.as_mut().filter(|_| self.meter.content_seen()) {
            upstream.note_token();
        }
    }

    /// The complete events of a frame. They are a slice of the frame unless one began in an earlier
    /// frame or was removed.
    fn whole_events(&mut self, frame: Bytes, strip_usage: bool) -> Result<Bytes, FramingError> {
        let arrived = self.partial_bytes + frame.len();
        let whole = frame.clone();
        let mut out = if self.partial_bytes == 0 {
            Out::Slice(0)
        } else {
            Out::Copy(BytesMut::new())
        };
        let mut taken = 0;
        self.framer.push(frame);
        while let Some(event) = self.framer.next_event()? {
            let seen = self.meter.observe(&event);
            self.is_silent &= event.data().is_none_or(|data| data.trim_ascii().is_empty());
            self.look_for_pieces(&event, seen);
            let raw = event.raw();
            taken += raw.len();
            let is_removed = strip_usage && seen == Seen::UsageOnly;
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

    /// What the complete events of a frame become in the caller's dialect.
    fn translated_events(&mut self, frame: Bytes, exchange: &mut Exchange) -> Bytes {
        let input_bytes = exchange.input_bytes();
        let mut out = Vec::new();
        self.framer.push(frame);
        let failure = loop {
            let event = match self.framer.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break None,
                Err(error) => break Some(unframed(&error)),
            };
            let seen = self.meter.observe(&event);
            self.look_for_pieces(&event, seen);
            self.note_pieces(exchange);
            if let Some(refusal) = no_stream(exchange, &self.meter) {
                break Some(refusal);
            }
            if let Passing::Translated(translator) = &mut self.passing
                && let Err(refusal) = translator.push(&event, &self.meter, input_bytes, &mut out)
            {
                break Some(refusal);
            }
            if self.is_blocked() {
                out.extend(self.translated_end(exchange));
                // The provider need not go on with what nobody will see.
                self.finish(exchange);
                return out.into();
            }
        };
        match failure {
            None if self.meter.terminal_seen() => out.extend(self.translated_end(exchange)),
            None => {}
            Some(refusal) => {
                // What was read before belongs to the caller.
                self.has_begun |= !out.is_empty();
                out.extend(self.break_off(exchange, refusal));
            }
        }
        out.into()
    }

    fn is_blocked(&self) -> bool {
        matches!(&self.passing, Passing::Translated(translator) if translator.is_blocked())
    }

    /// The end of a translated answer, the first time; nothing for others, which pass as they are.
    fn translated_end(&mut self, exchange: &mut Exchange) -> Vec<u8> {
        let Passing::Translated(translator) = &mut self.passing else {
            return Vec::new();
        };
        let usage = self.meter.usage_or_estimate(exchange.input_bytes());
        let mut out = Vec::new();
        match translator.finish(usage, &mut out) {
            // Before the caller sees the end.
            Ok(()) => exchange.note_complete(usage),
            Err(refusal) => out = self.break_off(exchange, refusal),
        }
        out
    }

    /// The provider has nothing more to say. An event without an end is not passed on: the caller
    /// could not read it.
    fn end(&mut self, exchange: &mut Exchange, error: Option<&Error>) -> Option<Bytes> {
        if self.meter.terminal_seen() || (error.is_none() && self.meter.is_complete()) {
            let mut rest = self.translated_end(exchange);
            if !self.meter.terminal_seen() && matches!(self.passing, Passing::Direct { .. }) {
                // The answer is whole, but some servers forget to say so.
                rest.extend_from_slice(last_event(self.dialect));
            }
            if self.upstream.is_some() {
                self.finish(exchange);
            }
            return (!rest.is_empty()).then(|| rest.into());
        }
        if self.meter.error_seen() {
            exchange.fail(Code::UpstreamError);
            self.upstream = None;
            return None;
        }
        let refusal = match error {
            Some(error) => broke_off(exchange, error),
            None => Refusal::new(
                Code::UpstreamUnreachable,
                format!(
                    "The provider `{}` ended its answer before it was complete.",
                    provider_name(exchange)
                ),
            ),
        };
        Some(self.break_off(exchange, refusal).into())
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
    fn break_off(&mut self, exchange: &mut Exchange, mut refusal: Refusal) -> Vec<u8> {
        self.upstream = None;
        if !self.has_begun {
            self.failed = Some(refusal);
            return Vec::new();
        }
        if let Some(target) = exchange.target()
            && refusal.code != Code::DeadlineExceeded
        {
            target.gate.note_broken(&exchange.snapshot.resilience);
        }
        exchange.fail(refusal.code);
        exchange.detail = refusal.detail.take();
        let view = ErrorView {
            status: refusal.status.unwrap_or_else(|| refusal.code.status()),
            kind: None,
            code: Some(refusal.code.as_str()),
            message: &refusal.message,
            param: None,
            retry_after: refusal.retry_after,
            request_id: Some(exchange.request_id.as_str()),
        };
        let mut event = Vec::new();
        match &mut self.passing {
            Passing::Direct { .. } => self.framer.write_error(self.dialect, &view, &mut event),
            Passing::Translated(translator) => translator.fail(&view, &mut event),
        }
        event
    }

    /// Whether all has been said: in Gemini's streams the last event does so by its reason to stop.
    fn is_at_its_end(&self) -> bool {
        self.meter.terminal_seen() || (self.dialect == Dialect::Gemini && self.meter.is_complete())
    }

    fn note_complete(&self, exchange: &mut Exchange) {
        exchange.note_complete(self.meter.usage_or_estimate(exchange.input_bytes()));
    }

    /// Tells the exchange what was used and what was left out, whether or not the stream came to
    /// its end.
    pub(crate) fn note_end(&mut self, exchange: &mut Exchange) {
        if let Passing::Translated(translator) = &mut self.passing {
            exchange.dropped.extend(translator.dropped());
            exchange.verdicts.append(translator.take_verdicts());
        }
        if let Some(call) = &mut exchange.call {
            let used = self.meter.usage_or_estimate(call.input_bytes());
            call.note_usage(used);
        }
    }
}

/// The error that a provider has sent instead of an answer, although with status 200.
fn first_error(dialect: Dialect, framing: Framing, events: &Bytes) -> Option<Refusal> {
    let mut framer = Framer::new(framing, MAX_EVENT_BYTES);
    framer.push(events.clone());
    let (mut decoder, mut deltas) = (StreamDecoder::new(dialect), Vec::new());
    while let Ok(Some(event)) = framer.next_event() {
        // What cannot be read is passed on as it is.
        let _unread = decoder.push(&event, &mut deltas);
    }
    let same = Translation {
        provider: dialect,
        caller: dialect,
    };
    deltas.iter().find_map(|delta| match delta {
        Delta::Error {
            status,
            kind,
            message,
        } => Some(failed(same, *status, kind, message)),
        _ => None,
    })
}

fn unframed(error: &FramingError) -> Refusal {
    let message = match error {
        FramingError::TooLarge(_) => "The provider sent an event that is too large.",
        FramingError::Corrupt { .. } => {
            "The provider sent a stream that cannot be cut into events."
        }
    };
    Refusal::new(Code::UpstreamInvalid, message).because(error)
}

/// What a frame's events become.
enum Out {
    /// The first bytes of the frame, as they are.
    Slice(usize),
    /// Bytes put together anew.
    Copy(BytesMut),
}

/// The event that ends a stream of this dialect, where it says nothing but that.
fn last_event(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::OpenAiChat => b"data: [DONE]\n\n",
        Dialect::AnthropicMessages => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        _ => b"",
    }
}
