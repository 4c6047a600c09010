//! Puts values back into a text that arrives in pieces, also where a model wrote a placeholder in another way
//! than it read it.

use std::sync::Arc;

use super::{MAX_PLACEHOLDER_BYTES, Vault};

/// How a bracket may be written. No form is the beginning of another one.
const OPENINGS: [(&str, Form); 4] = [
    ("[", Form::Plain),
    ("\\[", Form::Escaped),
    ("\u{ff3b}", Form::Plain),
    ("%5B", Form::Percent),
];
const CLOSINGS: [(&str, Form); 4] = [
    ("]", Form::Plain),
    ("\\]", Form::Escaped),
    ("\u{ff3d}", Form::Plain),
    ("%5D", Form::Percent),
];

/// How an underscore may be written.
const UNDERSCORES: [(&str, Form); 3] = [
    ("_", Form::Plain),
    ("\\_", Form::Escaped),
    ("%5F", Form::Percent),
];

/// The most spaces at either end of a name.
const MAX_SPACES: usize = 4;

/// How a piece of a placeholder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// As in Markdown.
    Escaped,
    /// As in an address.
    Percent,
}

/// Why no placeholder stands at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum No {
    /// Whatever follows.
    Never,
    /// What follows decides.
    NotYet,
}

/// Puts values back into a text that arrives in pieces; holds back at most what may still become a
/// placeholder.
#[derive(Debug)]
pub struct Restorer {
    vault: Arc<Vault>,
    held: String,
    is_exact: bool,
}

impl Restorer {
    /// A restorer for one text. It knows placeholders in capitals or not, behind escapes of Markdown and of
    /// addresses, in brackets of full width, and with spaces within the brackets.
    pub fn new(vault: Arc<Vault>) -> Self {
        Self {
            vault,
            held: String::new(),
            is_exact: false,
        }
    }

    /// A restorer that knows placeholders as they were given only, so that [`super::Hider`] undoes what it does.
    pub fn exact(vault: Arc<Vault>) -> Self {
        Self {
            is_exact: true,
            ..Self::new(vault)
        }
    }

    /// Takes the next piece and appends what is certain to `out`.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        if self.vault.is_empty() {
            out.push_str(piece);
            return;
        }
        let joined;
        let mut text = piece;
        if !self.held.is_empty() {
            self.held.push_str(piece);
            joined = std::mem::take(&mut self.held);
            text = &joined;
        }
        while let Some(at) = text.bytes().position(|byte| self.may_begin(byte)) {
            out.push_str(&text[..at]);
            text = &text[at..];
            match self.read(text) {
                Ok((length, value)) => {
                    out.push_str(&value);
                    text = &text[length..];
                }
                Err(No::NotYet) => {
                    self.held.push_str(text);
                    return;
                }
                Err(No::Never) => {
                    let length = text.ceil_char_boundary(1);
                    out.push_str(&text[..length]);
                    text = &text[length..];
                }
            }
        }
        out.push_str(text);
    }

    /// Whether nothing is held back.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// Appends what was held back when nothing follows.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&self.held);
        self.held.clear();
    }

    fn may_begin(&self, byte: u8) -> bool {
        match byte {
            b'[' => true,
            // The first byte of a bracket of full width.
            b'\\' | b'%' | 0xEF => !self.is_exact,
            _ => false,
        }
    }

    /// Reads the placeholder at the beginning of a text: its length, and what takes its place.
    fn read(&self, text: &str) -> Result<(usize, String), No> {
        let (mut at, form) = self.one_of(text, &OPENINGS)?;
        at += self.spaces(&text[at..]);
        let mut placeholder = String::with_capacity(MAX_PLACEHOLDER_BYTES);
        placeholder.push('[');
        let begin = placeholder.len();
        loop {
            match text.as_bytes().get(at) {
                None => return Err(No::NotYet),
                Some(letter) if letter.is_ascii_alphanumeric() => {
                    let letter = match self.is_exact {
                        true => *letter,
                        false => letter.to_ascii_uppercase(),
                    };
                    placeholder.push(char::from(letter));
                    at += 1;
                }
                Some(_) => match self.one_of(&text[at..], &UNDERSCORES) {
                    Ok((length, _)) => {
                        placeholder.push('_');
                        at += length;
                    }
                    Err(No::NotYet) => return Err(No::NotYet),
                    Err(No::Never) => break,
                },
            }
            if placeholder.len() >= MAX_PLACEHOLDER_BYTES {
                return Err(No::Never);
            }
        }
        if placeholder.len() == begin {
            return Err(No::Never);
        }
        at += self.spaces(&text[at..]);
        let (length, end) = self.one_of(&text[at..], &CLOSINGS)?;
        // It is a backslash of its own, of the path of a file for example.
        if form == Form::Escaped && end != Form::Escaped {
            return Err(No::Never);
        }
        placeholder.push(']');
        let value = self
            .vault
            .by_placeholder
            .get(&placeholder)
            .ok_or(No::Never)?;
        let value = match form {
            Form::Plain | Form::Escaped => value.clone(),
            // The rest of an address stays one.
            Form::Percent => in_address(value),
        };
        Ok((at + length, value))
    }

    /// The length of the form that a text begins with.
    fn one_of(&self, text: &str, forms: &[(&str, Form)]) -> Result<(usize, Form), No> {
        let known = match self.is_exact {
            true => &forms[..1],
            false => forms,
        };
        let mut no = No::Never;
        for (written, form) in known {
            let length = written.len().min(text.len());
            let begins =
                text.as_bytes()[..length].eq_ignore_ascii_case(&written.as_bytes()[..length]);
            match begins {
                true if length == written.len() => return Ok((length, *form)),
                true => no = No::NotYet,
                false => {}
            }
        }
        Err(no)
    }

    /// The length of the spaces that a text begins with.
    fn spaces(&self, text: &str) -> usize {
        let most = if self.is_exact { 0 } else { MAX_SPACES };
        let spaces = text.chars().take_while(|c| matches!(c, ' ' | '\u{a0}'));
        spaces.take(most).map(char::len_utf8).sum()
    }
}

