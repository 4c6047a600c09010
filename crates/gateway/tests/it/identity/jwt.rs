//! Tokens of an identity provider: who they are for here, and what happens while its keys change or
//! it does not answer.

use std::time::Duration;

use seaworthy_core::dialect::Family;
use serde_json::{Value, json};

use super::idp::{CONFIG, NOW, Signer, claims, claims_with, go_away, publish};
use crate::support::app::TestApp;
use crate::support::client::Answer;
use crate::support::upstream::{Step, Upstream};

async fn app_of(upstream: &Upstream) -> TestApp {
    let app = TestApp::builder().sections(CONFIG).upstream(upstream);
    app.start().await
}

async fn models(app: &TestApp, token: &str) -> Answer {
    app.get("/v1/models").key(token).send().await
}

/// Lets time pass for keys, and the gateway notice.
async fn pass(app: &TestApp, time: Duration) {
    app.clock.advance(time);
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn tokens_of_every_algorithm_are_accepted_with_and_without_a_name_of_the_key() {
    let signers = [Signer::rsa(), Signer::ec(), Signer::ed(1)];
    let upstream = Upstream::default();
    let keys: Vec<Value> = signers.iter().map(|s| s.jwk(s.algorithm())).collect();
    publish(&upstream, &keys);
    let app = app_of(&upstream).await;
    for signer in &signers {
        let name = signer.algorithm();
        let named = signer.token(name, &claims());
        let unnamed = signer.token_of(&format!(r#"{{"alg":"{name}"}}"#), &claims().to_string());
        for token in [&named, &unnamed] {
            let answer = models(&app, token).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        }
    }
    for good in [
        json!({"aud": ["x", "other-name"]}),
        json!({"exp": NOW - 29, "nbf": NOW + 29, "iat": NOW + 29}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"nbf": null, "iat": null}),
    ] {
        let token = signers[2].token("EdDSA", &claims_with(&good));
        assert_eq!(models(&app, &token).await.status, 200, "{good}");
    }
    assert_eq!(upstream.asked("/keys"), 1, "one look at the keys is enough");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn claims_become_user_team_and_roles_and_nothing_unnamed_does() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    publish(&upstream, &[signer.jwk("1")]);
    let app = app_of(&upstream).await;
    for (groups, status_route, keys_route) in [
        (json!(["Platform Admins"]), 200, 200),
        (json!(["Readers", "unknown"]), 200, 403),
        (json!("Readers"), 200, 403),
        (json!(["admin"]), 403, 403),
        (json!({"admin": true}), 403, 403),
        (Value::Null, 403, 403),
    ] {
        let token = signer.token("1", &claims_with(&json!({"groups": groups})));
        for (path, expected) in [
            ("/admin/v1/status", status_route),
            ("/admin/v1/keys", keys_route),
        ] {
            let answer = app.get(path).key(&token).send().await;
            assert_eq!(answer.status, expected, "{groups} at {path}");
        }
    }
    let token = signer.token("1", &claims_with(&json!({"org": {"team": "blue"}})));
    assert_eq!(models(&app, &token).await.status, 200);
    let log = app.finish().await;
    assert!(
        log.contains(r#""user_id":"ada","key_id":"jwt:corp:ada""#),
        "{log}"
    );
    assert!(log.contains("\"blue\""), "{log}");
    assert!(!log.contains(&token[..40]), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_on_the_clock_though_it_was_verified_before() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    publish(&upstream, &[signer.jwk("1")]);
    let app = app_of(&upstream).await;
    let token = signer.token("1", &claims());
    assert_eq!(models(&app, &token).await.status, 200);
    app.clock.advance(Duration::from_secs(629));
    assert_eq!(models(&app, &token).await.status, 200, "within the leeway");
    app.clock.advance(Duration::from_secs(1));
    let answer = models(&app, &token).await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn keys_roll_over_without_a_failed_request_and_the_old_one_is_refused_then() {
    let (old, new, upstream) = (Signer::ed(1), Signer::ed(2), Upstream::default());
    publish(&upstream, &[old.jwk("old")]);
    let app = app_of(&upstream).await;
    let long = json!({"exp": NOW + 36_000});
    let (old_token, new_token) = (
        old.token("old", &claims_with(&long)),
        new.token("new", &claims_with(&long)),
    );
    assert_eq!(models(&app, &old_token).await.status, 200);
    publish(&upstream, &[old.jwk("old"), new.jwk("new")]);
    // Many at once, at the very moment of the change.
    let crowd = (0..8).map(|_| models(&app, &new_token));
    for answer in futures_util::future::join_all(crowd).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(models(&app, &old_token).await.status, 200);
    assert_eq!(
        upstream.asked("/keys"),
        2,
        "one more look, not one for each"
    );
    publish(&upstream, &[new.jwk("new")]);
    pass(&app, Duration::from_secs(300)).await;
    models(&app, &old_token)
        .await
        .assert_error(Family::OpenAi, 401, "invalid_api_key");
    assert_eq!(models(&app, &new_token).await.status, 200);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn made_up_names_of_keys_make_the_gateway_ask_a_few_times_and_then_once_in_an_interval() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    publish(&upstream, &[signer.jwk("1")]);
    let app = app_of(&upstream).await;
    assert_eq!(
        models(&app, &signer.token("1", &claims())).await.status,
        200
    );
    let before = upstream.asked("/keys");
    for n in 0..20 {
        let answer = models(&app, &signer.token(&format!("made-up-{n}"), &claims())).await;
        answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    }
    assert_eq!(upstream.asked("/keys"), before + 5);
    app.clock.advance(Duration::from_secs(10));
    for n in 0..5 {
        let answer = models(&app, &signer.token(&format!("again-{n}"), &claims())).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(upstream.asked("/keys"), before + 6);
    app.finish().await;
}

/// Names that are made up by mistake, and keys that follow each other quickly.
#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_right_after_others_were_looked_for() {
    let (old, upstream) = (Signer::ed(1), Upstream::default());
    let mut keys = vec![old.jwk("old")];
    publish(&upstream, &keys);
    let app = app_of(&upstream).await;
    assert_eq!(models(&app, &old.token("old", &claims())).await.status, 200);
    let strange = old.token("made-up", &claims());
    assert_eq!(models(&app, &strange).await.status, 401);
    for n in 2..5 {
        let (new, kid) = (Signer::ed(n), format!("new-{n}"));
        keys.push(new.jwk(&kid));
        publish(&upstream, &keys);
        let answer = models(&app, &new.token(&kid, &claims())).await;
        assert_eq!(answer.status, 200, "{kid}: {}", answer.text());
    }
    app.finish().await;
}

/// As large tenants have; every key is found by its name.
#[tokio::test(start_paused = true)]
async fn the_last_of_two_hundred_keys_counts_and_so_does_the_newer_name_of_ed25519() {
    let (other, last, upstream) = (Signer::ed(1), Signer::ed(2), Upstream::default());
    let mut keys: Vec<Value> = (0..200).map(|n| other.jwk(&format!("k{n}"))).collect();
    let mut jwk = last.jwk("last");
    jwk["alg"] = "Ed25519".into();
    keys.push(jwk);
    publish(&upstream, &keys);
    let app = app_of(&upstream).await;
    for alg in ["EdDSA", "Ed25519"] {
        let header = json!({"alg": alg, "kid": "last"}).to_string();
        let token = last.token_of(&header, &claims().to_string());
        let answer = models(&app, &token).await;
        assert_eq!(answer.status, 200, "{alg}: {}", answer.text());
    }
    app.finish().await;
}

/// Somebody who makes up names has every look wasted that there is, and an honest token of a new key
/// comes right after it.
#[tokio::test(start_paused = true)]
async fn a_new_key_is_not_refused_because_somebody_else_made_up_names() {
    let (old, new, upstream) = (Signer::ed(1), Signer::ed(2), Upstream::default());
    publish(&upstream, &[old.jwk("old")]);
    let app = app_of(&upstream).await;
    assert_eq!(models(&app, &old.token("old", &claims())).await.status, 200);
    for n in 0..5 {
        let answer = models(&app, &new.token(&format!("made-up-{n}"), &claims())).await;
        answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    }
    let looks = upstream.asked("/keys");

    publish(&upstream, &[old.jwk("old"), new.jwk("new")]);
    app.clock.advance(Duration::from_secs(3));
    let honest = new.token("new", &claims_with(&json!({"iat": NOW + 3})));
    let without = new.token("none", &claims_with(&json!({"iat": null})));
    let made_up = new.token("made-up-too", &claims_with(&json!({"iat": NOW + 3})));
    let made_before = new.token("made-up-three", &claims_with(&json!({"iat": NOW})));
    for token in [&honest, &without, &made_up] {
        let answer = models(&app, token).await;
        answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
        assert_eq!(answer.header("retry-after"), "7");
    }
    // The keys were fetched after this one was made.
    assert_eq!(models(&app, &made_before).await.status, 401);
    assert_eq!(upstream.asked("/keys"), looks);

    app.clock.advance(Duration::from_secs(7));
    assert_eq!(models(&app, &honest).await.status, 200);
    // Now it is known that there are no such keys, and nobody is asked again.
    for token in [&without, &made_up, &without, &made_up] {
        let answer = models(&app, token).await;
        answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    }
    assert_eq!(upstream.asked("/keys"), looks + 1);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_is_survived_and_then_nobody_is_blamed() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    publish(&upstream, &[signer.jwk("1")]);
    let app = app_of(&upstream).await;
    let token = |n: i64| signer.token("1", &claims_with(&json!({"exp": NOW + 36_000 + n})));
    assert_eq!(models(&app, &token(0)).await.status, 200);
    go_away(&upstream);
    pass(&app, Duration::from_secs(3_000)).await;
    // Neither known tokens nor fresh ones notice before `jwks_ttl` is over.
    assert_eq!(models(&app, &token(0)).await.status, 200);
    assert_eq!(models(&app, &token(1)).await.status, 200);
    let unknown = signer.token("2", &claims_with(&json!({"exp": NOW + 36_000})));
    let answer = models(&app, &unknown).await;
    answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
    assert!(!answer.header("retry-after").is_empty());
    pass(&app, Duration::from_secs(601)).await;
    for n in [0, 1, 2] {
        let answer = models(&app, &token(n)).await;
        answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(
        models(&app, &app.user_key).await.status,
        200,
        "keys are another matter"
    );
    let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
    assert!(
        status.json()["issuers"][0]["error"].is_string(),
        "{}",
        status.text()
    );
    publish(&upstream, &[signer.jwk("1")]);
    pass(&app, Duration::from_secs(10)).await;
    assert_eq!(models(&app, &token(0)).await.status, 200);
    let metrics = app.metrics().await;
    let counted = r#"seaworthy_auth_failures_total{credential="jwt",reason="cannot_verify"}"#;
    assert!(metrics.contains(counted), "{metrics}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answered_is_503_and_a_lost_store_does_not_matter() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    go_away(&upstream);
    let app = app_of(&upstream).await;
    let token = signer.token("1", &claims());
    let answer = models(&app, &token).await;
    answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
    publish(&upstream, &[signer.jwk("1")]);
    pass(&app, Duration::from_secs(10)).await;
    app.keys_outage.set(true);
    assert_eq!(models(&app, &token).await.status, 200);
    app.keys_outage.set(false);
    app.finish().await;
}

/// Without an answer, everything that comes while nobody knows anything is one look and one wait.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_is_waited_for_once_and_asked_less_and_less() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    upstream.always("/keys", [Step::Silence]);
    let app = app_of(&upstream).await;
    let token = signer.token("1", &claims_with(&json!({"exp": NOW + 36_000})));
    let crowd = (0..8).map(|_| models(&app, &token));
    for answer in futures_util::future::join_all(crowd).await {
        answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
    }
    assert_eq!(upstream.asked("/keys"), 1, "one look for all of them");
    // Each pause is twice as long as the one before it, and no request waits for a look.
    for (pause, looks) in [(10, 2), (20, 3), (40, 4), (60, 5), (60, 6)] {
        let asked = refused_at_once(&app, &token, &pause.to_string()).await;
        assert_eq!(asked, 0, "in the middle of a pause");
        pass(&app, Duration::from_secs(pause)).await;
        assert_eq!(upstream.asked("/keys"), looks);
        // The look is under way, and fails after its time.
        refused_at_once(&app, &token, &pause.to_string()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    publish(&upstream, &[signer.jwk("1")]);
    pass(&app, Duration::from_secs(60)).await;
    assert_eq!(models(&app, &token).await.status, 200);
    app.finish().await;
}

/// Asks a few times; returns how often the issuer was asked because of that.
async fn refused_at_once(app: &TestApp, token: &str, retry_after: &str) -> usize {
    let before = app.upstream.asked("/keys");
    let began = tokio::time::Instant::now();
    for _ in 0..5 {
        let answer = models(app, token).await;
        answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
        assert_eq!(answer.header("retry-after"), retry_after);
    }
    // The test's own time, which stands still while anybody has something to do.
    assert!(began.elapsed() < Duration::from_secs(1));
    app.upstream.asked("/keys") - before
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_known_count_while_the_issuer_hangs_and_strangers_wait_for_it_once() {
    let (signer, upstream) = (Signer::ed(1), Upstream::default());
    publish(&upstream, &[signer.jwk("1")]);
    let app = app_of(&upstream).await;
    let token =
        |kid: &str, n: i64| signer.token(kid, &claims_with(&json!({"exp": NOW + 36_000 + n})));
    assert_eq!(models(&app, &token("1", 0)).await.status, 200);
    let before = upstream.asked("/keys");
    upstream.always("/keys", [Step::Silence]);
    let (stranger, known) = (token("2", 0), token("1", 1));
    let (waited, known) = tokio::join!(models(&app, &stranger), models(&app, &known));
    waited.assert_error(Family::OpenAi, 503, "identity_unavailable");
    assert_eq!(known.status, 200);
    let began = tokio::time::Instant::now();
    for n in 2..8 {
        assert_eq!(models(&app, &token("1", n)).await.status, 200);
        let answer = models(&app, &token(&format!("made-up-{n}"), 0)).await;
        answer.assert_error(Family::OpenAi, 503, "identity_unavailable");
        assert_eq!(answer.header("retry-after"), "10");
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(upstream.asked("/keys"), before + 1);
    app.finish().await;
}
