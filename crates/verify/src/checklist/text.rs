//! Text as the importer compares it: encodings repaired, markup and case gone, hashed.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The 16 hexadecimal digits by which an item is known without its sentence.
#[must_use]
pub fn hash(text: &str) -> String {
    hex16(&normalise(text))
}

/// The same for an item whose heading tells it from others with the same words.
#[must_use]
pub fn hash_in(section: &str, text: &str) -> String {
    hex16(&format!("{}\n{}", normalise(section), normalise(text)))
}

fn hex16(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut hex = String::with_capacity(16);
    for byte in digest.iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Lower-case words separated by one space: what remains when markup, emoji and case are gone.
#[must_use]
pub fn normalise(text: &str) -> String {
    let text = without_link_targets(&repaired(text)).to_lowercase();
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// `[label](target)` becomes `label`.
fn without_link_targets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match after.find(')') {
            Some(end) => rest = after.get(end + 1..).unwrap_or_default(),
            None => {
                rest = after;
                break;
            }
        }
        out.push(' ');
    }
    out.push_str(rest);
    out
}

/// Undoes UTF-8 that was read as Windows-1252 and encoded again, as emoji often are.
#[must_use]
pub fn repaired(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if let Some((original, length)) = original_at(chars.get(at..).unwrap_or_default()) {
            out.push(original);
            at += length;
        } else {
            out.push(c);
            at += 1;
        }
    }
    out
}

/// The first character of a text that was encoded twice, and how many bytes stand for it.
pub(super) fn repaired_first(text: &str) -> Option<(char, usize)> {
    if text.is_ascii() {
        return None;
    }
    let chars: Vec<char> = text.chars().take(4).collect();
    let (original, length) = original_at(&chars)?;
    let bytes = chars.iter().take(length).map(|c| c.len_utf8()).sum();
    Some((original, bytes))
}

/// The character whose UTF-8 bytes these characters spell in Windows-1252, and how many they are.
fn original_at(chars: &[char]) -> Option<(char, usize)> {
    let first = cp1252_byte(*chars.first()?)?;
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    let bytes: Option<Vec<u8>> = chars
        .get(..length)?
        .iter()
        .map(|c| cp1252_byte(*c))
        .collect();
    let bytes = bytes?;
    let mut decoded = std::str::from_utf8(&bytes).ok()?.chars();
    Some((decoded.next()?, length))
}

fn cp1252_byte(c: char) -> Option<u8> {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    let code = u32::from(c);
    if code < 0x80 || (0xA0..0x100).contains(&code) {
        return u8::try_from(code).ok();
    }
    let index = HIGH.iter().position(|high| *high == c)?;
    u8::try_from(0x80 + index).ok()
}

#[cfg(test)]
mod tests {
    use super::{hash, hash_in, normalise, repaired};

    #[test]
    fn forgets_markup_case_and_link_targets() {
        let text = "**Backups** run `daily` — see [the plan](docs/plan.md)";
        assert_eq!(normalise(text), "backups run daily see the plan");
        assert_eq!(hash(text), hash("backups run daily; see the plan"));
    }

    #[test]
    fn repairs_emoji_that_were_encoded_twice_and_nothing_else() {
        assert_eq!(repaired("Top ðŸ”´ first"), "Top 🔴 first");
        assert_eq!(repaired("ðŸŸ\u{a0} next"), "🟠 next");
        assert_eq!(repaired("Größe, café – naïve"), "Größe, café – naïve");
    }

    #[test]
    fn tells_equal_words_under_different_headings_apart() {
        assert_ne!(hash_in("Logs", "Kept"), hash_in("Metrics", "Kept"));
        assert_eq!(hash("Kept").len(), 16);
    }
}
