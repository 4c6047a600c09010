//! The refusal that costs least: before anything else is done for a request, whoever sent it.
//!
//! Such requests are counted, and have no line of their own in the log: where a worker has more to do
//! than it can, what is refused must not take the time of what is not.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use seaworthy_core::dialect::Family;
use seaworthy_core::resilience::line::Priority;
use seaworthy_core::trace::RequestId;
use seaworthy_llm::{ErrorView, error_status};

use crate::door::too_busy;
use crate::gateway::Gateway;
use crate::headers::name;
use crate::reply::{Answer, Content, FOR_BROWSERS, ReplyBody, identify};
use crate::routes::{self, Action, Lookup};

/// Refuses a model call that its worker cannot come to, unless it could matter enough.
pub(crate) fn refuse(
    gateway: &Gateway,
    worker: usize,
    request: &Request<Incoming>,
) -> Option<Response<ReplyBody>> {
    let door = gateway.doors.get(worker)?;
    if !door.is_waited_at() {
        return None;
    }
    let Lookup::Found(route, _) = routes::find(request.method(), request.uri().path()) else {
        return None;
    };
    let Action::Model(operation) = route.action else {
        return None;
    };
    let headers = request.headers();
    let wished = headers
        .get(&name::PRIORITY)
        .and_then(|value| value.to_str().ok());
    let snapshot = gateway.snapshot();
    let most = snapshot
        .resilience
        .most_it_can_matter(operation.as_str(), wished);
    if most == Priority::Critical || !door.is_hopeless(most) {
        return None;
    }
    gateway.metrics.count_shed("busy", most);
    let family = routes::family(Some(route), request.uri().path(), headers);
    let known = words(family);
    let mut response = Response::new(ReplyBody::detached(known.body.clone()));
    *response.status_mut() = known.status;
    *response.headers_mut() = known.headers.clone();
    let own = headers.get(&name::REQUEST_ID);
    let own = own.and_then(|id| RequestId::accept(id.as_bytes()));
    let id = own.unwrap_or_else(RequestId::generate);
    identify(family, id.as_str(), response.headers_mut());
    let tier = gateway.degradation.in_force().header.clone();
    response.headers_mut().insert(&name::TIER, tier);
    Some(response)
}

/// What a family's clients are told.
struct Words {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

fn words(family: Family) -> &'static Words {
    static OPENAI: OnceLock<Words> = OnceLock::new();
    static ANTHROPIC: OnceLock<Words> = OnceLock::new();
    static GEMINI: OnceLock<Words> = OnceLock::new();
    static COHERE: OnceLock<Words> = OnceLock::new();
    static BEDROCK: OnceLock<Words> = OnceLock::new();
    let known = match family {
        Family::OpenAi => &OPENAI,
        Family::Anthropic => &ANTHROPIC,
        Family::Gemini => &GEMINI,
        Family::Cohere => &COHERE,
        Family::Bedrock => &BEDROCK,
    };
    known.get_or_init(|| render(family))
}

fn render(family: Family) -> Words {
    let refusal = too_busy();
    let view = ErrorView {
        status: error_status(family, refusal.code.status()),
        kind: None,
        code: Some(refusal.code.as_str()),
        message: &refusal.message,
        param: None,
        request_id: None,
    };
    let answer = Answer::error(family, &view);
    let mut headers = answer.headers;
    let seconds = refusal
        .retry_after
        .map_or(1, |delay| delay.as_secs().max(1));
    headers.insert(http::header::RETRY_AFTER, seconds.into());
    headers.extend(FOR_BROWSERS.iter().cloned());
    let body = match answer.content {
        Content::Frames(frames) => frames.into_iter().next().unwrap_or_default(),
        _ => Bytes::new(),
    };
    Words {
        status: StatusCode::from_u16(answer.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        headers,
        body,
    }
}
