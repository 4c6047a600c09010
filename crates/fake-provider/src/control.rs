//! The control API under `/__control`: counts, the log of calls, the queue of faults.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::headers::JSON;
use crate::ledger::{Fault, Ledger};

/// Every path of the control API begins with this.
pub(crate) const PREFIX: &str = "/__control/";
const DEFAULT_CALLS: usize = 100;

/// Answers a control request.
pub(crate) fn handle(
    ledger: &Ledger,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Response<Full<Bytes>> {
    match (method, path.strip_prefix(PREFIX).unwrap_or_default()) {
        (&Method::GET, "stats") => json_response(StatusCode::OK, &json!(ledger.stats())),
        (&Method::GET, "calls") => {
            let since = parameter(query, "since").unwrap_or(0);
            let limit = parameter(query, "limit").and_then(|limit| usize::try_from(limit).ok());
            let calls = ledger.calls(since, limit.unwrap_or(DEFAULT_CALLS));
            let reports: Vec<Value> = calls.iter().map(|call| call.report()).collect();
            json_response(StatusCode::OK, &json!({"calls": reports}))
        }
        (&Method::GET, "faults") => {
            json_response(StatusCode::OK, &json!({"faults": ledger.faults()}))
        }
        (&Method::POST, "faults") => queue(ledger, body),
        (&Method::POST, "reset") => {
            ledger.reset();
            json_response(StatusCode::OK, &json!({"reset": true}))
        }
        (&Method::GET, rest) => logged(ledger, rest),
        _ => unknown(),
    }
}

fn queue(ledger: &Ledger, body: &[u8]) -> Response<Full<Bytes>> {
    let one_or_many = serde_json::from_slice::<Vec<Fault>>(body)
        .or_else(|_| serde_json::from_slice::<Fault>(body).map(|fault| vec![fault]));
    let faults = match one_or_many {
        Ok(faults) => faults,
        Err(error) => {
            let expected = "expected {\"fault\":\"key=value,…\",\"times\":1,\"path\":…,\"model\":…} or a list of them";
            return refusal(StatusCode::BAD_REQUEST, &format!("{expected}: {error}"));
        }
    };
    for fault in faults {
        if let Err(error) = ledger.queue(fault) {
            return refusal(StatusCode::BAD_REQUEST, &error.to_string());
        }
    }
    json_response(StatusCode::OK, &json!({"faults": ledger.faults()}))
}

/// `calls/{seq}` and `calls/{seq}/body`.
fn logged(ledger: &Ledger, rest: &str) -> Response<Full<Bytes>> {
    let Some(rest) = rest.strip_prefix("calls/") else {
        return unknown();
    };
    let (seq, part) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(call) = seq.parse().ok().and_then(|seq| ledger.call(seq)) else {
        return refusal(
            StatusCode::NOT_FOUND,
            "no such call in the log; it keeps only the latest",
        );
    };
    match (part, call.body.clone()) {
        ("", _) => json_response(StatusCode::OK, &call.report()),
        ("body", Some(body)) => Response::new(Full::new(body)),
        ("body", None) => refusal(StatusCode::GONE, "the body was too large to keep"),
        _ => unknown(),
    }
}

fn parameter(query: Option<&str>, name: &str) -> Option<u64> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .find_map(|(_, value)| value.parse().ok())
}

fn unknown() -> Response<Full<Bytes>> {
    let known = "GET stats, GET calls, GET calls/{seq}, GET calls/{seq}/body, GET faults, POST faults, POST reset";
    refusal(
        StatusCode::NOT_FOUND,
        &format!("unknown control request; there are {known}"),
    )
}

fn refusal(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    json_response(status, &json!({"error": message}))
}

fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}
