//! The plan of a response: the directives in force, and the answer or the error as steps.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;

use crate::answer::{self, Usage, input_tokens};
use crate::directive::Directives;
use crate::headers::{self, Headers};
use crate::request::{Ask, Dialect};
use crate::route::{Arrival, Asked, Refused, dialect, refuse};
use crate::script::{self, Step};
use crate::server::Options;
use crate::{anthropic, bedrock, cohere, error, gemini, openai, openai_other, responses};

/// What identifies an answer and dates it.
pub(crate) struct Moment {
    pub(crate) seq: u64,
    pub(crate) now: Timestamp,
}

/// Everything that will happen to one call.
pub(crate) struct Plan {
    pub(crate) directives: Directives,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    /// The announced length; a stream has none.
    pub(crate) length: Option<usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) usage: Usage,
    pub(crate) is_stream: bool,
}

/// The directives in force: defaults, then headers, then message texts, then a queued fault.
fn directives(
    options: &Options,
    arrival: &Arrival<'_>,
    asked: &Asked,
    fault: Option<&str>,
) -> Result<Directives, Refused> {
    let mut directives = options.defaults.clone();
    let bad =
        |error: crate::directive::DirectiveError| refuse(400, format!("fake provider: {error}"));
    for (name, value) in arrival.headers {
        if let Some(key) = name.as_str().strip_prefix("x-fake-") {
            let value = value
                .to_str()
                .map_err(|_| refuse(400, "x-fake-*: expected plain text"))?;
            directives.set(&key.replace('-', "_"), value).map_err(bad)?;
        }
    }
    let texts = match asked {
        Asked::Chat(ask) | Asked::CountTokens(ask) => ask.directive_texts.as_slice(),
        Asked::Embeddings { texts, .. } | Asked::Moderations { texts, .. } => texts.as_slice(),
        Asked::Models | Asked::Model(_) => &[],
    };
    for text in texts {
        directives.apply_text(text).map_err(bad)?;
    }
    if let Some(fault) = fault {
        directives.apply(fault).map_err(bad)?;
    }
    Ok(directives)
}

/// Plans the response to a call.
pub(crate) fn plan(
    options: &Options,
    arrival: &Arrival<'_>,
    asked: Result<Asked, Refused>,
    fault: Option<&str>,
    moment: &Moment,
) -> Plan {
    let dialect = dialect(arrival);
    let planned = asked.and_then(|asked| {
        let directives = directives(options, arrival, &asked, fault)?;
        Ok((asked, directives))
    });
    match planned {
        Ok((asked, directives)) => answered(dialect, options, arrival, &asked, directives, moment),
        Err(refused) => {
            let id = request_id(dialect, moment.seq);
            let Refused {
                status,
                param,
                message,
            } = refused;
            let body = error::body(dialect, status, None, &message, param, &id);
            let plain = Directives::default();
            whole(dialect, moment, status, &body, Usage::default(), plain)
        }
    }
}

fn request_id(dialect: Dialect, seq: u64) -> String {
    match dialect {
        Dialect::OpenAi | Dialect::Responses => format!("req_{seq:032x}"),
        Dialect::Gemini | Dialect::Cohere | Dialect::Bedrock => format!("{seq:032x}"),
        Dialect::Anthropic => format!("req_{seq:024x}"),
    }
}

fn answered(
    dialect: Dialect,
    options: &Options,
    arrival: &Arrival<'_>,
    asked: &Asked,
    directives: Directives,
    moment: &Moment,
) -> Plan {
    let streams = matches!(asked, Asked::Chat(ask) if ask.stream);
    if let Some((status, kind)) = ordered_error(dialect, &directives, streams) {
        let quota = kind == Some("insufficient_quota") || kind == Some("billing_error");
        let message = if quota {
            error::QUOTA
        } else {
            error::message(status)
        };
        let id = request_id(dialect, moment.seq);
        let body = error::body(dialect, status, kind, message, None, &id);
        return whole(dialect, moment, status, &body, Usage::default(), directives);
    }
    let created = moment.now.as_second();
    let id = format!("{:024x}", moment.seq);
    let (body, usage) = match (asked, dialect) {
        (Asked::Chat(ask), _) if ask.stream => {
            return stream(dialect, arrival, ask, directives, moment);
        }
        (Asked::Chat(ask), _) => {
            let answer = answer::decide(ask, &directives, arrival.body);
            let body = chat(dialect, (&id, created), ask, &answer, &directives);
            (body, answer.usage)
        }
        (Asked::CountTokens(ask), _) => {
            let counted = directives
                .input_tokens
                .unwrap_or(input_tokens(ask.text_bytes));
            let body = match dialect {
                Dialect::Gemini => serde_json::json!({"totalTokens": counted}),
                Dialect::Responses => {
                    serde_json::json!({"object": "response.input_tokens", "input_tokens": counted})
                }
                _ => serde_json::json!({"input_tokens": counted}),
            };
            (body, Usage::default())
        }
        (Asked::Embeddings { body, texts, .. }, Dialect::Gemini | Dialect::Cohere) => {
            openai_other::foreign_embeddings(dialect, &id, body, texts)
        }
        (Asked::Embeddings { model, body, texts }, _) => {
            openai_other::embeddings(model, body, texts)
        }
        (Asked::Moderations { model, texts }, _) => openai_other::moderations(&id, model, texts),
        (Asked::Models, Dialect::Gemini) => (gemini::models(&options.models), Usage::default()),
        (Asked::Models, Dialect::Anthropic) => (
            anthropic::models(&options.models, &date(moment)),
            Usage::default(),
        ),
        (Asked::Models, _) => (
            openai_other::models(&options.models, created),
            Usage::default(),
        ),
        (Asked::Model(model), Dialect::Anthropic) => {
            (anthropic::model(model, &date(moment)), Usage::default())
        }
        (Asked::Model(model), _) => (openai_other::model(model, created), Usage::default()),
    };
    whole(dialect, moment, 200, &body, usage, directives)
}

