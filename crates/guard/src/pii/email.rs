//! E-mail addresses: found by their `@`, read back to the start of the local part.

use crate::cursor::{Cursor, is_word};
use crate::detector::{Rule, Scan, Window};

/// RFC 5321 allows a local part of 64 bytes.
const MAX_LOCAL: usize = 64;

pub(super) fn scan(window: &Window<'_>, rule: &Rule, scan: &mut Scan) {
    let text = window.text;
    for offset in memchr::memchr_iter(b'@', &text[window.from..]) {
        let sign = window.from + offset;
        let start = local_start(text, window.from, sign);
        if start < sign {
            let mut cursor = window.cursor(sign + 1);
            let found = read_domain(&mut cursor).map(|end| rule.at(start..end));
            scan.settle(start, &cursor, found);
        }
    }
    if !window.complete {
        let open = local_start(text, window.from, text.len());
        if open < text.len() {
            scan.open(open);
        }
    }
}

/// Where a local part that ends at `end` begins.
fn local_start(text: &[u8], from: usize, end: usize) -> usize {
    let least = from.max(end.saturating_sub(MAX_LOCAL));
    let run = text[least..end]
        .iter()
        .rev()
        .take_while(|&&byte| is_local(byte))
        .count();
    let dots = text[end - run..end]
        .iter()
        .take_while(|&&byte| !is_word(byte))
        .count();
    end - run + dots
}

fn is_local(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'-' | b'+' | b'%' | b'\'' | b'!' | b'&')
}

/// Reads `example.org` and returns its end: at least two labels, the last of letters.
fn read_domain(cursor: &mut Cursor<'_>) -> Option<usize> {
    let begin = cursor.position();
    let mut labels = 0;
    let mut end = None;
    loop {
        let label = cursor.position();
        let length = cursor.eat_while(63, |b| b.is_ascii_alphanumeric() || b == b'-' || b >= 0x80);
        if length == 0 || cursor.position() - begin > 250 {
            return end;
        }
        labels += 1;
        let is_word_like = cursor.since(label).iter().all(|b| !b.is_ascii_digit());
        if labels >= 2 && length >= 2 && is_word_like {
            let dashes = cursor
                .since(label)
                .iter()
                .rev()
                .take_while(|&&b| b == b'-')
                .count();
            end = Some(cursor.position() - dashes);
        }
        let next = cursor.peek_at(1);
        let goes_on = next.is_some_and(|b| b.is_ascii_alphanumeric() || b >= 0x80);
        if cursor.peek() != Some(b'.') || !goes_on {
            return end;
        }
        cursor.advance(1);
    }
}
