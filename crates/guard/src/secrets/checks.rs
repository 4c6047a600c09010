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

/// Shorter words stand in random text by chance: one key in some thousand holds one.
const TELLING_WORD: usize = 5;
/// So do shorter runs of one character, or of characters in their order.
const TELLING_RUN: usize = 6;
/// This much random text beside what may stand there by chance is a key.
const RANDOM_REST: usize = 24;

/// Whether a value is an example: made of filler words, or of characters repeated or in their order.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let words = || PLACEHOLDER_WORDS.iter().map(|word| word.as_bytes());
    if words().any(|word| word.len() >= TELLING_WORD && place_of(value, word).is_some()) {
        return true;
    }
    let mut rest = value.to_vec();
    loop {
        let word = words().find_map(|word| place_of(&rest, word));
        let Some(filler) = word.or_else(|| run_in(&rest)) else {
            break;
        };
        rest.drain(filler);
    }
    rest.len() < value.len() && (rest.len() < RANDOM_REST || !looks_random(&rest, false))
}

/// Where a word (in lower case) stands in one case: nobody writes examples in mixed letters, and random
/// text has few others.
fn place_of(value: &[u8], word: &[u8]) -> Option<std::ops::Range<usize>> {
    let (initial, inner) = word.split_first()?;
    let is_written = |begin: &usize| {
        let window = value.get(begin + 1..begin + word.len());
        window.is_some_and(|rest| {
            rest.eq_ignore_ascii_case(inner) && {
                let small = rest.iter().all(|byte| !byte.is_ascii_uppercase());
                let large = rest.iter().all(|byte| !byte.is_ascii_lowercase());
                small || (large && !value[*begin].is_ascii_lowercase())
            }
        })
    };
    let mut begins = memchr::memchr2_iter(*initial, initial.to_ascii_uppercase(), value);
    let begin = begins.find(is_written)?;
    Some(begin..begin + word.len())
}

/// The first run of one character, or of characters in their order.
fn run_in(value: &[u8]) -> Option<std::ops::Range<usize>> {
    let run = |step: u8| {
        let mut begin = 0;
        value
            .chunk_by(move |a, b| a.checked_add(step) == Some(*b))
            .map(move |chunk| {
                begin += chunk.len();
                begin - chunk.len()..begin
            })
            .find(|run| run.len() >= TELLING_RUN)
    };
    run(0).or_else(|| run(1))
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
        assert!(is_placeholder(b"sk-your-key-goes-here"));
        assert!(is_placeholder(b"xxxxxxxxxxxxxxxxxxxxYYYYYYYYYYYY9"));
        assert!(is_placeholder(
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        ));
        assert!(!is_placeholder(b"q8Zt1mVx0L"));
    }

    #[test]
    fn what_stands_in_a_key_by_chance_makes_no_example_of_it() {
        for chance in [
            "XXxx", "xxxx", "YoUr", "your", "eXAmple", "000000", "cdefgh",
        ] {
            let key = format!("q8Zt1mVx0Lw2{chance}Kf7Rb5Nc1Md8Pf4Gh6Js");
            assert!(!is_placeholder(key.as_bytes()), "{key}");
        }
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
