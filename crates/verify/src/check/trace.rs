//! Finding one request again: request IDs and trace context.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Area, Check, Kind, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, ensure, fail, not_verified};
use crate::session::{Session, canary};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "trace.request-id-generated",
        title: "Every answer bears a request ID, errors too",
        why: "Without it, a user's complaint cannot be matched with a log line.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "The answers to a health check, the model list and an unknown path.",
        remedy: "Give each request an ID at the door, and send it back as x-request-id.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(generated(s)),
    },
    Check {
        id: "trace.request-ids-distinct",
        title: "Concurrent requests get distinct IDs",
        why: "An ID that is shared or reused points at someone else's request.",
        severity: Severity::Medium,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "Twenty requests at once.",
        remedy: "Generate a fresh random or time-ordered ID for each request.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(distinct(s)),
    },
    Check {
        id: "trace.request-id-echoed",
        title: "A caller's request ID is kept",
        why: "It joins the caller's logs to yours.",
        severity: Severity::Medium,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "A request with an x-request-id of our own.",
        remedy: "Use the caller's x-request-id when it is short and plain.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(echoed(s)),
    },
    Check {
        id: "trace.traceparent-continued",
        title: "A caller's trace is continued",
        why: "A trace that breaks at the gateway hides where the time goes.",
        severity: Severity::Medium,
        areas: &[Area::Observability],
        needs: &[],
        verified_by: "A request with a traceparent; the answer's must have the same trace ID.",
        remedy: "Take over the trace ID of a valid traceparent, with a span ID of your own.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(traceparent(s)),
    },
];

fn request_id(answer: &Answer) -> Option<&str> {
    let id = answer
        .header("x-request-id")
        .or_else(|| answer.header("request-id"));
    id.filter(|id| !id.is_empty())
}

async fn generated(s: &Session<'_>) -> Probed {
    let requests = [
        Request::get("/health"),
        s.with_key(Request::get("/v1/models")),
        Request::get(format!("/{}", canary("no-such-"))),
    ];
    let mut last = String::new();
    for request in requests {
        let path = request.path.clone();
        let answer = s.send(request).await?;
        match request_id(&answer) {
            Some(id) => id.clone_into(&mut last),
            None => {
                return fail(
                    "an x-request-id header",
                    format!("none in the {} of GET {path}", answer.status()),
                );
            }
        }
    }
    Ok(format!("for example {last}"))
}

async fn distinct(s: &Session<'_>) -> Probed {
    const AT_ONCE: usize = 20;
    let answers = join_all((0..AT_ONCE).map(|_| s.send(Request::get("/health")))).await;
    let mut ids = BTreeSet::new();
    for answer in answers {
        let answer = answer?;
        let Some(id) = request_id(&answer) else {
            return not_verified("request IDs: the answers bear none");
        };
        ensure(
            ids.insert(id.to_owned()),
            format!("{AT_ONCE} distinct IDs"),
            format!("{id} more than once"),
        )?;
    }
    Ok(format!("{AT_ONCE} distinct IDs"))
}

async fn echoed(s: &Session<'_>) -> Probed {
    let sent = canary("check-");
    let answer = s
        .send(Request::get("/health").header("x-request-id", sent.clone()))
        .await?;
    match request_id(&answer) {
        Some(id) if id == sent => Ok("the same ID came back".to_owned()),
        Some(id) => fail(sent, id),
        None => fail(sent, "no x-request-id header"),
    }
}

async fn traceparent(s: &Session<'_>) -> Probed {
    let trace_id = canary("");
    let span_id = &canary("")[16..];
    let sent = format!("00-{trace_id}-{span_id}-01");
    let request = s
        .with_key(Request::get("/v1/models"))
        .header("traceparent", sent);
    let answer = s.send(request).await?;
    let expected = format!("a traceparent with the trace ID {trace_id} and another span ID");
    match answer.header("traceparent") {
        Some(seen) => {
            let mut parts = seen.split('-').skip(1);
            let same_trace = parts.next() == Some(trace_id.as_str());
            let own_span = parts
                .next()
                .is_some_and(|span| span != span_id && span.len() == 16);
            ensure(same_trace && own_span, expected, seen)?;
            Ok(seen.to_owned())
        }
        None if s.facts().seaworthy => fail(expected, "no traceparent header"),
        None => not_verified("a traceparent header in answers, or a look into the trace store"),
    }
}
