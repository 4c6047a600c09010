//! The answer goes back: unary answers are read whole and metered, streams are metered in passing.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::usage::Usage;
use seaworthy_edge::client::{Error, Timeout, UpstreamBody};
use seaworthy_edge::coding::{Unpackable, codings_of};
use seaworthy_llm::{Framing, decode_error, embed, usage};

use crate::echo::{self, EchoReply};
use crate::exchange::Exchange;
use crate::headers;
use crate::refusal::Refusal;
use crate::reply::stream::{Passing, StreamRelay};
use crate::reply::{Answer, Content};
use crate::routes::Operation;
use crate::stage::dispatch::{Back, Reply, too_late};
use crate::translate::Translation;

mod advised;
mod embedded;
mod no_answer;
mod translated;

use advised::retry_headers;
pub(crate) use no_answer::no_stream;

/// On answers whose token counts are an estimate, where a caller can be told.
const ESTIMATED: HeaderName = HeaderName::from_static("x-seaworthy-estimated");
/// Whether official clients are to try again.
const ADVICE: HeaderName = HeaderName::from_static("x-should-retry");
/// How much of a provider's request ID is kept.
const MOST_OF_AN_ID: usize = 128;
const YES: HeaderValue = HeaderValue::from_static("true");

/// Turns what came back into what is sent. The steps of a translation are boxed: the direct way
/// should not carry their weight.
pub(crate) async fn relay(exchange: &mut Exchange, reply: Reply) -> Result<Answer, Refusal> {
    match reply {
        Reply::Echo(reply) => Ok(relay_echo(exchange, reply)),
        Reply::Estimated { dialect, tokens } => Ok(relay_estimate(dialect, tokens)),
        Reply::Remote { response, back } => {
            let (mut head, body) = response.into_parts();
            note_request_id(exchange, &mut head.headers);
            if head.status.is_client_error() || head.status.is_server_error() {
                exchange.advice = advised::advice(exchange, &head.headers);
            }
            let response = unpacked(exchange, Response::from_parts(head, body))?;
            let back = match response.status() {
                StatusCode::OK => guarded(exchange, back),
                _ => back,
            };
            match response.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    note_refused(exchange);
                    Err(credentials_refused(exchange, response.status()))
                }
                status if status.is_client_error() || status.is_server_error() => {
                    note_refused(exchange);
                    match back.translation() {
                        None => relay_error(exchange, response).await,
                        Some(translation) => {
                            Box::pin(translated::error(exchange, response, translation)).await
                        }
                    }
                }
                StatusCode::OK if is_stream(exchange, back, response.headers()) => {
                    let mut answer = match back {
                        Back::Direct {
                            framing,
                            strip_usage,
                        } => relay_stream(exchange, response, framing, strip_usage),
                        Back::Translated {
                            translation,
                            framing,
                            include_usage,
                        } => {
                            let wanted = translated::Wanted {
                                framing,
                                include_usage,
                            };
                            translated::stream(exchange, response, translation, wanted)?
                        }
                        Back::Embedded { .. } => {
                            return Err(unexpected(exchange, StatusCode::OK, response.headers()));
                        }
                    };
                    // As long as the caller has seen nothing, another target can be asked.
                    if let Content::Stream(stream) = &mut answer.content {
                        stream.begin(exchange).await?;
                    }
                    Ok(answer)
                }
                StatusCode::OK if is_json(response.headers()) => match back {
                    Back::Direct { .. } => match (exchange.stream, exchange.operation()) {
                        (true, Some(Operation::Chat(dialect))) => {
                            Err(no_answer::not_a_stream(exchange, response, dialect).await)
                        }
                        _ => relay_whole(exchange, response).await,
                    },
                    Back::Translated { translation, .. } => {
                        Box::pin(translated::whole(exchange, response, translation)).await
                    }
                    Back::Embedded {
                        caller,
                        provider,
                        as_base64,
                        texts,
                    } => {
                        let (forms, wanted) = ((caller, provider), (as_base64, texts));
                        Box::pin(embedded::whole(exchange, response, forms, wanted)).await
                    }
                },
                status => Err(unexpected(exchange, status, response.headers())),
            }
        }
    }
}

