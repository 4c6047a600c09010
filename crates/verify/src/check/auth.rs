//! Who gets in: requests without a valid key are refused, all in the same way.

use std::time::Duration;

use super::dialect::{self, Dialect, NO_SUCH_MODEL, ensure_sentence, ensure_status, shape_of};
use super::{Area, Check, Kind, Need, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, Stop, ensure, not_applicable, not_verified};
use crate::session::{Session, canary};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "auth.missing-key-is-401",
        title: "A request without a key is refused",
        why: "Anyone who finds the address could spend your budget and read through your models.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "Requests without credentials to every model API and to the model list.",
        remedy: "Require a key on every path under /v1, and answer 401 before reading the body.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(missing_key(s)),
    },
    Check {
        id: "auth.wrong-key-is-401",
        title: "A request with an unknown key is refused",
        why: "A check that only looks for the presence of a key protects nothing.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "Requests with a well-formed key that was never issued, to every model API.",
        remedy: "Look every key up, and answer 401 when it is unknown, expired or revoked.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(wrong_key(s)),
    },
    Check {
        id: "auth.error-in-dialect",
        title: "A refused key is reported in the caller's dialect",
        why: "The SDKs map the body to their own exception; another shape becomes a puzzle.",
        severity: Severity::Medium,
        areas: &[Area::Compatibility, Area::Security],
        needs: &[],
        verified_by: "The body of the 401 of each model API, compared with the dialect's error.",
        remedy: "Render errors in the dialect of the path, with a sentence as the message.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(error_in_dialect(s)),
    },
    Check {
        id: "auth.challenge-present",
        title: "A 401 names the scheme to use",
        why: "HTTP requires it, and generic clients need it to know how to authenticate.",
        severity: Severity::Low,
        areas: &[Area::Security, Area::Compatibility],
        needs: &[],
        verified_by: "The www-authenticate header of a 401.",
        remedy: "Send `WWW-Authenticate: Bearer` with every 401.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(challenge(s)),
    },
    Check {
        id: "auth.refusals-are-alike",
        title: "Refusals do not tell how wrong a key was",
        why: "Different answers or times let an attacker learn keys piece by piece.",
        severity: Severity::Medium,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "Seven rounds of three kinds of wrong key; bodies and median times compared.",
        remedy: "Compare hashes in constant time, and use one error for every reason.",
        kind: Kind::LiveAlone,
        standard: true,
        probe: |s| Box::pin(refusals_are_alike(s)),
    },
    Check {
        id: "auth.admin-refuses-strangers",
        title: "The admin API refuses callers without an admin key",
        why: "The admin API shows the configuration and issues keys.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "Admin requests without a key, with an unknown key and with the data key.",
        remedy: "Require an admin key on every path under /admin, other than a data-plane key.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(admin_refuses(s)),
    },
    Check {
        id: "auth.valid-key-is-accepted",
        title: "The given key is accepted",
        why: "Without it, every other refusal in this report proves nothing.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::Key],
        verified_by: "The model list, or an empty request to a model API, with the given key.",
        remedy: "Create a key and give it to this check; if it is right, see why it is refused.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(valid_key(s)),
    },
];

/// A request that should be refused, and would cost nothing if it were not.
fn harmless(dialect: Dialect) -> Request {
    dialect.request(dialect::body(NO_SUCH_MODEL, "hi", 1, false).to_string())
}

async fn missing_key(s: &Session<'_>) -> Probed {
    let mut refused = Vec::new();
    for dialect in dialect::served(s)? {
        let answer = s.send(harmless(dialect)).await?;
        ensure_status(
            &answer,
            &[401],
            &format!("POST {} without a key", dialect.path()),
        )?;
        refused.push(dialect.path());
    }
    let models = s.send(Request::get("/v1/models")).await?;
    if models.status() != 404 {
        ensure_status(&models, &[401], "GET /v1/models without a key")?;
        refused.push("/v1/models");
    }
    Ok(format!("401 from {}", refused.join(", ")))
}

async fn wrong_key(s: &Session<'_>) -> Probed {
    let mut refused = Vec::new();
    for dialect in dialect::served(s)? {
        let answer = s
            .send(dialect.with_key(harmless(dialect), &canary("sk-")))
            .await?;
        ensure_status(
            &answer,
            &[401],
            &format!("POST {} with an unknown key", dialect.path()),
        )?;
        refused.push(dialect.path());
        // A server that refuses everybody does not tell keys apart.
        if let Some(key) = &s.options().key {
            let own = s.send(dialect.with_key(harmless(dialect), key)).await?;
            if own.status() == 401 {
                return not_verified(
                    "a key that the server accepts: the given one is refused alike",
                );
            }
        }
    }
    Ok(format!("401 from {}", refused.join(", ")))
}

/// A 401 of one dialect; a server that lets everyone in has none to look at.
async fn refusal(s: &Session<'_>, dialect: Dialect) -> Result<Answer, Stop> {
    let answer = s
        .send(dialect.with_key(harmless(dialect), &canary("sk-")))
        .await?;
    if answer.status() != 401 {
        return Err(Stop::NotVerified {
            missing: format!("a 401 to look at: an unknown key got {}", answer.status()),
        });
    }
    Ok(answer)
}

async fn error_in_dialect(s: &Session<'_>) -> Probed {
    let mut seen = Vec::new();
    for dialect in dialect::served(s)? {
        let message = dialect.error_message(&refusal(s, dialect).await?)?;
        ensure_sentence(&message)?;
        seen.push(format!("{}: {message}", dialect.name()));
    }
    Ok(seen.join("; "))
}

