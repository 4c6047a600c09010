//! Finds data about people: by checksum where a kind has one, by shape where the shape is enough, and
//! by the words around it where it is not.

mod address;
mod checksums;
mod context;
mod email;
mod ip;
mod number;
mod phone;
mod token;

use crate::cursor::is_word;
use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::trigger::{TriggerError, Triggers};

/// Everything that the detector reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Phone,
    CreditCard,
    Iban,
    UsSsn,
    NationalId,
    IpAddress,
    MacAddress,
    Passport,
    DriverLicence,
    DateOfBirth,
    Address,
    PostalCode,
    PersonName,
}

/// Id, severity and the most bytes a candidate stays open, in the order of [`Kind`].
const RULES: [(&str, Severity, usize); 14] = [
    ("email", Severity::Medium, 64 + 1 + 255),
    ("phone_number", Severity::Medium, 80),
    ("credit_card", Severity::High, 80),
    ("iban", Severity::High, 64),
    ("us_ssn", Severity::High, 80),
    ("national_id", Severity::High, 80),
    ("ip_address", Severity::Low, 80),
    ("mac_address", Severity::Low, 64),
    ("passport_number", Severity::High, 96),
    ("driver_licence", Severity::High, 96),
    ("date_of_birth", Severity::Medium, 96),
    ("street_address", Severity::Medium, 160),
    ("postal_code", Severity::Low, 96),
    ("person_name", Severity::Low, 160),
];

/// What a byte may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Letter,
    Digit,
    Underscore,
    /// `+` and `(`, which may open a telephone number.
    Opener,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'_' => Class::Underscore,
            b'+' | b'(' => Class::Opener,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Finds data about people.
#[derive(Debug)]
pub struct Pii {
    rules: Vec<Rule>,
    announcements: Triggers,
}

impl Pii {
    /// The detector with everything built in.
    pub fn built_in() -> Result<Self, TriggerError> {
        let rule = |(id, severity, most): &(&str, Severity, usize)| {
            Rule::new(id, Category::Pii, *severity, *most)
        };
        Ok(Self {
            rules: RULES.iter().map(rule).collect(),
            announcements: Triggers::new(context::ANNOUNCEMENTS.iter().map(|(text, _)| *text))?,
        })
    }

    fn rule(&self, kind: Kind) -> &Rule {
        &self.rules[kind as usize]
    }

    /// Tries what begins at `start`; returns where to go on.
    fn try_at(
        &self,
        window: &Window<'_>,
        start: usize,
        scan: &mut Scan,
        read: impl Fn(&mut crate::cursor::Cursor<'_>) -> Option<Kind>,
    ) -> Option<usize> {
        let mut cursor = window.cursor(start);
        let found = read(&mut cursor).map(|kind| self.rule(kind).at(start..cursor.position()));
        let end = found.as_ref().map(|finding| finding.span.end);
        let open = cursor.starved();
        scan.settle(start, &cursor, found);
        if open { None } else { end }
    }
}

impl Detector for Pii {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        email::scan(&window, self.rule(Kind::Email), scan);
        let text = window.text;
        let (mut at, mut calm) = (window.from, window.from);
        while let Some(&byte) = text.get(at) {
            if at >= calm {
                calm = calm_until(text, at);
                at = word_before(text, at, calm);
                calm += STRIDE;
                continue;
            }
            at = match CLASSES[usize::from(byte)] {
                Class::Letter => self.scan_word(&window, at, scan),
                Class::Digit | Class::Opener => self.scan_number(&window, at, scan),
                Class::Other | Class::Underscore => at + 1,
            };
        }
        let open = self.announcements.scan(&window, |literal, start| {
            let (text, announced) = context::ANNOUNCEMENTS[literal];
            let mut cursor = window.cursor(start);
            if !cursor.starts_token(start) {
                return;
            }
            cursor.advance(text.len());
            let value = context::read(announced, &mut cursor);
            let found = value.map(|(kind, span)| self.rule(kind).at(span));
            scan.settle(start, &cursor, found);
        });
        if !window.complete && open < text.len() {
            scan.open(open);
        }
    }
}

