//! A text as lines, with what ends each.

/// What ends a line, the longest first: CR CRLF is a CRLF that was converted twice.
const ENDINGS: [&str; 4] = ["\r\r\n", "\r\n", "\n", "\r"];

/// The lines of a text, each without and beside its ending, of which the last may have none.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (&str, Option<&'static str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = rest.split_at(rest.find(['\r', '\n']).unwrap_or(rest.len()));
        let ending = ENDINGS.into_iter().find(|end| after.starts_with(end));
        rest = after.get(ending.map_or(0, str::len)..).unwrap_or_default();
        Some((line, ending))
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn every_ending_ends_a_line_and_the_last_line_may_have_none() {
        let found: Vec<_> = lines("a\r\n\rb\n\nc\r\r\nd").collect();
        let expected = [
            ("a", Some("\r\n")),
            ("", Some("\r")),
            ("b", Some("\n")),
            ("", Some("\n")),
            ("c", Some("\r\r\n")),
            ("d", None),
        ];
        assert_eq!(found, expected);
        assert_eq!(lines("").count(), 0);
    }
}
