//! Limits at the door: what is too big, too much or too slow is turned away early.

use std::time::Duration;

use super::{Area, Check, Kind, Need, Severity};
use crate::facts::Surface;
use crate::http::{RawAnswer, RawExchange, Repeat, Request, stamp};
use crate::outcome::{Probed, Stop, ensure, fail, not_applicable, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "limits.declared-size-is-413",
        title: "A body that is declared too big is refused before it is sent",
        why: "Otherwise a few clients fill the memory or the line.",
        severity: Severity::Critical,
        areas: &[Area::Reliability, Area::Security],
        needs: &[Need::Key],
        verified_by: "A request that declares 1 GiB and sends nothing of it.",
        remedy: "Compare content-length with the limit, and answer 413 without reading.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(declared_size(s)),
    },
    Check {
        id: "limits.undeclared-size-is-413",
        title: "A body without a declared length is cut off at the limit",
        why: "A limit that only looks at content-length is no limit.",
        severity: Severity::Critical,
        areas: &[Area::Reliability, Area::Security],
        needs: &[Need::Key],
        verified_by: "A chunked body that goes on well past the usual limit.",
        remedy: "Count bytes while reading, and answer 413 when the limit is passed.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(undeclared_size(s)),
    },
    Check {
        id: "limits.header-flood-is-refused",
        title: "A flood of headers is refused and harmless",
        why: "Headers are read before anyone is authenticated.",
        severity: Severity::High,
        areas: &[Area::Reliability, Area::Security],
        needs: &[],
        verified_by: "2,000 headers in one request, then an ordinary request.",
        remedy: "Bound the number and the size of headers, and answer 431.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(header_flood(s)),
    },
    Check {
        id: "limits.long-target-is-refused",
        title: "An endless request line is refused and harmless",
        why: "It is read into memory before anyone is authenticated.",
        severity: Severity::Medium,
        areas: &[Area::Reliability, Area::Security],
        needs: &[],
        verified_by: "A request line of 1 MiB, then an ordinary request.",
        remedy: "Bound the request line, and answer 414.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(long_target(s)),
    },
    Check {
        id: "limits.slow-headers-cut-off",
        title: "A client that never finishes its headers is cut off",
        why: "A handful of such clients hold every connection that the server has.",
        severity: Severity::High,
        areas: &[Area::Reliability, Area::Security],
        needs: &[],
        verified_by: "A connection that sends one header byte now and then.",
        remedy: "Set a timeout for the whole request head, not only between bytes.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(slow_headers(s)),
    },
];

/// The start of a chat request, written by hand.
fn chat_head(s: &Session<'_>, framing: &str) -> Result<String, Stop> {
    let [(nonce, once), (time, now)] = stamp();
    Ok(format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n{nonce}: {once}\r\n\
         {time}: {now}\r\ncontent-type: application/json\r\n{framing}\r\n\r\n",
        s.base().path("/v1/chat/completions"),
        s.base().authority(),
        s.key()?
    ))
}

fn patient(s: &Session<'_>, head: impl Into<Vec<u8>>, then: Option<Repeat>) -> RawExchange {
    RawExchange {
        head: head.into(),
        then,
        limit: s.options().request_timeout,
        linger: Duration::from_millis(300),
    }
}

/// 413, or the fact that there is nothing here to send a body to.
fn ensure_413(s: &Session<'_>, answer: &RawAnswer) -> Result<(), Stop> {
    match (answer.status(), &s.facts().chat) {
        (Some(413), _) => Ok(()),
        (Some(401 | 403), _) => not_verified("a key that the server accepts"),
        (_, Surface::Absent(why)) => not_applicable(why.clone()),
        (Some(status), _) => fail("413", status.to_string()),
        (None, _) if answer.closed => fail("413", "the connection closed without an answer"),
        (None, _) => fail(
            "413",
            format!("no answer in {} s", answer.elapsed.as_secs()),
        ),
    }
}

async fn declared_size(s: &Session<'_>) -> Probed {
    let head = chat_head(s, "content-length: 1073741824")?;
    let sent = "POST /v1/chat/completions with content-length 1 GiB and no body";
    let answer = s.raw(sent, &patient(s, head, None)).await?;
    ensure_413(s, &answer)?;
    Ok(format!(
        "413 after {} ms, nothing of the body sent",
        answer.elapsed.as_millis()
    ))
}

