//! The check digits of cards and national numbers.

use super::number::{Around, Run};
use crate::cursor::contains_word;

/// The check of card numbers (ISO/IEC 7812).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, u32::from(digit) * 2) {
            (0, _) => u32::from(digit),
            (_, doubled) => doubled / 10 + doubled % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether the first digits belong to a card scheme that issues numbers of this length.
pub(super) fn has_card_issuer(digits: &[u8]) -> bool {
    let first = |count: usize| {
        digits[..count]
            .iter()
            .fold(0_u32, |sum, &d| sum * 10 + u32::from(d))
    };
    let (two, four, length) = (first(2), first(4), digits.len());
    match digits[0] {
        4 => matches!(length, 13 | 16 | 19),
        5 => {
            (51..=55).contains(&two) && length == 16 || matches!(two, 50 | 56..=58) && length >= 12
        }
        2 => (2221..=2720).contains(&four) && length == 16 || four == 2131 && length == 15,
        1 => four == 1800 && length == 15,
        3 => match two {
            34 | 37 => length == 15,
            30 | 36 | 38 | 39 => length >= 14,
            35 => (16..=19).contains(&length),
            _ => false,
        },
        6 => length >= 12,
        _ => false,
    }
}

/// The check of Aadhaar numbers (Verhoeff's dihedral scheme).
fn verhoeff(digits: &[u8]) -> bool {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted =
        |digit: u8, times: usize| (0..times % 8).fold(digit, |d, _| STEP[usize::from(d)]);
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0_u8, |check, (index, &digit)| {
            TIMES[usize::from(check)][usize::from(permuted(digit, index))]
        });
    check == 0
}

/// The value of at most nineteen digits.
fn value(digits: &[u8]) -> u64 {
    let add = |value, digit: &u8| value * 10 + u64::from(*digit);
    digits.iter().fold(0, add)
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| u32::from(digit) * weight)
        .sum()
}