/// A whole answer in a dialect.
fn chat(
    dialect: Dialect,
    (id, created): (&str, i64),
    ask: &Ask,
    answer: &answer::Answer,
    directives: &Directives,
) -> Value {
    let of = |prefix: &str| openai::Identity {
        id: format!("{prefix}{id}"),
        created,
        model: &ask.model,
    };
    match dialect {
        Dialect::OpenAi => openai::completion(&of("chatcmpl-"), answer, directives),
        Dialect::Responses => responses::response(&of("resp_"), answer, directives),
        Dialect::Anthropic => {
            anthropic::message(&format!("msg_{id}"), &ask.model, answer, directives)
        }
        Dialect::Gemini => gemini::content(id, &ask.model, answer, directives),
        Dialect::Cohere => cohere::message(id, answer, directives),
        Dialect::Bedrock => bedrock::answer(id, answer, directives),
    }
}

fn date(moment: &Moment) -> String {
    moment.now.strftime("%FT%TZ").to_string()
}

/// The error that the directives ask for, if the call is not to be answered at all.
fn ordered_error(
    dialect: Dialect,
    directives: &Directives,
    streams: bool,
) -> Option<(u16, Option<&str>)> {
    let kind = directives.error.as_deref();
    match (directives.status, kind, directives.error_after_tokens) {
        (_, _, Some(_)) if streams => None,
        (status, Some("insufficient_quota"), _) if dialect == Dialect::Anthropic => {
            Some((status.unwrap_or(402), Some("billing_error")))
        }
        (Some(status), kind, _) => Some((status, kind)),
        (None, Some("insufficient_quota"), _) => Some((429, kind)),
        (None, Some(_), _) | (None, None, Some(_)) => Some((500, kind)),
        (None, None, None) => None,
    }
}

fn stream(
    dialect: Dialect,
    arrival: &Arrival<'_>,
    ask: &Ask,
    directives: Directives,
    moment: &Moment,
) -> Plan {
    let answer = answer::decide(ask, &directives, arrival.body);
    let id = format!("{:024x}", moment.seq);
    let created = moment.now.as_second();
    let of = |prefix: &str| openai::Identity {
        id: format!("{prefix}{id}"),
        created,
        model: &ask.model,
    };
    let as_array = arrival.wants_array();
    let (events, breakage) = match dialect {
        Dialect::OpenAi => (
            openai::events(&of("chatcmpl-"), &answer, &directives, ask.include_usage),
            openai::breakage(&directives),
        ),
        Dialect::Responses => (
            responses::events(&of("resp_"), &answer, &directives),
            responses::breakage(&directives),
        ),
        Dialect::Anthropic => (
            anthropic::events(&format!("msg_{id}"), &ask.model, &answer, &directives),
            anthropic::breakage(&directives),
        ),
        Dialect::Gemini => (
            gemini::events((&id, &ask.model), &answer, &directives, as_array),
            gemini::breakage(&directives, as_array),
        ),
        Dialect::Cohere => (
            cohere::events(&id, &answer, &directives),
            cohere::breakage(&directives),
        ),
        Dialect::Bedrock => (
            bedrock::events(&id, &answer, &directives),
            bedrock::breakage(&directives),
        ),
    };
    let content_type = match dialect {
        Dialect::Bedrock => headers::BINARY_EVENTS,
        Dialect::Gemini if as_array => headers::JSON,
        _ => headers::EVENT_STREAM,
    };
    let mut headers = response_headers(dialect, moment, 200, &directives, content_type);
    headers.push((
        hyper::header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache"),
    ));
    Plan {
        status: 200,
        headers,
        length: None,
        steps: script::streamed(events, &breakage, &directives),
        usage: answer.usage,
        is_stream: true,
        directives,
    }
}

fn whole(
    dialect: Dialect,
    moment: &Moment,
    status: u16,
    body: &Value,
    usage: Usage,
    directives: Directives,
) -> Plan {
    let body = Bytes::from(body.to_string());
    let text_starts = match dialect {
        Dialect::OpenAi => openai::TEXT_STARTS,
        Dialect::Responses => responses::TEXT_STARTS,
        Dialect::Anthropic => anthropic::TEXT_STARTS,
        Dialect::Gemini => gemini::TEXT_STARTS,
        Dialect::Cohere => cohere::TEXT_STARTS,
        Dialect::Bedrock => bedrock::TEXT_STARTS,
    };
    Plan {
        status,
        headers: response_headers(dialect, moment, status, &directives, headers::JSON),
        length: Some(script::announced_length(&body, &directives)),
        steps: script::unary(
            body,
            usage.output + usage.reasoning,
            text_starts,
            &directives,
        ),
        usage,
        is_stream: false,
        directives,
    }
}

fn response_headers(
    dialect: Dialect,
    moment: &Moment,
    status: u16,
    directives: &Directives,
    content_type: HeaderValue,
) -> Headers {
    let id = request_id(dialect, moment.seq);
    let mut headers = headers::provider(dialect, &id, moment.now, status == 429);
    let asked = directives
        .content_type
        .as_deref()
        .and_then(|text| HeaderValue::from_str(text).ok());
    headers.push((CONTENT_TYPE, asked.unwrap_or(content_type)));
    if status >= 400 {
        if dialect == Dialect::Bedrock {
            let kind = HeaderValue::from_static(error::bedrock_kind(status));
            headers.push((HeaderName::from_static("x-amzn-errortype"), kind));
        }
        headers.extend(headers::retry(directives));
    }
    headers
}
