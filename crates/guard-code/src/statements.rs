//! The statements of SQL, by the words that they begin with: behind comments, in brackets, after `WITH`, and
//! in the bodies of others.

/// Words behind which a statement begins.
const OPENERS: [&str; 10] = [
    "explain", "analyze", "verbose", "begin", "then", "else", "do", "loop", "as", "atomic",
];

/// The words of a source that begin a statement, in small letters.
pub(crate) fn firsts(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut begins = true;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = comment(rest) {
            rest = &rest[comment..];
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            let word = word.to_lowercase();
            // `truncate(1.5, 1)` is a function.
            if begins && !after.starts_with('(') {
                found.push(word.clone());
            }
            begins = OPENERS.contains(&word.as_str());
            rest = after;
        } else if matches!(first, '\'' | '"' | '`') {
            rest = behind_quoted(rest, first);
            begins = false;
        } else {
            begins = match first {
                ';' | '(' | ')' | '$' | '\u{feff}' => true,
                _ if first.is_whitespace() => begins,
                _ => false,
            };
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// The length of the comment that a text begins with. What MySQL runs within one is none.
fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("--") || rest.starts_with('#') {
        return Some(rest.find('\n').map_or(rest.len(), |end| end + 1));
    }
    if rest.starts_with("*/") {
        return Some(2);
    }
    let inner = rest.strip_prefix("/*")?;
    if let Some(run) = inner.strip_prefix('!') {
        let version = run.bytes().take_while(u8::is_ascii_digit).count();
        return Some(3 + version);
    }
    Some(inner.find("*/").map_or(rest.len(), |end| end + 4))
}

fn behind_quoted(rest: &str, quote: char) -> &str {
    let inner = &rest[quote.len_utf8()..];
    match inner.find(quote) {
        Some(end) => &inner[end + quote.len_utf8()..],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_found_wherever_it_begins() {
        for source in [
            "DELETE FROM t",
            "/* a */ delete from t",
            "-- a\nDELETE FROM t",
            "# a\nDELETE FROM t",
            "SELECT 1; /* a */ DELETE/**/FROM t",
            "(DELETE FROM t)",
            "WITH x AS (SELECT 1) DELETE FROM t",
            "WITH x AS (DELETE FROM t RETURNING 1) SELECT 1",
            "EXPLAIN ANALYZE DELETE FROM t",
            "CREATE FUNCTION f() AS $$ BEGIN DELETE FROM t; END $$",
            "PREPARE p AS DELETE FROM t",
            "/*!50000 DELETE FROM t */",
            "SELECT ';'; DELETE FROM t",
            "\u{feff}DELETE FROM t",
        ] {
            assert!(firsts(source).contains(&"delete".to_owned()), "{source}");
        }
        for source in [
            "SELECT 'a; DELETE FROM t'",
            "SELECT 1 -- ; DELETE\n",
            "/* ; DELETE */ SELECT \"; DELETE\"",
            "CREATE TABLE t (a INT REFERENCES b ON DELETE CASCADE)",
            "GRANT SELECT, DELETE ON t TO u",
            "SELECT delete_at, (delete(1)) FROM t",
        ] {
            assert!(!firsts(source).contains(&"delete".to_owned()), "{source}");
        }
    }
}
