//! Addresses of the form `12 Long Acre Street`: a house number, capitalised words, a kind of street.

use super::Kind;
use crate::cursor::{Cursor, is_word};

const STREETS: [&str; 30] = [
    "street",
    "st",
    "avenue",
    "ave",
    "road",
    "rd",
    "boulevard",
    "blvd",
    "lane",
    "ln",
    "drive",
    "dr",
    "court",
    "ct",
    "square",
    "sq",
    "terrace",
    "way",
    "place",
    "pl",
    "parkway",
    "pkwy",
    "highway",
    "hwy",
    "close",
    "crescent",
    "alley",
    "trail",
    "circle",
    "quay",
];

/// Words that follow a number in ordinary sentences.
const MAX_WORDS: usize = 4;

/// Reads an address at the cursor and leaves the cursor at its end.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let digits = cursor.eat_while(6, |b| b.is_ascii_digit());
    cursor.eat_if(|b| b.is_ascii_alphabetic());
    if !(1..=5).contains(&digits) || !cursor.eat(b' ') {
        return None;
    }
    for count in 0..MAX_WORDS {
        if !cursor
            .peek()
            .is_some_and(|b| b.is_ascii_uppercase() || b >= 0xC3)
        {
            return None;
        }
        let word = cursor.position();
        cursor.eat_while(24, |b| b.is_ascii_alphabetic() || b >= 0x80 || b == b'\'');
        let bytes = cursor.since(word);
        if cursor.peek().is_some_and(is_word) {
            return None;
        }
        if count > 0
            && STREETS
                .iter()
                .any(|street| bytes.eq_ignore_ascii_case(street.as_bytes()))
        {
            return Some(Kind::Address);
        }
        cursor.eat(b'.');
        if !cursor.eat(b' ') {
            return None;
        }
    }
    None
}
