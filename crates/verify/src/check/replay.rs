//! Whether a request that was recorded works a second time.

use jiff::Timestamp;

use super::dialect::{self, Dialect};
use super::rows::Row;
use super::{Kind, Need};
use crate::http::Request;
use crate::outcome::{Probed, ensure, fail, not_verified};
use crate::session::{Session, canary};

pub(super) static ROWS: &[Row] = &[
    Row {
        id: "replay.nonce",
        needs: &[Need::Key],
        kind: Kind::Live,
        how: "A model call, or a request of the admin API, twice with one nonce: the second is refused, and so is one without a nonce.",
        probe: |s| Box::pin(nonce(s)),
    },
    Row {
        id: "replay.timestamp",
        needs: &[Need::Key],
        kind: Kind::Live,
        how: "The same with the time of an hour ago and of an hour ahead: both are refused, and the present one is not.",
        probe: |s| Box::pin(timestamp(s)),
    },
];

/// How far away from now a request must not be.
const FAR_SECONDS: i64 = 3_600;

/// What can be sent twice, as far as keys are there for it.
fn candidates(s: &Session<'_>) -> Vec<(&'static str, Request)> {
    let mut all = Vec::new();
    if let (Ok(()), Ok(model), Ok(key)) = (s.facts().chat.required(), s.model(), s.key()) {
        let body = dialect::body(model, &canary("replay "), 16, false);
        let request = Dialect::OpenAi.request(body.to_string()).bearer(key);
        all.push(("POST /v1/chat/completions", request));
    }
    if let Ok(key) = s.admin_key() {
        let request = Request::get("/admin/v1/status").bearer(key);
        all.push(("GET /admin/v1/status", request));
    }
    all
}

/// The request with a nonce and a time, under the names that are in use.
fn stamped(request: &Request, nonce: &str, seconds: i64) -> Request {
    let seconds = seconds.to_string();
    let mut stamped = request.clone().unstamped();
    for prefix in ["x-seaworthy-", "x-"] {
        stamped = stamped
            .header(&format!("{prefix}nonce"), nonce)
            .header(&format!("{prefix}timestamp"), &seconds);
    }
    stamped
}

/// Whether the answer says that the request itself is not taken; 429 says that there were too many.
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=428)
}

async fn nonce(s: &Session<'_>) -> Probed {
    let mut accepted = Vec::new();
    for (name, request) in candidates(s) {
        let now = Timestamp::now().as_second();
        let once = stamped(&request, &canary("nonce-"), now);
        let first = s.send(once.clone()).await?.status();
        if first != 200 {
            continue;
        }
        let second = s.send(once).await?.status();
        if !is_refusal(second) {
            accepted.push(format!("{name} answered {first} and then {second}"));
            continue;
        }
        let without = s.send(request.unstamped()).await?.status();
        ensure(
            is_refusal(without),
            format!("{name} without a nonce refused, as one with a nonce that was used is"),
            format!("{without}: whoever leaves the nonce out may repeat it"),
        )?;
        return Ok(format!(
            "{name} answered {first}, {second} when it was sent again, and {without} without a nonce"
        ));
    }
    unprotected(
        &accepted,
        "the second of two requests with one nonce refused",
    )
}

async fn timestamp(s: &Session<'_>) -> Probed {
    let mut accepted = Vec::new();
    for (name, request) in candidates(s) {
        let now = Timestamp::now().as_second();
        let mut statuses = Vec::new();
        for seconds in [now, now - FAR_SECONDS, now + FAR_SECONDS] {
            let sent = stamped(&request, &canary("nonce-"), seconds);
            statuses.push(s.send(sent).await?.status());
        }
        let [present, past, future] = statuses[..] else {
            continue;
        };
        if present != 200 {
            continue;
        }
        if is_refusal(past) && is_refusal(future) {
            return Ok(format!(
                "{name} answered {present} now, {past} an hour ago and {future} an hour ahead"
            ));
        }
        accepted.push(format!(
            "{name} answered {past} an hour ago and {future} an hour ahead"
        ));
    }
    unprotected(
        &accepted,
        "requests of an hour ago and of an hour ahead refused",
    )
}

fn unprotected(accepted: &[String], expected: &str) -> Probed {
    match accepted {
        [] => not_verified(
            "a request that is answered with 200: a model to call, or a key of the admin API",
        ),
        accepted => fail::<String>(expected, accepted.join("; ")),
    }
}
