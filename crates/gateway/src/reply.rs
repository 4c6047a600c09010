//! Answers on their way out. The exchange travels with the body and ends with it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::limit::headers::retry_after_seconds;
use seaworthy_edge::BoxError;
use seaworthy_llm::{ErrorView, encode_error, error_kind};

use crate::echo::EchoStream;
use crate::exchange::Exchange;
use crate::flight::{End, Reader};
use crate::headers::name;
use crate::refusal::Refusal;
use crate::translate::losses;

pub(crate) mod paged;
pub(crate) mod stream;
pub(crate) mod waiting;

use paged::Paged;
use stream::StreamRelay;
use waiting::{Happened, Waiting};

use crate::waiting::Notice;

/// An answer without the headers that every answer has.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// Known in whole.
    Frames(Vec<Bytes>),
    /// The events of a stream that is known in whole, sent as a stream.
    Events(Vec<Bytes>),
    /// A provider's stream.
    Stream(Box<StreamRelay>),
    /// The built-in model's stream.
    Echo(Box<EchoStream>),
    /// A stream that others read as well; its headers are complete.
    Shared(Box<Reader>),
    /// Content that is kept in parts.
    Paged(Box<Paged>),
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::text(status, "application/json", body)
    }

    /// An error in the words of a family.
    pub(crate) fn error(family: Family, view: &ErrorView<'_>) -> Self {
        let mut answer = Self::json(view.status, encode_error(family, view));
        if family == Family::Bedrock {
            // Other families' words for a class mean nothing to AWS's clients.
            let own = view.kind.filter(|kind| kind.ends_with("Exception"));
            let kind = own.unwrap_or(error_kind(family, view.status));
            if let Ok(kind) = HeaderValue::from_str(kind) {
                answer.headers.insert("x-amzn-errortype", kind);
            }
        }
        answer
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static(content_type),
        );
        Self {
            status,
            headers,
            content: Content::Frames(vec![body.into()]),
        }
    }
}

