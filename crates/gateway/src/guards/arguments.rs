//! Guards the texts of a document: what counts is what will be read, so that escapes hide nothing and
//! no replacement breaks the JSON.

pub(super) mod escaped;

use seaworthy_guard::{Action, Engine, Place, Vault};

use super::texts::{Kind, Outline, Text, replace};
use super::verdicts::Verdicts;

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// Nothing was found.
    Same,
    /// Something was replaced.
    Changed(String),
    /// It goes no further.
    Blocked,
}

/// Guards arguments as a model wrote them earlier: mostly JSON, sometimes plain text.
pub(super) fn guard(
    engine: &Engine,
    place: Place,
    written: &str,
    vault: &mut Option<Vault>,
    verdicts: &mut Verdicts,
) -> Guarded {
    if serde_json::from_str::<serde::de::IgnoredAny>(written).is_err() {
        return guard_kept(engine, place, written, vault, verdicts);
    }
    let outline = Outline::read_leniently(written);
    let mut edits = Vec::new();
    for text in &outline.texts {
        match guard_member_kept(engine, place, text, vault, verdicts) {
            Guarded::Same => {}
            Guarded::Changed(new) => edits.push((text.at.clone(), new)),
            Guarded::Blocked => return Guarded::Blocked,
        }
    }
    match edits.is_empty() {
        true => Guarded::Same,
        false => Guarded::Changed(replace(written, &edits)),
    }
}

/// Guards one text of a document of which nothing is put back.
pub(super) fn guard_member(
    engine: &Engine,
    place: Place,
    text: &Text<'_>,
    verdicts: &mut Verdicts,
) -> Guarded {
    guard_member_kept(engine, place, text, &mut None, verdicts)
}

/// Guards one text of a document: by itself, and then as the value of its name, because
/// `"password": "…"` is told by both.
pub(super) fn guard_member_kept(
    engine: &Engine,
    place: Place,
    text: &Text<'_>,
    vault: &mut Option<Vault>,
    verdicts: &mut Verdicts,
) -> Guarded {
    let alone = guard_kept(engine, place, &text.value, vault, verdicts);
    if alone != Guarded::Same || text.kind == Kind::Key || text.key.is_empty() {
        return alone;
    }
    let prefix = format!("\"{}\": \"", text.key);
    let named = format!("{prefix}{}\"", text.value);
    let outcome = engine.apply(place, &named, vault.as_mut());
    match outcome.verdict.action {
        Action::Block => {
            verdicts.extend(place, &outcome.verdict);
            Guarded::Blocked
        }
        Action::Redact | Action::Tokenize => {
            let value = outcome.text.strip_prefix(&prefix);
            match value.and_then(|rest| rest.strip_suffix('"')) {
                Some(value) if value != text.value => {
                    verdicts.extend(place, &outcome.verdict);
                    Guarded::Changed(value.to_owned())
                }
                // Only the name matched, and that is judged by itself.
                _ => Guarded::Same,
            }
        }
        Action::Allow | Action::Flag => Guarded::Same,
    }
}

/// Guards one text of which nothing is put back.
pub(super) fn guard_text(
    engine: &Engine,
    place: Place,
    text: &str,
    verdicts: &mut Verdicts,
) -> Guarded {
    guard_kept(engine, place, text, &mut None, verdicts)
}

/// Guards one text; what a placeholder stands for is kept.
pub(super) fn guard_kept(
    engine: &Engine,
    place: Place,
    text: &str,
    vault: &mut Option<Vault>,
    verdicts: &mut Verdicts,
) -> Guarded {
    let outcome = engine.apply(place, text, vault.as_mut());
    verdicts.extend(place, &outcome.verdict);
    match outcome.verdict.action {
        Action::Block => Guarded::Blocked,
        Action::Redact | Action::Tokenize => Guarded::Changed(outcome.text.into_owned()),
        Action::Allow | Action::Flag => Guarded::Same,
    }
}