/// Takes off how a provider has packed its answer: what is packed can be neither metered nor guarded.
fn unpacked(
    exchange: &mut Exchange,
    mut response: Response<UpstreamBody>,
) -> Result<Response<UpstreamBody>, Refusal> {
    if !response.headers().contains_key(CONTENT_ENCODING) {
        return Ok(response);
    }
    let Ok(codings) = codings_of(response.headers()) else {
        if response.status() != StatusCode::OK {
            note_refused(exchange);
        }
        let provider = provider_name(exchange);
        let message = format!(
            "The provider `{provider}` packed its answer in a way that was not asked for and is not \
             understood here: gzip, deflate, br and zstd are."
        );
        return Err(Refusal::new(Code::UpstreamInvalid, message));
    };
    response.headers_mut().remove(CONTENT_ENCODING);
    let limit = exchange.snapshot.max_response_bytes;
    Ok(response.map(|body| body.unpacked(&codings, limit)))
}

/// Answers that are guarded are read and written anew, also where both sides speak one dialect.
fn guarded(exchange: &Exchange, back: Back) -> Back {
    match (back, exchange.operation()) {
        (
            Back::Direct {
                framing,
                strip_usage,
            },
            Some(Operation::Chat(dialect)),
        ) if exchange.answer_guard().is_some() => Back::Translated {
            translation: Translation {
                provider: dialect,
                caller: dialect,
            },
            framing,
            include_usage: !strip_usage,
        },
        _ => back,
    }
}

fn note_request_id(exchange: &mut Exchange, headers: &mut HeaderMap) {
    let id = headers::strip_response(headers);
    exchange.upstream_request_id = id.and_then(|id| {
        let id = id.to_str().ok()?;
        Some(id.get(..MOST_OF_AN_ID).unwrap_or(id).to_owned())
    });
}

fn note_refused(exchange: &mut Exchange) {
    if let Some(call) = &mut exchange.call {
        call.note_refused();
    }
}

pub(crate) fn provider_name(exchange: &Exchange) -> &str {
    exchange.target().map_or("", |target| &target.provider.name)
}

/// Whether an answer is the stream that was asked for: its content type says so, except where it is one
/// JSON array.
fn is_stream(exchange: &Exchange, back: Back, headers: &HeaderMap) -> bool {
    let is_array = |framing| framing == Framing::JsonArray;
    exchange.stream
        && match framing(headers) {
            Some(Framing::JsonArray) => {
                matches!(back, Back::Direct { framing, .. } if is_array(framing))
            }
            other => other.is_some(),
        }
}

fn framing(headers: &HeaderMap) -> Option<Framing> {
    let text = str::from_utf8(content_type(headers)).ok()?;
    Framing::of_content_type(text)
}

/// JSON of a kind that has a name of its own, as in `application/problem+json`.
fn is_problem(headers: &HeaderMap) -> bool {
    let kind = content_type(headers).split(|byte| *byte == b';').next();
    kind.is_some_and(|kind| kind.trim_ascii_end().ends_with(b"+json"))
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with(b"application/json")
}

fn content_type(headers: &HeaderMap) -> &[u8] {
    headers
        .get(http::header::CONTENT_TYPE)
        .map_or(b"", |value| value.as_bytes())
}

fn relay_stream(
    exchange: &Exchange,
    response: Response<UpstreamBody>,
    asked: Framing,
    strip_usage: bool,
) -> Answer {
    let (head, body) = response.into_parts();
    let dialect = exchange.operation().map(Operation::dialect);
    let dialect = dialect.unwrap_or(Dialect::OpenAiChat);
    let framing = framing(&head.headers).unwrap_or(asked);
    let stream = StreamRelay::new(dialect, body, framing, Passing::Direct { strip_usage })
        .counting_pieces(exchange.counts_pieces());
    Answer {
        status: 200,
        headers: head.headers,
        content: Content::Stream(Box::new(stream)),
    }
}