/// Renders what the pipeline or a handler decided, with the headers that every answer has.
pub(crate) fn respond(
    mut exchange: Box<Exchange>,
    result: Result<Answer, Refusal>,
    is_head: bool,
) -> Response<ReplyBody> {
    let answer = match result {
        Ok(answer) => answer,
        Err(refusal) => refuse(&mut exchange, refusal),
    };
    exchange.status = answer.status;
    let mut headers = answer.headers;
    let is_stream = matches!(
        answer.content,
        Content::Stream(_) | Content::Echo(_) | Content::Events(_)
    );
    common_headers(&exchange, &mut headers, is_stream);
    let body = ReplyBody::new(exchange, answer.content, is_head);
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

fn refuse(exchange: &mut Exchange, mut refusal: Refusal) -> Answer {
    exchange.fail(refusal.code);
    exchange.detail = refusal.detail.take();
    let known = refusal.status.unwrap_or_else(|| refusal.code.status());
    let status = seaworthy_llm::error_status(exchange.family, known);
    let view = ErrorView {
        status,
        kind: refusal.kind,
        code: Some(refusal.code.as_str()),
        message: &refusal.message,
        param: refusal.param.as_deref(),
        retry_after: refusal.retry_after,
        request_id: Some(exchange.request_id.as_str()),
    };
    let mut answer = Answer::error(exchange.family, &view);
    answer.headers.extend(std::mem::take(&mut refusal.headers));
    if let Some(delay) = refusal.retry_after {
        let wait_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let seconds = retry_after_seconds(wait_ms);
        answer
            .headers
            .insert(http::header::RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = refusal.allow {
        answer
            .headers
            .insert(http::header::ALLOW, HeaderValue::from_static(allow));
    }
    if status == 401 {
        answer.headers.insert(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"seaworthy\""),
        );
    }
    answer
}

/// The names under which a family's clients look for the ID of a request.
pub(crate) fn names_of_id(family: Family) -> &'static [&'static HeaderName] {
    static USUAL: [&HeaderName; 1] = [&name::REQUEST_ID];
    static ANTHROPIC: [&HeaderName; 2] = [&name::PROVIDER_REQUEST_ID, &name::REQUEST_ID];
    static BEDROCK: [&HeaderName; 2] = [&name::AMZN_REQUEST_ID, &name::REQUEST_ID];
    match family {
        Family::Anthropic => &ANTHROPIC,
        Family::Bedrock => &BEDROCK,
        Family::OpenAi | Family::Gemini | Family::Cohere => &USUAL,
    }
}

/// The request ID, under the names that the family's clients know.
pub(crate) fn identify(family: Family, id: &str, headers: &mut HeaderMap) {
    let Ok(id) = HeaderValue::from_str(id) else {
        return;
    };
    if let [more @ .., last] = names_of_id(family) {
        for name in more {
            headers.insert(*name, id.clone());
        }
        headers.insert(*last, id);
    }
}

/// What keeps an answer from being run, framed or passed on by a browser that shows it.
pub(crate) static FOR_BROWSERS: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// What a remembered, shared or repeated answer costs.
pub(crate) static NOTHING: HeaderValue = HeaderValue::from_static("0.000000");

/// Adds the headers that every answer has.
pub(crate) fn common_headers(exchange: &Exchange, headers: &mut HeaderMap, is_stream: bool) {
    identify(exchange.family, exchange.request_id.as_str(), headers);
    if let Ok(trace) = HeaderValue::from_bytes(&exchange.trace.traceparent()) {
        headers.insert(&name::TRACEPARENT, trace);
    }
    if !exchange.limit_headers.is_empty() {
        for (name, value) in &exchange.limit_headers {
            headers.insert(name, value.clone());
        }
        crate::headers::strip_limits(headers, &exchange.limit_headers);
    }
    headers.insert(
        &name::TIER,
        exchange.gateway.degradation.in_force().header.clone(),
    );
    if let Some(tokens) = exchange.shortened_to {
        headers.insert(&name::MAX_OUTPUT_TOKENS, HeaderValue::from(tokens));
    }
    if let Some(call) = &exchange.call {
        headers.insert(&name::TARGET, call.target.header.clone());
        if !is_stream
            && let Some(cost) = call.cost_so_far()
            && let Ok(cost) = HeaderValue::from_str(&cost.to_string())
        {
            headers.insert(&name::COST, cost);
        }
    } else if matches!(exchange.cache, Some("hit" | "coalesced")) {
        headers.insert(&name::COST, NOTHING.clone());
    }
    if exchange.attempts > 1 {
        headers.insert(&name::ATTEMPTS, exchange.attempts.into());
    }
    if let Some(id) = &exchange.upstream_request_id
        && let Ok(id) = HeaderValue::from_str(id)
    {
        headers.insert(&name::UPSTREAM_REQUEST_ID, id);
    }
    if !exchange.dropped.is_empty()
        && let Ok(dropped) = HeaderValue::try_from(losses::line(&exchange.dropped))
    {
        headers.insert(&name::DROPPED, dropped);
    }
    if let Some(cache) = exchange.cache {
        headers.insert(&name::CACHE, HeaderValue::from_static(cache));
    }
    for (name, value) in &FOR_BROWSERS {
        headers.insert(name, value.clone());
    }
    if is_stream {
        headers.insert(
            http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache"),
        );
        headers.insert(&name::ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    if exchange.gateway.health.is_draining() {
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The body of an answer, and the exchange that ends with it.
#[derive(Debug)]
pub struct ReplyBody {
    content: Sending,
    exchange: Option<Box<Exchange>>,
}

#[derive(Debug)]
enum Sending {
    Frames {
        rest: std::vec::IntoIter<Bytes>,
        left: u64,
        /// Whether the length is not told, because streams have none.
        is_stream: bool,
    },
    Stream(Box<StreamRelay>),
    Echo(Box<EchoStream>),
    Shared(Box<Reader>),
    Paged(Box<Paged>),
    /// The exchange is with the call until that is answered.
    Waiting(Box<Waiting>),
}

impl Sending {
    fn known(frames: Vec<Bytes>, is_stream: bool) -> Self {
        let left = frames.iter().map(|frame| frame.len() as u64).sum();
        Self::Frames {
            rest: frames.into_iter(),
            left,
            is_stream,
        }
    }
}

impl From<Content> for Sending {
    fn from(content: Content) -> Self {
        match content {
            Content::Frames(frames) => Self::known(frames, false),
            Content::Events(events) => Self::known(events, true),
            Content::Stream(stream) => Self::Stream(stream),
            Content::Echo(stream) => Self::Echo(stream),
            Content::Shared(reader) => Self::Shared(reader),
            Content::Paged(paged) => Self::Paged(paged),
        }
    }
}

/// The answer to `HEAD`: the head of that to `GET` with its length, and nothing behind it. Connections of
/// HTTP/1.1 leave the rest out by themselves, those of HTTP/2 would send it.
pub(crate) fn head_alone(response: Response<ReplyBody>) -> Response<ReplyBody> {
    let (mut head, mut body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        let length = HeaderValue::from(length);
        head.headers
            .entry(http::header::CONTENT_LENGTH)
            .or_insert(length);
    }
    body.content = Sending::known(Vec::new(), false);
    Response::from_parts(head, body)
}

/// Renders the beginning of an answer for a caller that waits for the rest.
pub(crate) fn respond_waiting(
    answering: waiting::Answering,
    mut notice: Notice,
) -> Response<ReplyBody> {
    let headers = std::mem::take(&mut notice.headers);
    let mut response = Response::new(ReplyBody {
        content: Sending::Waiting(Box::new(Waiting::new(answering, notice))),
        exchange: None,
    });
    *response.headers_mut() = headers;
    response
}

impl ReplyBody {
    fn new(mut exchange: Box<Exchange>, content: Content, is_head: bool) -> Self {
        let content = Sending::from(content);
        let is_empty = match &content {
            Sending::Frames { left, .. } => *left == 0,
            Sending::Paged(paged) => paged.left() == 0,
            _ => false,
        };
        if is_head || is_empty {
            succeed(&mut exchange);
        }
        Self {
            content,
            exchange: Some(exchange),
        }
    }

    /// The exchange that ends with it.
    pub(crate) fn exchange_mut(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_deref_mut()
    }

    /// What is going to be sent, where that is known and nothing of it was sent yet. Of an answer to
    /// `HEAD` the length is told alone, which is that of the answer to `GET`.
    pub(crate) fn whole(&self) -> Option<&[Bytes]> {
        match &self.content {
            Sending::Frames {
                rest,
                is_stream: false,
                ..
            } => Some(rest.as_slice()),
            _ => None,
        }
    }

    /// Sends this instead.
    pub(crate) fn replace_whole(&mut self, bytes: Bytes) {
        self.content = Sending::known(vec![bytes], false);
    }

    /// A body that belongs to no exchange.
    pub(crate) fn detached(bytes: impl Into<Bytes>) -> Self {
        Self {
            content: Sending::known(vec![bytes.into()], false),
            exchange: None,
        }
    }
}

/// Everything was handed to the connection; what failed before stays failed.
fn succeed(exchange: &mut Exchange) {
    if exchange.outcome == Outcome::Cancelled {
        exchange.outcome = Outcome::Success;
    }
}

/// How a shared answer ended is how it ends for everyone who reads it.
fn note_end(exchange: &mut Exchange, end: End) {
    match end {
        End::Complete => succeed(exchange),
        End::Failed(code) => {
            exchange.outcome = Outcome::Failure;
            exchange.code = code;
        }
        End::Lost => exchange.fail(Code::Internal),
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self {
            content, exchange, ..
        } = self.get_mut();
        if let Sending::Waiting(waiting) = content {
            match ready!(waiting.poll(cx)) {
                Happened::Sign(sign) => {
                    let sign = Frame::data(Bytes::from_static(sign));
                    return Poll::Ready(Some(Ok(sign)));
                }
                Happened::Answered(answered, begun) => {
                    *exchange = Some(answered);
                    *content = begun.into();
                }
            }
        }
        let next = match (content, exchange.as_deref_mut()) {
            (Sending::Frames { rest, left, .. }, exchange) => {
                let next = rest.next();
                *left -= next.as_ref().map_or(0, |frame| frame.len() as u64);
                if let (0, Some(exchange)) = (*left, exchange) {
                    succeed(exchange);
                }
                Poll::Ready(next)
            }
            (Sending::Stream(stream), Some(exchange)) => stream.poll_next(cx, exchange),
            (Sending::Echo(stream), Some(exchange)) => Poll::Ready(stream.next_event(exchange)),
            (Sending::Shared(reader), Some(exchange)) => match ready!(reader.poll_next(cx)) {
                Ok(data) => Poll::Ready(Some(data)),
                Err(end) => {
                    note_end(exchange, end);
                    Poll::Ready(None)
                }
            },
            (Sending::Paged(paged), Some(exchange)) => match ready!(paged.poll_next(cx)) {
                Some(Ok(piece)) => {
                    if paged.left() == 0 {
                        succeed(exchange);
                    }
                    Poll::Ready(Some(piece))
                }
                Some(Err(cut)) => {
                    exchange.fail(Code::StoreUnavailable);
                    return Poll::Ready(Some(Err(cut.into())));
                }
                None => Poll::Ready(None),
            },
            (_, None) | (Sending::Waiting(_), _) => Poll::Ready(None),
        };
        next.map(|data| data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Sending::Frames { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Sending::Frames {
                left,
                is_stream: false,
                ..
            } => SizeHint::with_exact(*left),
            Sending::Paged(paged) => SizeHint::with_exact(paged.left()),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let (Sending::Stream(stream), Some(exchange)) = (&mut self.content, &mut self.exchange) {
            stream.note_end(exchange);
        }
    }
}
