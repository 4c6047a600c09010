//! Reads `name = "value"` where the name speaks of a secret, in the spellings of configuration files,
//! JSON, shells, headers and source code.

use std::ops::Range;

use crate::cursor::Cursor;

/// The most bytes from the first letter of the keyword to the end of the value.
pub(super) const MAX_LEN: usize = 400;

const MAX_NAME: usize = 40;
const MAX_VALUE: usize = 256;

/// A word that announces a secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyword {
    pub(super) text: &'static str,
    /// Whether people choose the value, so that it is shorter and less random.
    pub(super) is_password: bool,
    /// Whether the value follows without `=` or `:`.
    is_scheme: bool,
}

const fn secret(text: &'static str) -> Keyword {
    Keyword {
        text,
        is_password: false,
        is_scheme: false,
    }
}

const fn password(text: &'static str) -> Keyword {
    Keyword {
        text,
        is_password: true,
        is_scheme: false,
    }
}

/// The words, in lower case; they are found in any case and inside longer names.
pub(super) const KEYWORDS: [Keyword; 18] = [
    secret("secret"),
    secret("token"),
    secret("api_key"),
    secret("apikey"),
    secret("api-key"),
    secret("api key"),
    secret("access_key"),
    secret("accesskey"),
    secret("access-key"),
    secret("account_key"),
    secret("private_key"),
    secret("encryption_key"),
    secret("signing_key"),
    secret("credential"),
    password("passw"),
    password("passphrase"),
    password("pwd"),
    Keyword {
        text: "bearer ",
        is_password: false,
        is_scheme: true,
    },
];

/// An assigned value.
pub(super) struct Assigned<'a> {
    pub(super) value: Range<usize>,
    pub(super) bytes: &'a [u8],
}

/// Reads an assignment whose name holds `keyword` at the cursor.
pub(super) fn read<'a>(keyword: Keyword, cursor: &mut Cursor<'a>) -> Option<Assigned<'a>> {
    cursor.advance(keyword.text.len());
    if !keyword.is_scheme {
        cursor.eat_while(MAX_NAME, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')
        });
        eat_quote(cursor);
        cursor.eat(b']');
        cursor.eat_while(8, |b| b == b' ');
        if !eat_operator(cursor) {
            return None;
        }
        cursor.eat_while(8, |b| b == b' ');
    }
    let quoted = eat_quote(cursor);
    let begin = cursor.position();
    cursor.eat_while(
        MAX_VALUE,
        if quoted {
            is_quoted_value
        } else {
            is_bare_value
        },
    );
    let next = cursor.peek();
    let is_call = matches!(next, Some(b'(' | b'[' | b'{' | b'<'));
    if is_call || (quoted && !matches!(next, Some(b'"' | b'\'' | b'`' | b'\\'))) {
        return None;
    }
    let bytes = cursor.since(begin).trim_suffix_dots();
    let value = begin..begin + bytes.len();
    (!bytes.is_empty()).then_some(Assigned { value, bytes })
}

trait TrimDots {
    fn trim_suffix_dots(&self) -> &Self;
}

impl TrimDots for [u8] {
    /// The value without the full stop or colon that ends a sentence.
    fn trim_suffix_dots(&self) -> &Self {
        let mut rest = self;
        while let [head @ .., b'.' | b':' | b'!'] = rest {
            rest = head;
        }
        rest
    }
}

/// `"`, `'`, `` ` `` or an escaped quote.
fn eat_quote(cursor: &mut Cursor<'_>) -> bool {
    let escaped = cursor.eat(b'\\');
    let quote = cursor.eat_if(|b| matches!(b, b'"' | b'\'' | b'`'));
    quote || escaped
}

/// `=`, `:`, `:=`, `=>`, `is `; not a comparison.
fn eat_operator(cursor: &mut Cursor<'_>) -> bool {
    if cursor.eat_literal(b"is ") {
        return true;
    }
    let colon = cursor.eat(b':');
    let equals = cursor.eat(b'=');
    if equals {
        cursor.eat(b'>');
    }
    (colon || equals) && !matches!(cursor.peek(), Some(b'=' | b':'))
}

fn is_bare_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-'
                | b'+'
                | b'/'
                | b'='
                | b'.'
                | b'~'
                | b':'
                | b'!'
                | b'@'
                | b'#'
                | b'$'
                | b'%'
                | b'^'
                | b'*'
        )
}

fn is_quoted_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\')
}
