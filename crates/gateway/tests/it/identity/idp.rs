//! An identity provider with keys of every kind, and tokens of every shape.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::upstream::{Step, Upstream};

/// What the clock of the test begins with, in seconds.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) const CONFIG: &str = r#"
[auth.roles.reader]
permissions = ["list_models", "read_status"]
[auth.jwt.issuers.corp]
issuer = "https://id.test"
audience = ["seaworthy", "other-name"]
jwks_url = "http://id.test/keys"
team_claim = "org.team"
roles_claim = "groups"
[auth.jwt.issuers.corp.roles]
"Platform Admins" = "admin"
"Readers" = "reader"
"#;

pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed(seed: u8) -> Self {
        Self::Ed(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The modulus or the point, for attacks that use public bytes as a secret.
    pub(crate) fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => PublicKeyComponents::<Vec<u8>>::from(key.public_key()).n,
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
            Self::Ed(key) => key.public_key().as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let public = self.public();
        let mut jwk = match self {
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": b64(parts.n), "e": b64(parts.e)})
            }
            Self::Ec(_) => json!({
                "kty": "EC", "crv": "P-256", "x": b64(&public[1..33]), "y": b64(&public[33..]),
            }),
            Self::Ed(_) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(public)}),
        };
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm().into();
        jwk
    }

    /// A token with this header and these claims, as texts.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(signed.as_bytes());
        format!("{signed}.{}", b64(signature))
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": kid, "typ": "JWT"});
        self.token_of(&header.to_string(), &claims.to_string())
    }
}

/// Claims that are accepted.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://id.test", "aud": "seaworthy", "sub": "ada", "iat": NOW, "nbf": NOW,
        "exp": NOW + 600,
    })
}

/// Claims with some of them changed; null takes one away.
pub(crate) fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// Lets the provider publish these keys from now on.
pub(crate) fn publish(upstream: &Upstream, keys: &[Value]) {
    let body = json!({"keys": keys}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    upstream.always("/keys", [Step::Send(format!("{head}{body}").into())]);
}

/// Takes the provider away.
pub(crate) fn go_away(upstream: &Upstream) {
    upstream.always("/keys", [Step::HangUp]);
}
