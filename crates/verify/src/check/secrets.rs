//! What must stay secret: no answer gives a credential away.

use serde_json::Value;

use super::dialect::{self, NO_SUCH_MODEL, ensure_status};
use super::{Area, Check, Kind, Need, Severity};
use crate::http::{Answer, Request};
use crate::outcome::{Probed, ensure, fail, not_applicable, not_verified};
use crate::secrets::mask;
use crate::session::{Session, canary};

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "secrets.none-in-effective-config",
        title: "The effective configuration shows no secret",
        why: "It is read by people, dashboards and support bundles that must not hold credentials.",
        severity: Severity::Critical,
        areas: &[Area::Security],
        needs: &[Need::AdminKey],
        verified_by: "Every value of GET /admin/v1/config, by its name and by its look.",
        remedy: "Keep secrets as references, and redact whatever is resolved before showing it.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(none_in_config(s)),
    },
    Check {
        id: "secrets.none-in-errors",
        title: "Errors do not repeat the credentials they refuse",
        why: "Error bodies end up in logs, tickets and screenshots.",
        severity: Severity::High,
        areas: &[Area::Security],
        needs: &[],
        verified_by: "Unknown keys sent in each place that clients use; the answers are searched.",
        remedy: "Never quote a credential in an error; a recognisable prefix is enough.",
        kind: Kind::Live,
        standard: true,
        probe: |s| Box::pin(none_in_errors(s)),
    },
];

async fn none_in_config(s: &Session<'_>) -> Probed {
    let answer = s
        .send(Request::get("/admin/v1/config").bearer(s.admin_key()?))
        .await?;
    if answer.status() == 404 {
        return not_applicable("GET /admin/v1/config is not served: it answers 404");
    }
    if matches!(answer.status(), 401 | 403) {
        return not_verified(format!(
            "a key that the admin API accepts: it answers {}",
            answer.status()
        ));
    }
    ensure_status(&answer, &[200], "GET /admin/v1/config with the admin key")?;
    if s.facts().nowhere.get == Some(200) {
        return not_verified("a configuration: this server answers 200 to each path");
    }
    let text = answer.text();
    let given = [&s.options().key, &s.options().admin_key];
    for secret in given.into_iter().flatten() {
        ensure(
            !text.contains(secret.as_str()),
            "no key in it",
            "a key of this very run",
        )?;
    }
    let mut values = 0;
    let leak = match answer.json() {
        Some(json) => first_leak(&json, "", &mut values),
        None => first_leak(&Value::String(text), "the text", &mut values),
    };
    match leak {
        Some((place, value)) => fail(
            "references or redacted values",
            format!("{place} is {}", mask(&value)),
        ),
        None => Ok(format!("{values} values, none of them a secret")),
    }
}

/// The first value that is a secret by its name or by its look, with its place.
fn first_leak(json: &Value, place: &str, values: &mut usize) -> Option<(String, String)> {
    match json {
        Value::Object(map) => map.iter().find_map(|(key, value)| {
            let place = if place.is_empty() {
                key.clone()
            } else {
                format!("{place}.{key}")
            };
            match value {
                Value::String(text) if named_secret(key) && !is_hidden(text) => {
                    Some((place, text.clone()))
                }
                _ => first_leak(value, &place, values),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| first_leak(item, &format!("{place}[{index}]"), values)),
        Value::String(text) => {
            *values += 1;
            leak_in_text(text).map(|leak| (place.to_owned(), leak.to_owned()))
        }
        _ => {
            *values += 1;
            None
        }
    }
}

fn named_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    [
        "api_key",
        "apikey",
        "password",
        "secret",
        "token",
        "private_key",
        "access_key",
        "credential",
    ]
    .iter()
    .any(|name| key.ends_with(name))
}

/// A reference, a redacted value, or nothing.
fn is_hidden(value: &str) -> bool {
    value.is_empty()
        || value.starts_with("secret://")
        || value.to_ascii_lowercase().contains("redacted")
        || value.contains("***")
        || value.contains('…')
        || value.contains('•')
}

/// The first piece of a text that is a credential: by its look, or on a line that names it one.
fn leak_in_text(text: &str) -> Option<&str> {
    let by_look = text
        .split(|c: char| c.is_whitespace() || "\"',".contains(c))
        .find(|word| looks_secret(word));
    let by_name = || {
        text.lines()
            .filter(|_| text.contains('\n'))
            .find_map(|line| {
                let (name, value) = line.split_once(['=', ':'])?;
                let value = value.trim().trim_matches(['"', '\'']);
                let is_text = !value.is_empty() && value.parse::<f64>().is_err();
                (is_text && named_secret(name.trim()) && !is_hidden(value)).then_some(value)
            })
    };
    by_look.or_else(by_name)
}

/// Looks like a credential, whatever it is called.
fn looks_secret(word: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "swk_",
        "sk-",
        "sk_live_",
        "rk_live_",
        "AKIA",
        "ASIA",
        "ghp_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AIza",
        "hf_",
    ];
    let with_prefix = word.len() >= 16 && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let json_web_token = word.starts_with("eyJ") && word.matches('.').count() == 2;
    let pem = word.contains("-----BEGIN");
    let password_in_url = word.split_once("://").is_some_and(|(scheme, rest)| {
        let authority = rest.split('/').next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        let password = user
            .and_then(|user| user.split_once(':'))
            .map(|(_, password)| password);
        scheme != "secret" && password.is_some_and(|password| !is_hidden(password))
    });
    (with_prefix || json_web_token || pem) && !is_hidden(word) || password_in_url
}

