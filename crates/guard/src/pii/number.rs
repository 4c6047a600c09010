//! Numbers of people: reads a run of digit groups and asks each kind whether it is one of its own.

mod glance;

use std::cell::OnceCell;

use super::ip::{self, Next};
use super::{Kind, checksums, phone};
use crate::cursor::{Cursor, contains_word, has_letter};

const MAX_RUN: usize = 44;
const MAX_GROUPS: usize = 10;
/// No number of people has fewer digits, or more.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=19;
/// Cards have so many digits, where no word names them.
const LEAST_OF_PLAIN: usize = 14;

/// What stands around a number.
pub(super) struct Around<'a> {
    pub(super) before: &'a [u8],
    after: &'a [u8],
    /// Whether a letter stands before it: else no word does.
    pub(super) has_words: bool,
    phone: OnceCell<bool>,
}

impl Around<'_> {
    /// Whether it says that the number is one of a telephone; looked for once for all its beginnings.
    pub(super) fn announces_phone(&self) -> bool {
        let is_announced = || phone::is_announced(self.before, self.after);
        *self.phone.get_or_init(is_announced)
    }
}

/// The most digits that a run can have: its last group may begin at its end.
const MAX_DIGITS: usize = MAX_RUN + MAX_GROUP;
/// The most digits of a group.
const MAX_GROUP: usize = 20;
/// The most bytes between two groups.
const MAX_GAP: usize = 3;

/// Groups of digits with what stands between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'r> {
    /// All digits, as numbers.
    pub(super) digits: &'r [u8],
    /// The length of each group.
    pub(super) groups: &'r [u8],
    /// The first byte between group `n` and the next.
    pub(super) separators: &'r [u8],
    /// How far behind the beginning of the run the last group ends.
    end: usize,
    /// Whether it begins with `+`.
    pub(super) international: bool,
    /// Whether it begins with `(`.
    pub(super) bracketed: bool,
}

/// The groups that were read, on the stack: tables have a number at every other byte.
#[derive(Debug)]
struct Groups {
    digits: [u8; MAX_DIGITS],
    lengths: [u8; MAX_GROUPS],
    separators: [u8; MAX_GROUPS],
    /// How far behind the beginning of the run each group ends.
    ends: [u8; MAX_GROUPS],
    /// For each group, how many digits it and those before it have.
    totals: [u8; MAX_GROUPS],
    count: usize,
    international: bool,
    bracketed: bool,
}

impl Groups {
    /// How many digits the first `count` groups have.
    fn digits_of(&self, count: usize) -> usize {
        count
            .checked_sub(1)
            .map_or(0, |last| usize::from(self.totals[last]))
    }

    /// The first `count` groups.
    fn first(&self, count: usize) -> Run<'_> {
        Run {
            digits: &self.digits[..self.digits_of(count)],
            groups: &self.lengths[..count],
            separators: &self.separators[..count - 1],
            end: usize::from(self.ends[count - 1]),
            international: self.international,
            bracketed: self.bracketed,
        }
    }

    /// Adds a group that ends so far behind the beginning of the run; both are bounded by what a run may be.
    fn add(&mut self, digits: &[u8], end: usize) {
        let from = self.digits_of(self.count);
        for (kept, digit) in self.digits[from..].iter_mut().zip(digits) {
            *kept = digit - b'0';
        }
        let small = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        self.lengths[self.count] = small(digits.len());
        self.ends[self.count] = small(end);
        self.totals[self.count] = small(from + digits.len());
        self.count += 1;
    }
}

impl Run<'_> {
    pub(super) fn is_grouped(&self, groups: &[u8], separators: &[u8]) -> bool {
        self.groups == groups && self.separators.iter().all(|byte| separators.contains(byte))
    }

    pub(super) fn is_plain(&self) -> bool {
        self.groups.len() == 1 && !self.international && !self.bracketed
    }
}

/// Whether a number may begin with a word of so many digits, by what follows it.
pub(super) fn may_begin(digits: usize, next: Option<u8>) -> bool {
    digits >= *DIGITS.start() || next.is_none_or(is_separator)
}

