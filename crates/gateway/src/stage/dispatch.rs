//! The call leaves, to one target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Response};
use seaworthy_core::code::Code;
use seaworthy_core::crash::{self, Point};
use seaworthy_core::dialect::Dialect;
use seaworthy_core::trace::TraceContext;
use seaworthy_core::usage::Usage;
use seaworthy_edge::client::{Error, Timeout, Timeouts, UpstreamBody};
use seaworthy_llm::Framing;
use seaworthy_llm::embed::{self, Embedding};

use crate::echo::{self, EchoReply, moderation};
use crate::exchange::Exchange;
use crate::guards::output::guard_reply;
use crate::headers::{self, name};
use crate::provider::{Backend, Remote};
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::snapshot::Target;
use crate::stage::plan::{Candidate, Way};
use crate::stage::reserve::Reservation;
use crate::stage::screen::Screened;
use crate::translate::{Translation, lost_around_the_body};

/// What came back.
pub(crate) enum Reply {
    /// The head of a provider's answer.
    Remote {
        response: Box<Response<UpstreamBody>>,
        back: Back,
    },
    /// The built-in model's answer.
    Echo(EchoReply),
    /// An estimate of input tokens, for which nobody was asked.
    Estimated { dialect: Dialect, tokens: u64 },
}

/// What has to be done to a provider's answer before it is the caller's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Back {
    /// It is in the caller's dialect.
    Direct {
        /// How a stream comes.
        framing: Framing,
        /// Whether the stream carries usage that the caller did not ask for.
        strip_usage: bool,
    },
    /// It is in another dialect.
    Translated {
        translation: Translation,
        /// How the caller wants to have a stream.
        framing: Framing,
        /// Whether the caller asked for usage within the stream.
        include_usage: bool,
    },
    /// It is vectors in another form.
    Embedded {
        caller: Embedding,
        provider: Embedding,
        /// Whether the caller reads vectors in base64 only.
        as_base64: bool,
        /// How many vectors it has to have.
        texts: usize,
    },
}

impl Back {
    /// Between which dialects it was translated, if it was.
    pub(crate) fn translation(self) -> Option<Translation> {
        match self {
            Self::Direct { .. } => None,
            Self::Translated { translation, .. } => Some(translation),
            Self::Embedded {
                caller, provider, ..
            } => Some(Translation {
                provider: provider.dialect(),
                caller: caller.dialect(),
            }),
        }
    }
}

/// A call that is ready to leave.
pub(crate) struct Parcel {
    target: Arc<Target>,
    operation: Operation,
    worker: usize,
    outbound: Outbound,
    headers: HeaderMap,
    timeouts: Timeouts,
}

/// What became of it.
pub(crate) struct Came {
    target: Arc<Target>,
    operation: Operation,
    back: Back,
    took: Duration,
    pub(crate) result: Result<Response<UpstreamBody>, Error>,
}

/// A call that is ready to leave, or that need not.
pub(crate) enum Prepared {
    Parcel(Parcel),
    Answered(Reply),
}

impl Parcel {
    /// Sends it and waits for the head of the answer.
    pub(crate) async fn send(self, reservation: &Reservation) -> Came {
        let sent = Instant::now();
        let Outbound {
            path_and_query,
            body,
            back,
        } = self.outbound;
        let result = match &self.target.provider.backend {
            Backend::Remote(remote) => {
                let message = (self.headers, body);
                let path = &path_and_query;
                let sending = remote.send(reservation, self.worker, path, message, self.timeouts);
                let came = sending.await;
                crash::point(Point::AnswerBegun);
                came
            }
            Backend::Echo => Err(Error::Connect {
                origin: String::new(),
                source: "the built-in model is asked nothing".into(),
            }),
        };
        Came {
            target: self.target,
            operation: self.operation,
            back,
            took: sent.elapsed(),
            result,
        }
    }
}

/// A request as it is sent.
struct Outbound {
    path_and_query: String,
    body: Bytes,
    back: Back,
}

/// Puts the call into the words of its target.
pub(crate) fn prepare(
    exchange: &mut Exchange,
    candidate: &Candidate,
    request: &Screened,
    headers: &HeaderMap,
) -> Result<Prepared, Refusal> {
    let target = &candidate.target;
    let Backend::Remote(remote) = &target.provider.backend else {
        return answer_locally(exchange, request).map(Prepared::Answered);
    };
    let mut headers = headers::for_provider(headers);
    let outbound = match candidate.way {
        Way::Estimated => return estimate(request).map(Prepared::Answered),
        Way::Translated(translation) => {
            translate(exchange, translation, request, target, &mut headers)?
        }
        Way::Embedded { caller, provider } => {
            let forms = (caller, provider);
            embed_elsewhere(exchange, forms, request, target, &mut headers)?
        }
        Way::Direct | Way::BuiltIn => pass(request, remote, &target.model),
    };
    identify(exchange, &mut headers);
    mark_dispatched(exchange);
    Ok(Prepared::Parcel(Parcel {
        target: Arc::clone(target),
        operation: request.operation,
        worker: exchange.worker,
        outbound,
        headers,
        timeouts: Timeouts {
            deadline: exchange.deadline,
            first_token: target.timeouts.first_token.filter(|_| request.head.stream),
            ..target.timeouts
        },
    }))
}

