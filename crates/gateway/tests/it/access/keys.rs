//! Keys made, rotated and revoked over HTTP.

use http::Method;
use seaworthy_core::dialect::Family;
use seaworthy_core::key::NewKey;
use seaworthy_core::principal::{Role, Scopes};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::Answer;

const ROLES: &str = "
[auth.roles.keeper]
permissions = [\"list_models\", \"read_keys\", \"write_keys\"]
";

async fn post(app: &TestApp, key: &str, path: &str, body: &Value) -> Answer {
    let call = app.call(Method::POST, path).key(key);
    call.body(body.to_string()).send().await
}

async fn models(app: &TestApp, key: &str) -> u16 {
    app.get("/v1/models").key(key).send().await.status
}

#[tokio::test(start_paused = true)]
async fn a_key_lives_from_its_making_over_a_rotation_to_its_end() {
    let app = TestApp::start().await;
    let admin = app.admin_key.clone();
    let wanted = json!({
        "name": "billing", "user": "ada", "team": "blue", "environment": "production",
        "service": "billing", "scopes": {"models": ["gpt"]}, "expires_in": "90d",
    });
    let made = post(&app, &admin, "/admin/v1/keys", &wanted).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    for (field, value) in [("user", "ada"), ("team", "blue"), ("role", "user")] {
        assert_eq!(made[field], value);
    }
    assert_eq!(made["scopes"], json!({"models": ["gpt"]}));
    let (id, old) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(models(&app, old).await, 200, "at once");

    let path = format!("/admin/v1/keys/{id}/rotate");
    let rotated = post(&app, &admin, &path, &json!({"overlap": "60s"})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text());
    let rotated = rotated.json();
    assert_eq!(rotated["rotated_from"], id);
    assert_eq!(rotated["scopes"], json!({"models": ["gpt"]}));
    let new = rotated["key"].as_str().unwrap();
    assert_eq!(
        (models(&app, old).await, models(&app, new).await),
        (200, 200)
    );
    app.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(
        (models(&app, old).await, models(&app, new).await),
        (401, 200)
    );

    let new_id = rotated["id"].as_str().unwrap();
    let path = format!("/admin/v1/keys/{new_id}/revoke");
    let revoked = post(&app, &admin, &path, &json!({})).await;
    assert_eq!(revoked.json()["state"], "revoked");
    assert_eq!(models(&app, new).await, 401);

    let listed = app.get("/admin/v1/keys").key(&admin).send().await;
    let text = listed.text();
    assert!(text.contains(id) && text.contains(new_id));
    assert!(!text.contains(old) && !text.contains(new), "{text}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_right_makes_no_key() {
    let app = TestApp::start().await;
    let admin = app.admin_key.clone();
    for wrong in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "a", "role": "nobody-knows"}),
        json!({"name": "a", "role": "a b"}),
        json!({"name": "a", "roles": ["admin"]}),
        json!({"name": "a", "scopes": {"modells": ["gpt"]}}),
        json!({"name": "a", "scopes": {"models": ["a*b"]}}),
        json!({"name": "a", "scopes": {"models": []}}),
        json!({"name": "a", "team": "b\n"}),
        json!({"name": "a", "expires_in": "soon"}),
    ] {
        let answer = post(&app, &admin, "/admin/v1/keys", &wrong).await;
        answer.assert_error(Family::OpenAi, 400, "invalid_request");
    }
    let unknown = post(&app, &admin, "/admin/v1/keys/key_none/revoke", &json!({})).await;
    unknown.assert_error(Family::OpenAi, 404, "not_found");
    assert_eq!(app.stores.keys.list().await.unwrap().len(), 2);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_or_takes_over_a_key_that_may_do_more() {
    let app = TestApp::builder().sections(ROLES).start().await;
    let keeper: Role = "keeper".parse().unwrap();
    let (key, _) = app.issue(NewKey::of("k", "kim", keeper.clone())).await;
    let scoped = NewKey {
        scopes: Scopes {
            models: vec!["gpt".to_owned()],
            ..Scopes::default()
        },
        ..NewKey::of("k", "kim", keeper)
    };
    let (scoped, _) = app.issue(scoped).await;
    let (_, admin_id) = app.issue(NewKey::of("a", "ada", Role::Admin)).await;
    app.keys_noticed().await;
    for (key, wanted) in [
        (&key, json!({"name": "a", "role": "admin"})),
        (&key, json!({"name": "a", "role": "user"})),
        (&scoped, json!({"name": "a", "role": "keeper"})),
        (
            &scoped,
            json!({"name": "a", "role": "keeper", "scopes": {"models": ["*"]}}),
        ),
    ] {
        let answer = post(&app, key, "/admin/v1/keys", &wanted).await;
        answer.assert_error(Family::OpenAi, 403, "permission_denied");
    }
    for action in ["rotate", "revoke"] {
        let path = format!("/admin/v1/keys/{admin_id}/{action}");
        let answer = post(&app, &key, &path, &json!({})).await;
        answer.assert_error(Family::OpenAi, 403, "permission_denied");
    }
    let within = json!({"name": "a", "role": "keeper", "scopes": {"models": ["gpt"]}});
    assert_eq!(
        post(&app, &scoped, "/admin/v1/keys", &within).await.status,
        201
    );
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_503_here_too() {
    let app = TestApp::start().await;
    assert_eq!(models(&app, &app.admin_key).await, 200);
    app.keys_outage.set(true);
    let listed = app.get("/admin/v1/keys").key(&app.admin_key).send().await;
    listed.assert_error(Family::OpenAi, 503, "store_unavailable");
    app.keys_outage.set(false);
    app.finish().await;
}
