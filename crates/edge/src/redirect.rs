//! The answers to those who come without TLS to an address of their own: the way to TLS, or a refusal.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::BoxError;
use crate::server::Service;

/// Answers requests that come without TLS.
#[derive(Debug, Clone, Copy)]
pub struct Redirect {
    /// The port of TLS; `None` to refuse.
    pub port: Option<u16>,
}

impl Service for Redirect {
    type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

    async fn call(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Self::Body> {
        let host = request.headers().get(HOST);
        let host = host
            .and_then(|host| host.to_str().ok())
            .or_else(|| request.uri().authority().map(Authority::as_str));
        let path = request.uri().path_and_query();
        let path = path.map_or("/", http::uri::PathAndQuery::as_str);
        let place = self
            .port
            .and_then(|port| location(host?, path, port))
            .and_then(|place| HeaderValue::try_from(place).ok());
        match place {
            Some(place) => {
                let mut answer = say(StatusCode::PERMANENT_REDIRECT, "This is served over TLS.\n");
                answer.headers_mut().insert(LOCATION, place);
                answer
            }
            None => say(
                StatusCode::FORBIDDEN,
                "This is served over TLS only: begin the URL with https://.\n",
            ),
        }
    }

    fn panicked(&self) -> Response<Self::Body> {
        say(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something broke inside the gateway.\n",
        )
    }
}

/// The same path at the port of TLS; `None` when the caller's name for this host cannot be one.
fn location(host: &str, path: &str, port: u16) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    if authority.as_str().contains('@') || authority.host().is_empty() || !path.starts_with('/') {
        return None;
    }
    let host = authority.host();
    Some(match port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    })
}

fn say(
    status: StatusCode,
    words: &'static str,
) -> Response<http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>> {
    let body = Full::new(Bytes::from_static(words.as_bytes()));
    let mut answer = Response::new(body.map_err(Into::into).boxed_unsync());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_stays_and_only_names_of_hosts_are_used() {
        let at = |host, port| location(host, "/v1/models?a=b", port);
        assert_eq!(
            at("a.example:8080", 443).unwrap(),
            "https://a.example/v1/models?a=b"
        );
        assert_eq!(
            at("[::1]:80", 8443).unwrap(),
            "https://[::1]:8443/v1/models?a=b"
        );
        for wrong in ["", "a b", "me@evil.example", "a\r\nset-cookie: x"] {
            assert_eq!(at(wrong, 443), None, "{wrong}");
        }
        assert_eq!(location("a.example", "*", 443), None);
    }
}
