//! A call that is made in a task of its own, because others read along or its answer is kept.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use seaworthy_core::code::Code;
use seaworthy_core::idempotency::KeptAnswer;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::objects::Finished;
use seaworthy_llm::{ErrorView, Framing, encode_stream_error};

use crate::exchange::Exchange;
use crate::flight::{End, Head, Producer, Reader};
use crate::gateway::Gateway;
use crate::objects;
use crate::pipeline::{self, Errand};
use crate::refusal::Refusal;
use crate::reply::{Answer, Content, ReplyBody, respond};
use crate::responses::background::Running;
use crate::responses::keeping::Keeping;
use crate::responses::rewrite::{Ending, Rewriter};
use crate::service::panicked;
use crate::stage::recall::cached::{self, Ticket};
use crate::stage::recall::idempotent::Held;
use crate::stage::recall::kept;
use crate::waiting::{self, Herald};
use seaworthy_core::error::chain;

/// A call that is going to be made for everyone who reads along.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) producer: Producer,
    pub(crate) reader: Reader,
    /// Where the answer is remembered.
    pub(crate) ticket: Option<Ticket>,
    /// The idempotency key under which it is kept.
    pub(crate) held: Option<Held>,
    /// How the response is stored.
    pub(crate) keeping: Option<Box<Keeping>>,
}

impl Shared {
    /// Makes the call and reads its answer like everyone else. The exchange goes with the call: it
    /// ends when the call does, whoever has left by then.
    pub(crate) async fn lead(
        self: Box<Self>,
        exchange: &mut Exchange,
        errand: Errand,
    ) -> Result<Answer, Refusal> {
        let Self {
            producer,
            reader,
            ticket,
            mut held,
            keeping,
        } = *self;
        let mut queued = None;
        if let Some(keeping) = keeping.as_ref().filter(|keeping| keeping.is_background) {
            queued = Some(open(exchange, keeping, &mut held).await?);
        }
        let mut call = exchange.hand_over();
        call.herald = Herald::Readers(producer.flight());
        if queued.is_some() {
            // Nobody waits for it.
            call.deadline = None;
        }
        if let Some(held) = &mut held {
            held.set_off();
        }
        let making = Making {
            producer,
            ticket,
            held,
            keeping,
        };
        tokio::spawn(Box::pin(make(call, errand, making)));
        match queued.filter(|_| !exchange.stream) {
            Some(queued) => Ok(queued),
            None => serve(exchange, reader).await.ok_or_else(panicked),
        }
    }
}

/// Writes down that a response is made in the background, together with the answer that says so.
async fn open(
    exchange: &Exchange,
    keeping: &Keeping,
    held: &mut Option<Held>,
) -> Result<Answer, Refusal> {
    let gateway = &exchange.gateway;
    let queued = keeping.blank(gateway, "queued").to_string();
    let answer = Answer::json(200, queued.clone());
    // Who reads the stream gets its answer from that.
    let held = held.take_if(|_| !exchange.stream);
    let finished = held.map(|held| {
        let answer = kept_answer(200, &answer.headers, queued.into());
        held.into_finished(answer)
    });
    let opened = keeping.open(gateway, finished).await;
    opened.map_err(|error| objects::failed(&error))?;
    Ok(answer)
}

/// Stores a response that is known already, under a name of its own.
pub(crate) async fn keep_known(
    exchange: &Exchange,
    keeping: &Keeping,
    held: Option<Held>,
    mut answer: Answer,
) -> Answer {
    if let (200, Content::Frames(frames) | Content::Events(frames)) =
        (answer.status, &answer.content)
    {
        let mut rewriter = Rewriter::new(keeping, exchange.stream);
        let mut bytes = rewriter.pass(kept::joined(frames)).to_vec();
        let mut ending = rewriter.finish();
        store(&exchange.gateway, keeping, &mut ending, None).await;
        bytes.extend_from_slice(&ending.bytes());
        answer.content = kept::content(&answer.headers, bytes.into());
    }
    match held {
        Some(held) => held.answer_with(exchange, answer).await,
        None => answer,
    }
}

/// Stores the response of an answer that has ended. What cannot be stored says so.
async fn store(
    gateway: &Gateway,
    keeping: &Keeping,
    ending: &mut Ending,
    finished: Option<Finished>,
) {
    let Some(response) = ending.response() else {
        return;
    };
    if let Err(error) = keeping.store(gateway, response, finished).await {
        let cause = chain(&error);
        tracing::error!(cause, "a response could not be stored");
        ending.note_unstored();
    }
}

/// Where the answer goes, beside those who read it.
struct Making {
    producer: Producer,
    ticket: Option<Ticket>,
    held: Option<Held>,
    keeping: Option<Box<Keeping>>,
}

