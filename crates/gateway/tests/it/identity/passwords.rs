//! Names with passwords.

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seaworthy_core::dialect::Family;

use crate::support::app::TestApp;
use crate::support::client::Answer;

const CONFIG: &str = r#"
[auth.users.ada]
password_hash = "secret://env/ADA_HASH"
role = "operator"
team = "blue"
[auth.users.bob]
password_hash = "secret://env/ADA_HASH"
models = ["echo"]
"#;

/// As quick as argon2id can be: what is looked at here is not its cost.
fn hash(password: &str) -> String {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2
        .hash_password(password.as_bytes())
        .unwrap()
        .to_string()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn app() -> TestApp {
    let builder = TestApp::builder().sections(CONFIG);
    builder
        .secret("ADA_HASH", &hash("s3cret: päss"))
        .start()
        .await
}

async fn get(app: &TestApp, path: &str, authorization: &str) -> Answer {
    app.get(path)
        .header("authorization", authorization)
        .send()
        .await
}

/// Many clients write ISO 8859-1, Python's `requests` for one.
#[tokio::test(start_paused = true)]
async fn a_password_may_be_written_in_either_of_two_encodings() {
    let app = app().await;
    let latin: Vec<u8> = "ada:s3cret: päss".chars().map(|c| c as u8).collect();
    let right = format!("Basic {}", STANDARD.encode(&latin));
    assert_eq!(get(&app, "/v1/models", &right).await.status, 200);
    let wrong = format!("Basic {}", STANDARD.encode(&latin[..latin.len() - 1]));
    assert_eq!(get(&app, "/v1/models", &wrong).await.status, 401);
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_right_password_opens_what_the_role_and_the_models_allow() {
    let app = app().await;
    let (ada, bob) = (basic("ada", "s3cret: päss"), basic("bob", "s3cret: päss"));
    for _ in 0..2 {
        assert_eq!(get(&app, "/admin/v1/status", &ada).await.status, 200);
        assert_eq!(get(&app, "/admin/v1/status", &bob).await.status, 403);
    }
    let models = get(&app, "/v1/models", &bob).await.json();
    assert_eq!(models["data"].as_array().unwrap().len(), 1);
    // Passwords are in the configuration: a lost store is nothing to them.
    app.keys_outage.set(true);
    assert_eq!(get(&app, "/admin/v1/status", &ada).await.status, 200);
    app.keys_outage.set(false);
    let log = app.finish().await;
    assert!(
        log.contains(r#""user_id":"ada","key_id":"user:ada""#),
        "{log}"
    );
    assert!(!log.contains("s3cret") && !log.contains(&ada[6..]), "{log}");
}

#[tokio::test(start_paused = true)]
async fn anything_else_is_refused_and_counted() {
    let app = app().await;
    for wrong in [
        basic("ada", "S3cret: päss"),
        basic("ada", ""),
        basic("ada", &"x".repeat(2_000)),
        basic("eve", "s3cret: päss"),
        basic("", "s3cret: päss"),
        "Basic !!!".to_owned(),
        "Basic YWRh".to_owned(),
        "Basic ".to_owned() + &STANDARD.encode([0xff, b':', b'x']),
    ] {
        let answer = get(&app, "/v1/models", &wrong).await;
        answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
    }
    let metrics = app.metrics().await;
    let counted =
        r#"seaworthy_auth_failures_total{credential="password",reason="wrong_password"} 5"#;
    assert!(metrics.contains(counted), "{metrics}");
    app.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_counts_from_the_reload_on() {
    let app = app().await;
    let (old, new) = (basic("ada", "s3cret: päss"), basic("ada", "another"));
    assert_eq!(get(&app, "/v1/models", &old).await.status, 200);
    app.secrets
        .lock()
        .insert("ADA_HASH".into(), hash("another"));
    app.reload("role = \"operator\"", "role = \"auditor\"")
        .await
        .unwrap();
    assert_eq!(get(&app, "/v1/models", &old).await.status, 401);
    assert_eq!(get(&app, "/v1/models", &new).await.status, 200);
    app.secrets.lock().insert("ADA_HASH".into(), "plain".into());
    let error = app.reload("role = \"operator\"", "role = \"user\"").await;
    assert!(error.unwrap_err().contains("password_hash"));
    app.finish().await;
}
