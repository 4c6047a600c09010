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

/// What is sealed; some dialects have one place for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The signature of reasoning that stands beside it.
    Signature,
    /// The reasoning itself.
    Reasoning,
}

/// What a caller or a provider of `dialect` sent, which may be something that we once wrapped.
pub(crate) fn unwrap(dialect: Dialect, text: String) -> Sealed {
    unwrap_kind(dialect, text).0
}

/// The same where the dialect does not tell what it is; `None` if it was never wrapped.
pub(crate) fn unwrap_kind(dialect: Dialect, text: String) -> (Sealed, Option<Kind>) {
    match wrapped(&text) {
        Some((sealed, kind)) => (sealed, Some(kind)),
        None => (Sealed { dialect, text }, None),
    }
}

/// What to send to a caller of `dialect`. Base64, as some clients insist on it.
pub(crate) fn wrap(dialect: Dialect, kind: Kind, sealed: &Sealed) -> Cow<'_, str> {
    if sealed.dialect == dialect {
        return Cow::Borrowed(&sealed.text);
    }
    let name = sealed.dialect.as_str();
    let kind = match kind {
        Kind::Signature => "signature",
        Kind::Reasoning => "reasoning",
    };
    let text = format!("{MARK}{kind}|{name}|{}", sealed.text);
    Cow::Owned(STANDARD.encode(text))
}

/// What to send to a provider of `dialect`: only what is its own.
pub(crate) fn own(dialect: Dialect, sealed: &Sealed) -> Option<&str> {
    (sealed.dialect == dialect).then_some(&*sealed.text)
}

fn wrapped(text: &str) -> Option<(Sealed, Kind)> {
    text.starts_with(ENCODED_MARK).then_some(())?;
    let decoded = STANDARD.decode(text).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (kind, rest) = decoded.strip_prefix(MARK)?.split_once('|')?;
    let (name, text) = rest.split_once('|')?;
    let kind = match kind {
        "signature" => Kind::Signature,
        "reasoning" => Kind::Reasoning,
        _ => return None,
    };
    let sealed = Sealed {
        dialect: Dialect::from_name(name)?,
        text: text.to_owned(),
    };
    Some((sealed, kind))
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
            for kind in [Kind::Signature, Kind::Reasoning] {
                let abroad = wrap(Dialect::OpenAiChat, kind, &sealed).into_owned();
                assert!(abroad.starts_with(ENCODED_MARK));
                let back = unwrap_kind(Dialect::OpenAiChat, abroad);
                assert_eq!(back, (sealed.clone(), Some(kind)));
                assert_eq!(wrap(Dialect::AnthropicMessages, kind, &sealed), text);
            }
            assert_eq!(own(Dialect::OpenAiChat, &sealed), None);
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
