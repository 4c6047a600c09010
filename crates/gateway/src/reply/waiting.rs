//! The answer to a caller that was told to wait: signs of life until the call has its answer, and
//! then that answer, or the dialect's own error event.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use seaworthy_core::code::Code;
use seaworthy_llm::{ErrorView, Framing, decode_error, encode_stream_error};
use tokio::time::Sleep;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::{Answer, Content, refuse};
use crate::waiting::Notice;

/// A call that is being answered, and its exchange. Dropped, the call is cancelled and settled.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;
pub(crate) type Answered = (Box<Exchange>, Result<Answer, Refusal>);

/// The answer, or the notice to its caller once that is to be told that it waits.
pub(crate) async fn until_told(
    answering: &mut Answering,
    told: &OnceLock<Notice>,
) -> Result<Answered, Notice> {
    std::future::poll_fn(|cx| match (answering.as_mut().poll(cx), told.get()) {
        (Poll::Ready(answered), _) => Poll::Ready(Ok(answered)),
        (Poll::Pending, Some(notice)) => Poll::Ready(Err(notice.clone())),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

/// A caller that waits.
pub(crate) struct Waiting {
    answering: Answering,
    notice: Notice,
    next_sign: Pin<Box<Sleep>>,
}

/// What happens while it does.
pub(super) enum Happened {
    /// Time has passed.
    Sign(&'static [u8]),
    /// The answer has begun, or it is known that there is none.
    Answered(Box<Exchange>, Content),
}

impl Waiting {
    pub(crate) fn new(answering: Answering, notice: Notice) -> Self {
        let at_once = std::time::Duration::ZERO;
        Self {
            answering,
            notice,
            next_sign: Box::pin(tokio::time::sleep(at_once)),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if let Poll::Ready((mut exchange, result)) = self.answering.as_mut().poll(cx) {
            let content = splice(&mut exchange, &self.notice, result);
            return Poll::Ready(Happened::Answered(exchange, content));
        }
        if self.next_sign.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let at = tokio::time::Instant::now() + self.notice.every;
        self.next_sign.as_mut().reset(at);
        Poll::Ready(Happened::Sign(self.notice.sign))
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

/// What follows the signs. The status is sent already: errors become events.
fn splice(exchange: &mut Exchange, notice: &Notice, result: Result<Answer, Refusal>) -> Content {
    let mut answer = result.unwrap_or_else(|refusal| refuse(exchange, refusal));
    if answer.status == 200 && !is_stream(&answer) {
        let refusal = Refusal::new(
            Code::UpstreamInvalid,
            "The provider answered with something that is not the stream that was asked for.",
        );
        answer = refuse(exchange, refusal);
    }
    let status = answer.status;
    exchange.status = 200;
    match answer.content {
        content if status == 200 => content,
        Content::Frames(frames) => {
            let error = error_event(exchange, notice, (status, &frames.concat()));
            Content::Frames(vec![error])
        }
        content => content,
    }
}

fn is_stream(answer: &Answer) -> bool {
    if !matches!(answer.content, Content::Frames(_)) {
        return true;
    }
    let content_type = answer.headers.get(CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(Framing::of_content_type)
        == Some(Framing::ServerSentEvents)
}

/// The body of an error as the last event of a stream.
fn error_event(exchange: &Exchange, notice: &Notice, (status, body): (u16, &[u8])) -> Bytes {
    let error = decode_error(exchange.family, body);
    let view = ErrorView {
        status,
        kind: error.kind.as_deref(),
        code: error.code.as_deref(),
        message: &error.message,
        param: error.param.as_deref(),
        retry_after: error.retry_after,
        request_id: Some(exchange.request_id.as_str()),
    };
    let mut event = Vec::new();
    encode_stream_error(notice.dialect, &view, &mut event);
    event.into()
}
