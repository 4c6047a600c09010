//! Finds the system prompt in what goes out: by a canary planted in it, and by runs of its words.

use std::collections::{HashMap, HashSet};

use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::normalise::{normalise, without_marks};

/// The shortest canary, in bytes: a shorter one could be written by chance.
const MIN_CANARY_BYTES: usize = 12;

/// Why a canary was refused.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// It could occur by chance.
    #[error("a canary must have at least 12 bytes, found {0}; draw a longer one")]
    Short(usize),
}

/// The most characters that stand between two letters of a canary.
const MAX_CANARY_GAP: usize = 8;

/// Finds a canary, a random word that stands in the system prompt and nowhere else: in any case and width,
/// letter by letter, and backwards.
#[derive(Debug)]
pub struct Canary {
    rules: Vec<Rule>,
    letters: Vec<char>,
    backwards: Vec<char>,
    /// Whether too few of its characters are letters to do without the others.
    is_exact: bool,
}

/// What came of comparing a text with a canary.
enum Compared {
    Differs,
    /// The text ends before it can be told.
    Begins,
    /// It ends here.
    Is(usize),
}

impl Canary {
    /// A detector of one canary.
    pub fn new(canary: &str) -> Result<Self, CanaryError> {
        if canary.len() < MIN_CANARY_BYTES {
            return Err(CanaryError::Short(canary.len()));
        }
        let letters = |is_exact: bool| -> Vec<char> {
            let letter = |c: char| letter(c, is_exact);
            canary.chars().filter_map(letter).collect()
        };
        let is_exact = letters(false).len() < MIN_CANARY_BYTES;
        let letters = letters(is_exact);
        let most = letters.len() * 4 * (1 + MAX_CANARY_GAP);
        Ok(Self {
            rules: vec![Rule::new(
                "canary",
                Category::Leak,
                Severity::Critical,
                most,
            )],
            backwards: letters.iter().rev().copied().collect(),
            letters,
            is_exact,
        })
    }

    fn compare(&self, text: &str, letters: &[char]) -> Compared {
        let mut wanted = letters.iter();
        let mut next = wanted.next();
        let mut gap = 0;
        for (at, c) in text.char_indices() {
            match letter(c, self.is_exact) {
                Some(found) if Some(&found) == next => {
                    (next, gap) = (wanted.next(), 0);
                    if next.is_none() {
                        return Compared::Is(at + c.len_utf8());
                    }
                }
                None if gap < MAX_CANARY_GAP => gap += 1,
                _ => return Compared::Differs,
            }
        }
        Compared::Begins
    }
}

/// A letter or digit as canaries are compared: small, and of plain width.
fn letter(c: char, is_exact: bool) -> Option<char> {
    let plain = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    };
    (is_exact || plain.is_alphanumeric()).then(|| plain.to_ascii_lowercase())
}

impl Detector for Canary {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let Ok(text) = str::from_utf8(window.text) else {
            return;
        };
        let ends = [self.letters.first(), self.letters.last()];
        let from = text.ceil_char_boundary(window.from);
        for (at, c) in text[from..].char_indices() {
            if !ends.contains(&letter(c, self.is_exact).as_ref()) {
                continue;
            }
            let start = from + at;
            for letters in [&self.letters, &self.backwards] {
                match self.compare(&text[start..], letters) {
                    Compared::Is(length) => {
                        let found = self.rules[0].at(start..start + length);
                        scan.findings.push(found);
                        scan.anchors.push(start);
                    }
                    Compared::Begins if !window.complete => scan.open(start),
                    Compared::Begins | Compared::Differs => {}
                }
            }
        }
    }
}

/// Words that are longer end a run: no prompt is told by them.
const MAX_WORD_BYTES: usize = 64;

/// More between two words ends a run.
const MAX_GAP_BYTES: usize = 32;

/// Prompts of fewer words say nothing that is worth keeping.
pub const MIN_PROMPT_WORDS: usize = 6;

/// Places of a pair of words in a prompt that are remembered; a pair that comes more often is
/// common, and what follows it is found by the pair after it.
const MAX_PLACES: usize = 32;

/// The longest prompt that is remembered, in words.
const MAX_PROMPT_WORDS: usize = 100_000;

/// Finds runs of words that a system prompt holds, however they are written.
pub struct PromptRuns {
    rules: Vec<Rule>,
    run_words: usize,
    /// The prompt, word by word, as hashes.
    words: Vec<u32>,
    /// Where each pair of words stands in the prompt.
    pairs: HashMap<(u32, u32), Vec<u32>>,
    vocabulary: HashSet<u32>,
}

impl std::fmt::Debug for PromptRuns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptRuns")
            .field("words", &self.words.len())
            .finish_non_exhaustive()
    }
}

/// One word of a text.
#[derive(Debug, Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
    /// `None`: it is in no prompt.
    hash: Option<u32>,
    /// It is too far from the one before.
    is_apart: bool,
    /// It may go on.
    is_open: bool,
}

