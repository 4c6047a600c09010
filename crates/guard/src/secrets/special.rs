//! Reads the two credentials that need more than a pattern: private keys and passwords in URLs.

use std::ops::Range;

use super::checks;
use crate::cursor::Cursor;

/// What every armoured key begins with.
pub(super) const PRIVATE_KEY_PREFIX: &str = "-----BEGIN ";

const MAX_KEY_BODY: usize = 8192;

/// The most bytes of a private key with its frame.
pub(super) const MAX_PRIVATE_KEY: usize = MAX_KEY_BODY + 256;

/// The most bytes of a URL up to its password's end.
pub(super) const MAX_URL: usize = 512;

/// The schemes whose URLs carry passwords, and whether it is one of the web's.
pub(super) const SCHEMES: [(&str, bool); 16] = [
    ("postgres://", false),
    ("postgresql://", false),
    ("mysql://", false),
    ("mariadb://", false),
    ("mongodb://", false),
    ("mongodb+srv://", false),
    ("redis://", false),
    ("rediss://", false),
    ("amqp://", false),
    ("amqps://", false),
    ("mssql://", false),
    ("sqlserver://", false),
    ("clickhouse://", false),
    ("ftp://", true),
    ("http://", true),
    ("https://", true),
];

/// Reads an armoured private key; a key that breaks off counts once enough of it is there.
pub(super) fn read_private_key(cursor: &mut Cursor<'_>) -> bool {
    if !cursor.eat_literal(PRIVATE_KEY_PREFIX.as_bytes()) {
        return false;
    }
    let label = cursor.position();
    cursor.eat_while(48, |b| {
        b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' '
    });
    let is_private = cursor
        .since(label)
        .windows(11)
        .any(|window| window == b"PRIVATE KEY");
    if !is_private || !cursor.eat_literal(b"-----") {
        return false;
    }
    let body = cursor.position();
    let is_body = |b: u8| {
        b.is_ascii_alphanumeric()
            || b.is_ascii_whitespace()
            || matches!(b, b'+' | b'/' | b'=' | b'\\' | b',' | b':' | b'.' | b'"')
    };
    loop {
        let left = (body + MAX_KEY_BODY).saturating_sub(cursor.position());
        cursor.eat_while(left, is_body);
        if left == 0 || cursor.peek() != Some(b'-') {
            break;
        }
        if cursor.eat_literal(b"-----END ") {
            let random = has_key_material(cursor.since(body));
            cursor.eat_while(48, |b| {
                b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' '
            });
            cursor.eat_literal(b"-----");
            return random;
        }
        let end = cursor.position();
        if cursor.eat_literal(PRIVATE_KEY_PREFIX.as_bytes()) {
            // The next one: this one broke off.
            let random = has_key_material(&cursor.since(body)[..end - body]);
            cursor.rewind(end);
            return random;
        }
        cursor.advance(1);
    }
    has_key_material(cursor.since(body))
}

fn has_key_material(body: &[u8]) -> bool {
    let sample: Vec<u8> = body
        .iter()
        .copied()
        .filter(u8::is_ascii_alphanumeric)
        .take(512)
        .collect();
    sample.len() >= 48 && checks::entropy(&sample) >= 4.0
}

/// Reads `scheme://user:password@host` and returns where the password is.
pub(super) fn read_url_password(cursor: &mut Cursor<'_>, web: bool) -> Option<Range<usize>> {
    cursor.eat_while(16, |b| b != b':');
    if !cursor.eat_literal(b"://") {
        return None;
    }
    cursor.eat_while(128, |b| {
        b.is_ascii_graphic()
            && !matches!(
                b,
                b':' | b'/'
                    | b'@'
                    | b'?'
                    | b'#'
                    | b'"'
                    | b'\''
                    | b'<'
                    | b'>'
                    | b'`'
                    | b'{'
                    | b'$'
                    | b'['
                    | b'\\'
            )
    });
    if !cursor.eat(b':') {
        return None;
    }
    let begin = cursor.position();
    cursor.eat_while(256, |b| {
        b.is_ascii_graphic()
            && !matches!(b, b'/' | b'@' | b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\')
    });
    let end = cursor.position();
    let password = cursor.since(begin);
    if !cursor.eat(b'@')
        || !cursor
            .peek()
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'[' | b'.'))
    {
        return None;
    }
    looks_chosen(password, web).then_some(begin..end)
}

/// Whether a password is more than the word that stands for one in examples.
fn looks_chosen(password: &[u8], web: bool) -> bool {
    const STAND_INS: [&str; 14] = [
        "password", "passwd", "pass", "pwd", "secret", "postgres", "mysql", "mongo", "redis",
        "guest", "root", "admin", "test", "token",
    ];
    let templated = password
        .iter()
        .any(|b| matches!(b, b'{' | b'}' | b'$' | b'*' | b'(' | b'[' | b','));
    let stand_in = STAND_INS
        .iter()
        .any(|word| password.eq_ignore_ascii_case(word.as_bytes()));
    let digits = password.iter().any(u8::is_ascii_digit);
    let letters = password.iter().any(u8::is_ascii_alphabetic);
    let least = if web { 8 } else { 5 };
    password.len() >= least
        && letters
        && (digits || password.len() >= 12)
        && !templated
        && !stand_in
        && !checks::is_placeholder(password)
        && checks::entropy(password) >= 2.0
}
