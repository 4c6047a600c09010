//! Identifiers of letters and digits: IBAN, national numbers with letters, IPv6 and MAC addresses.

use std::net::Ipv6Addr;

use super::{Kind, checksums};
use crate::cursor::{Cursor, is_word};

/// The longest identifier, spaces included.
pub(super) const MAX_LEN: usize = 46;

/// Whether an identifier may begin with a word that has a digit in front, by the length of that word and what
/// follows it: most numbers are none, and tables have one at every other byte.
pub(super) fn may_begin_with_digits(length: usize, next: Option<u8>) -> bool {
    match next {
        _ if matches!(length, 9 | 16 | 18) => true,
        None => true,
        // An address of a machine, or of a network card.
        Some(b':') => length <= 4,
        // The same, or a number of Spain.
        Some(b'-') => matches!(length, 2 | 8),
        Some(_) => false,
    }
}

/// Whether an identifier may begin with a word that has a letter in front and a digit behind it.
pub(super) fn may_begin_with_letter(word: &[u8], next: Option<u8>) -> bool {
    // The country of an account, or the letters of an insurance.
    let has_letters = matches!(word, [_, second, digit, ..] if second.is_ascii_alphabetic() && digit.is_ascii_digit());
    has_letters || may_begin_with_digits(word.len(), next)
}

type Reader = fn(&mut Cursor<'_>) -> Option<Kind>;

const READERS: [Reader; 4] = [read_hex_address, read_iban, read_national, read_insurance];

/// Reads an identifier at the cursor and leaves the cursor at its end.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let start = cursor.clone();
    for reader in READERS {
        *cursor = start.clone();
        let found = reader(cursor);
        if found.is_some() || cursor.starved() {
            return found;
        }
    }
    *cursor = start;
    None
}

/// Eight groups of four digits, the last two of them written as an address of IPv4.
const LONGEST_ADDRESS: usize = 45;

/// IPv6 with at least four groups, or six pairs of a MAC address.
fn read_hex_address(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let begin = cursor.position();
    if !cursor.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let ahead = (1..=4).find(|&n| !cursor.peek_at(n).is_some_and(|b| b.is_ascii_hexdigit()))?;
    if !matches!(cursor.peek_at(ahead), Some(b':' | b'-')) {
        return None;
    }
    cursor.eat_while(MAX_LEN, |b| {
        b.is_ascii_hexdigit() || matches!(b, b':' | b'-' | b'.')
    });
    let whole = cursor.since(begin);
    let trimmed = whole
        .iter()
        .rev()
        .take_while(|b| matches!(b, b':' | b'-' | b'.'))
        .count();
    let text = std::str::from_utf8(&whole[..whole.len() - trimmed]).ok()?;
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    if trimmed == 0 && cursor.peek().is_some_and(is_word) {
        return None;
    }
    let colons = text.bytes().filter(|b| *b == b':').count();
    let is_mac = |by: char| {
        text.len() == 17
            && text.split(by).count() == 6
            && text.split(by).all(|pair| pair.len() == 2)
    };
    let kind = if is_mac(':') || is_mac('-') {
        Kind::MacAddress
    } else if colons >= 3
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.parse::<Ipv6Addr>().is_ok()
    {
        Kind::IpAddress
    } else {
        return None;
    };
    retreat(cursor, begin, text.len());
    Some(kind)
}

/// Puts the cursor `length` bytes after `begin`, keeping what it remembers.
fn retreat(cursor: &mut Cursor<'_>, begin: usize, length: usize) {
    cursor.rewind(begin);
    cursor.advance(length);
}

/// The lengths of IBANs by country.
const IBAN_LENGTHS: &[u8] = b"AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 \
    DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 \
    PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20";

/// The same for each two letters, 0 where there is no such country: texts may have one at every fifth byte.
const LENGTH_OF: [u8; 26 * 26] = {
    let mut lengths = [0; 26 * 26];
    let mut at = 0;
    while at < IBAN_LENGTHS.len() {
        let first = (IBAN_LENGTHS[at] - b'A') as usize;
        let second = (IBAN_LENGTHS[at + 1] - b'A') as usize;
        let tens = IBAN_LENGTHS[at + 2] - b'0';
        lengths[first * 26 + second] = tens * 10 + IBAN_LENGTHS[at + 3] - b'0';
        at += 5;
    }
    lengths
};

/// The length of an IBAN of a country, whose letters are capitals.
fn iban_length(country: [u8; 2]) -> Option<usize> {
    let [first, second] = country.map(|letter| usize::from(letter.wrapping_sub(b'A')));
    let length = LENGTH_OF.get(first * 26 + second)?;
    (*length > 0).then_some(usize::from(*length))
}