/// A value as it stands in a part of an address.
fn in_address(value: &str) -> String {
    let mut out = String::with_capacity(value.len() * 3);
    for byte in value.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VaultKey;
    use crate::testing::Dice;

    const MAIL: &str = "ann+x@example.org";

    fn vault() -> (Arc<Vault>, String) {
        let mut vault = Vault::new(&VaultKey::default(), "ann");
        let placeholder = vault.placeholder("us_phone-2", "+1 555 0100").unwrap();
        assert!(!placeholder.contains('-'), "{placeholder}");
        let placeholder = vault.placeholder("email", MAIL).unwrap();
        (Arc::new(vault), placeholder)
    }

    /// Ways to write a placeholder, each with what takes its place.
    fn written(placeholder: &str) -> Vec<(String, &'static str)> {
        let name = &placeholder[1..placeholder.len() - 1];
        let escaped = name.replace('_', "\\_");
        let lower = name.to_lowercase();
        vec![
            (placeholder.to_owned(), MAIL),
            (format!("[{escaped}]"), MAIL),
            (format!("\\[{escaped}\\]"), MAIL),
            (format!("[{lower}]"), MAIL),
            (format!("[ {name} ]"), MAIL),
            (format!("[\u{a0}{lower}]"), MAIL),
            (format!("\u{ff3b}{name}\u{ff3d}"), MAIL),
            (format!("%5B{name}%5D"), "ann%2Bx%40example.org"),
            (
                format!("%5b{}%5d", lower.replace('_', "%5f")),
                "ann%2Bx%40example.org",
            ),
        ]
    }

    fn in_pieces(vault: &Arc<Vault>, text: &str, mut next: impl FnMut() -> usize) -> String {
        let mut out = String::new();
        let mut restorer = Restorer::new(Arc::clone(vault));
        let mut rest = text;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.ceil_char_boundary(next().min(rest.len())));
            restorer.push(head, &mut out);
            rest = tail;
        }
        restorer.finish(&mut out);
        out
    }

    #[test]
    fn placeholders_that_a_model_wrote_in_its_own_way_are_put_back() {
        let (vault, placeholder) = vault();
        for (written, value) in written(&placeholder) {
            let text = format!("To {written}, see [{written}](x) \\ 5% ［");
            let wanted = format!("To {value}, see [{value}](x) \\ 5% ［");
            assert_eq!(vault.restore(&text), wanted, "{written}");
        }
    }

    #[test]
    fn a_backslash_before_a_placeholder_stays() {
        let (vault, placeholder) = vault();
        let text = format!("C:\\{placeholder}\\x, \\\\{placeholder}");
        let wanted = format!("C:\\{MAIL}\\x, \\\\{MAIL}");
        assert_eq!(vault.restore(&text), wanted);
    }

    #[test]
    fn what_is_no_placeholder_of_this_request_stays_as_it_is() {
        let (ours, placeholder) = vault();
        let (_, others) = vault();
        let name = &placeholder[1..placeholder.len() - 1];
        for text in [
            &*others,
            &others.to_lowercase(),
            &others.replace('_', "\\_"),
            &others.replace('[', "%5B").replace(']', "%5D"),
            &format!("[     {name}]"),
            &format!("[{name}x]"),
            &format!("[{}]", &name[..name.len() - 1]),
            &format!("[{}]", name.replace('_', "-")),
            &format!("[{}]", name.replace('_', "__")),
            &format!("{name}]"),
            &format!("\\{name}\\]"),
            "[] [ ] %5B%5D \\[\\] ［］ 100% C:\\[x",
            "%5",
            "\\",
        ] {
            assert_eq!(ours.restore(text), text);
        }
    }

    #[test]
    fn no_cut_of_a_stream_makes_a_difference() {
        let (vault, placeholder) = vault();
        let forms = written(&placeholder);
        let noise = [
            "[", "]", "\\", "%", "%5", "%5B", "%5D", "_", "\\_", " ", "\u{a0}", "［", "］", "，",
            "é", "EMAIL", "\\[", "x", "\n",
        ];
        let mut dice = Dice::new(7);
        let mut restored = 0;
        for _ in 0..3000 {
            let mut text = String::new();
            for _ in 0..1 + dice.below(12) {
                let form = &forms[dice.below(forms.len())].0;
                match dice.below(4) {
                    0 => text.push_str(form),
                    // A placeholder that breaks off, or begins in its middle.
                    1 => text.push_str(&form[..form.floor_char_boundary(dice.below(form.len()))]),
                    2 => text.push_str(&form[form.floor_char_boundary(dice.below(form.len()))..]),
                    _ => text.push_str(dice.pick(&noise)),
                }
            }
            let whole = vault.restore(&text);
            restored += usize::from(whole != text);
            assert_eq!(in_pieces(&vault, &text, || 1), whole, "{text}");
            assert_eq!(
                in_pieces(&vault, &text, || 1 + dice.below(9)),
                whole,
                "{text}"
            );
        }
        assert!(restored > 1000, "{restored}");
    }

    #[test]
    fn exact_ones_are_undone_by_hiding() {
        let (vault, placeholder) = vault();
        for (index, (written, _)) in written(&placeholder).iter().enumerate() {
            let mut out = String::new();
            let mut restorer = Restorer::exact(Arc::clone(&vault));
            restorer.push(written, &mut out);
            restorer.finish(&mut out);
            assert_eq!(out == *written, index > 0, "{written}");
            assert_eq!(vault.hider().unwrap().hide(&out), *written);
        }
    }

    #[test]
    fn ordinary_text_does_not_wait() {
        let (vault, _) = vault();
        let mut restorer = Restorer::new(vault);
        for text in [
            "50 % of it",
            "see [the docs](x) ",
            "a[0] = b\\n",
            "全部，",
            "%20x",
        ] {
            let mut out = String::new();
            restorer.push(text, &mut out);
            assert_eq!(out, text);
            assert!(restorer.is_idle(), "{text}");
        }
        let mut out = String::new();
        restorer.push("[", &mut out);
        restorer.push(&"\\_".repeat(MAX_PLACEHOLDER_BYTES), &mut out);
        assert_eq!(out.len(), 1 + 2 * MAX_PLACEHOLDER_BYTES);
    }
}
