//! Words as the matcher compares them: endings cut, and what says nothing told from what says something.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::text::repaired;

/// Words that say nothing about what is asked for.
const FILLER: &str = "a an the of for and or is are be been to in on with all each every by at that \
    it its this from as has have can will your our we any if when which must should ensure make \
    sure use used using set properly proper there they their so do does done was were what who how \
    than then into per via etc e g i you us would where being such";

const ENDINGS: [&str; 26] = [
    "ations", "ation", "ating", "ated", "ates", "ate", "izing", "ized", "ize", "ising", "ised",
    "ise", "ions", "ion", "ings", "ing", "ments", "ment", "ities", "ity", "ed", "ies", "es", "e",
    "ly", "s",
];

static FILLERS: LazyLock<BTreeSet<String>> = LazyLock::new(|| both(FILLER));

/// The words and their stems.
fn both(words: &str) -> BTreeSet<String> {
    let words = words.split_whitespace();
    words
        .flat_map(|word| [word.to_owned(), stem(word)])
        .collect()
}

/// The comparable words of a text, in order.
pub(super) fn stems(text: &str) -> Vec<String> {
    whole(text).iter().map(|word| stem(word)).collect()
}

/// The same with their endings.
pub(super) fn whole(text: &str) -> Vec<String> {
    let text = without_targets(&named(&repaired(text))).to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A text in which what HTML names or numbers, `&lt;` or `&#39;`, is the sign that it stands for, or at
/// least no word.
fn named(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.split_once(';').filter(|(name, _)| is_name(name));
        let Some((name, after)) = name else {
            out.push('&');
            rest = after;
            continue;
        };
        let number = name.strip_prefix('#');
        let number = number.and_then(|n| match n.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => n.parse().ok(),
        });
        out.push(number.and_then(char::from_u32).unwrap_or(' '));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_name(name: &str) -> bool {
    const LONGEST: usize = 8;
    let name = name.strip_prefix('#').unwrap_or(name);
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric());
    letters && (2..=LONGEST).contains(&name.len())
}

/// Whether a stem says nothing about what is asked for.
pub(super) fn is_filler(stem: &str) -> bool {
    FILLERS.contains(stem)
}

/// Targets of links and addresses are no words.
fn without_targets(text: &str) -> String {
    let text = text.replace("](", "] (");
    let words = text.split_whitespace();
    let words = words.filter(|word| !word.contains("://"));
    words.collect::<Vec<_>>().join(" ")
}

/// Cuts the ending off a word, so that "validates" meets "validation".
pub(super) fn stem(word: &str) -> String {
    let keep = word.len() <= 3
        || !word.is_ascii()
        || word.ends_with("ss")
        || word.bytes().any(|b| b.is_ascii_digit());
    if keep {
        return word.to_owned();
    }
    let cut = ENDINGS
        .iter()
        .chain(&["y"])
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.len() >= 3);
    single(cut.unwrap_or(word)).to_owned()
}

/// "runn" of "running" is "run".
fn single(stem: &str) -> &str {
    let mut letters = stem.chars().rev();
    let (last, before) = (letters.next(), letters.next());
    let doubled = last == before && !matches!(last, Some('l' | 's'));
    match stem.char_indices().next_back() {
        Some((at, _)) if doubled && stem.len() > 3 => stem.get(..at).unwrap_or(stem),
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_filler, stem, stems};

    #[test]
    fn different_forms_of_a_word_meet() {
        for (a, b) in [
            ("validates", "validation"),
            ("running", "runs"),
            ("logged", "logging"),
            ("policies", "policy"),
            ("retries", "retry"),
            ("secure", "security"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} and {b}");
        }
        assert_ne!(stem("access"), stem("accent"));
    }

    #[test]
    fn what_html_names_is_no_word() {
        assert_eq!(
            stems("p95 &lt; 5&nbsp;s &amp; R&D; it&#39;s &#x44;one"),
            ["p95", "5", "s", "r", "d", "it", "s", "don"]
        );
    }

    #[test]
    fn addresses_are_no_words_and_labels_of_links_are() {
        assert_eq!(
            stems("See [the plan](https://a.example/budget) for **all**"),
            ["see", "the", "plan", "for", "all"]
        );
        assert!(is_filler("the"));
    }
}
