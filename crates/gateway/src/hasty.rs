//! The refusal that costs least: before anything else is done for a request, whoever sent it.
//!
//! Such requests are counted, and have no line of their own in the log: where a worker has more to do
//! than it can, what is refused must not take the time of what is not.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use memchr::memchr;
use seaworthy_core::dialect::Family;
use seaworthy_core::trace::RequestId;
use seaworthy_edge::server::{Shedding, lines};
use seaworthy_llm::{ErrorView, error_status};

use crate::door::too_busy;
use crate::gateway::Gateway;
use crate::headers::name;
use crate::reply::{Answer, Content, FOR_BROWSERS, ReplyBody, identify, names_of_id};
use crate::routes::{self, Action, Lookup};

/// Refuses requests over HTTP/1.1 before they are parsed.
#[derive(Debug)]
pub(crate) struct Hasty {
    gateway: Arc<Gateway>,
    worker: usize,
}

impl Hasty {
    pub(crate) fn new(gateway: Arc<Gateway>, worker: usize) -> Self {
        Self { gateway, worker }
    }
}

impl Shedding for Hasty {
    fn is_on(&self) -> bool {
        self.gateway.is_overloaded(self.worker)
    }

    fn refusal(&self, head: &[u8]) -> Option<Vec<u8>> {
        let (path, headers) = of_interest(head)?;
        let refused = refuse(&self.gateway, self.worker, (&Method::POST, path), &headers)?;
        Some(refused.in_bytes())
    }
}

/// The headers that decide who is refused, and how it is told.
static OF_INTEREST: [&HeaderName; 3] =
    [&name::PRIORITY, &name::REQUEST_ID, &name::ANTHROPIC_VERSION];

/// The path of a head, and those of its headers that matter here.
fn of_interest(head: &[u8]) -> Option<(&str, HeaderMap)> {
    let mut lines = lines(head);
    let target = lines.next()?.split(|byte| *byte == b' ').nth(1)?;
    let path = target.split(|byte| *byte == b'?').next()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        let found =
            |name: &&&HeaderName| line[..colon].eq_ignore_ascii_case(name.as_str().as_bytes());
        let Some(name) = OF_INTEREST.iter().find(found) else {
            continue;
        };
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        headers.entry(*name).or_insert(value);
    }
    Some((std::str::from_utf8(path).ok()?, headers))
}

/// Refuses a model call that its worker cannot come to, however much it may matter once it is known who
/// calls.
pub(crate) fn refused(
    gateway: &Gateway,
    worker: usize,
    request: &Request<Incoming>,
) -> Option<Response<ReplyBody>> {
    let asked = (request.method(), request.uri().path());
    Some(refuse(gateway, worker, asked, request.headers())?.into_response())
}

fn refuse(
    gateway: &Gateway,
    worker: usize,
    (method, path): (&Method, &str),
    headers: &HeaderMap,
) -> Option<Refused> {
    let door = gateway.doors.get(worker)?;
    if !door.is_closing() {
        return None;
    }
    let Lookup::Found(route, _) = routes::find(method, path) else {
        return None;
    };
    let Action::Model(operation) = route.action else {
        return None;
    };
    let wished = headers
        .get(&name::PRIORITY)
        .and_then(|value| value.to_str().ok());
    let snapshot = gateway.snapshot();
    let most = snapshot
        .resilience
        .most_it_can_matter(operation.as_str(), wished);
    if !snapshot.overload_control || !door.is_hopeless(most) {
        return None;
    }
    gateway.metrics.count_shed("busy", most);
    let family = routes::family(Some(route), path, headers);
    let own = headers.get(&name::REQUEST_ID);
    let own = own.and_then(|id| RequestId::accept(id.as_bytes()));
    Some(Refused {
        family,
        id: own.unwrap_or_else(RequestId::generate),
        tier: gateway.degradation.in_force().header.clone(),
    })
}

/// What one caller is told.
struct Refused {
    family: Family,
    id: RequestId,
    tier: HeaderValue,
}

impl Refused {
    fn into_response(self) -> Response<ReplyBody> {
        let words = words(self.family);
        let mut response = Response::new(ReplyBody::detached(words.body.clone()));
        *response.status_mut() = words.status;
        let headers = response.headers_mut();
        *headers = words.headers.clone();
        identify(self.family, self.id.as_str(), headers);
        headers.insert(&name::TIER, self.tier);
        response
    }

    fn in_bytes(&self) -> Vec<u8> {
        let Words { head, body, .. } = words(self.family);
        let mut bytes = Vec::with_capacity(head.len() + body.len() + 256);
        bytes.extend_from_slice(head);
        for name in names_of_id(self.family) {
            write_header(name, self.id.as_str().as_bytes(), &mut bytes);
        }
        write_header(&name::TIER, self.tier.as_bytes(), &mut bytes);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
}

fn write_header(name: &HeaderName, value: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(name.as_ref());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// What a family's clients are told.
struct Words {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    /// Status and headers as HTTP/1.1 writes them, without the end of the head.
    head: Vec<u8>,
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
        retry_after: refusal.retry_after,
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
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let reason = status.canonical_reason().unwrap_or("Overloaded");
    let mut head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-length: {}\r\n",
        status.as_str(),
        body.len()
    )
    .into_bytes();
    for (name, value) in &headers {
        write_header(name, value.as_bytes(), &mut head);
    }
    Words {
        status,
        headers,
        body,
        head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_head_only_what_matters_is_read() {
        let head = b"POST /v1/messages?a=b HTTP/1.1\r\nHost: a\r\nX-Seaworthy-Priority:  low \r\n\
                     x-request-id: mine\r\nx-request-id: other\r\n";
        let (path, headers) = of_interest(head).unwrap();
        assert_eq!(path, "/v1/messages");
        assert_eq!(headers.len(), 2);
        assert_eq!(headers[&name::PRIORITY], "low");
        assert_eq!(headers[&name::REQUEST_ID], "mine");
    }

    #[test]
    fn the_answer_is_a_whole_response_in_the_words_of_the_family() {
        let refused = Refused {
            family: Family::Anthropic,
            id: RequestId::accept(b"mine").unwrap(),
            tier: HeaderValue::from_static("normal"),
        };
        let text = String::from_utf8(refused.in_bytes()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        for line in [
            "retry-after: 1",
            "x-request-id: mine",
            "request-id: mine",
            "x-seaworthy-tier: normal",
        ] {
            assert!(head.lines().any(|found| found == line), "{head}");
        }
        let length = format!("content-length: {}", body.len());
        assert!(head.lines().any(|found| found == length), "{head}");
        assert!(body.contains("overloaded"), "{body}");
        // Where hyper writes it, the same lines in the order that it likes.
        let response = refused.into_response();
        assert_eq!(response.status(), 503);
        let written = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut by_hyper: Vec<String> = response.headers().iter().map(written).collect();
        by_hyper.push(length);
        let mut by_hand: Vec<&str> = head.lines().skip(1).collect();
        by_hyper.sort();
        by_hand.sort_unstable();
        assert_eq!(by_hyper, by_hand);
    }
}
