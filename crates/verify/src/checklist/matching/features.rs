//! An item as it is compared: its telling words, each two that follow each other, and its heading.

use super::super::words::{is_filler, stem, stems, whole};

/// How long a piece of a word is at most, with the marks of its beginning and its end.
const PIECE: usize = 4;

/// What an item and its heading say, each part once.
#[derive(Debug)]
pub(super) struct Features {
    /// The telling words of the item.
    pub(super) words: Vec<String>,
    /// Each two of them that follow each other.
    pub(super) pairs: Vec<String>,
    /// The telling words of the heading.
    pub(super) heading: Vec<String>,
}

/// Reads an item beneath a heading.
pub(super) fn features(text: &str, heading: &str) -> Features {
    let words = telling(without_label(text));
    let pairs = words.windows(2).map(|two| two.join("_")).collect();
    Features {
        words: once(words),
        pairs: once(pairs),
        heading: once(telling(heading)),
    }
}

/// The words that say something; one number is like another.
fn telling(text: &str) -> Vec<String> {
    let words = stems(text).into_iter().filter(|word| !is_filler(word));
    let number = |word: String| {
        if is_number(&word) {
            "#".to_owned()
        } else {
            word
        }
    };
    words.map(number).collect()
}

/// The pieces of its telling words, three and four letters long, which words that nobody taught
/// share with some that are known.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let words = once(whole(without_label(text)));
    let words = words.iter().filter(|word| !is_filler(&stem(word)));
    once(words.flat_map(|word| pieces_of(word)).collect())
}

fn pieces_of(word: &str) -> Vec<String> {
    let word = if is_number(word) { "#" } else { word };
    let letters: Vec<char> = std::iter::once('<')
        .chain(word.chars())
        .chain(std::iter::once('>'))
        .collect();
    let piece = |letters: &[char]| -> String { std::iter::once(&'~').chain(letters).collect() };
    if letters.len() <= PIECE {
        return vec![piece(&letters)];
    }
    let lengths = [PIECE - 1, PIECE].into_iter();
    lengths
        .flat_map(|length| letters.windows(length).map(piece))
        .collect()
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

fn once(mut words: Vec<String>) -> Vec<String> {
    words.sort_unstable();
    words.dedup();
    words
}

/// The text without the number that its list gave it, such as `REL-4:` or `LLM03`, and without
/// the points that it gives, such as `(5 pts)`.
pub(super) fn without_label(text: &str) -> &str {
    let text = without_points(text);
    let Some((label, rest)) = text.split_once(' ') else {
        return text;
    };
    let label = label.trim_end_matches([':', '.', ')']);
    let letters = label.chars().take_while(char::is_ascii_uppercase).count();
    let number = label.get(letters..).unwrap_or_default();
    let number = number.trim_start_matches(['-', '.', '_', ':']);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let is_label =
        (2..=8).contains(&letters) && !number.is_empty() && number.chars().all(is_number);
    if is_label { rest.trim_start() } else { text }
}

fn without_points(text: &str) -> &str {
    let Some((before, points)) = text.trim_end().rsplit_once('(') else {
        return text;
    };
    let points = points.trim_end_matches(')');
    let is_points = |(n, unit): (&str, &str)| {
        n.chars().all(|c| c.is_ascii_digit()) && ["pt", "pts", "points", "point"].contains(&unit)
    };
    if points.split_once(' ').is_some_and(is_points) {
        before.trim_end()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{features, pieces, without_label};

    #[test]
    fn numbers_and_points_of_lists_are_no_words() {
        for text in [
            "REL-4: Are",
            "RE:01 Are",
            "LLM03 Are",
            "OPS-1.2) Are",
            "Are (5 pts)",
        ] {
            assert_eq!(without_label(text), "Are", "{text}");
        }
        for text in ["TLS 1.2 or newer", "S3 buckets", "Are", "Are (p95 points)"] {
            assert_eq!(without_label(text), text);
        }
    }

    #[test]
    fn words_are_cut_into_pieces_that_know_their_ends() {
        assert_eq!(
            pieces("SEC-1 The key of 90"),
            ["~<#>", "~<ke", "~<key", "~ey>", "~key", "~key>"]
        );
        let shared = |a: &str, b: &str| {
            let others = pieces(b);
            pieces(a).iter().filter(|p| others.contains(p)).count()
        };
        assert!(shared("hijacked", "hijacking") > shared("hijacked", "packed"));
    }

    #[test]
    fn what_says_nothing_is_left_out_and_neighbours_are_told() {
        let read = features("SEC-1 All keys are rotated every 90 days", "Secrets");
        assert_eq!(read.words, ["#", "day", "key", "rot"]);
        assert_eq!(read.pairs, ["#_day", "key_rot", "rot_#"]);
        assert_eq!(read.heading, ["secret"]);
    }
}
