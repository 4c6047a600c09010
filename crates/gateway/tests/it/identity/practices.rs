//! `api_key_practices` takes effect: ages, warnings, refusals.

use std::time::Duration;

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::{Role, Scopes};
use serde_json::json;

use crate::support::app::TestApp;

/// The block of the checklists, as TOML.
const PRACTICES: &str = r#"
[auth]
environment = "production"
[api_key_practices]
storage = [{ use_secret_manager = true }, { never_in_code = true }, { never_in_env_files_in_repo = true }]
rotation = [{ rotate_every_days = 90 }, { support_zero_downtime_rotation = true }]
scope = [{ principle_of_least_privilege = true }, { separate_keys_per_environment = true }, { separate_keys_per_service = true }]
"#;

#[tokio::test(start_paused = true)]
async fn ages_of_all_keys_are_metrics_and_old_ones_are_named() {
    let app = TestApp::builder().sections(PRACTICES).start().await;
    let tidy = NewKey {
        environment: Some("production".into()),
        service: Some("billing".into()),
        scopes: Scopes {
            models: vec!["gpt".into()],
            ..Scopes::default()
        },
        ..NewKey::of("tidy", "ada", Role::User)
    };
    let (_, id) = app.issue(tidy).await;
    app.keys_noticed().await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let metrics = app.metrics().await;
    for expected in [
        format!("seaworthy_key_age_seconds{{key=\"key/{id}\"}} 0\n"),
        "seaworthy_key_age_seconds{key=\"provider/openai\"} 0\n".into(),
        "seaworthy_key_practice_violations{practice=\"rotate_every_days\"} 0\n".into(),
        // The keys that every test app has: one of a user, one of an administrator.
        "seaworthy_key_practice_violations{practice=\"principle_of_least_privilege\"} 2\n".into(),
        "seaworthy_key_practice_violations{practice=\"separate_keys_per_service\"} 2\n".into(),
        "seaworthy_key_practice_violations{practice=\"separate_keys_per_environment\"} 2\n".into(),
    ] {
        assert!(metrics.contains(&expected), "{expected}{metrics}");
    }
    app.clock.advance(Duration::from_secs(90 * 86_400));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let metrics = app.metrics().await;
    let old = "seaworthy_key_practice_violations{practice=\"rotate_every_days\"} 5\n";
    assert!(
        metrics.contains(old),
        "three of callers, two of providers: {metrics}"
    );
    assert!(
        metrics.contains("seaworthy_oldest_key_age_seconds 7776000\n"),
        "{metrics}"
    );
    let status = app.get("/admin/v1/status").key(&app.admin_key).send().await;
    let keys = status.json()["keys"].clone();
    assert_eq!(keys["status"], "warning");
    assert!(keys.to_string().contains(&id) && keys.to_string().contains("provider/openai"));
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_environment_is_refused_and_new_ones_are_of_this_one() {
    let app = TestApp::builder().sections(PRACTICES).start().await;
    let other = NewKey {
        environment: Some("staging".into()),
        ..NewKey::of("other", "ada", Role::Admin)
    };
    let (other, _) = app.issue(other).await;
    app.keys_noticed().await;
    let answer = app.get("/v1/models").key(&other).send().await;
    answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    let create = app.call(Method::POST, "/admin/v1/keys").key(&app.admin_key);
    let made = create.body(json!({"name": "new"}).to_string()).send().await;
    assert_eq!(made.json()["environment"], "production");
    let metrics = app.metrics().await;
    let counted = r#"seaworthy_auth_failures_total{credential="key",reason="wrong_environment"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_without_overlap_is_refused() {
    let app = TestApp::builder().sections(PRACTICES).start().await;
    let (_, id) = app.create_key(Role::User, None).await;
    let rotate = |overlap: &str| {
        let path = format!("/admin/v1/keys/{id}/rotate");
        let call = app.call(Method::POST, &path).key(&app.admin_key);
        call.body(json!({"overlap": overlap}).to_string()).send()
    };
    rotate("0s")
        .await
        .assert_error(Family::OpenAi, 400, "invalid_request");
    assert_eq!(rotate("1m").await.status, 201);
    app.finish().await;
}