async fn relay_whole(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
) -> Result<Answer, Refusal> {
    let (head, body) = response.into_parts();
    let frames = collect(exchange, body).await?;
    let text = joined(&frames);
    if let Some(Operation::Chat(dialect)) = exchange.operation() {
        exchange.note_pieces_of(dialect, &text);
    }
    let used = match exchange.operation() {
        Some(Operation::Chat(dialect)) => Some(usage::from_reply(dialect, &text)),
        Some(Operation::Embeddings(form)) => Some(embed::embed_usage(form, &text)),
        Some(Operation::CountTokens(_) | Operation::Moderations) | None => None,
    };
    if let Some(used) = used {
        if used.is_none() {
            no_answer::verify(exchange, &text)?;
        }
        exchange.note_complete(used.unwrap_or_else(|| estimate(exchange, &text)));
    }
    Ok(Answer {
        status: 200,
        headers: head.headers,
        content: Content::Frames(frames),
    })
}

/// The frames in a piece.
fn joined(frames: &[Bytes]) -> Cow<'_, [u8]> {
    match frames {
        [only] => Cow::Borrowed(only),
        several => Cow::Owned(several.concat()),
    }
}

/// What an answer used whose provider does not say all of it.
fn estimate(exchange: &Exchange, answer: &[u8]) -> Usage {
    let input_bytes = exchange.input_bytes();
    match exchange.operation() {
        Some(Operation::Chat(dialect)) => usage::of_reply(dialect, answer, input_bytes),
        // Vectors are not text that a model wrote.
        _ => usage::estimate(input_bytes, 0),
    }
}

/// An error of the provider's own, in the caller's dialect already: status and body stay as they
/// are, so that the official client raises what its documentation says.
async fn relay_error(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
) -> Result<Answer, Refusal> {
    let (head, body) = response.into_parts();
    let code = match head.status.as_u16() {
        429 => Code::UpstreamRateLimited,
        status if status < 500 => Code::UpstreamRefused,
        _ => Code::UpstreamError,
    };
    let mut frames = collect(exchange, body).await?;
    let dialect = exchange.operation().map(Operation::dialect);
    let mut headers = head.headers;
    if dialect == Some(Dialect::Gemini) {
        let error = decode_error(Family::Gemini, &joined(&frames));
        if error.is_key_refused() {
            return Err(credentials_refused(exchange, head.status));
        }
        exchange.advice = exchange.advice.or(error.retry_after);
        headers.extend(retry_headers(&headers, exchange.advice));
    }
    exchange.fail(code);
    let mut is_readable = is_json(&headers) || is_problem(&headers);
    if is_readable && let Some(guarding) = exchange.answer_guard().cloned() {
        let guarded = {
            let body = joined(&frames);
            let guard = |body| guarding.guard_error_body(body, &mut exchange.verdicts).ok();
            std::str::from_utf8(&body).ok().and_then(guard)
        };
        match guarded {
            Some(Some(new)) => {
                headers.remove(http::header::CONTENT_LENGTH);
                frames = vec![new.into()];
            }
            Some(None) => {}
            None => is_readable = false,
        }
    }
    if !is_readable {
        // A proxy's HTML page, for example: nothing that a client could read.
        let provider = provider_name(exchange);
        let mut refusal = Refusal::new(
            code,
            format!(
                "The provider `{provider}` answered with HTTP status {}.",
                head.status.as_u16()
            ),
        );
        refusal.headers = retry_headers(&headers, exchange.advice);
        refusal.status = Some(head.status.as_u16());
        return Err(refusal);
    }
    let status = head.status.as_u16();
    if matches!(status, 402 | 429)
        && !headers.contains_key(ADVICE)
        && let Some(dialect) = dialect
        && decode_error(dialect.family(), &joined(&frames)).is_quota_exhausted()
    {
        // Waiting does not mend it, and official clients try again by the status alone.
        headers.insert(ADVICE, HeaderValue::from_static("false"));
    }
    Ok(Answer {
        status,
        headers,
        content: Content::Frames(frames),
    })
}

