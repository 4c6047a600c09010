//! Tests that tell a credential from something that only looks like one.

/// Shannon entropy in bits a character.
pub(super) fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0_u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let total = bytes.len() as f32;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = count as f32 / total;
            -share * share.log2()
        })
        .sum()
}

/// Words that examples and templates are written with; lower case.
const PLACEHOLDER_WORDS: [&str; 17] = [
    "example",
    "your",
    "xxxx",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "dummy",
    "sample",
    "redacted",
    "insert",
    "replace",
    "abcdefgh",
    "12345678",
    "0123456",
    "deadbeef",
    "foobar",
];

/// Whether a value is an example: made of filler words, or of one character repeated.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let filler = PLACEHOLDER_WORDS
        .iter()
        .any(|word| crate::cursor::contains_ignoring_case(value, word.as_bytes()));
    filler || longest_run(value) >= 6
}

fn longest_run(value: &[u8]) -> usize {
    let same = |a: &u8, b: &u8| a == b;
    value.chunk_by(same).map(<[u8]>::len).max().unwrap_or(0)
}

/// Whether the last six characters are the CRC-32 of those before, in base 62 (GitHub's and npm's
/// tokens end so).
pub(super) fn ends_in_crc32(body: &[u8]) -> bool {
    let Some((random, sum)) = body.split_last_chunk::<6>() else {
        return false;
    };
    crc32_base62(random) == *sum
}

/// The CRC-32 of `random` as six base-62 digits.
pub(super) fn crc32_base62(random: &[u8]) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(random) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits
}

/// Whether a value that was assigned to a secret's name looks random: long enough, mixed, and with
/// high entropy.
pub(super) fn looks_random(value: &[u8], is_password: bool) -> bool {
    let has = |wanted: fn(&u8) -> bool| usize::from(value.iter().any(wanted));
    let kinds = has(u8::is_ascii_lowercase)
        + has(u8::is_ascii_uppercase)
        + has(u8::is_ascii_digit)
        + has(u8::is_ascii_punctuation);
    let hex = value.iter().all(u8::is_ascii_hexdigit);
    if is_password && value.len() < 20 {
        return value.len() >= 8 && kinds >= 3 && entropy(value) >= 2.5;
    }
    value.len() >= 16
        && has(u8::is_ascii_digit) == 1
        && kinds >= 2
        && !looks_like_words(value)
        && entropy(value) >= if hex { 2.8 } else { 3.4 }
}

/// Whether the value reads like identifiers joined by `_`, `-`, `.` or `/`: few changes between
/// letters and digits.
fn looks_like_words(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let joined = value
        .iter()
        .any(|byte| matches!(byte, b'_' | b'-' | b'.' | b'/'));
    joined && digits * 6 < value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_zero_for_one_letter_and_two_bits_for_four() {
        assert!(entropy(b"aaaa") < 0.001);
        assert!((entropy(b"abcd") - 2.0).abs() < 0.001);
    }

    #[test]
    fn fillers_are_placeholders() {
        assert!(is_placeholder(b"AKIAIOSFODNN7EXAMPLE"));
        assert!(is_placeholder(b"aaaaaaaaaaaa"));
        assert!(!is_placeholder(b"q8Zt1mVx0L"));
    }

    #[test]
    fn a_changed_character_breaks_the_checksum() {
        let mut body = b"Zk3vQ9tLw2Xr7Yb5Nc1Md8Pf4Gh6Js".to_vec();
        let sum = crc32_base62(&body);
        body.extend_from_slice(&sum);
        assert!(ends_in_crc32(&body));
        body[3] = b'x';
        assert!(!ends_in_crc32(&body));
    }

    #[test]
    fn names_of_things_are_not_random() {
        assert!(!looks_random(b"my_service_account_name_2", false));
        assert!(!looks_random(b"TokenType", false));
        assert!(looks_random(b"f3Kq9ZpL1xWv7Tb2Rm", false));
        assert!(looks_random(b"Tr0ub4dor&3", true));
        assert!(!looks_random(b"password", true));
    }
}
