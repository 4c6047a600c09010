//! Texts that look like credentials, found without ever being shown in full.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

const PRIVATE_KEY: &str = "a private key";

/// Name and shape of each kind of credential.
const SHAPES: [(&str, &str); 14] = [
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (
        "a GitHub token",
        r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b",
    ),
    (
        "an OpenAI or Anthropic key",
        r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}\b",
    ),
    ("a Slack token", r"\bxox[abprs]-[A-Za-z0-9-]{20,}\b"),
    ("a Google API key", r"\bAIza[0-9A-Za-z_-]{35}\b"),
    ("a Stripe key", r"\b[sr]k_live_[0-9A-Za-z]{20,}\b"),
    (
        "a GitLab token",
        r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{20,}\b",
    ),
    (
        "a token of a package registry",
        r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-[A-Za-z0-9_-]{50,}",
    ),
    (
        "a key of a model provider",
        r"\bhf_[A-Za-z0-9]{34,}\b|\bgsk_[A-Za-z0-9]{40,}\b|\bxai-[A-Za-z0-9]{40,}\b",
    ),
    (
        "a private key in base 64",
        r"\bLS0tLS1CRUdJTi(?:BQUklW|BSU0Eg|BFQyBQ|BFTkNS|BPUEVO)[A-Za-z0-9+/=]{40,}",
    ),
    (PRIVATE_KEY, r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    (
        "a JSON web token",
        r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}",
    ),
    (
        "a password in a URL",
        r"\b[a-z][a-z0-9+]{2,}://[^\s:/@]{1,64}:[^\s:/@${}<>]{8,64}@[a-z0-9.-]+\.[a-z]{2,}",
    ),
    (
        "an assigned secret",
        r#"(?i)\b(?:api[_-]?key|secret|passwd|password|token)["']?\s*[:=]\s*["'][A-Za-z0-9+/_=-]{24,}["']"#,
    ),
];

/// Words that mark a value as made up.
const MADE_UP: [&str; 8] = [
    "example",
    "sample",
    "dummy",
    "placeholder",
    "changeme",
    "your",
    "xxxx",
    "test",
];

/// Finds credentials in lines.
#[derive(Debug)]
pub(crate) struct SecretShapes {
    any: RegexSet,
    each: Vec<Regex>,
}

impl SecretShapes {
    /// The shapes compile: a test keeps a wrong one from being shipped.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            any: RegexSet::new(SHAPES.iter().map(|(_, shape)| *shape)).ok()?,
            each: SHAPES
                .iter()
                .map(|(_, shape)| Regex::new(shape).ok())
                .collect::<Option<_>>()?,
        })
    }

    /// The shapes, compiled once.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHAPES: LazyLock<Option<SecretShapes>> = LazyLock::new(SecretShapes::new);
        SHAPES.as_ref()
    }

    /// Whether a whole text is worth looking at line by line.
    pub(crate) fn suspects(&self, text: &str) -> bool {
        self.any.is_match(text)
    }

    /// What kind of credential a line holds, with its first characters. A key in PEM goes on in the
    /// next line; code that looks for its first line holds none.
    pub(crate) fn find(&self, line: &str, next: &str) -> Option<String> {
        SHAPES
            .iter()
            .zip(&self.each)
            .find_map(|((name, _), shape)| {
                let found = shape.find(line)?;
                if *name == PRIVATE_KEY && !goes_on(line.get(found.end()..)?, next) {
                    return None;
                }
                let found = found.as_str();
                let lower = found.to_lowercase();
                let made_up = MADE_UP.iter().any(|word| lower.contains(word))
                    || is_monotonous(found)
                    || lower.contains(":password@")
                    || lower.contains(":secret@");
                let shown: String = found.chars().take(4).collect();
                (!made_up).then(|| format!("{name} ({shown}…)"))
            })
    }
}

/// Whether a key follows its first line: in the same line, escaped, or in the next.
fn goes_on(rest: &str, next: &str) -> bool {
    const LEAST: usize = 32;
    let is_key = |text: &str| {
        let key = text
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b));
        key.count() >= LEAST
    };
    let escaped = rest.trim_start_matches("\\r").trim_start_matches("\\n");
    let next = next.trim_start_matches([' ', '\t', '"', '\'', '+', '#', '/']);
    is_key(escaped) || is_key(next) || next.starts_with("Proc-Type:")
}

/// Real keys use many different characters.
fn is_monotonous(text: &str) -> bool {
    let mut seen: Vec<char> = text.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len() < 8
}

#[cfg(test)]
mod tests {
    use super::SecretShapes;

    #[test]
    fn finds_credentials_and_never_shows_them() {
        let shapes = SecretShapes::new().expect("the shapes compile");
        // Built from parts, so that this file holds none itself.
        let key = ["AKIA", "Q3EGRIHQ7DXW", "M2PL"].concat();
        let found = shapes.find(&format!("key = '{key}'"), "").expect("found");
        assert!(found.contains("AWS") && !found.contains(&key), "{found}");
        let (begin, body) = (
            format!("-----{} PRIVATE KEY-----", "BEGIN"),
            "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        );
        assert!(shapes.find(&begin, body).is_some());
        assert!(shapes.find(&format!("{begin}\\n{body}"), "").is_some());
        assert_eq!(
            shapes.find(&format!("if text.contains(\"{begin}\")"), "{"),
            None
        );
        let word = ["hunter", "2horse"].concat();
        let url = format!("postgres://app:{word}@db.internal.net/x");
        assert!(shapes.find(&url, "").is_some());
    }

    #[test]
    fn leaves_examples_references_and_code_alone() {
        let shapes = SecretShapes::new().expect("the shapes compile");
        for line in [
            "key = 'AKIAIOSFODNN7EXAMPLE'",
            "password = \"secret://env/DB_PASSWORD\"",
            "url = postgres://app:${DB_PASSWORD}@db.internal.net/x",
            "url = postgres://app:PASSWORD@db.internal.net/x",
            "let token = self.token()?;",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ] {
            assert_eq!(shapes.find(line, ""), None, "{line}");
        }
    }
}
