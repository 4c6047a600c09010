//! Documents of JSON that are sent as a text: what their escapes stand for is what a model reads, so that
//! `\\u0040` hides nothing.

use seaworthy_guard::input::html;
use seaworthy_guard::{Engine, Place, Vault};

use super::Guarded;
use crate::guards::texts::{Kind, Outline, replace, unescape};
use crate::guards::verdicts::Verdicts;

/// Whether a text is a document with escapes.
fn is_document(text: &str) -> bool {
    text.contains('\\')
        && text.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// What a text with escapes of characters says, be it a document or a piece of one.
pub(in crate::guards) fn plain(text: &str) -> Option<String> {
    text.contains("\\u")
        .then(|| unescape(text).into_owned())
        .filter(|plain| plain != text)
}

/// Guards the values of a document within a text that was guarded as a whole.
pub(in crate::guards) fn guard(
    engine: &Engine,
    place: Place,
    (text, guarded): (&str, Guarded),
    vault: &mut Option<Vault>,
    verdicts: &mut Verdicts,
) -> Guarded {
    let whole = match &guarded {
        Guarded::Blocked => return guarded,
        Guarded::Changed(new) => new,
        Guarded::Same => text,
    };
    if !is_document(whole) {
        return guarded;
    }
    match super::guard(engine, place, whole, vault, verdicts) {
        Guarded::Same => guarded,
        other => other,
    }
}

/// The text that a browser would show, of each value of a document.
pub(in crate::guards) fn strip(text: &str) -> String {
    let shown = html::strip(text);
    if !is_document(&shown) {
        return shown;
    }
    let outline = Outline::read_leniently(&shown);
    let strings = outline
        .texts
        .iter()
        .filter(|text| text.kind == Kind::String);
    let stripped = strings.filter_map(|text| {
        let new = html::strip(&text.value);
        (new != text.value).then(|| (text.at.clone(), new))
    });
    let edits: Vec<_> = stripped.collect();
    match edits.is_empty() {
        true => shown,
        false => replace(&shown, &edits),
    }
}
