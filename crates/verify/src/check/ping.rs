//! `GET /ping` of the AgentCore container contract, by which the platform decides whose session ends.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use super::{Area, Check, Kind, Severity};
use crate::http::Request;
use crate::outcome::{Probed, Stop, ensure, fail, not_applicable, not_verified};
use crate::session::Session;

pub(super) static CHECKS: &[Check] = &[Check {
    id: "health.ping-contract",
    title: "/ping says Healthy or HealthyBusy, and since when",
    why: "AgentCore ends sessions by it: without the time of the last change busy ones are killed, and with a wrong one idle ones stay until their longest life.",
    severity: Severity::High,
    areas: &[Area::Reliability],
    needs: &[],
    verified_by: "GET /ping without a key where the server speaks that contract: status, and time_of_last_update as whole Unix seconds that do not lie ahead; a time of just now is asked for again a second later and must have stayed.",
    remedy: "Answer {\"status\": \"Healthy\" or \"HealthyBusy\", \"time_of_last_update\": seconds since 1970} and set the time only when the status changes.",
    kind: Kind::Live,
    standard: true,
    probe: |s| Box::pin(ping(s)),
}];

/// How far the clocks of two machines may be apart.
const CLOCKS_SECONDS: i64 = 5;
/// A time before this one, of the year 2001, counts something else: from the start of a process or machine.
const EARLIEST: i64 = 1_000_000_000;
/// Long enough for a time in seconds to be another one.
const A_SECOND: Duration = Duration::from_millis(1_100);

async fn ping(s: &Session<'_>) -> Probed {
    let first = answer(s).await?;
    let asked = Timestamp::now().as_second();
    let (status, since) = judge(&first, asked)?;
    let seconds = asked.saturating_sub(since);
    let found = format!("{status} since {seconds} s");
    if seconds > CLOCKS_SECONDS {
        return Ok(found);
    }
    // It began just now, or each answer says so.
    sleep(A_SECOND).await;
    let second = answer(s).await?;
    let (status_then, since_then) = judge(&second, Timestamp::now().as_second())?;
    ensure(
        (status == status_then) == (since == since_then),
        "a time_of_last_update that changes when the status does, and only then",
        format!("{status} since {since}, and a second later {status_then} since {since_then}"),
    )?;
    Ok(found)
}

/// What `/ping` says, of a server that means AgentCore's by it.
async fn answer(s: &Session<'_>) -> Result<Value, Stop> {
    let nowhere = s.facts().nowhere.get;
    let answer = s.send(Request::get("/ping")).await?;
    let status = answer.status();
    let json = answer.json().unwrap_or(Value::Null);
    if status == 200 && says(&json) {
        return match nowhere {
            Some(200) => not_verified(
                "a path that tells: this server answers 200 to each, also to one that does not exist",
            ),
            _ => Ok(json),
        };
    }
    // The contract's other half is there for POST alone.
    let calls = s.send(Request::get("/invocations")).await?.status();
    if calls != 405 || nowhere == Some(405) {
        return not_applicable(format!(
            "GET /ping is not that of AgentCore: it answers {status}, and GET /invocations {calls}"
        ));
    }
    match status {
        200 => Ok(json),
        _ => fail(
            "200 from GET /ping, beside /invocations",
            status.to_string(),
        ),
    }
}

/// Whether an answer has a word of the contract.
fn says(json: &Value) -> bool {
    json.get("time_of_last_update").is_some() || known_status(json).is_some()
}

fn known_status(json: &Value) -> Option<&str> {
    let status = json["status"].as_str();
    status.filter(|status| matches!(*status, "Healthy" | "HealthyBusy"))
}

/// The status and since when it holds, seen at `now`.
fn judge(json: &Value, now: i64) -> Result<(&str, i64), Stop> {
    let Some(status) = known_status(json) else {
        return fail("status Healthy or HealthyBusy", told(&json["status"]));
    };
    let time = &json["time_of_last_update"];
    let Some(since) = time.as_i64().filter(|since| *since >= EARLIEST) else {
        return fail(
            "time_of_last_update as whole seconds since 1970",
            told(time),
        );
    };
    let ahead = since.saturating_sub(now);
    if ahead <= CLOCKS_SECONDS {
        return Ok((status, since));
    }
    let unit = match since / 1_000 <= now {
        true => ", as milliseconds are",
        false => "",
    };
    fail(
        "time_of_last_update in the past",
        format!("{since}, which lies {ahead} s ahead of this machine's clock{unit}"),
    )
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{judge, says};
    use crate::outcome::Stop;

    const NOW: i64 = 1_800_000_000;

    fn found(json: &Value) -> String {
        match judge(json, NOW) {
            Err(Stop::Fail { found, .. }) => found,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_contract_is_two_words_and_whole_seconds_of_the_past() {
        for status in ["Healthy", "HealthyBusy"] {
            for since in [NOW - 86_400, NOW, NOW + 5] {
                let json = json!({"status": status, "time_of_last_update": since});
                assert_eq!(judge(&json, NOW).ok(), Some((status, since)));
            }
        }
        let with = |time: Value| json!({"status": "Healthy", "time_of_last_update": time});
        for (time, expected) in [
            (json!(NOW + 60), "1800000060, which lies 60 s ahead"),
            (
                json!(NOW * 1_000),
                "ahead of this machine's clock, as milliseconds are",
            ),
            (json!(i64::MAX), "9223372036854775807, which lies"),
            (json!(1_799_999_999.5), "1799999999.5"),
            (json!(1_799_999_999.0), "1799999999.0"),
            (json!("1799999999"), "\"1799999999\""),
            (json!("2027-01-15T08:00:00Z"), "\"2027-01-15T08:00:00Z\""),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(4_711), "4711"),
            (json!(-1), "-1"),
            (Value::Null, "none"),
        ] {
            let found = found(&with(time));
            assert!(found.contains(expected), "{found}");
        }
        for status in [json!("healthy"), json!("Unhealthy"), json!(true)] {
            let json = json!({"status": status, "time_of_last_update": NOW});
            assert_eq!(found(&json), status.to_string());
        }
        assert_eq!(found(&json!({"time_of_last_update": NOW})), "none");
    }

    #[test]
    fn other_pings_are_other_protocols() {
        assert!(says(&json!({"status": "HealthyBusy"})));
        assert!(says(&json!({"time_of_last_update": null})));
        for other in [
            json!("pong"),
            json!({"status": "ok"}),
            json!([]),
            Value::Null,
        ] {
            assert!(!says(&other), "{other}");
        }
    }
}
