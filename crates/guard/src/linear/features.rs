//! Hashes a text: words, words in a row and with a gap, the beginnings of sentences, and the pieces of
//! four characters that words are made of.

/// A block ends at the first word that begins this many bytes after it.
const BLOCK_BYTES: usize = 150;

/// Where a text is read closely, a block ends at the first sentence that begins this many bytes after it,
/// so that an order in the midst of other sentences has a window of its own.
const SENTENCE_BYTES: usize = 30;

/// Words longer than this are cut: nothing natural is.
const MAX_WORD_BYTES: usize = 64;

/// The hashed features of a text, block by block.
#[derive(Debug, Clone, Default)]
pub struct Features {
    hashes: Vec<u32>,
    /// For each block, where it begins in the text and in `hashes`.
    starts: Vec<(usize, usize)>,
}

impl Features {
    /// Adds a feature with a name of its own to the current block.
    fn add_named(&mut self, name: u32) {
        if self.starts.is_empty() {
            self.starts.push((0, 0));
        }
        let hash = finish(mix(mix(0x7f4a_7c15, name), 0x2545_f491));
        self.hashes.extend(std::iter::repeat_n(hash, NAMED_COPIES));
    }

    /// The blocks: where each begins in the text, and its hashes.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .map(|(_, at)| *at)
            .chain([self.hashes.len()]);
        self.starts
            .iter()
            .zip(ends)
            .map(|((text, begin), end)| (*text, &self.hashes[*begin..end]))
    }

    /// Where a block begins in the text.
    pub fn block_begin(&self, block: usize) -> usize {
        self.starts.get(block).map_or(0, |(text, _)| *text)
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.starts.clear();
    }
}

fn mix(hash: u32, next: u32) -> u32 {
    (hash ^ next).wrapping_mul(0x9E37_79B1).rotate_left(13)
}

fn finish(hash: u32) -> u32 {
    (hash ^ (hash >> 15)).wrapping_mul(0x85EB_CA6B)
}

/// The hash under which [`extract`] announces a word (in lower case).
pub(crate) fn word_hash(word: &str) -> u32 {
    word.bytes()
        .take(MAX_WORD_BYTES)
        .fold(EMPTY, |hash, byte| mix(hash, u32::from(byte)))
}

/// The hash of a word without letters.
const EMPTY: u32 = 0x811c_9dc5;

const IN_WORD: u8 = 1;
const ENDS_SENTENCE: u8 = 2;

/// What each byte is: part of a word, the end of a sentence, or neither.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'\'' | 0x80.. => IN_WORD,
            b'.' | b'!' | b'?' | b'\n' | b';' => ENDS_SENTENCE,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

/// What [`extract`] adds to the hashed text.
pub trait Notes {
    /// Whether more is hashed than words and words in a row: pieces of words, pairs of words with a gap,
    /// beginnings of sentences.
    const CLOSELY: bool = true;

    /// Called for each word; `new_sentence` says that the word begins one. A name that is returned
    /// becomes a feature of the block.
    fn word(&mut self, hash: u32, new_sentence: bool) -> Option<u32>;

    /// Called after [`Self::word`] for each word that is not a repetition; the names that it adds become features of the block,
    /// of less weight than those that are returned.
    fn add_kinds(&mut self, _new_sentence: bool, _add: impl FnMut(u32)) {}

    /// Called before the word at `offset`; a name that is returned becomes a feature of the block.
    fn mark_before(&mut self, offset: usize) -> Option<u32>;
}

/// Adds nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoNotes;

impl Notes for NoNotes {
    fn word(&mut self, _: u32, _: bool) -> Option<u32> {
        None
    }

    fn mark_before(&mut self, _: usize) -> Option<u32> {
        None
    }
}

/// A named feature weighs as much as this many hashed ones.
const NAMED_COPIES: usize = 6;

/// So does one that kinds of words make.
const KIND_COPIES: usize = 2;

/// The pairs of words that a block has had. Some are taken for others, which costs a word's features.
#[derive(Debug, Default)]
struct Seen([u64; 32]);

impl Seen {
    fn clear(&mut self) {
        self.0 = [0; 32];
    }

    /// Whether a pair was here before; it is now.
    fn has(&mut self, pair: u32) -> bool {
        let place = finish(pair) >> 21;
        let (word, bit) = ((place >> 6) as usize, 1 << (place & 63));
        let is_known = self.0[word] & bit != 0;
        self.0[word] |= bit;
        is_known
    }
}

/// Stands before the first word of a sentence, so that words in a row begin with it.
const SENTENCE: u32 = 77;

