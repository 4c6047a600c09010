//! Credentials other than API keys: tokens of identity providers, short-lived tokens of our own,
//! names with passwords. API keys are in [`crate::keyring`].

pub(crate) mod claims;
pub(crate) mod issuer;
pub(crate) mod jwks;
pub(crate) mod jws;
pub(crate) mod password;
pub(crate) mod strict_json;
pub(crate) mod token;

use std::time::Duration;

use seaworthy_core::principal::Principal;

/// What is wrong with a credential: the reason in metrics and the log, never in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flaw {
    /// None was sent.
    Missing,
    /// It is not a credential of any kind that is accepted here.
    Malformed,
    /// It is well-formed and nobody made it.
    Unknown,
    /// Its time is over.
    Expired,
    /// Somebody ended it, or the key that it was made for.
    Revoked,
    /// Its time has not come.
    NotYetValid,
    /// It is for another environment.
    WrongEnvironment,
    /// It comes from an identity provider that is not configured.
    WrongIssuer,
    /// It is for somebody else.
    WrongAudience,
    /// It is signed in a way that is not allowed.
    WrongAlgorithm,
    /// The identity provider has no key of that name.
    UnknownSigningKey,
    /// It was not signed by whom it says.
    BadSignature,
    /// It does not say who it is for, or says it twice.
    BadClaims,
    /// The password is wrong, or there is no such user.
    WrongPassword,
}

impl Flaw {
    /// The name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongEnvironment => "wrong_environment",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownSigningKey => "unknown_signing_key",
            Self::BadSignature => "bad_signature",
            Self::BadClaims => "bad_claims",
            Self::WrongPassword => "wrong_password",
        }
    }
}

/// What is said about a presented credential.
#[derive(Debug)]
pub(crate) enum Verdict {
    Live(Principal),
    Refused(Flaw),
    /// What is needed to tell cannot be had now.
    CannotSay(Doubt),
}

/// Why nothing can be said about a credential now.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// For the log.
    pub(crate) cause: String,
    /// When more may be known.
    pub(crate) again_in: Duration,
}

/// After how long it is worth to ask again, where nobody knows better.
const AGAIN_IN: Duration = Duration::from_secs(2);

impl From<String> for Doubt {
    fn from(cause: String) -> Self {
        let again_in = AGAIN_IN;
        Self { cause, again_in }
    }
}