impl PromptRuns {
    /// Remembers prompts by hashes, not by their words. `run_words` in a row are a leak, or the
    /// whole of a prompt that is shorter; `None` where there is nothing worth keeping.
    pub fn new<'p>(prompts: impl IntoIterator<Item = &'p str>, run_words: usize) -> Option<Self> {
        let mut words: Vec<u32> = Vec::new();
        for prompt in prompts {
            let read = read_words(prompt, 0, true);
            words.extend(read.iter().filter_map(|word| word.hash));
        }
        words.truncate(MAX_PROMPT_WORDS);
        let run_words = run_words.min(words.len()).max(MIN_PROMPT_WORDS);
        if words.len() < MIN_PROMPT_WORDS {
            return None;
        }
        let mut pairs: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
        for (at, pair) in words.windows(2).enumerate() {
            let places = pairs.entry((pair[0], pair[1])).or_default();
            if places.len() < MAX_PLACES {
                places.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        let most = run_words * (MAX_WORD_BYTES + MAX_GAP_BYTES);
        Some(Self {
            rules: vec![Rule::new(
                "system_prompt",
                Category::Leak,
                Severity::High,
                most,
            )],
            run_words,
            vocabulary: words.iter().copied().collect(),
            pairs,
            words,
        })
    }

    /// Whether the words at the beginning of `run` stand in the prompt in this order.
    fn holds(&self, run: &[Word]) -> bool {
        let hash = |at: usize| run.get(at).and_then(|word| word.hash);
        match (hash(0), hash(1)) {
            (Some(only), None) if run.len() == 1 => self.vocabulary.contains(&only),
            (Some(first), Some(second)) => {
                let places = self.pairs.get(&(first, second));
                places.into_iter().flatten().any(|place| {
                    let here = self.words.get(*place as usize..).unwrap_or_default();
                    here.len() >= run.len()
                        && run
                            .iter()
                            .zip(here)
                            .all(|(word, known)| word.hash == Some(*known))
                })
            }
            _ => false,
        }
    }
}

impl Detector for PromptRuns {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let Ok(text) = str::from_utf8(window.text) else {
            return;
        };
        let mut words = read_words(text, window.from, window.complete);
        // Numbers that the prompt does not hold count its words in a list.
        words.retain(|word| {
            let is_known = word
                .hash
                .is_some_and(|hash| self.vocabulary.contains(&hash));
            word.is_open || is_known || !is_number(&text[word.start..word.end])
        });
        for at in 1..words.len() {
            words[at].is_apart = words[at].start - words[at - 1].end > MAX_GAP_BYTES;
        }
        for (index, word) in words.iter().enumerate() {
            let run = &words[index..(index + self.run_words).min(words.len())];
            let together = 1 + run.iter().skip(1).take_while(|word| !word.is_apart).count();
            let run = run.get(..together).unwrap_or_default();
            let (is_open, closed) = match run.split_last() {
                Some((last, before)) if last.is_open => (true, before),
                _ => (false, run),
            };
            if closed.len() == self.run_words && self.holds(closed) {
                let end = closed.last().map_or(word.end, |last| last.end);
                scan.findings.push(self.rules[0].at(word.start..end));
                scan.anchors.push(word.start);
            }
            let reaches_end = is_open || index + run.len() == words.len();
            let may_go_on = !window.complete && reaches_end && closed.len() < self.run_words;
            if may_go_on && (closed.is_empty() || self.holds(closed)) {
                scan.open(word.start);
            }
        }
    }
}

/// The words of a text that begin at or after `from`.
fn read_words(text: &str, from: usize, complete: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut at = text.ceil_char_boundary(from);
    // The rest of a word that began earlier belongs to it.
    let before = text[..at].chars().next_back();
    if before.is_some_and(is_inner) {
        let rest = text[at..].find(|c: char| !is_inner(c));
        at = rest.map_or(text.len(), |length| at + length);
    }
    while let Some(found) = text[at..].find(char::is_alphanumeric) {
        let start = at + found;
        let length = text[start..].find(|c: char| !is_inner(c));
        let end = length.map_or(text.len(), |length| start + length);
        let word = text.get(start..end).unwrap_or_default();
        let fits = word.len() <= MAX_WORD_BYTES;
        let previous = words.last().map(|word| word.end);
        words.push(Word {
            start,
            end,
            hash: fits.then(|| crate::linear::word_hash(&plain(word))),
            is_apart: previous.is_some_and(|previous| start - previous > MAX_GAP_BYTES),
            is_open: !complete && end == text.len() && fits,
        });
        at = end;
    }
    words
}

