//! Takes the markup out of a text with the tokenizer that browsers use.

use std::borrow::Cow;

use html5gum::emitters::default::DefaultEmitter;
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
const BLOCKS: [&[u8]; 26] = [
    b"p",
    b"div",
    b"br",
    b"hr",
    b"li",
    b"dt",
    b"dd",
    b"tr",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"table",
    b"ul",
    b"ol",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"aside",
    b"pre",
    b"option",
    b"summary",
    b"blockquote",
];

/// Elements that stand beside each other, with a space between them.
const CELLS: [&[u8]; 2] = [b"td", b"th"];

/// So often markup is looked for: what is taken out may leave some together, as in `<<b>script>`.
const MOST_ROUNDS: usize = 4;

/// The longest reference to a character that has a name, in bytes.
const MAX_REFERENCE: usize = 32;

/// The text that a browser would show: no tags, no comments, no scripts; references are decoded, where
/// they end with `;`. What is no markup stays byte for byte.
///
/// A text without `<` and `&` comes back as it is. A lone `<`, as in `a < b`, is text.
pub fn strip(text: &str) -> String {
    let mut shown = Cow::Borrowed(text);
    for _ in 0..MOST_ROUNDS {
        match without_markup(&shown) {
            Some(rest) => shown = rest.into(),
            None => return with_characters(&shown),
        }
    }
    if without_markup(&shown).is_some() {
        shown = shown.replace('<', "").into();
    }
    with_characters(&shown)
}

/// A text without its markup; `None` where it has none.
fn without_markup(text: &str) -> Option<String> {
    if !text.contains('<') {
        return None;
    }
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut out = String::with_capacity(text.len());
    let mut unshown: Option<(Vec<u8>, usize)> = None;
    // What stands between the text so far and the next.
    let mut gap = "";
    for token in Tokenizer::new_with_emitter(text, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name: &[u8] = &tag.name;
                match &mut unshown {
                    Some((outer, depth)) => *depth += usize::from(outer == name),
                    None if !tag.self_closing && UNSHOWN.contains(&name) => {
                        unshown = Some((name.to_vec(), 1));
                    }
                    None => {}
                }
                gap = wider(gap, name);
            }
            Token::EndTag(tag) => {
                if let Some((name, depth)) = &mut unshown {
                    *depth -= usize::from(name[..] == tag.name[..]);
                    if *depth == 0 {
                        unshown = None;
                    }
                }
                gap = wider(gap, &tag.name);
            }
            Token::String(piece) if unshown.is_none() => {
                let piece = text.get(piece.span.start..piece.span.end);
                // The tokenizer passes over an end tag without a name.
                let piece = piece.unwrap_or_default().replace("</>", "");
                if !out.is_empty() && !out.ends_with('\n') && !piece.starts_with(['\n', '\r']) {
                    out.push_str(gap);
                }
                gap = "";
                out.push_str(&piece);
            }
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    (out != text).then_some(out)
}

/// The gap that an element makes, if that is wider.
fn wider(gap: &'static str, name: &[u8]) -> &'static str {
    match gap {
        _ if BLOCKS.contains(&name) => "\n",
        "" if CELLS.contains(&name) => " ",
        gap => gap,
    }
}

/// A text with the characters in it that its references stand for. Those that do not end with `;` are left: the
/// query `?a=1&region=eu` is none.
fn with_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
        let bytes = rest.as_bytes()[1..].iter().take(MAX_REFERENCE);
        let end = bytes.take_while(|byte| name(byte)).count() + 1;
        let character = match rest.as_bytes().get(end) {
            Some(b';') if end > 1 => character(&rest[..=end]),
            _ => None,
        };
        match character {
            Some(character) => {
                out.push_str(&character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What a reference stands for, if it is one as a whole.
fn character(reference: &str) -> Option<String> {
    let mut decoded = String::new();
    for token in Tokenizer::new(reference) {
        let Ok(token) = token;
        if let Token::String(text) = token {
            decoded.push_str(&String::from_utf8_lossy(&text));
        }
    }
    // None stands for more than two; where only its beginning is one, the rest is left.
    (decoded != reference && decoded.chars().nth(2).is_none()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shown_remains() {
        let page = "<h1>News</h1><p onclick=\"x('>')\">A &amp; B<!-- hidden --></p><script>alert('<b>')</script>end";
        assert_eq!(strip(page), "News\nA & B\nend");
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
        for text in [
            "a < b and b > c",
            "plain",
            "if (a < b) {\r\n  c();\r\n}",
            "https://host.example/?a=1&region=eu&copy=2&lt=3",
            "AT&T, R&D; &nosuch; &;&#;&#x;",
            "",
        ] {
            assert_eq!(strip(text), text);
        }
        assert_eq!(strip("<i>a</i>\r\nb\rc"), "a\r\nb\rc");
    }

    #[test]
    fn no_markup_is_left_together_by_what_is_taken_out() {
        for (hostile, shown) in [
            ("<<b>script>alert(1)<</b>/script>after", "after"),
            ("<<b>b>x<<i>/b>", "x"),
            ("<</>b>x", "x"),
            ("<textarea><b>x</b>", "x"),
            ("<plaintext><b>x", "x"),
            ("<template><template></template>x</template>y", "y"),
            ("<style><!--</style>x-->y", "x-->y"),
        ] {
            assert_eq!(strip(hostile), shown, "{hostile}");
        }
        let nested = format!("{}x{}", "<".repeat(50), "b>".repeat(50));
        assert!(!strip(&nested).contains("<b"), "{}", strip(&nested));
    }

    #[test]
    fn what_stands_apart_in_a_browser_stands_apart() {
        assert_eq!(
            strip("<p>one</p>two<table><tr><td>a</td><td>b</td></tr></table>c"),
            "one\ntwo\na b\nc"
        );
        assert_eq!(strip("<b>w</b>ord<br>\nline"), "word\nline");
    }

    #[test]
    fn references_are_decoded_once() {
        for (written, shown) in [
            ("&lt;b&gt;", "<b>"),
            ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
            (
                "&#60;&#x62;&#62;&nbsp;&semi;&NotEqualTilde;",
                "<b>\u{a0};\u{2242}\u{338}",
            ),
            ("jo&commat;a.example", "jo@a.example"),
        ] {
            assert_eq!(strip(written), shown);
        }
    }
}