fn read_iban(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let letters = [cursor.peek()?, cursor.peek_at(1)?];
    let shaped = letters.iter().all(u8::is_ascii_alphabetic)
        && cursor.peek_at(2)?.is_ascii_digit()
        && cursor.peek_at(3)?.is_ascii_digit();
    if !shaped {
        return None;
    }
    let length = iban_length(letters.map(|letter| letter.to_ascii_uppercase()))?;
    let mut characters = Vec::with_capacity(length);
    while characters.len() < length {
        let byte = cursor.peek()?;
        if byte.is_ascii_alphanumeric() {
            characters.push(byte);
        } else if !matches!(byte, b' ' | b'-') || characters.len() % 4 != 0 {
            return None;
        }
        cursor.advance(1);
    }
    let ends = !cursor.peek().is_some_and(is_word);
    (ends && checksums::is_iban(&characters)).then_some(Kind::Iban)
}

/// Spain, Italy, Singapore, China: one word with a check character.
fn read_national(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let begin = cursor.position();
    let mut length = cursor.eat_while(20, is_word);
    if length == 8
        && cursor.peek() == Some(b'-')
        && cursor.peek_at(1).is_some_and(|b| b.is_ascii_alphabetic())
    {
        cursor.advance(1);
        length += cursor.eat_while(2, is_word);
    }
    if cursor.peek().is_some_and(is_word) {
        return None;
    }
    if !matches!(length, 9 | 16 | 18) {
        return None;
    }
    let word: Vec<u8> = cursor
        .since(begin)
        .iter()
        .filter(|b| **b != b'-')
        .map(u8::to_ascii_uppercase)
        .collect();
    let found = match length {
        9 => is_spanish(&word) || is_singaporean(&word),
        16 => is_italian(&word),
        18 => {
            let digits: Vec<u8> = word[..17].iter().map(|b| b.wrapping_sub(b'0')).collect();
            word[17] == b'X'
                && digits.iter().all(|&d| d < 10)
                && checksums::is_chinese(&digits, Some(b'X'))
        }
        _ => false,
    };
    found.then_some(Kind::NationalId)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// DNI `12345678Z` and NIE `X1234567L`.
fn is_spanish(word: &[u8]) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let mut digits = word[..8].to_vec();
    if let b'X'..=b'Z' = digits[0] {
        digits[0] = digits[0] - b'X' + b'0';
    }
    number(&digits).is_some_and(|number| LETTERS[(number % 23) as usize] == word[8])
}

/// NRIC and FIN `S1234567D`.
fn is_singaporean(word: &[u8]) -> bool {
    if number(&word[1..8]).is_none() {
        return false;
    }
    let weights = [2_u32, 7, 6, 5, 4, 3, 2];
    let sum: u32 = word[1..8]
        .iter()
        .zip(weights)
        .map(|(b, weight)| u32::from(b - b'0') * weight)
        .sum();
    let (table, shift): (&[u8; 11], u32) = match word[0] {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        _ => return false,
    };
    table[((sum + shift) % 11) as usize] == word[8]
}

/// Codice fiscale `RSSMRA85T10A562S`.
fn is_italian(word: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let shape = b"AAAAAA00A00A000A";
    let fits = word.iter().zip(shape).all(|(byte, kind)| match kind {
        b'A' => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_digit() || matches!(byte, b'L'..=b'N' | b'P'..=b'V'),
    });
    if !fits {
        return false;
    }
    let value = |byte: u8| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A'
        }
    };
    let sum: u32 = word[..15]
        .iter()
        .enumerate()
        .map(|(index, &byte)| match index % 2 {
            0 => ODD[usize::from(value(byte))],
            _ => u32::from(value(byte)),
        })
        .sum();
    u32::from(word[15] - b'A') == sum % 26
}

/// UK National Insurance `QQ 12 34 56 C`.
fn read_insurance(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let prefix = [cursor.peek()?, cursor.peek_at(1)?];
    let allowed = |byte: u8| byte.is_ascii_uppercase() && !b"DFIQUV".contains(&byte);
    let reserved = [*b"BG", *b"GB", *b"NK", *b"KN", *b"TN", *b"NT", *b"ZZ"].contains(&prefix);
    if !allowed(prefix[0]) || !allowed(prefix[1]) || prefix[1] == b'O' || reserved {
        return None;
    }
    cursor.advance(2);
    for _ in 0..3 {
        cursor.eat(b' ');
        if cursor.eat_while(2, |b| b.is_ascii_digit()) != 2 {
            return None;
        }
    }
    cursor.eat(b' ');
    let ends = cursor.eat_if(|b| matches!(b, b'A'..=b'D')) && !cursor.peek().is_some_and(is_word);
    ends.then_some(Kind::NationalId)
}
