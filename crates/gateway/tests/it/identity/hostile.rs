//! Tokens that nobody should accept, one line each.

use aws_lc_rs::hmac;
use seaworthy_core::dialect::Family;
use serde_json::{Value, json};

use super::idp::{CONFIG, NOW, Signer, b64, claims, claims_with, publish};
use crate::support::app::TestApp;
use crate::support::upstream::Upstream;

struct Keys {
    rsa: Signer,
    ec: Signer,
    ed: Signer,
    attacker: Signer,
}

/// A token with a changed header, signed properly.
fn with_header(signer: &Signer, changes: &Value) -> String {
    let mut header = json!({"alg": signer.algorithm(), "kid": signer.algorithm()});
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    signer.token_of(&header.to_string(), &claims().to_string())
}

/// A token that is signed with public bytes as if they were a shared secret.
fn confused(algorithm: hmac::Algorithm, name: &str, secret: &[u8]) -> String {
    let header = json!({"alg": name, "kid": "RS256"}).to_string();
    let signed = format!("{}.{}", b64(header), b64(claims().to_string()));
    let signature = hmac::sign(&hmac::Key::new(algorithm, secret), signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

fn unsigned(name: &str, signature: &str) -> String {
    let header = json!({"alg": name, "typ": "JWT"}).to_string();
    format!("{}.{}.{signature}", b64(header), b64(claims().to_string()))
}

fn hostile_headers(keys: &Keys) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in ["none", "None", "NONE", "nOnE", ""] {
        found.push((format!("alg {name:?}"), unsigned(name, "")));
        found.push((format!("alg {name:?}, signed"), unsigned(name, &b64("x"))));
    }
    let public = keys.rsa.public();
    for (algorithm, name) in [
        (hmac::HMAC_SHA256, "HS256"),
        (hmac::HMAC_SHA384, "HS384"),
        (hmac::HMAC_SHA512, "HS512"),
        (hmac::HMAC_SHA256, "RS256"),
    ] {
        found.push((
            format!("{name} with the modulus"),
            confused(algorithm, name, &public),
        ));
        let jwk = keys.rsa.jwk("RS256").to_string();
        let token = confused(algorithm, name, jwk.as_bytes());
        found.push((format!("{name} with the published key"), token));
    }
    let attacker = keys.attacker.jwk("EdDSA");
    for change in [
        json!({"alg": "PS256"}),
        json!({"alg": "RS384"}),
        json!({"alg": "RS512"}),
        json!({"alg": "ES384"}),
        json!({"alg": "ES256K"}),
        json!({"alg": "eddsa"}),
        json!({"alg": 7}),
        json!({"alg": null}),
        json!({"alg": ["EdDSA"]}),
        json!({"kid": "RS256"}),
        json!({"kid": "ES256"}),
        json!({"kid": "unknown"}),
        json!({"kid": "../../../../dev/null"}),
        json!({"kid": "' OR 1=1 --"}),
        json!({"kid": "EdDSA\u{0}"}),
        json!({"kid": ""}),
        json!({"kid": 1}),
        json!({"kid": null}),
        json!({"kid": ["EdDSA"]}),
        json!({"kid": "k".repeat(5_000)}),
        json!({"jku": "http://attacker.test/keys"}),
        json!({"jwk": attacker}),
        json!({"x5u": "http://attacker.test/cert"}),
        json!({"x5c": ["MIIB"]}),
        json!({"crit": ["exp"]}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": 1}),
    ] {
        found.push((format!("header {change}"), with_header(&keys.ed, &change)));
    }
    let header = json!({"alg": "EdDSA", "kid": "EdDSA", "jwk": attacker}).to_string();
    let token = keys.attacker.token_of(&header, &claims().to_string());
    found.push(("its own key in the header".into(), token));
    let token = keys.attacker.token("EdDSA", &claims());
    found.push(("the name of a key of somebody else".into(), token));
    found
}

fn hostile_claims(keys: &Keys) -> Vec<(String, String)> {
    let changes = [
        json!({"iss": "https://other.test"}),
        json!({"iss": "https://id.test/"}),
        json!({"iss": "HTTPS://ID.TEST"}),
        json!({"iss": ["https://id.test"]}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": "seaworthy "}),
        json!({"aud": null}),
        json!({"aud": 7}),
        json!({"aud": []}),
        json!({"aud": ["seaworthy", 7]}),
        json!({"aud": {"seaworthy": true}}),
        json!({"exp": NOW - 30}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": null}),
        json!({"exp": (NOW + 600).to_string()}),
        json!({"exp": 1e300}),
        json!({"exp": true}),
        json!({"nbf": NOW + 31}),
        json!({"nbf": "0"}),
        json!({"iat": NOW + 31}),
        json!({"iat": false}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "ada\nadmin"}),
        json!({"sub": "a".repeat(300)}),
        json!({"org": {"team": "blue\r\nx: y"}}),
        json!({"org": {"team": ["blue"]}}),
    ];
    let token = |change: &Value| keys.ed.token("EdDSA", &claims_with(change));
    let mut found: Vec<_> = changes
        .iter()
        .map(|change| (format!("claims {change}"), token(change)))
        .collect();
    let header = r#"{"alg":"EdDSA","kid":"EdDSA"}"#;
    let text = claims().to_string();
    let twice = |claim: &str| format!("{},{claim}}}", &text[..text.len() - 1]);
    for claims in [
        twice(r#""aud":"seaworthy""#),
        twice(r#""exp":1900000000"#),
        twice(r#""iss":"https://id.test""#),
        twice(r#""sub":"root""#),
        twice(r#""\u0073ub":"root""#),
        twice(r#""x":{"a":1,"a":2}"#),
        "[]".into(),
        "{}".into(),
        "null".into(),
        String::new(),
        format!("\u{feff}{text}"),
        format!("{text} {{}}"),
    ] {
        found.push((
            format!("claims {claims}"),
            keys.ed.token_of(header, &claims),
        ));
    }
    for header in [
        r#"{"alg":"EdDSA","alg":"EdDSA","kid":"EdDSA"}"#,
        r#"{"alg":"none","alg":"EdDSA","kid":"EdDSA"}"#,
        r#"["EdDSA"]"#,
        "",
        "{",
    ] {
        found.push((format!("header {header}"), keys.ed.token_of(header, &text)));
    }
    found
}

fn hostile_texts(keys: &Keys) -> Vec<(String, String)> {
    let good = keys.ed.token("EdDSA", &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let other = keys
        .ed
        .token("EdDSA", &claims_with(&json!({"sub": "root"})));
    let other = other.split('.').nth(1).unwrap().to_owned();
    let flipped = match signature.starts_with('A') {
        true => format!("B{}", &signature[1..]),
        false => format!("A{}", &signature[1..]),
    };
    let ec_header = b64(r#"{"alg":"ES256","kid":"ES256"}"#);
    let signed = format!("{ec_header}.{payload}");
    let fixed = keys.ec.sign(signed.as_bytes());
    let der = |half: &[u8]| [&[2, 33, 0], half].concat();
    let der = [&[48, 70], &der(&fixed[..32])[..], &der(&fixed[32..])].concat();
    [
        (
            "payload of another",
            format!("{header}.{other}.{signature}"),
        ),
        ("no signature", format!("{header}.{payload}.")),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..20]),
        ),
        (
            "a changed signature",
            format!("{header}.{payload}.{flipped}"),
        ),
        (
            "a padded signature",
            format!("{header}.{payload}.{signature}=="),
        ),
        (
            "odd letters",
            format!("{header}.{payload}.{}+/", &signature[..40]),
        ),
        ("a space", format!("{header}. {payload}.{signature}")),
        ("five parts", format!("{header}.{payload}.{signature}.x.y")),
        ("two parts", format!("{header}.{payload}")),
        ("only dots", "..".to_owned()),
        ("zeros for ES256", format!("{signed}.{}", b64([0; 64]))),
        ("DER for ES256", format!("{signed}.{}", b64(der))),
        (
            "too long for ES256",
            format!("{signed}.{}", b64([fixed, vec![0]].concat())),
        ),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .to_vec()
}

#[tokio::test(start_paused = true)]
async fn hostile_tokens_are_refused_and_never_shown() {
    let keys = Keys {
        rsa: Signer::rsa(),
        ec: Signer::ec(),
        ed: Signer::ed(1),
        attacker: Signer::ed(9),
    };
    let upstream = Upstream::default();
    let own = [&keys.rsa, &keys.ec, &keys.ed];
    let mut published: Vec<Value> = own.iter().map(|key| key.jwk(key.algorithm())).collect();
    published.push(json!({"kty": "oct", "kid": "shared", "k": b64([7; 32]), "alg": "HS256"}));
    publish(&upstream, &published);
    let app = TestApp::builder().sections(CONFIG).upstream(&upstream);
    let app = app.start().await;
    for key in own {
        let token = key.token(key.algorithm(), &claims());
        let answer = app.get("/v1/models").key(&token).send().await;
        assert_eq!(answer.status, 200, "a good one: {}", key.algorithm());
    }
    let cases: Vec<(String, String)> = [
        hostile_headers(&keys),
        hostile_claims(&keys),
        hostile_texts(&keys),
    ]
    .concat();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    for (name, token) in &cases {
        let answer = app.get("/v1/models").key(token).send().await;
        assert_eq!(answer.status, 401, "{name}: {}", answer.text());
        answer.assert_error(Family::OpenAi, 401, "invalid_api_key");
        assert!(token.len() < 20 || !answer.text().contains(&token[..20]));
    }
    let log = app.finish().await;
    for (_, token) in &cases {
        assert!(token.len() < 60 || !log.contains(&token[..60]), "{log}");
    }
}
