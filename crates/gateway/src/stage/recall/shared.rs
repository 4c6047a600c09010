//! A call that is made in a task of its own, because others read along or its answer is kept.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use seaworthy_core::code::Code;
use seaworthy_core::idempotency::KeptAnswer;
use seaworthy_core::ledger::Outcome;
use seaworthy_llm::{ErrorView, Framing, encode_stream_error};

use crate::exchange::Exchange;
use crate::flight::{End, Head, Producer, Reader};
use crate::pipeline::{self, Errand};
use crate::refusal::Refusal;
use crate::reply::{Answer, Content, ReplyBody, respond};
use crate::service::panicked;
use crate::stage::recall::cached::{self, Ticket};
use crate::stage::recall::idempotent::Held;
use crate::stage::recall::kept;

/// A call that is going to be made for everyone who reads along.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) producer: Producer,
    pub(crate) reader: Reader,
    /// Where the answer is remembered.
    pub(crate) ticket: Option<Ticket>,
    /// The idempotency key under which it is kept.
    pub(crate) held: Option<Held>,
}

impl Shared {
    /// Makes the call and reads its answer like everyone else. The exchange goes with the call: it
    /// ends when the call does, whoever has left by then.
    pub(crate) async fn lead(
        self: Box<Self>,
        exchange: &mut Exchange,
        errand: Errand,
    ) -> Result<Answer, Refusal> {
        let call = exchange.hand_over();
        let Self {
            producer,
            reader,
            ticket,
            mut held,
        } = *self;
        if let Some(held) = &mut held {
            held.set_off();
        }
        tokio::spawn(Box::pin(make(call, errand, producer, ticket, held)));
        serve(exchange, reader).await.ok_or_else(panicked)
    }
}

/// The answer that a reader reads: streams as they come, others when they are whole. `None` if
/// whoever made it is gone.
pub(crate) async fn serve(exchange: &mut Exchange, mut reader: Reader) -> Option<Answer> {
    let head = reader.head().await?;
    let content = if exchange.stream && head.status == 200 {
        Content::Shared(Box::new(reader))
    } else {
        let (chunks, end) = reader.rest().await;
        match end {
            End::Complete => {}
            End::Failed(code) => {
                exchange.outcome = Outcome::Failure;
                exchange.code = code;
            }
            End::Lost => return None,
        }
        Content::Frames(chunks)
    };
    Some(Answer {
        status: head.status,
        headers: head.headers,
        content,
    })
}

async fn make(
    mut exchange: Box<Exchange>,
    errand: Errand,
    producer: Producer,
    ticket: Option<Ticket>,
    held: Option<Held>,
) {
    // Who sends a key wants the answer, even if it has to come back for it.
    let goes_on_alone = held.is_some();
    let most = exchange.snapshot.max_response_bytes;
    let dialect = errand.request.operation.dialect();
    let framing = errand.request.framing;
    let calling = AssertUnwindSafe(pipeline::call(&mut exchange, errand)).catch_unwind();
    let result = tokio::select! {
        result = calling => result,
        () = producer.deserted(), if !goes_on_alone => return,
    };
    let result = result.unwrap_or_else(|_panic| {
        exchange.gateway.metrics.panics.inc();
        Err(panicked())
    });
    let (head, mut body) = respond(exchange, result, false).into_parts();
    producer.begin(Head {
        status: head.status.as_u16(),
        headers: head.headers.clone(),
    });
    let mut is_too_large = false;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = producer.deserted(), if !goes_on_alone => return,
        };
        let Some(Ok(frame)) = frame else { break };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if producer.push(data) > most {
            is_too_large = true;
            if framing == Framing::ServerSentEvents {
                producer.push(too_large(dialect, most));
            }
            break;
        }
    }
    let head = Response::from_parts(head, ());
    let kept = (ticket, held);
    // Dropped without an end, the readers learn that there is none.
    if let Some(end) = finish(&producer, body, &head, is_too_large, kept).await {
        producer.end(end);
    }
}

/// Keeps the answer where it is to be kept, ends the exchange, and says how the answer ended.
async fn finish(
    producer: &Producer,
    mut body: ReplyBody,
    head: &Response<()>,
    is_too_large: bool,
    (ticket, held): (Option<Ticket>, Option<Held>),
) -> Option<End> {
    let status = head.status().as_u16();
    let exchange = body.exchange_mut()?;
    if is_too_large {
        exchange.fail(Code::UpstreamTooLarge);
    }
    let is_success = status == 200 && exchange.outcome == Outcome::Success;
    let has_left = exchange.usage().is_some();
    let end = match exchange.outcome {
        Outcome::Success => End::Complete,
        _ => End::Failed(exchange.code),
    };
    let whole = || kept::joined(&producer.chunks());
    if let Some(ticket) = ticket.filter(|_| is_success) {
        cached::keep(exchange, ticket, head.headers(), whole()).await;
    }
    // The ledger knows of the call before anybody sees that it has ended.
    drop(body);
    if let Some(held) = held {
        if status < 400 || (has_left && !is_refusal(status)) {
            held.finish(kept_answer(status, head.headers(), whole()))
                .await;
        } else {
            held.release().await;
        }
    }
    Some(end)
}

fn kept_answer(status: u16, headers: &HeaderMap, body: Bytes) -> KeptAnswer {
    KeptAnswer {
        status,
        headers: kept::headers_to_keep(headers),
        body,
    }
}

/// The provider says that it has done nothing and that one should come back.
fn is_refusal(status: u16) -> bool {
    matches!(status, 429 | 503 | 529)
}

fn too_large(dialect: seaworthy_core::dialect::Dialect, most: usize) -> Bytes {
    let message = format!(
        "The answer is larger than the {most} bytes of `server.max_response_size`, and one that is \
         shared or kept may not be."
    );
    let view = ErrorView {
        status: Code::UpstreamTooLarge.status(),
        kind: None,
        code: Some(Code::UpstreamTooLarge.as_str()),
        message: &message,
        param: None,
        request_id: None,
    };
    let mut event = Vec::new();
    encode_stream_error(dialect, &view, &mut event);
    event.into()
}