async fn challenge(s: &Session<'_>) -> Probed {
    let dialects = dialect::served(s)?;
    let Some(dialect) = dialects.first() else {
        return not_applicable("no model API is served");
    };
    let answer = refusal(s, *dialect).await?;
    match answer.header("www-authenticate") {
        Some(scheme) if !scheme.trim().is_empty() => Ok(format!("www-authenticate: {scheme}")),
        _ => Err(Stop::Fail {
            expected: "a www-authenticate header on the 401".to_owned(),
            found: "none".to_owned(),
        }),
    }
}

async fn refusals_are_alike(s: &Session<'_>) -> Probed {
    const ROUNDS: usize = 7;
    const SPREAD: Duration = Duration::from_millis(25);
    let dialects = dialect::served(s)?;
    let Some(&dialect) = dialects.first() else {
        return not_applicable("no model API is served");
    };
    // Unknown but well-formed; like the given key but for its end; far too long.
    let near = s.options().key.as_deref().map_or_else(
        || canary("sk-"),
        |key| {
            let kept: String = key.chars().take(key.chars().count() / 2).collect();
            canary(&kept)
        },
    );
    let keys = [canary("sk-"), near, canary("x").repeat(40)];
    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut shapes = Vec::new();
    for _ in 0..ROUNDS {
        for (key, times) in keys.iter().zip(&mut times) {
            let answer = s.send(dialect.with_key(harmless(dialect), key)).await?;
            let says_nothing = !matches!(answer.status(), 401 | 403)
                && s.facts().nowhere.post == Some(answer.status());
            if answer.status() < 400 || answer.status() == 404 || says_nothing {
                let missing = format!("refusals to compare: a wrong key got {}", answer.status());
                return Err(Stop::NotVerified { missing });
            }
            let json = answer.json().unwrap_or_default();
            let shape = format!(
                "{} {} {} {}",
                answer.status(),
                shape_of(&json),
                json["error"]["type"],
                json["error"]["code"]
            );
            shapes.push(shape);
            times.push(answer.elapsed);
        }
    }
    let first = &shapes[0];
    if let Some(other) = shapes.iter().find(|shape| *shape != first) {
        return Err(Stop::Fail {
            expected: "the same answer to every wrong key".to_owned(),
            found: format!("{first} for one and {other} for another"),
        });
    }
    // What a wrong key costs shows in the fastest answers as well; what a busy machine costs does not.
    times.iter_mut().for_each(|times| times.sort_unstable());
    let apart = |rank: usize| {
        let at = times.iter().map(|times| times[rank]);
        at.clone().max().unwrap_or_default() - at.min().unwrap_or_default()
    };
    let spread = apart(ROUNDS / 2).min(apart(0));
    let found = format!("times differ by {:.1} ms", spread.as_secs_f64() * 1e3);
    ensure(
        spread <= SPREAD,
        format!(
            "medians or fastest answers within {} ms",
            SPREAD.as_millis()
        ),
        &found,
    )?;
    Ok(format!("always {first}; {found}"))
}

async fn admin_refuses(s: &Session<'_>) -> Probed {
    let path = "/admin/v1/config";
    let mut strangers = vec![
        ("without a key", None),
        ("with an unknown key", Some(canary("sk-"))),
    ];
    // Only beside another admin key is it known that the key is not one itself.
    if let (Some(key), Some(admin_key)) = (&s.options().key, &s.options().admin_key)
        && key != admin_key
    {
        strangers.push(("with a data-plane key", Some(key.clone())));
    }
    let mut seen = Vec::new();
    for (who, key) in strangers {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.bearer(&key);
        }
        let answer = s.send(request).await?;
        if answer.status() == 404 && !hidden_from_strangers(s, path).await? {
            return not_applicable(format!("GET {path} is not served here: it answers 404"));
        }
        ensure_status(&answer, &[401, 403, 404], &format!("GET {path} {who}"))?;
        seen.push(format!("{} {who}", answer.status()));
    }
    Ok(seen.join(", "))
}

/// Whether a path that answers 404 is there for those who hold the admin key.
async fn hidden_from_strangers(s: &Session<'_>, path: &str) -> Result<bool, Stop> {
    let Some(admin_key) = &s.options().admin_key else {
        return Ok(false);
    };
    let answer = s.send(Request::get(path).bearer(admin_key)).await?;
    Ok(answer.status() != 404)
}

async fn valid_key(s: &Session<'_>) -> Probed {
    let models = s.send(s.with_key(Request::get("/v1/models"))).await?;
    let answer = if models.status() == 404 {
        let dialects = dialect::served(s)?;
        let Some(&dialect) = dialects.first() else {
            return not_applicable("no model API is served");
        };
        s.send(dialect.with_key(dialect.request("{}"), s.key()?))
            .await?
    } else {
        models
    };
    ensure(
        !matches!(answer.status(), 401 | 403 | 500..),
        "neither 401 nor 403 nor a failure for the given key",
        answer.status().to_string(),
    )?;
    let status = answer.status();
    if status >= 300 && s.facts().nowhere.get == Some(status) {
        return not_verified(format!(
            "an answer that tells: it is {status}, as for a path that does not exist"
        ));
    }
    let without = s.send(Request::get("/v1/models")).await?;
    if status < 300 && without.status() == status && s.facts().nowhere.get == Some(status) {
        return not_verified(format!(
            "a server that asks for a key: it answers {status} to everybody and everything"
        ));
    }
    Ok(format!("{status} with the given key"))
}
