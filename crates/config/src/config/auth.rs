//! Who may use the gateway.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::value::{BaseUrl, Duration, Permission};

/// Who may use the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether requests need a credential. Can only be turned off while every listener is on a
    /// loopback address.
    pub enabled: bool,
    /// The environment that this deployment is, such as `production`. Keys that are for another one
    /// are refused.
    pub environment: Option<String>,
    /// Roles of your own, beside `admin`, `operator`, `auditor` and `user`.
    pub roles: BTreeMap<String, CustomRole>,
    /// Users with a password, for HTTP basic authentication, each under its name.
    pub users: BTreeMap<String, User>,
    /// Tokens of identity providers.
    pub jwt: Jwt,
    /// Requests signed as AWS's clients sign them, at the paths of Bedrock.
    pub sigv4: Sigv4,
}

/// Requests that are signed instead of carrying a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sigv4 {
    /// A secret of this deployment, of at least 32 characters; the secret access key of each API
    /// key is derived from it. Without it, signed requests are refused.
    pub secret: Option<SecretRef>,
    /// The secret before: what was derived from it is accepted, too.
    pub previous_secret: Option<SecretRef>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: true,
            environment: None,
            roles: BTreeMap::new(),
            users: BTreeMap::new(),
            jwt: Jwt::default(),
            sigv4: Sigv4::default(),
        }
    }
}

/// What the holder of a role may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomRole {
    /// What is allowed, from [the list of permissions](http.md#roles).
    pub permissions: Vec<Permission>,
}

/// A user with a password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The argon2id hash of the password, as `seaworthy keys hash-password` makes it.
    pub password_hash: SecretRef,
    /// What the user may do.
    #[serde(default = "user")]
    pub role: String,
    /// The team that the user's calls are accounted to.
    #[serde(default)]
    pub team: Option<String>,
    /// The models that the user may call; all of them if left out.
    #[serde(default)]
    pub models: Vec<String>,
}

fn user() -> String {
    "user".to_owned()
}

/// Tokens of identity providers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jwt {
    /// The providers whose tokens are accepted, each under a name of your choice.
    pub issuers: BTreeMap<String, JwtIssuer>,
}

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtIssuer {
    /// What its tokens say in `iss`, to the letter.
    pub issuer: String,
    /// What its tokens say in `aud` when they are for this gateway; one of these is enough.
    pub audience: Vec<String>,
    /// Where its public keys are.
    pub jwks_url: BaseUrl,
    /// How its tokens may be signed.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<JwtAlgorithm>,
    /// How far its clock may differ from ours.
    #[serde(default = "leeway")]
    pub leeway: Duration,
    /// How often its keys are fetched again.
    #[serde(default = "refresh")]
    pub jwks_refresh: Duration,
    /// How long its keys are relied on while it does not answer. After that its tokens cannot be
    /// verified, which is 503.
    #[serde(default = "ttl")]
    pub jwks_ttl: Duration,
    /// How often tokens that name unknown keys make us ask in the long run; up to five times in a
    /// row after a rest. The pause after the first look that is not answered; it doubles with each
    /// further one, up to a minute.
    #[serde(default = "min_interval")]
    pub jwks_min_interval: Duration,
    /// The claim that names the user. Dots lead into objects, here and below.
    #[serde(default = "subject")]
    pub user_claim: String,
    /// What is put before the user's name, so that two providers cannot mean the same user.
    #[serde(default)]
    pub user_prefix: String,
    /// The claim that names the team.
    #[serde(default)]
    pub team_claim: Option<String>,
    /// The claim that names roles or groups: a list, or a text with spaces between them.
    #[serde(default)]
    pub roles_claim: Option<String>,
    /// What such a name means here. Names that are left out mean nothing.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// The role of users without any other.
    #[serde(default = "default_role")]
    pub default_role: Option<String>,
}

fn algorithms() -> Vec<JwtAlgorithm> {
    vec![
        JwtAlgorithm::Rs256,
        JwtAlgorithm::Es256,
        JwtAlgorithm::EdDsa,
    ]
}

fn leeway() -> Duration {
    Duration::from_secs(30)
}

fn refresh() -> Duration {
    Duration::from_secs(300)
}

fn ttl() -> Duration {
    Duration::from_secs(3600)
}

fn min_interval() -> Duration {
    Duration::from_secs(10)
}

fn subject() -> String {
    "sub".to_owned()
}

fn default_role() -> Option<String> {
    Some(user())
}

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JwtAlgorithm {
    /// RSA with SHA-256, keys of 2048 bits or more.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwtAlgorithm {
    /// The name, as in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}