/// Reads a number at the cursor and leaves the cursor at its end.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Kind> {
    let start = cursor.position();
    let before = cursor.behind(start);
    if let [.., b'0'..=b'9', b'.' | b'-' | b'/' | b':'] = before {
        return None;
    }
    if glance::is_nobodys(cursor, before) || glance::is_short(cursor) {
        return None;
    }
    let mut ahead = cursor.clone();
    let run = match ahead.ahead::<MAX_READ>() {
        // Tables have a number at every other byte: what is all there is read without asking for each.
        Some(text) => {
            let mut plain = Plain { text, position: 0 };
            let run = read_run(&mut plain);
            ahead.advance(plain.position);
            run
        }
        None => read_run(&mut ahead),
    };
    let next = read_next(&run, &mut ahead);
    let after = read_word_after(&mut ahead);
    if ahead.starved() {
        // One place decides for all kinds: the whole run must have arrived.
        cursor.peek_at(usize::MAX / 2);
        return None;
    }
    if run.count >= 4 && run.separators[..3] == *b"..." {
        if run.bracketed {
            // The bracket is none of it: it is looked at again from its first digit on.
            return None;
        }
        if ip::is_address(&run.first(4), before, next) {
            cursor.advance(usize::from(run.ends[3]));
            return Some(Kind::IpAddress);
        }
    }
    let around = Around {
        before,
        after,
        has_words: has_letter(before),
        phone: OnceCell::new(),
    };
    let least = match is_lone(&run) && !around.has_words && !around.announces_phone() {
        true => LEAST_OF_LONE,
        false => *DIGITS.start(),
    };
    (1..=run.count).rev().find_map(|count| {
        if !(least..=*DIGITS.end()).contains(&run.digits_of(count)) {
            return None;
        }
        let part = run.first(count);
        let kind = classify(&part, &around)?;
        cursor.advance(part.end);
        Some(kind)
    })
}

/// No number of people begins with a digit by itself and has fewer digits, unless words name it.
const LEAST_OF_LONE: usize = 11;

/// Whether the first group is one digit, and no sign of a telephone number stands before it.
fn is_lone(run: &Groups) -> bool {
    run.lengths[0] == 1 && !run.international && !run.bracketed
}

/// No run looks at more bytes: a group and its extension may begin at the end of the longest.
const MAX_READ: usize = 96;

/// What a run is read from.
trait Reading {
    fn position(&self) -> usize;
    fn peek_at(&mut self, ahead: usize) -> Option<u8>;
    fn advance(&mut self, count: usize);
    /// Consumes at most `limit` digits, and says how many.
    fn eat_digits(&mut self, limit: usize) -> usize;
    fn since(&self, begin: usize) -> &[u8];

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek_at(0) == Some(byte);
        self.advance(usize::from(is_next));
        is_next
    }
}

impl Reading for Cursor<'_> {
    fn position(&self) -> usize {
        Cursor::position(self)
    }

    fn peek_at(&mut self, ahead: usize) -> Option<u8> {
        Cursor::peek_at(self, ahead)
    }

    fn advance(&mut self, count: usize) {
        Cursor::advance(self, count);
    }

    fn eat_digits(&mut self, limit: usize) -> usize {
        self.eat_while(limit, |b| b.is_ascii_digit())
    }

    fn since(&self, begin: usize) -> &[u8] {
        Cursor::since(self, begin)
    }
}

/// Bytes that have all arrived.
struct Plain<'a> {
    text: &'a [u8; MAX_READ],
    position: usize,
}

impl Reading for Plain<'_> {
    fn position(&self) -> usize {
        self.position
    }

    fn peek_at(&mut self, ahead: usize) -> Option<u8> {
        self.text.get(self.position + ahead).copied()
    }

    fn advance(&mut self, count: usize) {
        self.position += count;
    }

    fn eat_digits(&mut self, limit: usize) -> usize {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let digits = rest.iter().take(limit).take_while(|b| b.is_ascii_digit());
        let count = digits.count();
        self.position += count;
        count
    }

    fn since(&self, begin: usize) -> &[u8] {
        self.text.get(begin..self.position).unwrap_or_default()
    }
}

fn read_run(cursor: &mut impl Reading) -> Groups {
    let begin = cursor.position();
    let mut run = Groups {
        digits: [0; MAX_DIGITS],
        lengths: [0; MAX_GROUPS],
        separators: [0; MAX_GROUPS],
        ends: [0; MAX_GROUPS],
        totals: [0; MAX_GROUPS],
        count: 0,
        international: cursor.eat(b'+'),
        bracketed: cursor.eat(b'('),
    };
    while run.count < MAX_GROUPS && cursor.position() - begin < MAX_RUN {
        let group = cursor.position();
        let length = cursor.eat_digits(MAX_GROUP);
        let extended = length > 0 && run.count >= 2 && eat_extension(cursor);
        if length == 0
            || cursor
                .peek_at(0)
                .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        {
            break;
        }
        run.add(&cursor.since(group)[..length], cursor.position() - begin);
        let gap = (0..=MAX_GAP)
            .take_while(|&n| cursor.peek_at(n).is_some_and(is_separator))
            .count();
        if extended
            || gap == 0
            || gap > MAX_GAP
            || !cursor.peek_at(gap).is_some_and(|b| b.is_ascii_digit())
        {
            break;
        }
        run.separators[run.count - 1] = cursor.peek_at(0).unwrap_or(b' ');
        cursor.advance(gap);
    }
    run
}

