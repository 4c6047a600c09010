//! What only the words before it give away: names, birthdays, passports, licences, postal codes.

use std::ops::Range;

use super::Kind;
use crate::cursor::{Cursor, is_word};

/// What an announcement is followed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    Name,
    Birthday,
    Document(Kind),
    PostalCode,
}

/// Announcements, in lower case.
pub(super) const ANNOUNCEMENTS: [(&str, Announced); 38] = [
    ("my name is ", Announced::Name),
    ("my name's ", Announced::Name),
    ("mein name ist ", Announced::Name),
    ("ich heiße ", Announced::Name),
    ("je m'appelle ", Announced::Name),
    ("me llamo ", Announced::Name),
    ("mi chiamo ", Announced::Name),
    ("mr. ", Announced::Name),
    ("mrs. ", Announced::Name),
    ("ms. ", Announced::Name),
    ("dr. ", Announced::Name),
    ("mr ", Announced::Name),
    ("mrs ", Announced::Name),
    ("full name: ", Announced::Name),
    ("first name: ", Announced::Name),
    ("last name: ", Announced::Name),
    ("surname: ", Announced::Name),
    ("patient: ", Announced::Name),
    ("customer name: ", Announced::Name),
    ("born on ", Announced::Birthday),
    ("born ", Announced::Birthday),
    ("date of birth", Announced::Birthday),
    ("dob", Announced::Birthday),
    ("birthday", Announced::Birthday),
    ("birthdate", Announced::Birthday),
    ("geboren am ", Announced::Birthday),
    ("geburtsdatum", Announced::Birthday),
    ("née le ", Announced::Birthday),
    ("né le ", Announced::Birthday),
    ("fecha de nacimiento", Announced::Birthday),
    ("passport", Announced::Document(Kind::Passport)),
    ("reisepass", Announced::Document(Kind::Passport)),
    ("pasaporte", Announced::Document(Kind::Passport)),
    ("passeport", Announced::Document(Kind::Passport)),
    ("driver's license", Announced::Document(Kind::DriverLicence)),
    ("driver license", Announced::Document(Kind::DriverLicence)),
    ("driving licence", Announced::Document(Kind::DriverLicence)),
    ("zip code", Announced::PostalCode),
];

/// Reads what follows an announcement.
pub(super) fn read(announced: Announced, cursor: &mut Cursor<'_>) -> Option<(Kind, Range<usize>)> {
    match announced {
        Announced::Name => read_name(cursor).map(|span| (Kind::PersonName, span)),
        Announced::Birthday => {
            eat_link(cursor);
            read_date(cursor).map(|span| (Kind::DateOfBirth, span))
        }
        Announced::Document(kind) => {
            eat_link(cursor);
            read_document(cursor).map(|span| (kind, span))
        }
        Announced::PostalCode => {
            eat_link(cursor);
            read_postal_code(cursor).map(|span| (Kind::PostalCode, span))
        }
    }
}

/// `: `, ` is `, ` number is `, ` no. `.
fn eat_link(cursor: &mut Cursor<'_>) {
    cursor.eat_while(2, |b| matches!(b, b' ' | b':' | b'='));
    for word in ["numbers", "number", "no.", "no", "#", "is", "was", "on"] {
        if cursor.eat_ignoring_case(word.as_bytes()) {
            cursor.eat_while(2, |b| matches!(b, b' ' | b':' | b'='));
        }
    }
}

/// One to three capitalised words.
fn read_name(cursor: &mut Cursor<'_>) -> Option<Range<usize>> {
    let begin = cursor.position();
    let mut end = None;
    for _ in 0..3 {
        if !cursor
            .peek()
            .is_some_and(|b| b.is_ascii_uppercase() || b >= 0xC3)
        {
            break;
        }
        let word = cursor.position();
        cursor.eat_while(40, |b| {
            b.is_ascii_alphabetic() || b >= 0x80 || matches!(b, b'\'' | b'-')
        });
        let bytes = cursor.since(word);
        if bytes.len() < 2 || cursor.peek().is_some_and(is_word) {
            break;
        }
        end = Some(cursor.position());
        if !cursor.eat(b' ') {
            break;
        }
    }
    end.map(|end| begin..end)
}

/// A word of 6 to 16 letters and digits, with at least four digits.
fn read_document(cursor: &mut Cursor<'_>) -> Option<Range<usize>> {
    let begin = cursor.position();
    cursor.eat_while(17, |b| b.is_ascii_alphanumeric() || b == b'-');
    let word = cursor.since(begin);
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    (digits >= 4 && (6..=16).contains(&word.len())).then(|| begin..cursor.position())
}

fn read_postal_code(cursor: &mut Cursor<'_>) -> Option<Range<usize>> {
    let begin = cursor.position();
    let digits = cursor.eat_while(6, |b| b.is_ascii_digit());
    if cursor.peek() == Some(b'-') && cursor.peek_at(1).is_some_and(|b| b.is_ascii_digit()) {
        cursor.advance(1);
        cursor.eat_while(4, |b| b.is_ascii_digit());
    }
    (digits >= 3 && !cursor.peek().is_some_and(is_word)).then(|| begin..cursor.position())
}

const MONTHS: [&str; 24] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mai",
    "okt", "dez", "avr", "juin", "fév", "ene", "abr", "ago", "dic", "gen", "mag",
];

/// `2/8/1935`, `1935-02-08`, `8 February 1935`, `February 8, 1935`.
fn read_date(cursor: &mut Cursor<'_>) -> Option<Range<usize>> {
    let begin = cursor.position();
    let mut parts = 0;
    let mut has_month = false;
    let mut digits = 0;
    while parts < 3 {
        let word = cursor.position();
        let numbers = cursor.eat_while(4, |b| b.is_ascii_digit());
        digits += numbers;
        if numbers > 0 {
            cursor.eat_while(2, |b| matches!(b, b's' | b't' | b'n' | b'd' | b'r' | b'h'));
        } else {
            cursor.eat_while(12, |b| b.is_ascii_alphabetic() || b >= 0x80);
            let name = cursor.since(word).to_ascii_lowercase();
            if has_month
                || !MONTHS
                    .iter()
                    .any(|month| name.starts_with(month.as_bytes()))
            {
                return None;
            }
            has_month = true;
        }
        parts += 1;
        if parts < 3 {
            let gap = cursor.eat_while(2, |b| matches!(b, b'/' | b'-' | b'.' | b' ' | b','));
            if gap == 0 {
                return None;
            }
        }
    }
    let enough = digits >= if has_month { 3 } else { 4 };
    (enough && !cursor.peek().is_some_and(|b| b.is_ascii_digit())).then(|| begin..cursor.position())
}
