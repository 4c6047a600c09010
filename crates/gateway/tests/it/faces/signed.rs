//! Callers who sign as AWS's clients do, and providers that want to have calls signed.

use std::time::Duration;

use http::Method;
use seaworthy_core::clock::Clock as _;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::principal::Role;
use seaworthy_core::sigv4::{Credentials, Presented, Request, Scope, derived_secret, sign};
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::Call;
use crate::support::wire::json_response;

/// Equal to the gateway's own credentials for OpenAI, which are as good a secret as any other here.
pub(crate) const SIGV4: &str = "
[auth.sigv4]
secret = \"the secret that signing is derived from\"
";
const DEPLOYMENT: &str = "the secret that signing is derived from";
const PATH: &str = "/model/echo/converse";

fn body() -> String {
    json!({"messages": [{"role": "user", "content": [{"text": "Is the hull tight?"}]}]}).to_string()
}

/// A request that is signed with this secret for this service.
fn signed(app: &TestApp, (id, secret): (&str, &str), service: &str, sent: &str) -> Call {
    let digest = seaworthy_core::sigv4::body_sha256(body().as_bytes());
    let headers = [
        ("host", "gateway.test"),
        ("content-type", "application/json"),
    ];
    let request = Request {
        method: "POST",
        path: PATH,
        query: "",
        headers: &headers,
        body_sha256: &digest,
    };
    let credentials = Credentials {
        access_key_id: id,
        secret_access_key: secret,
        session_token: None,
    };
    let scope = Scope {
        region: "eu-central-1",
        service,
    };
    let signature = sign(request, credentials, scope, app.clock.now());
    app.call(Method::POST, PATH)
        .header("x-amz-date", &signature.date)
        .header("authorization", &signature.authorization)
        .body(sent.to_owned())
}

/// A request that is signed for the key with this ID.
pub(crate) fn signed_call(app: &TestApp, id: &str) -> Call {
    let secret = derived_secret(DEPLOYMENT, id);
    signed(app, (id, &secret), "bedrock", &body())
}

#[tokio::test(start_paused = true)]
async fn a_signature_is_as_good_as_the_key_that_it_stands_for() {
    let app = TestApp::builder().sections(SIGV4).start().await;
    let (_, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let secret = derived_secret(DEPLOYMENT, &id);
    let answer = signed(&app, (&id, &secret), "bedrock", &body())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(&*app.only_settlement().await.user_id, "the-user");

    let own = (id.as_str(), secret.as_str());
    let other = derived_secret(DEPLOYMENT, "key_another");
    let tampered = body().replace("tight", "leaky");
    for (credentials, service, sent, class) in [
        (
            (id.as_str(), other.as_str()),
            "bedrock",
            body(),
            "InvalidSignatureException",
        ),
        (own, "bedrock", tampered, "InvalidSignatureException"),
        (own, "s3", body(), "InvalidSignatureException"),
        (
            ("key_unknown", secret.as_str()),
            "bedrock",
            body(),
            "UnrecognizedClientException",
        ),
        (
            ("AKIDEXAMPLE", secret.as_str()),
            "bedrock",
            body(),
            "UnrecognizedClientException",
        ),
    ] {
        let answer = signed(&app, credentials, service, &sent).send().await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert_eq!(
            answer.header("x-amzn-errortype"),
            class,
            "{credentials:?} {service}"
        );
        assert!(answer.json()["message"].is_string());
    }
    // A signature that is old, or that nobody can have made yet.
    let old = signed(&app, own, "bedrock", &body());
    app.clock.advance(Duration::from_secs(301));
    let answer = old.send().await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("Signature expired"),
        "{}",
        answer.text()
    );
    // A key that was revoked signs no more.
    let live = signed(&app, own, "bedrock", &body()).send().await;
    assert_eq!(live.status, 200, "{}", live.text());
    app.stores.keys.revoke(&id, app.clock.now()).await.unwrap();
    app.keys_noticed().await;
    let answer = signed(&app, own, "bedrock", &body()).send().await;
    assert_eq!(
        answer.header("x-amzn-errortype"),
        "UnrecognizedClientException"
    );
    let log = app.finish().await;
    assert!(!log.contains(&secret) && !log.contains(DEPLOYMENT));
}