/// The answer that a reader reads: streams as they come, others when they are whole. `None` if
/// whoever made it is gone.
pub(crate) async fn serve(exchange: &mut Exchange, mut reader: Reader) -> Option<Answer> {
    let head = head(exchange, &reader).await?;
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

/// The head of an answer that is being made, once it is known. Meanwhile the caller is told that it
/// waits, if the one who makes it is.
pub(crate) async fn head(exchange: &Exchange, reader: &Reader) -> Option<Head> {
    if !waiting::can_be_told(exchange) {
        return reader.head().await;
    }
    tokio::select! {
        biased;
        head = reader.head() => return head,
        () = reader.waits() => exchange.herald.tell(exchange),
    }
    reader.head().await
}

/// Waits until the answer is not wanted any more.
async fn given_up(running: Option<&Running>, goes_on_alone: bool, producer: &Producer) {
    match running {
        Some(running) => running.stopped().await,
        None if goes_on_alone => std::future::pending().await,
        None => producer.deserted().await,
    }
}

async fn make(mut exchange: Box<Exchange>, errand: Errand, making: Making) {
    let Making {
        producer,
        ticket,
        held,
        keeping,
    } = making;
    let gateway = Arc::clone(&exchange.gateway);
    let keeping = keeping.as_deref();
    let in_background = keeping.filter(|keeping| keeping.is_background);
    let running = in_background.map(|keeping| gateway.responses.begin(&keeping.id));
    // Who sends a key, or comes back for the answer, wants it although it leaves.
    let goes_on_alone = held.is_some() || in_background.is_some();
    let given_up = || given_up(running.as_ref(), goes_on_alone, &producer);
    let most = exchange.snapshot.max_response_bytes;
    let (dialect, framing) = (errand.request.operation.dialect(), errand.request.framing);
    let calling = AssertUnwindSafe(pipeline::call(&mut exchange, errand)).catch_unwind();
    let result = tokio::select! {
        result = calling => result,
        () = given_up() => return,
    };
    let result = result.unwrap_or_else(|_panic| {
        exchange.gateway.metrics.panics.inc();
        Err(panicked())
    });
    let streams = exchange.stream;
    let (head, mut body) = respond(exchange, result, false).into_parts();
    producer.begin(Head {
        status: head.status.as_u16(),
        headers: head.headers.clone(),
    });
    let mut rewriter = keeping
        .filter(|_| head.status == StatusCode::OK)
        .map(|keeping| Rewriter::new(keeping, streams));
    let mut is_too_large = false;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = given_up() => return,
        };
        let Some(Ok(frame)) = frame else { break };
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        if let Some(rewriter) = &mut rewriter {
            data = rewriter.pass(data);
        }
        if !data.is_empty() && producer.push(data) > most {
            is_too_large = true;
            if framing == Framing::ServerSentEvents {
                producer.push(too_large(dialect, most));
            }
            break;
        }
    }
    let ending = rewriter.map(Rewriter::finish);
    let rest = Rest {
        ticket,
        held,
        stored: keeping.zip(ending),
        is_too_large,
    };
    let end = finish(&producer, body, (&head.headers, head.status.as_u16()), rest).await;
    if let Some(keeping) = in_background {
        // What was stored stays: this is for answers that had no response in them.
        let error = match head.status {
            StatusCode::OK => Bytes::new(),
            _ => kept::joined(&producer.chunks()),
        };
        let status = head.status.as_u16();
        keeping.give_up(&gateway, status, &error).await;
    }
    // Dropped without an end, the readers learn that there is none.
    if let Some(end) = end {
        producer.end(end);
    }
}

/// What is to be done with an answer that has ended.
struct Rest<'a> {
    ticket: Option<Ticket>,
    held: Option<Held>,
    stored: Option<(&'a Keeping, Ending)>,
    is_too_large: bool,
}

/// Keeps the answer where it is to be kept, ends the exchange, and says how the answer ended.
async fn finish(
    producer: &Producer,
    mut body: ReplyBody,
    (headers, status): (&HeaderMap, u16),
    rest: Rest<'_>,
) -> Option<End> {
    let Rest {
        ticket,
        held,
        stored,
        is_too_large,
    } = rest;
    let exchange = body.exchange_mut()?;
    if is_too_large {
        exchange.fail(Code::UpstreamTooLarge);
    }
    let is_success = status == 200 && exchange.outcome == Outcome::Success;
    let is_turned_away = match exchange.code {
        // Our own key was not taken: nothing was done, and it is mended.
        Some(Code::UpstreamAuth) => true,
        // Some callers are told 503, but nobody knows what was done.
        Some(Code::UpstreamUnreachable | Code::UpstreamTimeout | Code::UpstreamInvalid) => false,
        _ => is_refusal(status),
    };
    let has_left = exchange.usage().is_some();
    let end = match exchange.outcome {
        Outcome::Success => End::Complete,
        _ => End::Failed(exchange.code),
    };
    let whole = |ending: &Option<(&Keeping, Ending)>| {
        let mut chunks = producer.chunks();
        chunks.extend(ending.as_ref().map(|(_, ending)| ending.bytes()));
        kept::joined(&chunks)
    };
    if let Some(ticket) = ticket.filter(|_| is_success) {
        cached::keep(exchange, ticket, headers, whole(&stored)).await;
    }
    let gateway = Arc::clone(&exchange.gateway);
    // The ledger knows of the call before anybody sees that it has ended.
    drop(body);
    let keeps_answer = status < 400 || (has_left && !is_turned_away);
    let mut held = held;
    let mut stored = stored;
    if let Some((keeping, ending)) = &mut stored
        && !is_too_large
    {
        let answer = |ending: &Ending| {
            let mut chunks = producer.chunks();
            chunks.push(ending.bytes());
            kept_answer(status, headers, kept::joined(&chunks))
        };
        let ends_here = held.take_if(|_| ending.response().is_some());
        let finished = ends_here.map(|held| held.into_finished(answer(ending)));
        store(&gateway, keeping, ending, finished).await;
    }
    if let Some(held) = held {
        if keeps_answer {
            held.finish(kept_answer(status, headers, whole(&stored)))
                .await;
        } else {
            held.release().await;
        }
    }
    if let Some((_, ending)) = &stored {
        producer.push(ending.bytes());
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
        retry_after: None,
        request_id: None,
    };
    let mut event = Vec::new();
    encode_stream_error(dialect, &view, &mut event);
    event.into()
}