/// Counts what came of a call.
pub(crate) fn count(exchange: &Exchange, came: &Came) {
    let metrics = came
        .target
        .metrics(Some(came.operation), &exchange.gateway.metrics);
    metrics.provider_latency.observe(came.took.as_secs_f64());
    let response = came.result.as_ref().ok();
    let status = response.map(|response| response.status().as_u16());
    metrics.count_provider_response(status);
    if let Err(error) = &came.result {
        exchange
            .gateway
            .metrics
            .count_timeout(&came.target.id, error);
    }
    exchange.gateway.degradation.note_attempt(
        &came.target.provider.name,
        status,
        response.map(Response::headers),
        came.took,
        exchange.gateway.clock.now(),
    );
}

/// Takes in what came of the exchange's own call.
pub(crate) fn received(exchange: &mut Exchange, came: Came) -> Result<Reply, Refusal> {
    count(exchange, &came);
    let Came {
        target,
        operation,
        back,
        result,
        ..
    } = came;
    let metrics = target.metrics(Some(operation), &exchange.gateway.metrics);
    match result {
        Ok(response) => {
            let first_byte = exchange.started.elapsed();
            metrics.first_byte.observe(first_byte.as_secs_f64());
            exchange.first_byte = Some(first_byte);
            Ok(Reply::Remote {
                response: Box::new(response),
                back,
            })
        }
        Err(error) => {
            if never_left(&error)
                && let Some(call) = &mut exchange.call
            {
                call.mark_undispatched();
            }
            Err(failed(&target, &error))
        }
    }
}

/// The caller's own bytes, except for the few that have to change.
fn pass(request: &Screened, remote: &Remote, model: &str) -> Outbound {
    let strip_usage = is_usage_to_be_forced(request);
    let place = remote.place(request.operation, model, request.head.stream);
    // A body that leaves the model to the path need not name it where the provider's path does.
    let name = (request.head.names_model() || !place.names_model).then_some(model);
    let body = seaworthy_llm::splice(&request.body, &request.head, name, strip_usage);
    let body = match request.operation {
        Operation::Embeddings(form) => embed::rename(form, &body, model),
        _ if request.is_wrapped => seaworthy_llm::wrap_counted(&body, model),
        _ => body,
    };
    let mut path_and_query = place.path.into_owned();
    if request.framing == Framing::JsonArray
        && let Some(query) = path_and_query.find('?')
    {
        // The caller did not ask for server-sent events.
        path_and_query.truncate(query);
    }
    if let Some(query) = &request.query {
        let joint = if path_and_query.contains('?') {
            '&'
        } else {
            '?'
        };
        path_and_query.push(joint);
        path_and_query.push_str(query);
    }
    let back = Back::Direct {
        framing: request.framing,
        strip_usage,
    };
    Outbound {
        path_and_query,
        body,
        back,
    }
}

/// The request in the provider's dialect. What that leaves out is noted, or refused.
fn translate(
    exchange: &mut Exchange,
    translation: Translation,
    request: &Screened,
    target: &Target,
    headers: &mut HeaderMap,
) -> Result<Outbound, Refusal> {
    let Backend::Remote(remote) = &target.provider.backend else {
        let message = "Only calls of providers are translated.";
        return Err(Refusal::new(Code::Internal, message));
    };
    let encoded = translation.request(request, &target.model)?;
    exchange.dropped.extend(encoded.dropped);
    exchange.dropped.extend(translation.headers(headers));
    let query = request.query.as_ref();
    let lost = query.map(|_| lost_around_the_body("query".to_owned()));
    exchange.dropped.extend(lost);
    let operation = Operation::Chat(translation.provider);
    let place = remote.place(operation, &target.model, request.head.stream);
    Ok(Outbound {
        path_and_query: place.path.into_owned(),
        body: encoded.body.into(),
        back: Back::Translated {
            translation,
            framing: request.framing,
            include_usage: request.head.include_usage,
        },
    })
}