/// `x4587` after a telephone number.
fn eat_extension(cursor: &mut impl Reading) -> bool {
    let there =
        cursor.peek_at(0) == Some(b'x') && cursor.peek_at(1).is_some_and(|b| b.is_ascii_digit());
    if there {
        cursor.advance(1);
        cursor.eat_digits(6);
    }
    there
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/')
}

/// What directly follows four groups, which may be a version.
fn read_next(run: &Groups, ahead: &mut Cursor<'_>) -> Next {
    if run.count != 4 {
        return Next::Other;
    }
    match ahead.peek() {
        Some(b')') => Next::Bracket,
        Some(b'.') => {
            let word: Vec<u8> = (1..7)
                .map_while(|n| ahead.peek_at(n).filter(u8::is_ascii_alphanumeric))
                .collect();
            let is_file = ip::FILES.iter().any(|file| word == file.as_bytes());
            if is_file { Next::File } else { Next::Other }
        }
        _ => Next::Other,
    }
}

/// The word that follows a number on its line, such as `office` or `fax`.
fn read_word_after<'a>(cursor: &mut Cursor<'a>) -> &'a [u8] {
    cursor.eat_while(2, |b| matches!(b, b' ' | b',' | b'-'));
    let begin = cursor.position();
    cursor.eat_while(8, |b| b.is_ascii_alphabetic());
    cursor.since(begin)
}

fn classify(run: &Run<'_>, around: &Around<'_>) -> Option<Kind> {
    let before = around.before;
    if is_card(run, before) {
        return Some(Kind::CreditCard);
    }
    if is_ssn(run, before) {
        return Some(Kind::UsSsn);
    }
    if checksums::is_national_number(run, around) {
        return Some(Kind::NationalId);
    }
    phone::is_phone(run, around).then_some(Kind::Phone)
}

fn is_card(run: &Run<'_>, before: &[u8]) -> bool {
    let digits = run.digits;
    if !(12..=19).contains(&digits.len()) {
        return false;
    }
    let grouped = run.is_plain()
        || run.is_grouped(&[4, 4, 4, 4], b" -.")
        || run.is_grouped(&[4, 6, 5], b" -")
        || run.is_grouped(&[4, 6, 4], b" -")
        || run.is_grouped(&[4, 4, 4, 4, 3], b" -");
    if !grouped || !checksums::luhn(digits) {
        return false;
    }
    if digits.iter().all(|digit| digit == &digits[0]) {
        return false;
    }
    let near = || {
        let words = [
            "card",
            "cc",
            "visa",
            "mastercard",
            "amex",
            "credit",
            "debit",
            "karte",
            "tarjeta",
            "carte",
            "maestro",
        ];
        contains_word(before, &words)
    };
    checksums::has_card_issuer(digits) && (digits.len() >= LEAST_OF_PLAIN || near())
}

fn is_ssn(run: &Run<'_>, before: &[u8]) -> bool {
    if run.digits.len() != 9 || run.international {
        return false;
    }
    let named = || contains_word(before, &["ssn", "social security", "social-security"]);
    let shaped = run.is_grouped(&[3, 2, 4], b"-") || (run.is_grouped(&[3, 2, 4], b" ") && named());
    if !(shaped || (run.is_plain() && named())) {
        return false;
    }
    let d = run.digits;
    let area = u16::from(d[0]) * 100 + u16::from(d[1]) * 10 + u16::from(d[2]);
    !matches!(area, 0 | 666 | 900..) && d[3..5] != [0, 0] && d[5..] != [0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn a_run_is_the_same_whichever_way_it_is_read() {
        let pieces = [
            "1",
            "42",
            "0000000",
            " ",
            "-",
            ".",
            "(",
            ")",
            "+",
            "/",
            "x4",
            "  ",
            "a",
            "_",
            ",",
            "12345678901234567890123",
        ];
        let mut dice = Dice::new(7);
        for _ in 0..20_000 {
            let count = 1 + dice.below(14);
            let mut text: String = (0..count)
                .map(|_| pieces[dice.below(pieces.len())])
                .collect();
            text.push_str(&",".repeat(MAX_READ));
            let mut cursor = Cursor::new(text.as_bytes(), 0, true);
            let known = cursor.ahead::<MAX_READ>().unwrap();
            let mut plain = Plain {
                text: known,
                position: 0,
            };
            let read = format!("{:?}", read_run(&mut plain));
            assert_eq!(read, format!("{:?}", read_run(&mut cursor)), "{text}");
            assert_eq!(plain.position, cursor.position(), "{text}");
        }
    }
}
