//! How deeply a JSON text is nested, checked before anything parses it.
//!
//! serde_json skips raw values with a loop and therefore without a limit, but whoever reads the
//! body after us may recurse.

use std::cell::Cell;

/// The deepest nesting that is let through; serde_json's own limit for typed values.
pub(crate) const MAX_DEPTH: usize = 128;

/// What a caller is told.
pub(crate) const TOO_DEEP: &str = "the JSON is nested deeper than 128 levels; flatten it";

/// Whether `json` is nested deeper than [`MAX_DEPTH`].
pub(crate) fn is_too_deep(json: &[u8]) -> bool {
    exceeds(json, 0)
}

/// Watches the nesting while somebody else walks through a text and says where they are.
///
/// Between two places of known depth nothing can be deeper than the brackets that open there, and
/// they can be counted with SIMD. Only where that count is large is the text scanned exactly.
pub(crate) struct Watch<'a> {
    json: &'a str,
    /// How far the text has been checked, and how deep it is there.
    reached: Cell<(usize, usize)>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(json: &'a str) -> Self {
        Self {
            json,
            reached: Cell::new((0, 0)),
        }
    }

    /// Whether the text up to here is too deep. Here is a key of an object at a depth of `depth`;
    /// a key that is not a slice of the text tells nothing.
    pub(crate) fn is_too_deep_before(&self, key: &str, depth: usize) -> bool {
        let start = key.as_ptr().addr().wrapping_sub(self.json.as_ptr().addr());
        let (from, depth_there) = self.reached.get();
        let Some(passed) = self.json.as_bytes().get(from..start) else {
            return false;
        };
        self.reached.set((start + key.len() + 1, depth));
        // The last byte is the quote before the key.
        exceeds(&passed[..passed.len().saturating_sub(1)], depth_there)
    }

    /// Whether the rest of the text is too deep.
    pub(crate) fn is_too_deep_at_end(&self) -> bool {
        let (from, depth) = self.reached.get();
        let rest = self.json.as_bytes().get(from..);
        rest.is_some_and(|rest| exceeds(rest, depth))
    }
}

/// Whether a piece of JSON that begins outside of strings gets too deep. Nearly none has enough
/// opening brackets for that.
fn exceeds(json: &[u8], depth: usize) -> bool {
    let mut openers = memchr::memchr2_iter(b'{', b'[', json);
    openers.nth(MAX_DEPTH.saturating_sub(depth)).is_some() && exceeds_exactly(json, depth)
}

fn exceeds_exactly(json: &[u8], mut depth: usize) -> bool {
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

    #[test]
    fn a_watch_finds_what_is_deep_between_its_stops_and_after_them() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let finds = |json: &str| {
            let watch = Watch::new(json);
            let stop = |name: &str| {
                let at = json.find(name).unwrap();
                watch.is_too_deep_before(&json[at..at + name.len()], 1)
            };
            [stop("first"), stop("last"), watch.is_too_deep_at_end()]
        };
        let (most, more) = (deep(MAX_DEPTH - 1), deep(MAX_DEPTH));
        let found = finds(&format!(r#"{{"first":{most},"last":{most}}}"#));
        assert_eq!(found, [false, false, false]);
        let found = finds(&format!(r#"{{"first":{more},"last":{most}}}"#));
        assert_eq!(found, [false, true, false]);
        let found = finds(&format!(r#"{{"first":{most},"last":{more}}}"#));
        assert_eq!(found, [false, false, true]);
    }
}