/// Hashes a text, which should be in lower case.
pub fn extract<N: Notes>(text: &str, notes: &mut N, features: &mut Features) {
    features
        .hashes
        .reserve(text.len() * if N::CLOSELY { 2 } else { 1 });
    let bytes = text.as_bytes();
    let mut at = 0;
    let (mut last, mut before_last) = (0_u32, 0_u32);
    let mut new_sentence = true;
    let mut seen = Seen::default();
    while at < bytes.len() {
        let kind = KINDS[usize::from(bytes[at])];
        if kind != IN_WORD {
            new_sentence |= kind == ENDS_SENTENCE;
            at += 1;
            continue;
        }
        let begin = at;
        let mut hash = EMPTY;
        for &byte in bytes[begin..].iter().take(MAX_WORD_BYTES) {
            if KINDS[usize::from(byte)] != IN_WORD {
                break;
            }
            hash = mix(hash, u32::from(byte));
            at += 1;
        }
        let word = &bytes[begin..at];
        let enough = match N::CLOSELY && new_sentence {
            true => SENTENCE_BYTES,
            false => BLOCK_BYTES,
        };
        if features
            .starts
            .last()
            .is_none_or(|(block, _)| begin >= block + enough)
        {
            features.starts.push((begin, features.hashes.len()));
            seen.clear();
        }
        while let Some(name) = notes.mark_before(begin) {
            features.add_named(name);
        }
        if let Some(name) = notes.word(hash, new_sentence) {
            features.add_named(name);
        }
        if N::CLOSELY && seen.has(mix(last, hash)) {
            // What is said over and over counts once, or nonsense would weigh more than words.
            new_sentence = false;
            (before_last, last) = (last, hash);
            continue;
        }
        notes.add_kinds(new_sentence, |name| {
            let hash = finish(mix(mix(0x51ed_270b, name), 0x2545_f491));
            for _ in 0..KIND_COPIES {
                features.hashes.push(hash);
            }
        });
        if N::CLOSELY {
            features.hashes.push(finish(mix(mix(before_last, hash), 7)));
            if new_sentence {
                features.hashes.push(finish(mix(hash, 8)));
                (before_last, last) = (SENTENCE, SENTENCE);
            }
            add_pieces(word, &mut features.hashes);
        }
        new_sentence = false;
        add_words(hash, last, before_last, &mut features.hashes);
        (before_last, last) = (last, hash);
    }
    while let Some(name) = notes.mark_before(usize::MAX) {
        features.add_named(name);
    }
}

fn add_words(hash: u32, last: u32, before_last: u32, hashes: &mut Vec<u32>) {
    // Pushed one by one: three of a kind do not pay for the machinery of `extend`.
    hashes.push(finish(mix(hash, 1)));
    hashes.push(finish(mix(mix(last, hash), 2)));
    hashes.push(finish(mix(mix(mix(before_last, last), hash), 3)));
}

/// The pieces of four bytes of ` word `: enough to know a word by its parts.
fn add_pieces(word: &[u8], hashes: &mut Vec<u32>) {
    let hash = |piece: [u8; 4]| finish(u32::from_le_bytes(piece).wrapping_mul(0xC2B2_AE35));
    match *word {
        [] | [_] => {}
        [first, second] => hashes.push(hash([b' ', first, second, b' '])),
        [first, second, third, ..] => {
            hashes.push(hash([b' ', first, second, third]));
            let end = word.len();
            let inside = 0..end - 3;
            hashes.extend(
                inside.map(|at| hash([word[at], word[at + 1], word[at + 2], word[at + 3]])),
            );
            hashes.push(hash([word[end - 3], word[end - 2], word[end - 1], b' ']));
        }
    }
    if !word.is_ascii() {
        add_wide_pieces(word, hashes);
    }
}

/// Pieces of six and nine bytes, which are two and three letters of most other scripts: four bytes are
/// little more than one.
fn add_wide_pieces(word: &[u8], hashes: &mut Vec<u32>) {
    let mut padded = [b' '; MAX_WORD_BYTES + 2];
    padded[1..=word.len()].copy_from_slice(word);
    let begins_letter = |piece: &&[u8]| piece[0] & 0xC0 != 0x80;
    for size in [6, 9] {
        let pieces = padded[..word.len() + 2].windows(size).filter(begins_letter);
        hashes.extend(pieces.map(|piece| {
            let hash = piece
                .iter()
                .fold(size as u32, |hash, byte| mix(hash, u32::from(*byte)));
            finish(hash)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sentences(Vec<bool>);

    impl Notes for Sentences {
        fn word(&mut self, _: u32, new_sentence: bool) -> Option<u32> {
            self.0.push(new_sentence);
            None
        }

        fn mark_before(&mut self, _: usize) -> Option<u32> {
            None
        }
    }

    #[test]
    fn blocks_begin_at_words_and_cover_the_text() {
        let mut features = Features::default();
        let mut words = Sentences::default();
        extract(&"lorem ipsum dolor. ".repeat(30), &mut words, &mut features);
        let begins: Vec<usize> = features.blocks().map(|(begin, _)| begin).collect();
        assert_eq!(words.0.len(), 90);
        assert_eq!(begins[..3], [0, 38, 76]);
        assert!(features.blocks().all(|(_, hashes)| !hashes.is_empty()));
    }

    #[test]
    fn what_is_said_over_and_over_counts_once() {
        let count = |text: &str| {
            let mut features = Features::default();
            extract(text, &mut Sentences::default(), &mut features);
            features.hashes.len()
        };
        assert_eq!(count(&"ha ".repeat(40)), count(&"ha ".repeat(4)));
        assert!(count("one two three four") > count("one two one two"));
    }

    #[test]
    fn sentences_are_told_apart() {
        let mut words = Sentences::default();
        extract("one two. three", &mut words, &mut Features::default());
        assert_eq!(words.0, [true, false, true]);
    }
}