/// Whether a character belongs to a word: marks over and through letters do.
fn is_inner(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

fn is_number(word: &str) -> bool {
    word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A word as it is compared: in small letters, without marks and letters of other scripts and widths.
fn plain(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    // A letter by itself is of the script that those around it are of.
    let is_alone = word.chars().nth(1).is_none();
    let shown = if is_alone {
        format!("l{word}")
    } else {
        word.to_owned()
    };
    let plain = without_marks(&normalise(&shown).text).to_lowercase();
    match is_alone {
        true => plain.chars().skip(1).collect(),
        false => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "You are the assistant of a bakery. Never talk about the recipes of other bakeries, and be brief.";

    #[test]
    fn a_canary_is_found_and_a_short_one_is_refused() {
        let canary = Canary::new("k7-quartz-meadow").unwrap();
        let mut scan = Scan::default();
        canary.scan(Window::whole("it says K7-quartz-meadow!"), &mut scan);
        assert_eq!(scan.findings[0].span, 8..24);
        for disguised in [
            "k 7 - q u a r t z - m e a d o w",
            "k7\nquartz meadow",
            r#"["k", "7", "q", "u", "a", "r", "t", "z", "m", "e", "a", "d", "o", "w"]"#,
            "wodaem-ztrauq-7k",
            "\u{ff2b}\u{ff17}-QUARTZ-meadow",
        ] {
            let mut scan = Scan::default();
            canary.scan(Window::whole(&format!("kk {disguised} w")), &mut scan);
            assert_eq!(scan.findings.len(), 1, "{disguised}");
        }
        for honest in [
            "k7-quartz-meado",
            "k7-quartz of a meadow",
            "k7quartz......... meadow",
        ] {
            let mut scan = Scan::default();
            canary.scan(Window::whole(honest), &mut scan);
            assert!(scan.findings.is_empty(), "{honest}");
        }
        let odd = Canary::new("-=-=-=-=-=-=-=").unwrap();
        let mut scan = Scan::default();
        odd.scan(Window::whole("a -=-=-=-=-=-=-= b"), &mut scan);
        assert_eq!(scan.findings[0].span, 2..16);
        assert!(matches!(Canary::new("short"), Err(CanaryError::Short(5))));
    }

    fn redacted(text: &str, cut: Option<usize>) -> String {
        use std::sync::Arc;

        use crate::{Action, Engine, Place, Policy};
        let runs = PromptRuns::new([PROMPT], 8).unwrap();
        let policy = Policy::everywhere(Action::Redact, &[Category::Leak]);
        let engine = Arc::new(Engine::new(vec![Box::new(runs)], policy, 16 * 1024).unwrap());
        let Some(size) = cut else {
            return engine
                .apply(Place::OutputText, text, None)
                .text
                .into_owned();
        };
        let mut guard = engine.stream(Place::OutputText);
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
            let _ = guard.push(piece, &mut out);
            rest = after;
        }
        let _ = guard.finish(&mut out);
        out
    }

    #[test]
    fn a_repeated_prompt_is_found_in_any_pieces_and_a_paraphrase_is_not() {
        let loud = PROMPT.to_uppercase().replace(' ', " * ");
        let quoted = format!("My rules, as \u{2693} told: \"{loud}\" and so on.");
        let expected = "My rules, as \u{2693} told: \"[REDACTED:system_prompt].\" and so on.";
        assert_eq!(redacted(&quoted, None), expected);
        for size in 1..40 {
            assert_eq!(redacted(&quoted, Some(size)), expected, "pieces of {size}");
        }
        let numbered = |(at, word)| format!("{}. {word}\n", at + 1);
        let list: String = PROMPT.split(' ').enumerate().map(numbered).collect();
        let marked: String = PROMPT.chars().flat_map(|c| [c, '\u{336}']).collect();
        let wide = |c: char| char::from_u32(u32::from(c) + 0xFEE0).unwrap();
        let wide: String = PROMPT
            .chars()
            .map(|c| if c == ' ' { c } else { wide(c) })
            .collect();
        let cyrillic = PROMPT.replace('a', "\u{430}").replace('e', "\u{435}");
        for disguised in [list, marked, wide, cyrillic, PROMPT.replace('e', "\u{e9}")] {
            for cut in [None, Some(1), Some(3), Some(50)] {
                let told = redacted(&disguised, cut);
                assert!(told.contains("[REDACTED:system_prompt]"), "{cut:?} {told}");
                assert!(told.chars().count() < 40, "{cut:?} {told}");
            }
        }
        let own = "I help customers of a bakery and keep it short. You are the guest of a bakery.";
        assert_eq!(redacted(own, None), own);
        assert_eq!(redacted(own, Some(3)), own);
        assert!(PromptRuns::new(["Be brief."], 8).is_none());
    }

    #[test]
    fn a_text_that_shares_no_words_is_not_held_back() {
        let runs = PromptRuns::new([PROMPT], 8).unwrap();
        let mut scan = Scan::default();
        let text = "Ordinary text flows on ";
        let window = Window {
            text: text.as_bytes(),
            from: 0,
            complete: false,
        };
        runs.scan(window, &mut scan);
        assert_eq!(scan.undecided, usize::MAX);
    }
}
