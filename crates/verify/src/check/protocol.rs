//! HTTP itself: framing that cannot be misread, connections that are reused.

use std::time::Duration;

use super::dialect::ensure_status;
use super::limits::answered_after;
use super::{Area, Check, Kind, Severity};
use crate::http::{Protocol, RawExchange, Request};
use crate::outcome::{Probed, ensure, fail, not_applicable, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "protocol.conflicting-lengths-refused",
        title: "Two different content lengths are refused",
        why: "Where a proxy and a server disagree on the length, one request hides in another.",
        severity: Severity::High,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "A request with content-length 5 and content-length 6.",
        remedy: "Answer 400 and close the connection, as RFC 9112 requires.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(conflicting_lengths(s)),
    },
    Check {
        id: "protocol.smuggling-refused",
        title: "A request with a length and chunks cannot smuggle another",
        why: "A request smuggled past the proxy runs with someone else's rights.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "content-length with transfer-encoding, and a second request in the body.",
        remedy: "Refuse such a request, or close the connection after its one answer.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(smuggling(s)),
    },
    Check {
        id: "protocol.garbage-is-harmless",
        title: "Bytes that are not HTTP are refused and harmless",
        why: "Scanners and misdirected clients send everything to every port.",
        severity: Severity::Medium,
        areas: &[Area::Reliability, Area::Security],
        needs: &[],
        verified_by: "Bytes of another protocol, then an ordinary request.",
        remedy: "Answer 400 or close the connection.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(garbage(s)),
    },
    Check {
        id: "protocol.keep-alive",
        title: "Connections are kept for the next request",
        why: "A fresh connection, and over TLS a handshake, for each call costs time and CPU.",
        severity: Severity::Low,
        areas: &[Area::Compatibility],
        needs: &[],
        verified_by: "Two requests on one connection.",
        remedy: "Keep HTTP/1.1 connections open between requests.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(keep_alive(s)),
    },
    Check {
        id: "protocol.http2",
        title: "HTTP/2 is spoken",
        why: "Clients with many requests at once share one connection over it.",
        severity: Severity::Low,
        areas: &[Area::Compatibility],
        needs: &[],
        verified_by: "A request over HTTP/2: negotiated over TLS, with prior knowledge without.",
        remedy: "Enable HTTP/2 on the listener.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(http2(s)),
    },
];

fn brief(s: &Session<'_>, head: impl Into<Vec<u8>>) -> RawExchange {
    RawExchange {
        head: head.into(),
        then: None,
        limit: s.options().request_timeout,
        linger: Duration::from_millis(300),
    }
}

async fn conflicting_lengths(s: &Session<'_>) -> Probed {
    let (path, host) = (s.base().path("/v1/chat/completions"), s.base().authority());
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{{}}   x"
    );
    let answer = s
        .raw(
            "POST with content-length 5 and content-length 6",
            &brief(s, head),
        )
        .await?;
    match answer.status() {
        Some(400) if s.facts().nowhere.post == Some(400) => {
            not_verified("a refusal that tells: this server answers 400 to everything")
        }
        Some(400) => Ok("400".to_owned()),
        None if answer.closed => Ok("the connection was closed".to_owned()),
        Some(status) => fail("400", status.to_string()),
        None => fail("400", "no answer"),
    }
}

async fn smuggling(s: &Session<'_>) -> Probed {
    let host = s.base().authority();
    let inner = format!(
        "GET {} HTTP/1.1\r\nhost: {host}\r\n\r\n",
        s.base().path("/health")
    );
    let body = format!("0\r\n\r\n{inner}");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\
         transfer-encoding: chunked\r\n\r\n{body}",
        s.base().path("/v1/chat/completions"),
        body.len()
    );
    let sent = "POST with content-length and transfer-encoding, hiding GET /health";
    let answer = s.raw(sent, &brief(s, head)).await?;
    let expected = "a refusal, or one answer and the end of the connection";
    match (answer.answers.len(), answer.status()) {
        (0, _) if answer.closed => Ok("the connection was closed".to_owned()),
        (0, _) => fail(expected, "no answer"),
        (1, Some(status)) if !answer.closed && s.facts().nowhere.post == Some(status) => {
            not_verified(format!(
                "a refusal that tells: a path that does not exist gets {status} as well"
            ))
        }
        (1, Some(status)) if answer.closed || (400..500).contains(&status) => {
            Ok(format!("one answer, {status}"))
        }
        (1, Some(status)) => fail(
            expected,
            format!("{status}, and the connection stayed open"),
        ),
        (n, _) => fail(expected, format!("{n} answers: the hidden request was run")),
    }
}

async fn garbage(s: &Session<'_>) -> Probed {
    let bytes = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\r\n\r\n".to_vec();
    let answer = s
        .raw(
            "the start of a TLS handshake, inside the connection",
            &brief(s, bytes),
        )
        .await?;
    let found = match answer.status() {
        Some(status @ 400..=499) => format!("answered {status}"),
        None if answer.closed => "closed the connection".to_owned(),
        Some(status) => return fail("400 or the end of the connection", status.to_string()),
        None => return fail("400 or the end of the connection", "silence"),
    };
    answered_after(s, answer.status(), &found).await
}

async fn keep_alive(s: &Session<'_>) -> Probed {
    let (path, host) = (s.base().path("/health"), s.base().authority());
    let one = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let answer = s
        .raw(
            "two requests for /health on one connection",
            &brief(s, one.repeat(2)),
        )
        .await?;
    ensure(
        answer.answers.len() == 2,
        "two answers",
        answer.answers.len().to_string(),
    )?;
    Ok("two answers on one connection".to_owned())
}

async fn http2(s: &Session<'_>) -> Probed {
    let path = if s.facts().seaworthy {
        "/health/live"
    } else {
        "/"
    };
    match s.send_over(Request::get(path), Protocol::Http2).await {
        Ok(answer) if s.facts().seaworthy => {
            ensure_status(&answer, &[200], "GET /health/live over HTTP/2")?;
            Ok("200 over HTTP/2".to_owned())
        }
        Ok(answer) => Ok(format!("{} over HTTP/2", answer.status())),
        Err(error) if s.facts().seaworthy => fail("an answer over HTTP/2", error.to_string()),
        Err(error) => not_applicable(format!(
            "HTTP/2 is optional, and this server does not speak it: {error}"
        )),
    }
}
