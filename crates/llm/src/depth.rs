//! How deeply a JSON text is nested, checked before anything parses it.
//!
//! serde_json skips raw values with a loop and therefore without a limit, but whoever reads the
//! body after us may recurse.

/// The deepest nesting that is let through; serde_json's own limit for typed values.
pub(crate) const MAX_DEPTH: usize = 128;

/// Whether `json` is nested deeper than [`MAX_DEPTH`].
///
/// Nearly every body has fewer opening brackets than that altogether, which costs one pass of
/// SIMD; only the others are scanned exactly.
pub(crate) fn is_too_deep(json: &[u8]) -> bool {
    memchr::memchr2_iter(b'{', b'[', json)
        .nth(MAX_DEPTH)
        .is_some()
        && exceeds_exactly(json)
}

fn exceeds_exactly(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut rest = json.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(rest.as_slice()).iter(),
            _ => {}
        }
    }
    false
}

/// What follows a string whose opening quote has been read; empty if it never closes.
fn after_string(mut json: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', json) {
        if json[at] == b'"' {
            return &json[at + 1..];
        }
        json = json.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut json = "[".repeat(depth);
        json.push_str(&"]".repeat(depth));
        json.into_bytes()
    }

    #[test]
    fn lets_the_limit_through_and_stops_one_more() {
        assert!(!is_too_deep(&nested(MAX_DEPTH)));
        assert!(is_too_deep(&nested(MAX_DEPTH + 1)));
    }

    #[test]
    fn many_shallow_brackets_are_not_deep() {
        let json = format!("[{}[]]", "[],".repeat(1_000));
        assert!(!is_too_deep(json.as_bytes()));
    }

    #[test]
    fn brackets_within_strings_do_not_count() {
        let json = format!(r#"["{}\"{}"]"#, "[".repeat(200), "{".repeat(200));
        assert!(!is_too_deep(json.as_bytes()));
        assert!(!is_too_deep(br#"["\"#));
    }
}
