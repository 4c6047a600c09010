//! What is asked of each manager, and what is understood of its answers.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::{Asked, Fake, Said, config, secrets, value};

fn ok(body: &str) -> Said {
    (200, body.to_owned())
}

#[tokio::test]
async fn aws_is_asked_with_a_signature() {
    let fake =
        Fake::start(|_| ok(r#"{"Name":"prod/openai","SecretString":"{\"key\":\"sk-1\"}"}"#)).await;
    let more = format!(
        "[secret_managers.aws]\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"\n",
        fake.address
    );
    let config = config("secret://aws/prod/openai#key", &more);
    let (secrets, _) = secrets();
    secrets.prepare(&config).await.unwrap();
    assert_eq!(value(&secrets, &config), "sk-1");
    let asked = &fake.asked()[0];
    assert_eq!(asked.line, "POST /");
    assert_eq!(asked.body, r#"{"SecretId":"prod/openai"}"#);
    assert_eq!(
        asked.headers["x-amz-target"],
        "secretsmanager.GetSecretValue"
    );
    let authorization = &asked.headers["authorization"];
    let scope = "Credential=AKIDEXAMPLE/20260921/eu-central-1/secretsmanager/aws4_request";
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-target";
    assert!(
        authorization.contains(scope) && authorization.contains(signed),
        "{authorization}"
    );
}

#[tokio::test]
async fn vault_is_asked_with_a_token_and_tokens_are_got_for_roles() {
    let script = |asked: &Asked| {
        let token = asked.headers.get("x-vault-token").map(String::as_str);
        match asked.line.as_str() {
            "POST /v1/auth/approle/login" if asked.body.contains("own-canary") => {
                ok(r#"{"auth":{"client_token":"t-1","lease_duration":3600}}"#)
            }
            "GET /v1/kv/data/apps/gateway" if matches!(token, Some("t-1" | "own-canary")) => {
                ok(r#"{"data":{"data":{"openai":"sk-2"},"metadata":{"version":3}}}"#)
            }
            _ => (403, r#"{"errors":["permission denied"]}"#.to_owned()),
        }
    };
    let fake = Fake::start(script).await;
    for way in [
        "token = \"secret://env/OWN_SECRET\"",
        "role_id = \"secret://env/OWN_SECRET\"\nsecret_id = \"secret://env/OWN_SECRET\"",
    ] {
        let more = format!(
            "[secret_managers.vault]\naddress = \"http://{}\"\nmount = \"kv\"\nnamespace = \"n\"\n{way}\n",
            fake.address
        );
        let config = config("secret://vault/apps/gateway#openai", &more);
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        assert_eq!(value(&secrets, &config), "sk-2");
        // The token that a role got is used again.
        let before = fake.asked().len();
        assert_eq!(secrets.refresh(&config).await[0].fetched, 1);
        assert_eq!(fake.asked().len(), before + 1);
    }
    assert!(
        fake.asked()
            .iter()
            .all(|asked| asked.headers["x-vault-namespace"] == "n")
    );
}

/// Secrets that were stored with `echo`, and those in which there is nothing.
#[tokio::test]
async fn the_last_line_ending_is_no_part_of_a_secret_and_blanks_are_none() {
    for (stored, expected) in [
        (r"sk-1\n", Some("sk-1")),
        (r"sk-1\r\n", Some("sk-1")),
        (r"sk-1\n\n", Some("sk-1\n")),
        (r" \n", None),
        ("  ", None),
    ] {
        let answer = format!(r#"{{"Name":"n","SecretString":"{stored}"}}"#);
        let fake = Fake::start(move |_| ok(&answer)).await;
        let more = format!(
            "[secret_managers.aws]\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"\n",
            fake.address
        );
        let config = config("secret://aws/n", &more);
        let (secrets, _) = secrets();
        let prepared = secrets.prepare(&config).await;
        assert_eq!(prepared.is_ok(), expected.is_some(), "{stored}");
        if let Some(expected) = expected {
            assert_eq!(value(&secrets, &config), expected);
        }
    }
}

/// A lifetime of zero is none: logging in for every look would leave tokens that never end.
#[tokio::test]
async fn a_token_of_vault_without_an_end_is_used_again() {
    let fake = Fake::start(|asked| match asked.line.starts_with("POST") {
        true => ok(r#"{"auth":{"client_token":"t","lease_duration":0}}"#),
        false => ok(r#"{"data":{"data":{"k":"v"}}}"#),
    })
    .await;
    let more = format!(
        "[secret_managers.vault]\naddress = \"http://{}\"\n\
         role_id = \"secret://env/OWN_SECRET\"\nsecret_id = \"secret://env/OWN_SECRET\"\n",
        fake.address
    );
    let config = config("secret://vault/a#k", &more);
    let (secrets, _) = secrets();
    secrets.prepare(&config).await.unwrap();
    secrets.refresh(&config).await;
    let logins = fake
        .asked()
        .iter()
        .filter(|asked| asked.line.starts_with("POST"))
        .count();
    assert_eq!(logins, 1);
}

#[tokio::test]
async fn vault_tokens_that_were_revoked_are_got_anew() {
    let mut logins = 0;
    let fake = Fake::start(move |asked| {
        if asked.line.starts_with("POST") {
            logins += 1;
            let token = format!("t-{logins}");
            return ok(&format!(
                "{{\"auth\":{{\"client_token\":\"{token}\",\"lease_duration\":3600}}}}"
            ));
        }
        ok(r#"{"data":{"data":{"k":"v"}}}"#)
    })
    .await;
    let more = format!(
        "[secret_managers.vault]\naddress = \"http://{}\"\nkubernetes_role = \"gateway\"\n\
         kubernetes_token_file = \"{}\"\n",
        fake.address,
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")
    );
    let config = config("secret://vault/a#k", &more);
    let (secrets, _) = secrets();
    secrets.prepare(&config).await.unwrap();
    assert!(fake.asked()[0].line.contains("/v1/auth/kubernetes/login"));
    fake.says(
        |asked| match asked.headers.get("x-vault-token").map(String::as_str) {
            Some("t-1") => (403, String::new()),
            Some(_) => ok(r#"{"data":{"data":{"k":"w"}}}"#),
            None => ok(r#"{"auth":{"client_token":"t-9","lease_duration":60}}"#),
        },
    );
    assert_eq!(
        secrets.refresh(&config).await[0].failed,
        Vec::<String>::new()
    );
    assert_eq!(value(&secrets, &config), "w");
}

#[tokio::test]
async fn azure_is_opened_by_an_application_or_by_the_machine() {
    let script = |asked: &Asked| match asked.line.as_str() {
        "POST /my-tenant/oauth2/v2.0/token" if asked.body.contains("client_secret=own-canary") => {
            ok(r#"{"access_token":"by-secret","expires_in":3599}"#)
        }
        line if line.starts_with("GET /metadata/identity/oauth2/token?") => {
            assert_eq!(asked.headers["metadata"], "true");
            ok(r#"{"access_token":"by-machine","expires_in":"3599"}"#)
        }
        "GET /my-vault/secrets/openai-key?api-version=7.4" => {
            let token = asked.headers["authorization"].trim_start_matches("Bearer ");
            ok(&format!("{{\"value\":\"{token}\",\"id\":\"x\"}}"))
        }
        _ => (400, String::new()),
    };
    let fake = Fake::start(script).await;
    let application = "tenant_id = \"my-tenant\"\nclient_id = \"me\"\nclient_secret = \"secret://env/OWN_SECRET\"\n";
    for (way, token) in [(application, "by-secret"), ("", "by-machine")] {
        let at = fake.address;
        let more = format!(
            "[secret_managers.azure]\nendpoint = \"http://{at}\"\ntoken_endpoint = \"http://{at}\"\n{way}"
        );
        let agent = "[agent.secrets]\nkeyvault_url = \"https://my-vault.vault.azure.net/\"\n";
        for (reference, more) in [
            ("secret://azure/my-vault/openai-key", more.clone()),
            (
                "secret://azure/openai-key",
                format!("{more}vault = \"my-vault\"\n"),
            ),
            ("secret://azure/openai-key", format!("{more}{agent}")),
        ] {
            let config = config(reference, &more);
            let (secrets, _) = secrets();
            secrets.prepare(&config).await.unwrap();
            assert_eq!(value(&secrets, &config), token);
        }
        let (secrets, _) = secrets();
        let config = config("secret://azure/openai-key", &more);
        let unknown = secrets.prepare(&config).await.unwrap_err();
        assert!(
            unknown
                .to_string()
                .contains("`secret_managers.azure.vault`"),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn gcp_is_opened_by_a_signed_assertion_or_by_the_machine() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = key.public_key().as_ref().to_vec();
    let pkcs8 = key.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(pkcs8.as_ref())
    );
    let script = move |asked: &Asked| match asked.line.as_str() {
        "POST /token" => {
            let assertion = asked.body.split("assertion=").nth(1).unwrap();
            let (signed, signature) = assertion.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
            verifier.verify(signed.as_bytes(), &signature).unwrap();
            let claims = URL_SAFE_NO_PAD
                .decode(signed.split('.').nth(1).unwrap())
                .unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["iss"], "me@project");
            assert_eq!(
                claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
                600
            );
            ok(r#"{"access_token":"by-key","expires_in":3599}"#)
        }
        "GET /computeMetadata/v1/instance/service-accounts/default/token" => {
            ok(r#"{"access_token":"by-machine","expires_in":3599}"#)
        }
        "GET /v1/projects/my-project/secrets/openai/versions/latest:access" => {
            let token = asked.headers["authorization"].trim_start_matches("Bearer ");
            ok(&format!(
                "{{\"payload\":{{\"data\":\"{}\"}}}}",
                STANDARD.encode(token)
            ))
        }
        _ => (404, String::new()),
    };
    let fake = Fake::start(script).await;
    let at = fake.address;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.json");
    let account = serde_json::json!({
        "client_email": "me@project", "private_key": pem, "token_uri": format!("http://{at}/token"),
    });
    std::fs::write(&file, account.to_string()).unwrap();
    let by_key = format!("credentials = \"secret://file/{}\"\n", file.display());
    let by_machine = format!("token_endpoint = \"http://{at}\"\n");
    for (way, token) in [(by_key, "by-key"), (by_machine, "by-machine")] {
        let more = format!(
            "[secret_managers.gcp]\nproject = \"my-project\"\nendpoint = \"http://{at}\"\n{way}"
        );
        let config = config("secret://gcp/openai", &more);
        let (secrets, _) = secrets();
        secrets.prepare(&config).await.unwrap();
        assert_eq!(value(&secrets, &config), token);
    }
}