#[tokio::test(start_paused = true)]
async fn signatures_are_refused_where_nothing_is_derived_and_the_old_secret_works_on() {
    let app = TestApp::start().await;
    let (_, id) = app.create_key(Role::User, None).await;
    app.keys_noticed().await;
    let secret = derived_secret(DEPLOYMENT, &id);
    let answer = signed(&app, (&id, &secret), "bedrock", &body())
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.text().contains("auth.sigv4.secret")),
        (403, true)
    );
    for (section, status) in [
        (SIGV4.to_owned(), 200),
        (
            format!(
                "[auth.sigv4]\nsecret = \"{}\"\nprevious_secret = \"{DEPLOYMENT}\"\n",
                "x".repeat(40)
            ),
            200,
        ),
        (
            format!("[auth.sigv4]\nsecret = \"{}\"\n", "x".repeat(40)),
            403,
        ),
    ] {
        app.reload("[storage]", &format!("{section}[storage]"))
            .await
            .unwrap();
        let answer = signed(&app, (&id, &secret), "bedrock", &body())
            .send()
            .await;
        assert_eq!(answer.status, status, "{section}");
    }
    let short = "[auth.sigv4]\nsecret = \"short\"\n[storage]";
    let error = app.reload("[storage]", short).await.unwrap_err();
    assert!(error.contains("at least 32 characters"), "{error}");
    app.finish().await;
}

const BEDROCK: &str = "
[providers.aws]
kind = \"bedrock\"
region = \"eu-central-1\"
base_url = \"http://bedrock.test\"
access_key_id = \"AKIDOFTHEGATEWAY\"
secret_access_key = \"secret://env/OPENAI_KEY\"
session_token = \"secret://env/ANTHROPIC_KEY\"
[models.nova]
targets = [\"aws/amazon.nova:0\"]
";

#[tokio::test(start_paused = true)]
async fn calls_to_bedrock_are_signed_and_the_body_passes_as_it_is() {
    let app = TestApp::builder().sections(BEDROCK).start().await;
    let reply = json!({"output": {"message": {"role": "assistant", "content": [{"text": "Aye."}]}},
        "stopReason": "end_turn", "metrics": {"latencyMs": 1},
        "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}});
    let odd = "{ \"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}], \"new\": 1 }";
    for (path, sent) in [
        ("/model/nova/converse", odd.to_owned()),
        (
            "/v1/chat/completions",
            json!({"model": "nova",
            "messages": [{"role": "user", "content": "hi"}]})
            .to_string(),
        ),
    ] {
        app.upstream.will_send(json_response(200, &reply));
        let answer = app.post(path, sent.clone()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = app.upstream.received().pop().unwrap();
        assert_eq!(received.target, "/model/amazon.nova%3A0/converse");
        if path.starts_with("/model/") {
            assert_eq!(received.text(), sent);
            assert_eq!(answer.json(), reply);
        }
        let presented = Presented::read(received.header("authorization")).unwrap();
        assert_eq!(presented.access_key_id, "AKIDOFTHEGATEWAY");
        let date = received.header("x-amz-date").to_owned();
        presented.check("bedrock", &date, app.clock.now()).unwrap();
        let headers: Vec<(&str, &str)> = received
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let digest = seaworthy_core::sigv4::body_sha256(&received.body);
        let request = Request {
            method: "POST",
            path: &received.target,
            query: "",
            headers: &headers,
            body_sha256: &digest,
        };
        let secret = crate::support::app::OPENAI_SECRET;
        presented.verify(request, &date, secret).unwrap();
        assert_eq!(
            received.header("x-amz-security-token"),
            crate::support::app::ANTHROPIC_SECRET
        );
    }
    let settled = app.settlements().await;
    assert!(settled.iter().all(|call| call.usage.total() == 7));
    assert_eq!(Dialect::BedrockConverse.as_str(), "bedrock_converse");
    app.finish().await;
}
