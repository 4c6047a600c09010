//! A key changed while calls flow: the old one works until callers have the new one, and not after.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Stage;
use super::deployment::{CALLERS, MODEL, call, launch, one_provider, until};
use super::outage::phase;
use super::traffic::{Tally, Target, Traffic};
use crate::http::Request;
use crate::outcome::{Probed, Stop, ensure, fail};
use crate::scratch::Bench;
use crate::session::Session;

pub(super) const STEPS: &[&str] = &[
    "make a key over the admin API, on a scratch deployment or on the one that is named",
    "make 20 calls a second with it",
    "rotate it with an overlap: the old and the new one work",
    "let the callers change to the new key while calls flow",
    "revoke the old key: it is refused, and no call of the callers has failed",
];

/// How quickly a revoked key must be refused.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn scratch(stage: &Stage<'_>) -> Probed {
    let bench = Bench::empty(&stage.session).await?;
    let _provider = one_provider(&bench, "", "").await?;
    let running = launch(stage, &bench).await?;
    rotate(stage, &bench.session, &running.admin_key, MODEL).await
}

pub(super) async fn away(stage: &Stage<'_>) -> Probed {
    let admin_key = stage.session.admin_key()?;
    let model = stage.options.model.as_deref().unwrap_or("echo");
    rotate(stage, &stage.session, admin_key, model).await
}

/// A key of the admin API.
struct Key {
    id: String,
    secret: String,
}

async fn rotate(stage: &Stage<'_>, s: &Session<'_>, admin_key: &str, model: &str) -> Probed {
    stage.next_step();
    let old = change(
        s,
        admin_key,
        "/admin/v1/keys",
        &json!({"name": "drill", "expires_in": "1h"}),
    )
    .await?;

    stage.next_step();
    let current = Arc::new(Mutex::new(old.secret.clone()));
    let target = with_current(s, model, &current);
    let began = Instant::now();
    let traffic = Traffic::start(&target, CALLERS);
    sleep(Duration::from_secs(1)).await;

    stage.next_step();
    let path = format!("/admin/v1/keys/{}/rotate", old.id);
    let new = change(s, admin_key, &path, &json!({"overlap": "60s"})).await?;
    for (which, key) in [("old", &old), ("new", &new)] {
        let answer = s.send(call(model, "overlap", &key.secret, false)).await?;
        let expected = format!("200 with the {which} key while both are valid");
        ensure(
            answer.status() == 200,
            expected,
            answer.status().to_string(),
        )?;
    }
    sleep(Duration::from_millis(500)).await;

    stage.next_step();
    current
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone_from(&new.secret);
    // Those that were about to be sent with the old key are through after that.
    sleep(Duration::from_secs(1)).await;

    stage.next_step();
    revoke(s, admin_key, &old.id).await?;
    let refused = until(
        "a revoked key that is refused",
        REVOKED_WITHIN,
        async || {
            let answer = s.send(call(model, "revoked", &old.secret, false)).await?;
            Ok(answer.status() == 401)
        },
    )
    .await?;
    sleep(Duration::from_millis(500)).await;
    let samples = phase(stage, &traffic, began, "calls over the rotation");
    drop(traffic.finish().await);
    // What the drill made does not stay behind.
    revoke(s, admin_key, &new.id).await?;
    let tally = Tally::of(&samples);
    ensure(
        tally.calls > 0 && tally.failed() == 0,
        "no failed call while the key was changed",
        tally.words(),
    )?;
    let limit = REVOKED_WITHIN.as_secs_f64();
    stage.measure(
        "revoked key refused after",
        refused.as_secs_f64(),
        "s",
        Some(limit),
    );
    stage.measure("failed calls", 0.0, "calls", Some(0.0));
    Ok(format!(
        "{} while the key was changed; the old one was refused {:.0} ms after it was revoked",
        tally.words(),
        refused.as_secs_f64() * 1000.0
    ))
}

/// Calls with the key that is current when they are made.
fn with_current(s: &Session<'_>, model: &str, current: &Arc<Mutex<String>>) -> Target {
    let (current, model) = (Arc::clone(current), model.to_owned());
    Target {
        dialer: s.dialer().clone(),
        base: s.base().clone(),
        request: Arc::new(move |n| {
            let key = current.lock().unwrap_or_else(PoisonError::into_inner);
            call(&model, &format!("call {n}"), &key, false)
        }),
    }
}

async fn revoke(s: &Session<'_>, admin_key: &str, id: &str) -> Result<(), Stop> {
    let request = Request::post(format!("/admin/v1/keys/{id}/revoke"));
    let answer = s.send(request.json(&json!({})).bearer(admin_key)).await?;
    let status = answer.status();
    ensure(
        status / 100 == 2,
        "a key that is revoked",
        status.to_string(),
    )
}

/// A change of keys, and the key that comes back.
async fn change(s: &Session<'_>, admin_key: &str, path: &str, body: &Value) -> Result<Key, Stop> {
    let answer = s
        .send(Request::post(path).json(body).bearer(admin_key))
        .await?;
    let json = answer.json().unwrap_or(Value::Null);
    match (json["id"].as_str(), json["key"].as_str()) {
        (Some(id), Some(secret)) => {
            s.hide(secret);
            Ok(Key {
                id: id.to_owned(),
                secret: secret.to_owned(),
            })
        }
        _ => fail(
            format!("a key from POST {path}"),
            format!("{} without one", answer.status()),
        ),
    }
}
