//! Whether a variable holds a secret as plain text, told by its name and its value.

use base64::Engine as _;

use super::secret_shapes::SecretShapes;

/// Parts of names whose values are secrets.
const SECRET: [&str; 10] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "CREDENTIAL",
];

/// Ends of names that speak about a secret, and hold none.
const ABOUT: [&str; 42] = [
    "_FILE",
    "_PATH",
    "_DIR",
    "_NAME",
    "_ARN",
    "_URL",
    "_URI",
    "_ENDPOINT",
    "_TTL",
    "_HEADER",
    "_LENGTH",
    "_LIMIT",
    "_SIZE",
    "_EXPIRY",
    "_SECONDS",
    "_MINUTES",
    "_DAYS",
    "_TYPE",
    "_ENABLED",
    "_REQUIRED",
    "_ALGORITHM",
    "_PREFIX",
    "_POLICY",
    "_ISSUER",
    "_AUDIENCE",
    "_ID",
    "_BACKEND",
    "_PROVIDER",
    "_STORE",
    "_MANAGER",
    "_MODE",
    "_KIND",
    "_SOURCE",
    "_FORMAT",
    "_SCOPE",
    "_REGION",
    "_VERSION",
    "_ROTATION",
    "_INTERVAL",
    "_HOURS",
    "_RATE",
    "_BUCKET",
];

/// Whether this name and this value together are a secret that anybody can read.
pub(crate) fn holds_one(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() || is_reference(value) {
        return false;
    }
    has_password(value) || names_one(name, value) || is_shaped(value)
}

/// Whether a text looks like a credential, whatever it is called; also when it is coded in base 64.
pub(crate) fn is_shaped(text: &str) -> bool {
    let Some(shapes) = SecretShapes::shared() else {
        return false;
    };
    let find = |text: &str| {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().copied().unwrap_or_default();
            if shapes.find(line, next).is_some() {
                return true;
            }
        }
        false
    };
    if shapes.suspects(text) && find(text) {
        return true;
    }
    let plain = decoded(text.trim());
    plain.is_some_and(|plain| shapes.suspects(&plain) && find(&plain))
}

/// What a text in base 64 says, when it says something readable.
fn decoded(text: &str) -> Option<String> {
    const LEAST: usize = 24;
    if text.len() < LEAST {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// The option of a command that is given a secret as plain text.
pub(crate) fn in_command(words: &[&str]) -> Option<String> {
    let words: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .collect();
    let is_secret = |option: &str, value: &str| {
        let name = option
            .trim_start_matches('-')
            .replace("requirepass", "password");
        option.starts_with('-') && !value.starts_with(['-', '$', '%']) && holds_one(&name, value)
    };
    words.iter().enumerate().find_map(|(at, word)| {
        let (option, value) = match word.split_once('=') {
            Some(both) => both,
            None => (*word, words.get(at + 1).copied().unwrap_or_default()),
        };
        let found = is_secret(option, value) || is_shaped(word);
        found.then(|| option.to_owned())
    })
}

fn names_one(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let about = ABOUT.iter().any(|end| name.ends_with(end))
        // How many words of a model, and not what opens a door.
        || ["TOKENS", "TOKENIZ", "MAX_TOKEN", "TOKEN_COUNT"]
            .iter()
            .any(|part| name.contains(part));
    let is_switch = matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off"
    );
    SECRET.iter().any(|part| name.contains(part)) && !about && !is_switch
}

/// Whether a value says where the secret is.
fn is_reference(value: &str) -> bool {
    value.starts_with('/')
        || value.starts_with('<')
        || value.starts_with("$(")
        || value.contains("${")
        || value.contains("{{")
        || [
            "secret://",
            "file://",
            "://file/",
            "vault:",
            "arn:",
            "op://",
            "ref+",
        ]
        .iter()
        .any(|scheme| value.contains(scheme))
}

/// Whether a URL bears a password, as in `postgres://user:password@host`.
pub(crate) fn has_password(value: &str) -> bool {
    password(value).is_some_and(|p| !p.starts_with(['$', '{', '<', '*', '[']))
}

/// What stands for the password in a URL.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(|c: char| c == '/' || c.is_whitespace()).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

/// The value as a report may show it: without the secret that it is or bears.
pub(crate) fn shown(name: &str, value: &str) -> String {
    match password(value) {
        _ if !holds_one(name, value) => value.to_owned(),
        Some(password) => value.replacen(&format!(":{password}@"), ":…@", 1),
        None => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{holds_one, in_command, is_shaped, shown};

    #[test]
    fn a_secret_is_known_by_its_shape() {
        // Built from parts, so that this file holds none itself.
        let key = ["sk-", "proj-0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P"].concat();
        assert!(holds_one("OPENAI_KEY", &key) && is_shaped(&key));
        let coded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &key);
        assert!(is_shaped(&coded) && !is_shaped("hello"));
        let option = format!("--model-key={key}");
        assert_eq!(in_command(&[&option]).as_deref(), Some("--model-key"));
        assert_eq!(in_command(&["agent", &key]).as_deref(), Some(key.as_str()));
        let redis = in_command(&["redis-server --requirepass", "hunter2"]);
        assert_eq!(redis.as_deref(), Some("--requirepass"));
        for words in [
            ["--password", "$(PASSWORD)"],
            ["--token-file", "/run/token"],
            ["--max-tokens", "100"],
            ["--password", "--quiet"],
        ] {
            assert_eq!(in_command(&words), None, "{words:?}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let url = "postgres://app:hunter2@db/x";
        assert_eq!(shown("store.url", url), "postgres://app:…@db/x");
        assert_eq!(shown("api_key", "sk-abc"), "…");
        assert_eq!(shown("level", "info"), "info");
    }

    #[test]
    fn a_secret_is_told_from_what_is_about_one() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2", true),
            ("DB_PASSWD", "123456", true),
            ("api-key", "sk-abc", true),
            ("GITHUB_TOKEN", "ghp_x", true),
            ("DATABASE_URL", "postgres://app:hunter2@db/x", true),
            ("DATABASE_URL", "postgres://app@db/x", false),
            ("DATABASE_URL", "postgres://app:$(DB_PASSWORD)@db/x", false),
            ("MAX_TOKENS", "4096", false),
            ("TOKENIZERS_PARALLELISM", "false", false),
            ("TOKEN_URL", "https://id.example/token", false),
            ("PASSWORD_MIN_LENGTH", "12", false),
            ("SECRET_NAME", "app", false),
            ("DB_PASSWORD_FILE", "db", false),
            ("DB_PASSWORD", "/run/secrets/db", false),
            ("DB_PASSWORD", "secret://env/DB", false),
            ("DB_PASSWORD", "${DB_PASSWORD}", false),
            ("DB_PASSWORD", "", false),
            ("REQUIRE_PASSWORD", "true", false),
            ("LOCALE", "en", false),
        ] {
            assert_eq!(holds_one(name, value), expected, "{name}={value}");
        }
    }
}
