//! Keeps secrets and control characters out of everything that a report says.

/// The longest excerpt of a body in a report, in bytes.
const EXCERPT_BYTES: usize = 200;

/// Shorter words are not masked: they would blank out ordinary text.
const MIN_SECRET_BYTES: usize = 8;

/// The keys that this run was given: they never appear in a report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn new(known: impl IntoIterator<Item = String>) -> Self {
        Self(
            known
                .into_iter()
                .filter(|secret| secret.len() >= MIN_SECRET_BYTES)
                .collect(),
        )
    }

    /// Learns one more secret.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() >= MIN_SECRET_BYTES {
            self.0.push(secret.to_owned());
        }
    }

    /// The text with known secrets masked and control characters made visible.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), &mask(secret));
            }
        }
        printable(&text)
    }

    /// The start of a body, cleaned; invalid UTF-8 is shown as replacement characters.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        // Masked before it is cut, so that no half of a secret survives at the end.
        let cleaned = self.clean(&String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]));
        cut(&cleaned, EXCERPT_BYTES)
    }
}

/// A secret's first characters, enough to recognise it and too few to use it.
pub(crate) fn mask(secret: &str) -> String {
    let shown: String = if secret.len() >= 16 {
        secret.chars().take(6).collect()
    } else {
        String::new()
    };
    format!("{shown}…")
}

/// A header's value, masked when the header carries credentials.
pub(crate) fn header_value(name: &str, value: &str) -> String {
    match name {
        "authorization" | "proxy-authorization" => match value.split_once(' ') {
            Some((scheme, secret)) => format!("{scheme} {}", mask(secret)),
            None => mask(value),
        },
        "x-api-key" | "api-key" | "cookie" | "set-cookie" => mask(value),
        _ => printable(value),
    }
}

/// Control characters as visible escapes, so that a server's words cannot steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_direction_override(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that reorder the text around them.
fn is_direction_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `bytes` bytes of a text, cut between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut end = bytes.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::{Secrets, cut, header_value, printable};

    #[test]
    fn masks_a_known_secret_wherever_it_appears() {
        let secrets = Secrets::new(["sw-verylongsecret-0123456789".to_owned()]);
        let excerpt = secrets.excerpt(b"key sw-verylongsecret-0123456789 is unknown");
        assert_eq!(excerpt, "key sw-ver… is unknown");
    }

    #[test]
    fn masks_before_cutting_so_no_half_secret_survives() {
        let secret = "s".repeat(100);
        let secrets = Secrets::new([secret.clone()]);
        let body = format!("{}{secret}", "x".repeat(150));
        assert!(!secrets.excerpt(body.as_bytes()).contains("sssssss"));
    }

    #[test]
    fn masks_credentials_in_headers_and_keeps_the_scheme() {
        assert_eq!(
            header_value("authorization", "Bearer abcdefghijklmnopqrs"),
            "Bearer abcdef…"
        );
        assert_eq!(header_value("x-api-key", "short"), "…");
        assert_eq!(header_value("content-type", "text/plain"), "text/plain");
    }

    #[test]
    fn shows_terminal_escapes_instead_of_obeying_them() {
        assert_eq!(
            printable("\u{1b}[31mred\u{202e}"),
            "\\u{1b}[31mred\\u{202e}"
        );
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("ääää", 6), "ä…");
        assert_eq!(cut("short", 200), "short");
    }
}
