//! Answers to what is no request that HTTP knows.

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_core::trace::{RequestId, TraceContext};
use seaworthy_edge::server;
use seaworthy_llm::{ErrorView, encode_error};

use crate::reply::FOR_BROWSERS;

/// The HTTP/1.1 response to a request that could not even be parsed: no dialect is known yet. Only
/// the log of details has it, because anybody can send as many as they like.
#[must_use]
pub fn render_refusal(status: u16) -> Vec<u8> {
    let (reason, message) = match status {
        server::NEEDS_TLS => (
            "Bad Request",
            "This port speaks TLS, and the request came in plain HTTP. Begin the URL with https://, \
             and replace the key if it was sent.",
        ),
        408 => (
            "Request Timeout",
            "The headers of the request came too slowly.",
        ),
        414 => ("URI Too Long", "The request target is too long."),
        431 => (
            "Request Header Fields Too Large",
            "The headers of the request are too many or too large. Send less than `server.max_header_size`, and at most 100 headers.",
        ),
        503 => (
            "Service Unavailable",
            "The gateway has more to do than it can, or as many connections open as it may. Try again shortly.",
        ),
        _ => (
            "Bad Request",
            "This is not a valid HTTP request: check the request line and the headers.",
        ),
    };
    let code = match status {
        503 => Code::Overloaded,
        408 => Code::RequestTimeout,
        _ => Code::InvalidRequest,
    };
    let status = if status == server::NEEDS_TLS {
        400
    } else {
        status
    };
    let view = ErrorView {
        status,
        kind: None,
        code: Some(code.as_str()),
        message,
        param: None,
        retry_after: None,
        request_id: None,
    };
    let body = encode_error(Family::OpenAi, &view);
    let request_id = RequestId::generate();
    tracing::debug!(
        request_id = request_id.as_str(),
        status,
        "a request could not be read"
    );
    let mut response = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-request-id: {}\r\ntraceparent: ",
        body.len(),
        request_id.as_str()
    )
    .into_bytes();
    response.extend_from_slice(&TraceContext::root().traceparent());
    for (name, value) in &FOR_BROWSERS {
        response.extend_from_slice(b"\r\n");
        response.extend_from_slice(name.as_str().as_bytes());
        response.extend_from_slice(b": ");
        response.extend_from_slice(value.as_bytes());
    }
    if status == 503 {
        response.extend_from_slice(b"\r\nretry-after: 1");
    }
    response.extend_from_slice(b"\r\nconnection: close\r\n\r\n");
    response.extend_from_slice(&body);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_what_cannot_be_read_is_answered_with_an_id_of_its_own() {
        for status in [400, 408, 414, 431, 503, server::NEEDS_TLS] {
            let [one, other] = [(); 2].map(|()| String::from_utf8(render_refusal(status)).unwrap());
            let (head, body) = one.split_once("\r\n\r\n").unwrap();
            let header = |of: &str, name: &str| {
                let lines = of.split("\r\n").find_map(|line| line.strip_prefix(name));
                lines
                    .unwrap_or_else(|| panic!("{status} lacks {name}: {of}"))
                    .to_owned()
            };
            assert_eq!(header(head, "content-length: "), body.len().to_string());
            for own in ["x-request-id: ", "traceparent: "] {
                assert_ne!(header(&one, own), header(&other, own));
            }
            assert_eq!(header(head, "x-content-type-options: "), "nosniff");
            assert_eq!(head.contains("retry-after: 1"), status == 503);
            assert!(body.contains("\"code\":\""), "{body}");
        }
    }
}