/// Whether the last four bytes of a date `yymmdd` can be a month and a day.
fn is_month_and_day(digits: &[u8]) -> bool {
    let month = digits[2] * 10 + digits[3];
    let day = digits[4] * 10 + digits[5];
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Whether the run is a national number: by a strong check, or by a weak one where words name it.
pub(super) fn is_national_number(run: &Run<'_>, around: &Around<'_>) -> bool {
    if run.international || run.bracketed || run.digits.iter().all(|d| *d == run.digits[0]) {
        return false;
    }
    let d = run.digits;
    let near = |words: &[&str]| contains_word(around.before, words);
    match d.len() {
        // These count only where words name them.
        8..=10 if !around.has_words => false,
        8 | 9 => {
            (is_dutch(d) && near(&["bsn", "burgerservicenummer", "sofinummer"]))
                || (luhn(d) && near(&["sin", "social insurance"]))
                || (is_australian(d) && near(&["tfn", "tax file"]))
        }
        10 => {
            (is_nhs(d) && near(&["nhs"]))
                || (luhn(d) && is_month_and_day(d) && near(&["personnummer", "personal number"]))
        }
        11 => {
            (run.is_grouped(&[3, 3, 3, 2], b".-") && is_brazilian(d))
                || around.has_words && is_named_of_eleven(d, near)
        }
        12 => {
            let grouped = run.is_grouped(&[4, 4, 4], b" -");
            let named = grouped || near(&["aadhaar", "aadhar", "uidai"]);
            d[0] >= 2 && named && verhoeff(d)
        }
        13 => {
            let korean =
                run.is_grouped(&[6, 7], b"-") && is_month_and_day(d) && (1..=8).contains(&d[6]);
            let african =
                is_month_and_day(d) && near(&["id number", "identity number", "id"]) && luhn(d);
            let swiss = run.is_grouped(&[3, 4, 4, 2], b".") && is_swiss(d);
            korean || african || swiss
        }
        FRENCH_DIGITS => is_french(d),
        18 => run.is_plain() && is_chinese(d, None),
        _ => false,
    }
}

fn is_named_of_eleven(d: &[u8], near: impl Fn(&[&str]) -> bool) -> bool {
    let tax = [
        "steuer",
        "steuer-id",
        "idnr",
        "tax id",
        "tin",
        "steueridentifikationsnummer",
    ];
    (is_brazilian(d) && near(&["cpf"]))
        || (is_german_tax(d) && near(&tax))
        || (is_polish(d) && near(&["pesel"]))
}

fn is_dutch(d: &[u8]) -> bool {
    let mut padded = [0; 9];
    padded[9 - d.len()..].copy_from_slice(d);
    let sum = weighted(&padded[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == u32::from(padded[8])
}

/// An insurance number: the country, and the check of article numbers (EAN-13).
fn is_swiss(d: &[u8]) -> bool {
    let sum = weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    d.starts_with(&[7, 5, 6]) && sum.is_multiple_of(10)
}

fn is_australian(d: &[u8]) -> bool {
    d.len() == 9 && weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

fn is_nhs(d: &[u8]) -> bool {
    let check = 11 - weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == u32::from(d[9]) && check != 10
}

fn is_brazilian(d: &[u8]) -> bool {
    let check = |count: usize| {
        let weights = (2..=count as u32 + 1).rev();
        let sum: u32 = d
            .iter()
            .zip(weights)
            .map(|(&d, by)| u32::from(d) * by)
            .sum();
        sum * 10 % 11 % 10
    };
    check(9) == u32::from(d[9]) && check(10) == u32::from(d[10])
}

/// ISO 7064 Mod 11,10.
fn is_german_tax(d: &[u8]) -> bool {
    let product = d[..10].iter().fold(10_u32, |product, &digit| {
        let sum = (u32::from(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    d[0] != 0 && (11 - product) % 10 == u32::from(d[10])
}

fn is_polish(d: &[u8]) -> bool {
    let sum = weighted(&d[..10], &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    (10 - sum % 10) % 10 == u32::from(d[10])
}

/// How many digits a number of France has.
pub(super) const FRENCH_DIGITS: usize = 15;

/// Sex, year, month, place, order, and the key modulo 97.
pub(super) fn is_french(d: &[u8]) -> bool {
    let month = d[3] * 10 + d[4];
    let month_fits = matches!(month, 1..=12 | 20..=42 | 50..=99);
    matches!(d[0], 1 | 2) && month_fits && 97 - value(&d[..13]) % 97 == value(&d[13..])
}

/// A Chinese resident number; `last` is its last character when that is `X`.
pub(super) fn is_chinese(d: &[u8], last: Option<u8>) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    if d.len() < 17 || !is_month_and_day(&d[8..14]) || !matches!((d[6], d[7]), (1, 8 | 9) | (2, 0))
    {
        return false;
    }
    let check = (12 - weighted(&d[..17], &WEIGHTS) % 11) % 11;
    match last {
        Some(_) => check == 10,
        None => d.get(17).is_some_and(|&digit| u32::from(digit) == check),
    }
}

/// Whether an IBAN's characters leave 1 modulo 97 (ISO 13616).
pub(super) fn is_iban(characters: &[u8]) -> bool {
    let moved = characters.iter().skip(4).chain(characters.iter().take(4));
    let rest = moved.fold(0_u32, |rest, &byte| match byte.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => (rest * 10 + u32::from(digit - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.saturating_sub(b'A')) + 10) % 97,
    });
    rest == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes()
            .filter(u8::is_ascii_digit)
            .map(|b| b - b'0')
            .collect()
    }

    #[test]
    fn published_examples_pass_and_their_neighbours_do_not() {
        type Check = fn(&[u8]) -> bool;
        let cases: [(&str, Check); 10] = [
            ("4111111111111111", luhn),
            ("943 476 5919", is_nhs),
            ("111222333", is_dutch),
            ("123 456 782", is_australian),
            ("111.444.777-35", is_brazilian),
            ("86095742719", is_german_tax),
            ("44051401359", is_polish),
            ("756.1234.5678.97", is_swiss),
            ("2 69 05 49 588 157 80", is_french),
            ("2341 2341 2346", verhoeff),
        ];
        for (number, check) in cases {
            let mut number = digits(number);
            assert!(check(&number), "{number:?}");
            let last = number.len() - 1;
            number[last] = (number[last] + 1) % 10;
            assert!(!check(&number), "{number:?}");
        }
        assert!(is_iban(b"GB82WEST12345698765432") && !is_iban(b"GB82WEST12345698765433"));
        assert!(is_chinese(&digits("11010519491231002"), Some(b'X')));
    }
}
