//! Takes invisible characters out from between ASCII characters, where they have no use but to hide a
//! match: between the letters of a key, for example. Spaces and hyphens at which no line breaks are plain ones there,
//! as in telephone numbers.

use std::borrow::Cow;

/// More than these in a row say nothing that fewer do not.
const MOST_HELD_BYTES: usize = 64;

/// Takes them out of a text that may arrive in pieces.
#[derive(Debug, Default)]
pub(crate) struct Invisible {
    /// Invisible characters after an ASCII one: the next character decides about them.
    held: String,
    after_ascii: bool,
}

/// Whether nobody sees a character.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00AD}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

/// The plain space or hyphen that a typographic one stands for.
fn plain(character: char) -> Option<char> {
    match character {
        '\u{00A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' => Some(' '),
        '\u{2010}'..='\u{2012}' => Some('-'),
        _ => None,
    }
}

/// Whether a character turns the direction of writing.
fn turns(character: char) -> bool {
    matches!(
        character,
        '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    )
}

impl Invisible {
    /// Takes the next piece and appends what stays.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        if piece.is_ascii() && self.held.is_empty() {
            out.push_str(piece);
            if let Some(last) = piece.bytes().last() {
                self.after_ascii = last.is_ascii_graphic();
            }
            return;
        }
        for character in piece.chars() {
            if self.after_ascii && self.holds(character) {
                continue;
            }
            self.after_ascii = character.is_ascii_graphic();
            if !character.is_ascii() {
                out.push_str(&self.held);
            } else if self.after_ascii {
                out.extend(self.held.chars().filter_map(plain));
            } else {
                self.keep_seen(out);
            }
            self.held.clear();
            out.push(character);
        }
    }

    /// Nothing follows.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.keep_seen(out);
        self.held.clear();
    }

    /// Whether the next character decides about this one: it is invisible, or the first space or hyphen.
    fn holds(&mut self, character: char) -> bool {
        let is_first = || !self.held.chars().any(|held| plain(held).is_some());
        let is_plain = plain(character).is_some();
        let holds = is_invisible(character) || (is_plain && is_first());
        if holds && (is_plain || self.held.len() < MOST_HELD_BYTES) {
            self.held.push(character);
        }
        holds
    }

    /// Where a word ends, the direction of writing may change, and spaces are seen.
    fn keep_seen(&self, out: &mut String) {
        let is_seen = |held: &char| turns(*held) || plain(*held).is_some();
        out.extend(self.held.chars().filter(is_seen));
    }
}

/// A whole text without them.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut invisible) = (String::with_capacity(text.len()), Invisible::default());
    invisible.push(text, &mut out);
    invisible.finish(&mut out);
    match out == text {
        true => Cow::Borrowed(text),
        false => Cow::Owned(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_ascii_characters_is_taken_out() {
        for (text, seen) in [
            ("gh\u{200B}p_\u{2060}\u{FEFF}x", "ghp_x"),
            ("a\u{AD}b \u{202E}c", "ab \u{202E}c"),
            ("\u{FEFF}first", "\u{FEFF}first"),
            ("word\u{200B} end\u{200B}", "word end"),
            (
                "\u{2066}abc\u{2069} end\u{200F}",
                "\u{2066}abc\u{2069} end\u{200F}",
            ),
            (
                "👩\u{200D}🚀 می\u{200C}خواهم 1\u{FE0F}",
                "👩\u{200D}🚀 می\u{200C}خواهم 1\u{FE0F}",
            ),
            ("x\u{200D}é", "x\u{200D}é"),
            ("06\u{202F}12\u{A0}34\u{2011}56", "06 12 34-56"),
            (
                "a\u{A0}\u{A0}b 5\u{A0}€ c\u{A0}",
                "a\u{A0}\u{A0}b 5\u{A0}€ c\u{A0}",
            ),
        ] {
            assert_eq!(visible(text), seen);
            let (mut out, mut invisible) = (String::new(), Invisible::default());
            for character in text.chars() {
                invisible.push(character.encode_utf8(&mut [0; 4]), &mut out);
            }
            invisible.finish(&mut out);
            assert_eq!(out, seen);
        }
    }
}