/// So many bytes at a time are looked at for one that may belong to a number.
const STRIDE: usize = 16;

/// Until where the text from `at` has no digit, none of the signs that open a telephone number, and no
/// colon: then none of its words is a candidate, unless it reaches out of what was looked at.
fn calm_until(text: &[u8], at: usize) -> usize {
    // The colon is the neighbour of the digits.
    let may_matter = |byte: u8| {
        u8::from(byte.wrapping_sub(b'0') <= b':' - b'0')
            | u8::from(byte == b'+')
            | u8::from(byte == b'(')
    };
    let (strides, _) = text.get(at..).unwrap_or_default().as_chunks::<STRIDE>();
    let is_calm =
        |stride: &&[u8; STRIDE]| stride.iter().fold(0, |any, byte| any | may_matter(*byte)) == 0;
    at + strides.iter().take_while(is_calm).count() * STRIDE
}

/// Where the word begins that ends before `until`, and the one before it, but not before `from`.
fn word_before(text: &[u8], from: usize, until: usize) -> usize {
    let mut at = until;
    for reaches in [is_word as fn(u8) -> bool, |byte| byte == b' ', is_word] {
        while at > from && reaches(text[at - 1]) {
            at -= 1;
        }
    }
    at
}

impl Pii {
    /// A run of letters and digits that begins with a letter: identifiers are told by their digits.
    fn scan_word(&self, window: &Window<'_>, at: usize, scan: &mut Scan) -> usize {
        let text = window.text;
        let mut length = 0;
        let mut has_digit = false;
        for &byte in &text[at..] {
            match CLASSES[usize::from(byte)] {
                Class::Letter | Class::Underscore => {}
                Class::Digit => has_digit = true,
                Class::Opener | Class::Other => break,
            }
            length += 1;
        }
        let end = at + length;
        let unfinished = end == text.len() && !window.complete;
        let may_be_address = length <= 4 && text.get(end) == Some(&b':');
        let may_be_insurance = length == 2
            && text[at + 1].is_ascii_uppercase()
            && text.get(end) == Some(&b' ')
            && text
                .get(end + 1)
                .map_or(!window.complete, u8::is_ascii_digit);
        let may_be_identifier =
            has_digit && token::may_begin_with_letter(&text[at..end], text.get(end).copied());
        let is_candidate = unfinished || may_be_identifier || may_be_address || may_be_insurance;
        if is_candidate && length <= token::MAX_LEN && !window.cursor(at).after_word(at) {
            let after = self.try_at(window, at, scan, token::read);
            return after.unwrap_or(end).max(end);
        }
        end
    }

    fn scan_number(&self, window: &Window<'_>, at: usize, scan: &mut Scan) -> usize {
        let text = window.text;
        let is_digit = |byte: &&u8| byte.is_ascii_digit();
        let digits = text[at..].iter().take_while(is_digit).count();
        let more = text[at + digits..]
            .iter()
            .take_while(|byte| is_word(**byte));
        let is_opener = digits == 0;
        let word = if is_opener { 1 } else { digits + more.count() };
        let end = at + word;
        if window.cursor(at).after_word(at) {
            return end;
        }
        let next = text.get(end).copied();
        let identifier = match token::may_begin_with_digits(word, next) {
            true => self.try_at(window, at, scan, token::read),
            false => None,
        };
        let may_be_number = is_opener || (digits == word && number::may_begin(digits, next));
        let may_be_address = !is_opener && next.is_none_or(|byte| byte == b' ');
        let number = || self.try_at(window, at, scan, number::read);
        let number = identifier.or_else(|| may_be_number.then(number).flatten());
        let address = || self.try_at(window, at, scan, address::read);
        let after = number.or_else(|| may_be_address.then(address).flatten());
        after.unwrap_or(end).max(end)
    }
}

#[cfg(test)]
mod tests;
