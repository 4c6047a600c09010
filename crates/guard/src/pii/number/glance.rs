//! What a glance at a number tells: most are no numbers of people, and need not be read.

use super::{DIGITS, LEAST_OF_PLAIN, MAX_GAP, MAX_READ, is_separator};
use crate::cursor::{Cursor, has_letter};
use crate::pii::checksums;

/// Whether what begins here is no number of people, because no letter is near that could name it, and none begins
/// like this: tables have a number at every other byte.
pub(super) fn is_nobodys(cursor: &Cursor<'_>, before: &[u8]) -> bool {
    cursor
        .ahead::<MAX_READ>()
        .is_some_and(|text| !has_letter(text) && !has_letter(before) && !may_be_told_by_shape(text))
}

/// Whether a number may begin here that no word needs to name.
fn may_be_told_by_shape(text: &[u8; MAX_READ]) -> bool {
    let lengths = first_lengths(text);
    let separator = text[lengths.0];
    match (text[0], lengths) {
        (b'+' | b'(', _) => true,
        // Cards, and the numbers of India.
        (_, (LEAST_OF_PLAIN.., _, _) | (4, 4, 4) | (4, 6, 4 | 5)) => true,
        // Telephones of North America, and those with a trunk prefix.
        (_, (3, 3, 4)) | (b'1', (1, 3, 3)) | (b'0', (2.., 2.., 2..)) => true,
        // Social security in the United States and Switzerland, Brazil, Korea.
        (_, (3, 2, 4) | (3, 4, 4) | (3, 3, 3) | (6, 7, _)) if separator != b' ' => true,
        // An address of a machine.
        (_, (1..=3, 1..=3, 1..=3)) if separator == b'.' => true,
        _ => is_french(text),
    }
}

/// The lengths of the first three groups of digits, 0 where there is none, as far as their shape tells anything.
/// Without branches: what comes next in a table cannot be guessed.
fn first_lengths(text: &[u8; MAX_READ]) -> (usize, usize, usize) {
    let add = |bits: u32, byte: &u8| bits << 1 | u32::from(byte.is_ascii_digit());
    let mut digits = text[..24].iter().rev().fold(0, add);
    let mut length = || {
        let length = digits.trailing_ones();
        digits >>= length;
        digits >>= digits.trailing_zeros().min(MAX_GAP as u32);
        length as usize
    };
    (length(), length(), length())
}

/// Whether the first fifteen digits are a number of France, which is grouped anyhow.
fn is_french(text: &[u8; MAX_READ]) -> bool {
    if !matches!(text[0], b'1' | b'2') {
        return false;
    }
    let mut digits = [0; checksums::FRENCH_DIGITS];
    let mut rest = text.iter();
    for digit in &mut digits {
        match rest.find(|b| !is_separator(**b)).copied() {
            Some(byte @ b'0'..=b'9') => *digit = byte - b'0',
            _ => return false,
        }
    }
    !rest.next().is_some_and(u8::is_ascii_digit) && checksums::is_french(&digits)
}

/// Whether what begins here is an ordinary small number or a bracket: nothing to look at closely.
pub(super) fn is_short(cursor: &mut Cursor<'_>) -> bool {
    let mut rest = cursor.rest();
    for opener in [b"+", b"("] {
        rest = rest.strip_prefix(opener).unwrap_or(rest);
    }
    let (mut digits, mut dots, mut gap) = (0, 0, MAX_GAP);
    for &byte in rest {
        match byte {
            b'0'..=b'9' => (digits, gap) = (digits + 1, 0),
            _ if is_separator(byte) && gap < MAX_GAP => {
                gap += 1;
                dots += usize::from(byte == b'.');
            }
            _ => return true,
        }
        // An address of a machine may have fewer digits.
        if digits == *DIGITS.start() || dots == 3 {
            return false;
        }
    }
    // Whether more follows decides.
    cursor.peek_at(usize::MAX / 2);
    true
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn a_number_between_no_letters_is_found_as_if_nothing_followed() {
        let separators = [" ", "-", ".", "  ", ") ", "/", " - ", "    ", ","];
        let starts = ["", "", "", "", "0", "1", "2", "+", "("];
        let shapes: [&[usize]; 13] = [
            &[4, 4, 4, 4],
            &[4, 6, 5],
            &[4, 4, 4],
            &[3, 2, 4],
            &[3, 3, 3, 2],
            &[3, 4, 4, 2],
            &[6, 7],
            &[1, 3, 3, 4],
            &[1, 2, 2, 2, 3, 3, 2],
            &[16],
            &[3, 2, 3, 1],
            &[3, 2, 4, 4, 2],
            &[3, 3, 3, 2, 4],
        ];
        let mut dice = Dice::new(11);
        let mut kinds = Vec::new();
        for _ in 0..200_000 {
            let mut text = dice.pick(&starts).to_owned();
            let shape = shapes[dice.below(shapes.len())];
            let usual = dice.pick(&separators);
            for length in shape {
                let is_odd = dice.below(12) == 0;
                let odd = 1 + dice.below(8);
                text += &dice.digits(if is_odd { odd } else { *length });
                text += if is_odd {
                    dice.pick(&separators)
                } else {
                    usual
                };
            }
            let read_at_start = |text: &str| {
                let mut cursor = Cursor::new(text.as_bytes(), 0, true);
                read(&mut cursor).map(|kind| (kind, cursor.position()))
            };
            let alone = read_at_start(&text);
            let followed = text.clone() + &",".repeat(MAX_READ);
            assert_eq!(read_at_start(&followed), alone, "{text}");
            if let Some((kind, _)) = alone
                && !kinds.contains(&kind)
            {
                kinds.push(kind);
            }
        }
        assert_eq!(kinds.len(), 5, "{kinds:?}");
    }
}
