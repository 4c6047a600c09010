//! Sealed reasoning on its way through callers of another dialect: wrapped so that it can be told
//! whose it is when it comes back, since a provider refuses what it did not write itself.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use seaworthy_core::{call::Sealed, dialect::Dialect};
use std::borrow::Cow;

/// What a wrapped text starts with before it is encoded. Twelve bytes, so that the encoded text
/// starts alike whatever follows.
const MARK: &str = "seaworthy|1|";

/// [`MARK`], encoded.
const ENCODED_MARK: &str = "c2Vhd29ydGh5fDF8";

/// What a caller or a provider of `dialect` sent, which may be something that we once wrapped.
pub(crate) fn unwrap(dialect: Dialect, text: String) -> Sealed {
    wrapped(&text).unwrap_or(Sealed { dialect, text })
}

/// What to send to a caller of `dialect`. Base64, as some clients insist on it.
pub(crate) fn wrap(dialect: Dialect, sealed: &Sealed) -> Cow<'_, str> {
    if sealed.dialect == dialect {
        return Cow::Borrowed(&sealed.text);
    }
    let name = sealed.dialect.as_str();
    let text = format!("{MARK}{name}|{}", sealed.text);
    Cow::Owned(STANDARD.encode(text))
}

/// What to send to a provider of `dialect`: only what is its own.
pub(crate) fn own(dialect: Dialect, sealed: &Sealed) -> Option<&str> {
    (sealed.dialect == dialect).then_some(&*sealed.text)
}

fn wrapped(text: &str) -> Option<Sealed> {
    text.starts_with(ENCODED_MARK).then_some(())?;
    let decoded = STANDARD.decode(text).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (name, text) = decoded.strip_prefix(MARK)?.split_once('|')?;
    Some(Sealed {
        dialect: Dialect::from_name(name)?,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_for_a_stranger_comes_back_as_it_was() {
        for text in ["", "c2ln", "a|b", "é"] {
            let sealed = Sealed {
                dialect: Dialect::AnthropicMessages,
                text: text.to_owned(),
            };
            let abroad = wrap(Dialect::OpenAiChat, &sealed).into_owned();
            assert!(abroad.starts_with(ENCODED_MARK));
            assert_eq!(unwrap(Dialect::OpenAiChat, abroad.clone()), sealed);
            assert_eq!(own(Dialect::OpenAiChat, &sealed), None);
            assert_eq!(wrap(Dialect::AnthropicMessages, &sealed), text);
        }
    }

    #[test]
    fn what_only_looks_wrapped_is_left_alone() {
        for text in [ENCODED_MARK, "c2Vhd29ydGh5fDF8!", "c2Vhd29ydGh5fDF8eHx5"] {
            let sealed = unwrap(Dialect::OpenAiChat, text.to_owned());
            assert_eq!(sealed.text, text);
            assert_eq!(sealed.dialect, Dialect::OpenAiChat);
        }
    }
}
