//! Texts of callers: PostgreSQL cannot hold NUL, so it is written `\0`, and `\` doubled.

use std::borrow::Cow;

/// The text as it is stored.
pub(super) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '\0']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\\', "\\\\").replace('\0', "\\0"))
}

/// The text as it was.
pub(super) fn read(stored: &str) -> String {
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in ["", "plain", "a\0b", "\\", "\\0", "\\\0\\", "é“”"] {
            let written = stored(text);
            assert!(!written.contains('\0'), "{text:?}");
            assert_eq!(read(&written), text);
        }
    }
}