async fn undeclared_size(s: &Session<'_>) -> Probed {
    const PIECE: usize = 64 * 1024;
    let mut piece = format!("{PIECE:x}\r\n").into_bytes();
    piece.extend(std::iter::repeat_n(b' ', PIECE));
    piece.extend(b"\r\n");
    let repeat = Repeat {
        piece,
        times: s.options().oversize_bytes / PIECE + 1,
        every: Duration::ZERO,
        end: b"0\r\n\r\n".to_vec(),
    };
    let megabytes = s.options().oversize_bytes / (1024 * 1024);
    let head = chat_head(s, "transfer-encoding: chunked")?;
    let sent = format!("POST /v1/chat/completions with up to {megabytes} MiB in chunks");
    let answer = s.raw(&sent, &patient(s, head, Some(repeat))).await?;
    ensure_413(s, &answer)?;
    Ok(format!(
        "413 after about {} KiB",
        answer.pieces_sent * PIECE / 1024
    ))
}

/// A refusal is a 4xx, or the end of the connection.
async fn refused_and_alive(s: &Session<'_>, sent: &str, head: Vec<u8>, wanted: &str) -> Probed {
    let answer = s.raw(sent, &patient(s, head, None)).await?;
    let found = match answer.status() {
        Some(status @ 400..=499) => format!("answered {status}"),
        Some(status) => return fail(format!("{wanted} or another 4xx"), status.to_string()),
        None if answer.closed => "closed the connection".to_owned(),
        None => {
            return fail(
                format!("{wanted} or another 4xx"),
                format!("no answer in {} s", answer.elapsed.as_secs()),
            );
        }
    };
    answered_after(s, answer.status(), &found).await
}

/// An ordinary request comes through after what was found, and gets another answer: what everybody
/// gets for everything refuses nothing.
pub(super) async fn answered_after(s: &Session<'_>, refusal: Option<u16>, found: &str) -> Probed {
    let ordinary = s.send(Request::get("/health")).await?.status();
    if refusal == Some(ordinary) {
        return not_verified(format!(
            "an answer that tells: {ordinary} is what an ordinary request gets as well"
        ));
    }
    Ok(format!("{found}, and the next request was answered"))
}

async fn header_flood(s: &Session<'_>) -> Probed {
    use std::fmt::Write;
    let (path, host) = (s.base().path("/health"), s.base().authority());
    let mut head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n");
    for n in 0..2_000 {
        let _ = write!(head, "x-flood-{n}: {}\r\n", "f".repeat(40));
    }
    head.push_str("\r\n");
    refused_and_alive(
        s,
        "GET /health with 2,000 headers",
        head.into_bytes(),
        "431",
    )
    .await
}

async fn long_target(s: &Session<'_>) -> Probed {
    let host = s.base().authority();
    let long = "a".repeat(1024 * 1024);
    let head = format!(
        "GET {}?q={long} HTTP/1.1\r\nhost: {host}\r\n\r\n",
        s.base().path("/health")
    );
    refused_and_alive(s, "GET /health?q= and 1 MiB more", head.into_bytes(), "414").await
}

async fn slow_headers(s: &Session<'_>) -> Probed {
    /// Longer than any sensible limit for a request head.
    const TOO_LONG: Duration = Duration::from_secs(60);
    let patience = s.options().patience;
    let every = Duration::from_millis(500).min(patience / 4);
    let pieces = patience.as_millis() / every.as_millis().max(1);
    let (path, host) = (s.base().path("/health"), s.base().authority());
    let exchange = RawExchange {
        head: format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-slow: ").into_bytes(),
        then: Some(Repeat {
            piece: b"s".to_vec(),
            times: usize::try_from(pieces).unwrap_or(usize::MAX),
            every,
            end: Vec::new(),
        }),
        limit: patience,
        linger: Duration::from_millis(300),
    };
    let sent = "GET /health whose headers never end, one byte at a time";
    let answer = s.raw(sent, &exchange).await?;
    let after = format!("{:.1} s", answer.elapsed.as_secs_f64());
    if let Some(status) = answer.status() {
        ensure(
            status == 408 || status == 400,
            "408 or the end of the connection",
            status.to_string(),
        )?;
        return Ok(format!("{status} after {after}"));
    }
    if answer.closed {
        return Ok(format!("closed after {after}"));
    }
    if patience >= TOO_LONG {
        return fail(
            "an end within a minute",
            format!("still open after {after}"),
        );
    }
    not_verified(format!(
        "more patience than {after}: the connection was still open then"
    ))
}
