//! A text as the judges of whole texts see it: without disguise, cut into words once for all of them.

use std::borrow::Cow;

use crate::linear::Wording;
use crate::normalise::{Traces, normalise};

/// Longer texts are judged by their beginning and their end, this many bytes each.
const MAX_JUDGED_BYTES: usize = 256 * 1024;

/// A text that is to be judged.
#[derive(Debug)]
pub struct Shown<'t> {
    pub(crate) wording: Wording<'t>,
    /// What was written in tag characters.
    pub(crate) smuggled: String,
    pub(crate) traces: Traces,
}

impl<'t> Shown<'t> {
    /// Takes the disguise off a text.
    pub fn of(text: &'t str) -> Self {
        match beginning_and_end(text) {
            Cow::Borrowed(text) => {
                let shown = normalise(text);
                Self {
                    wording: Wording::of(shown.text),
                    smuggled: shown.smuggled,
                    traces: shown.traces,
                }
            }
            Cow::Owned(text) => {
                let shown = normalise(&text);
                Self {
                    wording: Wording::of(shown.text.into_owned()),
                    smuggled: shown.smuggled,
                    traces: shown.traces,
                }
            }
        }
    }
}

fn beginning_and_end(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * MAX_JUDGED_BYTES {
        return text.into();
    }
    let head = text.floor_char_boundary(MAX_JUDGED_BYTES);
    let tail = text.ceil_char_boundary(text.len() - MAX_JUDGED_BYTES);
    format!("{} {}", &text[..head], &text[tail..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_very_long_text_beginning_and_end_are_shown() {
        let text = format!("First. {}Last", "padding ".repeat(1 << 17));
        let shown = Shown::of(&text);
        let words = shown.wording.text();
        assert!(words.starts_with("First.") && words.ends_with("Last"));
        assert_eq!(words.len(), 2 * MAX_JUDGED_BYTES + 1);
    }
}
