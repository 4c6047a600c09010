//! Telephone numbers: strong shapes count by themselves, weak ones only where words announce them.

use super::number::{Around, Run};
use crate::cursor::contains_word;

const BEFORE: [&str; 24] = [
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "call",
    "calling",
    "fax",
    "whatsapp",
    "sms",
    "dial",
    "contact",
    "reach",
    "number is",
    "handy",
    "telefon",
    "téléphone",
    "teléfono",
    "telefono",
    "rufnummer",
    "móvil",
    "hotline",
    "ring",
    "text",
];

const AFTER: [&str; 6] = ["office", "fax", "mobile", "cell", "home", "ext"];

/// Whether the words around a number say that it is one of a telephone.
pub(super) fn is_announced(before: &[u8], after: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(48)..];
    contains_word(near, &BEFORE) || contains_word(after, &AFTER)
}

/// Whether the digits, as grouped, are a telephone number.
pub(super) fn is_phone(run: &Run<'_>, around: &Around<'_>) -> bool {
    let count = run.digits.len();
    // Words are looked for last.
    (7..=15).contains(&count) && !is_something_else(run, around) && is_shaped(run, around)
}

fn is_shaped(run: &Run<'_>, around: &Around<'_>) -> bool {
    let count = run.digits.len();
    if run.international {
        return count >= 8;
    }
    let decimal = run.groups.len() == 2 && run.separators[0] == b'.';
    is_north_american(run)
        || is_trunk(run)
        || (run.bracketed && count >= 8 && run.groups.len() >= 2)
        || (!decimal && (run.groups.len() >= 2 || count >= 8) && around.announces_phone())
}

/// A date, a filler, a long number or an amount of money.
fn is_something_else(run: &Run<'_>, around: &Around<'_>) -> bool {
    is_date(run)
        || run.digits.iter().all(|d| *d == run.digits[0])
        || run.groups.iter().any(|&length| length > 12)
        || around.before.ends_with(b"$")
}

/// `541-714-1388`, `(541) 714-1388`, `1-541-714-1388`.
fn is_north_american(run: &Run<'_>) -> bool {
    let separators = b"-. )";
    let digits = match run.digits {
        [1, rest @ ..] if run.is_grouped(&[1, 3, 3, 4], b"-. (") => rest,
        all if run.is_grouped(&[3, 3, 4], separators) => all,
        _ => return false,
    };
    let dotted = run.separators.iter().all(|&b| b == b'.');
    let spaced = run.separators.iter().all(|&b| b == b' ');
    let mixed = !dotted && !spaced;
    digits[0] >= 2 && (mixed || digits[3] >= 2)
}

/// A leading zero and at least three groups: `0490 75 40 81`, `05 12 34 56 78`, `07700 063 966`.
fn is_trunk(run: &Run<'_>) -> bool {
    run.digits[0] == 0
        && run.digits[1] != 0
        && (9..=11).contains(&run.digits.len())
        && run.groups.len() >= 3
        && run.groups[0] >= 2
        && run.groups.iter().skip(1).all(|&length| length >= 2)
        && run.separators.iter().all(|&b| matches!(b, b' ' | b'-'))
}

/// `2024-05-17`, `17.05.2024`, `17/05/24 10`.
fn is_date(run: &Run<'_>) -> bool {
    let [a, b, c, ..] = run.groups[..] else {
        return false;
    };
    let [a, b, c] = [a, b, c].map(usize::from);
    let value = |from: usize, length: usize| {
        run.digits[from..from + length]
            .iter()
            .fold(0_u32, |sum, &d| sum * 10 + u32::from(d))
    };
    let same =
        run.separators[0] == run.separators[1] && matches!(run.separators[0], b'-' | b'.' | b'/');
    let (first, second, third) = (
        value(0, a.min(4)),
        value(a, b.min(4)),
        value(a + b, c.min(4)),
    );
    let year_first = a == 4 && (1900..2100).contains(&first) && b <= 2 && second <= 12 && c <= 2;
    let year_last =
        c == 4 && a <= 2 && b <= 2 && first <= 31 && second <= 31 && (1900..2100).contains(&third);
    same && (year_first || year_last)
}
