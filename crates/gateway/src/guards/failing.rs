//! Guards what a provider says when it fails: it may quote what it was sent, or what it knows.

use seaworthy_guard::Place;

use super::arguments::{Guarded, guard_text};
use super::guarding::Guarding;
use super::texts::{Kind, Outline, replace};
use super::verdicts::Verdicts;

/// Stands in the place of words that a guard blocks.
const WITHHELD: &str = "A guard withheld what the provider said.";

/// What a provider sent cannot be read, so that it cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

impl Guarding {
    /// The sentence of an error as it may reach the caller.
    pub(crate) fn guard_error(&self, sentence: &str, verdicts: &mut Verdicts) -> String {
        let guarded = match &self.outbound {
            Some(engine) => guard_text(engine, Place::OutputText, sentence, verdicts),
            None => Guarded::Same,
        };
        let sentence = match guarded {
            Guarded::Same => sentence.to_owned(),
            Guarded::Changed(new) => new,
            Guarded::Blocked => WITHHELD.to_owned(),
        };
        match &self.vault {
            Some(vault) => vault.restore(&sentence),
            None => sentence,
        }
    }

    /// A word of an error, such as its code, if it may reach the caller.
    pub(crate) fn admits_word(&self, word: &str, verdicts: &mut Verdicts) -> bool {
        self.guard_error(word, verdicts) == word
    }

    /// The body of an error as it may reach the caller, if that is another one.
    pub(crate) fn guard_error_body(
        &self,
        json: &str,
        verdicts: &mut Verdicts,
    ) -> Result<Option<String>, Unreadable> {
        if self.outbound.is_none() && self.vault.is_none() {
            return Ok(None);
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
            return Err(Unreadable);
        }
        let outline = Outline::read(json).map_err(|_| Unreadable)?;
        let mut edits = Vec::new();
        for text in outline
            .texts
            .iter()
            .filter(|text| text.kind == Kind::String)
        {
            let new = self.guard_error(&text.value, verdicts);
            if new != text.value {
                edits.push((text.at.clone(), new));
            }
        }
        Ok((!edits.is_empty()).then(|| replace(json, &edits)))
    }
}
