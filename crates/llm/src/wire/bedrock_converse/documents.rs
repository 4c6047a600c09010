//! Names of documents: Bedrock wants one of each, of few signs, and none twice in a request.

use std::collections::HashMap;

/// The names that were given within a request, in small letters, each with the last number that was
/// put behind it. Bedrock does not tell capitals apart.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, u64>);

/// Bedrock takes 200 signs; a number has its place behind these.
const MOST_SIGNS: usize = 180;

impl Names {
    /// The name of the next document: the one that it has, as far as that can be said.
    pub(super) fn give(&mut self, wanted: Option<&str>) -> String {
        let name = cleaned(wanted.unwrap_or_default());
        let key = name.to_ascii_lowercase();
        let Some(&last) = self.0.get(&key) else {
            self.0.insert(key, 1);
            return name;
        };
        let mut number = last;
        loop {
            number += 1;
            let numbered = format!("{name}-{number}");
            let taken = self.0.entry(numbered.to_ascii_lowercase()).or_insert(0);
            if *taken == 0 {
                *taken = 1;
                self.0.insert(key, number);
                return numbered;
            }
        }
    }
}

/// Letters, digits and few signs, and no blanks in a row.
fn cleaned(name: &str) -> String {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-()[]".contains(c);
    let words = name.split_whitespace().map(|word| {
        let clean = |c: char| if is_fine(c) { c } else { '-' };
        word.chars().map(clean).collect::<String>()
    });
    let name: String = words.collect::<Vec<_>>().join(" ");
    let name: String = name.chars().take(MOST_SIGNS).collect();
    match name.trim_end() {
        "" => "document".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice() {
        let mut names = Names::default();
        let wanted = [
            None,
            Some(""),
            Some("a.pdf"),
            Some("A.PDF"),
            Some("a-pdf-3"),
            Some("a.pdf"),
            Some("b \t c"),
        ];
        let given = wanted.map(|name| names.give(name));
        let expected = [
            "document",
            "document-2",
            "a-pdf",
            "A-PDF-2",
            "a-pdf-3",
            "a-pdf-4",
            "b c",
        ];
        assert_eq!(given, expected);
        assert_eq!(names.give(Some(&"x".repeat(300))).len(), MOST_SIGNS);
    }
}