/// The request for vectors in the provider's form. What that leaves out is noted, or refused.
fn embed_elsewhere(
    exchange: &mut Exchange,
    (caller, provider): (Embedding, Embedding),
    request: &Screened,
    target: &Target,
    headers: &mut HeaderMap,
) -> Result<Outbound, Refusal> {
    let wanted = embed::decode_embed(caller, &target.model, &request.body)?;
    let encoded = embed::encode_embed(provider, &wanted)?;
    let translation = Translation {
        provider: provider.dialect(),
        caller: caller.dialect(),
    };
    exchange.dropped.extend(encoded.dropped);
    exchange.dropped.extend(translation.headers(headers));
    let lost = request.query.as_ref();
    exchange
        .dropped
        .extend(lost.map(|_| lost_around_the_body("query".to_owned())));
    let Backend::Remote(remote) = &target.provider.backend else {
        let message = "Only calls of providers are translated.";
        return Err(Refusal::new(Code::Internal, message));
    };
    let place = remote.place(Operation::Embeddings(provider), &target.model, false);
    Ok(Outbound {
        path_and_query: place.path.into_owned(),
        body: encoded.body.into(),
        back: Back::Embedded {
            caller,
            provider,
            as_base64: wanted.as_base64,
            texts: wanted.texts.len(),
        },
    })
}

/// How many input tokens a request has, as far as can be told without its provider.
fn estimate(request: &Screened) -> Result<Reply, Refusal> {
    let call = request.decode_call()?;
    Ok(Reply::Estimated {
        dialect: request.operation.dialect(),
        tokens: seaworthy_llm::usage::estimate_input(&call),
    })
}

/// Usage has to be in the stream for the ledger; a caller who did not ask for it does not see it.
fn is_usage_to_be_forced(request: &Screened) -> bool {
    request.operation == Operation::Chat(Dialect::OpenAiChat)
        && request.head.stream
        && !request.head.include_usage
}

fn answer_locally(exchange: &mut Exchange, request: &Screened) -> Result<Reply, Refusal> {
    let guarding = exchange.answer_guard().cloned();
    let guard = |reply: &mut seaworthy_core::call::Reply| {
        if let Some(guarding) = &guarding {
            guard_reply(guarding, reply, &mut exchange.verdicts);
        }
    };
    if request.operation == Operation::Moderations {
        let judge = exchange
            .snapshot
            .guards
            .moderation_judge()
            .map_err(|error| {
                let message = "The built-in judge of harmful content could not be built.";
                Refusal::new(Code::Internal, message).because(&error)
            })?;
        let body = moderation::answer(&judge, request, exchange.request_id.as_str())?;
        mark_dispatched(exchange);
        exchange.first_byte = Some(exchange.started.elapsed());
        let usage = Usage::default();
        return Ok(Reply::Echo(EchoReply::Whole { body, usage }));
    }
    let reply = echo::answer(
        request,
        exchange.request_id.as_str(),
        exchange.gateway.clock.now(),
        guard,
    )?;
    mark_dispatched(exchange);
    exchange.first_byte = Some(exchange.started.elapsed());
    Ok(Reply::Echo(reply))
}

fn mark_dispatched(exchange: &mut Exchange) {
    if let Some(call) = &mut exchange.call {
        call.mark_dispatched();
    }
}

/// The provider sees our request ID and continues our trace.
fn identify(exchange: &Exchange, headers: &mut HeaderMap) {
    if let Ok(id) = exchange.request_id.as_str().parse() {
        headers.insert(&name::REQUEST_ID, id);
    }
    // What tracing systems keep beside a trace does not belong to a new one.
    if headers.contains_key(&name::TRACESTATE) {
        let parent = headers.get(&name::TRACEPARENT);
        if !parent.is_some_and(|parent| TraceContext::is_continued(parent.as_bytes())) {
            headers.remove(&name::TRACESTATE);
        }
    }
    let span = exchange.trace.child().traceparent();
    if let Ok(value) = http::HeaderValue::from_bytes(&span) {
        headers.insert(&name::TRACEPARENT, value);
    }
}

/// The refusal when the caller's own time limit has passed.
pub(crate) fn too_late(provider: &str) -> Refusal {
    Refusal::new(
        Code::DeadlineExceeded,
        format!("The provider `{provider}` did not answer within the time limit of the request."),
    )
}

pub(crate) fn never_left(error: &Error) -> bool {
    matches!(
        error,
        Error::Connect { .. }
            | Error::Timeout {
                which: Timeout::Connect,
                ..
            }
    )
}

/// Transport failures are 502 and 504, so that official clients try again.
fn failed(target: &Target, error: &Error) -> Refusal {
    let provider = &target.provider.name;
    match error {
        Error::Timeout {
            which: Timeout::Deadline,
            ..
        } => too_late(provider),
        Error::Timeout { which, after } => Refusal::new(
            Code::UpstreamTimeout,
            format!(
                "The provider `{provider}` did not answer within the {which} timeout of {} s.",
                after.as_secs_f64()
            ),
        ),
        Error::Connect { .. } => Refusal::new(
            Code::UpstreamUnreachable,
            format!("No connection to the provider `{provider}` could be made."),
        ),
        Error::Broken(_) | Error::Packed(_) => Refusal::new(
            Code::UpstreamUnreachable,
            format!("The connection to the provider `{provider}` broke before it answered."),
        ),
    }
    .because(error)
}
