//! Takes the markup out of a text with the tokenizer that browsers use.

use html5gum::{Token, Tokenizer};

/// Elements whose content is never shown.
const UNSHOWN: [&[u8]; 6] = [
    b"script",
    b"style",
    b"template",
    b"noscript",
    b"iframe",
    b"object",
];

/// Elements that stand on lines of their own.
const BLOCKS: [&[u8]; 14] = [
    b"p",
    b"div",
    b"br",
    b"li",
    b"tr",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"table",
    b"ul",
    b"ol",
    b"section",
    b"blockquote",
];

/// The text that a browser would show: no tags, no comments, no scripts; references are decoded.
///
/// A text without `<` and `&` comes back as it is. A lone `<`, as in `a < b`, is text.
pub fn strip(text: &str) -> String {
    if !text.contains(['<', '&']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut unshown: Option<Vec<u8>> = None;
    for token in Tokenizer::new(text) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name: &[u8] = &tag.name;
                if unshown.is_none() && !tag.self_closing && UNSHOWN.contains(&name) {
                    unshown = Some(name.to_vec());
                }
                if BLOCKS.contains(&name) && !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
            }
            Token::EndTag(tag) => {
                if unshown.as_deref() == Some(&tag.name[..]) {
                    unshown = None;
                }
            }
            Token::String(text) if unshown.is_none() => {
                out.push_str(&String::from_utf8_lossy(&text));
            }
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shown_remains() {
        let page = "<h1>News</h1><p onclick=\"x('>')\">A &amp; B<!-- hidden --></p><script>alert('<b>')</script>end";
        assert_eq!(strip(page), "News\nA & Bend");
        assert_eq!(
            strip("<style>p{}</style><img src=x onerror=alert(1)>ok"),
            "ok"
        );
        assert_eq!(
            strip("<scr<script>ipt>alert(1)</script>safe"),
            "ipt>alert(1)safe"
        );
    }

    #[test]
    fn text_that_is_no_markup_is_kept() {
        assert_eq!(strip("a < b and b > c"), "a < b and b > c");
        assert_eq!(strip("plain"), "plain");
    }
}