async fn none_in_errors(s: &Session<'_>) -> Probed {
    let dialects = dialect::served(s)?;
    let Some(&dialect) = dialects.first() else {
        return not_applicable("no model API is served");
    };
    let body = dialect::body(NO_SUCH_MODEL, "hi", 1, false).to_string();
    let secret = canary("sk-");
    let attempts = [
        (
            "authorization",
            dialect.request(body.clone()).bearer(&secret),
        ),
        (
            "x-api-key",
            dialect
                .request(body.clone())
                .header("x-api-key", secret.clone()),
        ),
        // A scheme that nobody knows: parsers like to quote what they did not understand.
        (
            "authorization of an unknown scheme",
            dialect
                .request(body)
                .header("authorization", secret.clone()),
        ),
    ];
    let (mut tried, mut refused) = (Vec::new(), false);
    for (place, request) in attempts {
        let answer = s.send(request).await?;
        refused |= answer.status() >= 400;
        ensure(
            !mentions(&answer, &secret),
            "an answer without the credential",
            format!("{} that repeats the {place}", answer.status()),
        )?;
        tried.push(place);
    }
    if !refused {
        return not_verified("an error to look at: made-up credentials were accepted");
    }
    Ok(format!("not repeated: {}", tried.join(", ")))
}

fn mentions(answer: &Answer, secret: &str) -> bool {
    answer.text().contains(secret)
        || answer
            .head
            .headers
            .iter()
            .any(|(_, value)| value.contains(secret))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{first_leak, leak_in_text, looks_secret};

    #[test]
    fn reads_configuration_text_line_by_line() {
        let hidden = "[a]\napi_key = \"secret://env/X\"\nmax_token = 5\npassword: \"***\"\n";
        assert_eq!(leak_in_text(hidden), None);
        assert_eq!(
            leak_in_text("[a]\nb = 1\npassword = \"hunter2\"\n"),
            Some("hunter2")
        );
        let url = "[storage]\nurl = \"postgres://u:hunter2@db/x\"\n";
        assert_eq!(leak_in_text(url), Some("postgres://u:hunter2@db/x"));
    }

    #[test]
    fn knows_a_secret_by_its_look() {
        for secret in [
            "sk-ant-api03-abcdefghijkl",
            "AKIAIOSFODNN7EXAMPLE",
            "postgres://user:hunter2@db/x",
            "eyJhbGciOiJIUzI1NiJ9.e30.abc",
        ] {
            assert!(looks_secret(secret), "{secret}");
        }
        for plain in [
            "secret://env/OPENAI_API_KEY",
            "sk-…",
            "postgres://user:***@db/x",
            "https://api.openai.com/v1",
            "sqlite:seaworthy.db",
            "sk-short",
        ] {
            assert!(!looks_secret(plain), "{plain}");
        }
    }

    #[test]
    fn knows_a_secret_by_its_name_and_says_where() {
        let config = json!({"providers": {"openai": {"api_key": "plainvalue"}}, "limit": 3});
        let leak = first_leak(&config, "", &mut 0).map(|(place, _)| place);
        assert_eq!(leak.as_deref(), Some("providers.openai.api_key"));
        let hidden = json!({"api_key": "[redacted]", "max_tokens": 5, "token": "secret://env/X"});
        assert_eq!(first_leak(&hidden, "", &mut 0), None);
    }
}