fn credentials_refused(exchange: &Exchange, status: StatusCode) -> Refusal {
    let provider = provider_name(exchange);
    Refusal::new(
        Code::UpstreamAuth,
        format!(
            "The provider `{provider}` refused the gateway's own credentials (HTTP {}). The operator \
             has to check `providers.{provider}.api_key`; your API key is fine.",
            status.as_u16()
        ),
    )
}

fn unexpected(exchange: &Exchange, status: StatusCode, headers: &HeaderMap) -> Refusal {
    let kind: String = String::from_utf8_lossy(content_type(headers))
        .chars()
        .take(60)
        .collect();
    Refusal::new(
        Code::UpstreamInvalid,
        format!(
            "The provider `{}` answered with HTTP status {} and content type {kind:?}, which its \
             API does not promise. Check `providers.{}.base_url`.",
            provider_name(exchange),
            status.as_u16(),
            provider_name(exchange),
        ),
    )
}

/// Reads an answer whole, within `server.max_response_size`.
async fn collect(exchange: &mut Exchange, mut body: UpstreamBody) -> Result<Vec<Bytes>, Refusal> {
    let limit = exchange.snapshot.max_response_bytes;
    // Streams alone have a first token.
    body.note_token();
    let (mut frames, mut size) = (Vec::new(), 0_usize);
    loop {
        if let Some(call) = &mut exchange.call {
            // It is written, and paid for, whether or not all of it gets here.
            let left = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            call.note_written(size.saturating_add(left));
        }
        let Some(frame) = body.frame().await else {
            break;
        };
        let frame = frame.map_err(|error| broke_off(exchange, &error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size += data.len();
        if size > limit {
            return Err(too_large());
        }
        frames.push(data);
    }
    Ok(frames)
}

fn too_large() -> Refusal {
    let message = "The provider's answer is larger than `server.max_response_size` allows.";
    Refusal::new(Code::UpstreamTooLarge, message)
}

/// The refusal when an answer ends before it is complete.
pub(crate) fn broke_off(exchange: &Exchange, error: &Error) -> Refusal {
    let provider = provider_name(exchange);
    if let Some(target) = exchange.target() {
        exchange.gateway.metrics.count_timeout(&target.id, error);
    }
    match error {
        Error::Timeout {
            which: Timeout::Deadline,
            ..
        } => too_late(provider),
        Error::Timeout { which, after } => Refusal::new(
            Code::UpstreamTimeout,
            format!(
                "The provider `{provider}` stopped in the middle of its answer: the {which} timeout \
                 of {} s was reached.",
                after.as_secs_f64()
            ),
        ),
        Error::Packed(Unpackable::TooLarge) => too_large(),
        Error::Packed(_) => Refusal::new(
            Code::UpstreamInvalid,
            format!(
                "The answer of the provider `{provider}` is not what its `content-encoding` says."
            ),
        ),
        Error::Connect { .. } | Error::Broken(_) => Refusal::new(
            Code::UpstreamUnreachable,
            format!("The connection to the provider `{provider}` broke in the middle of its answer."),
        ),
    }
    .because(error)
}

fn relay_estimate(dialect: Dialect, tokens: u64) -> Answer {
    let body = echo::counted(dialect, tokens);
    let mut answer = Answer::json(200, body);
    answer.headers.insert(ESTIMATED, YES);
    answer
}

/// The content type of a stream that is written here.
fn stream_type(framing: Framing) -> HeaderValue {
    HeaderValue::from_static(match framing {
        Framing::ServerSentEvents => "text/event-stream; charset=utf-8",
        other => other.content_type(),
    })
}

fn relay_echo(exchange: &mut Exchange, reply: EchoReply) -> Answer {
    match reply {
        EchoReply::Whole { body, usage } => {
            if let Some(call) = &mut exchange.call {
                call.note_usage(usage);
            }
            let mut headers = HeaderMap::new();
            headers.insert(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            Answer {
                status: 200,
                headers,
                content: Content::Frames(vec![body]),
            }
        }
        EchoReply::Stream(stream) => {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, stream_type(stream.framing()));
            Answer {
                status: 200,
                headers,
                content: Content::Echo(stream),
            }
        }
    }
}
