//! Hashes the character 3- to 5-grams and the word 1- to 3-grams of a text.

/// A block ends at the first word that begins this many bytes after it.
const BLOCK_BYTES: usize = 150;

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
        .fold(0x811c_9dc5, |hash, byte| mix(hash, u32::from(byte)))
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'\''
}

/// What [`extract`] adds to the hashed text.
pub trait Notes {
    /// Whether the characters of words are hashed too, or only the words.
    const CHARACTERS: bool = true;

    /// Called for each word; `new_sentence` says that the word begins one. A name that is returned
    /// becomes a feature of the block.
    fn word(&mut self, hash: u32, new_sentence: bool) -> Option<u32>;

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

/// Hashes a text, which should be in lower case.
pub fn extract<N: Notes>(text: &str, notes: &mut N, features: &mut Features) {
    features
        .hashes
        .reserve(text.len() * if N::CHARACTERS { 3 } else { 1 });
    let bytes = text.as_bytes();
    let mut at = 0;
    let (mut last, mut before_last) = (0_u32, 0_u32);
    let mut new_sentence = true;
    while at < bytes.len() {
        if !is_word_byte(bytes[at]) {
            new_sentence |= matches!(bytes[at], b'.' | b'!' | b'?' | b'\n' | b';');
            at += 1;
            continue;
        }
        let length = bytes[at..]
            .iter()
            .take(MAX_WORD_BYTES)
            .take_while(|&&byte| is_word_byte(byte))
            .count();
        let word = &bytes[at..at + length];
        if features
            .starts
            .last()
            .is_none_or(|(begin, _)| at >= begin + BLOCK_BYTES)
        {
            features.starts.push((at, features.hashes.len()));
        }
        let hash = word
            .iter()
            .fold(0x811c_9dc5, |hash, &byte| mix(hash, u32::from(byte)));
        while let Some(name) = notes.mark_before(at) {
            features.add_named(name);
        }
        if let Some(name) = notes.word(hash, new_sentence) {
            features.add_named(name);
        }
        new_sentence = false;
        add_words(hash, last, before_last, &mut features.hashes);
        if N::CHARACTERS {
            add_characters(word, &mut features.hashes);
        }
        (before_last, last) = (last, hash);
        at += length;
    }
    while let Some(name) = notes.mark_before(usize::MAX) {
        features.add_named(name);
    }
}

fn add_words(hash: u32, last: u32, before_last: u32, hashes: &mut Vec<u32>) {
    hashes.push(finish(mix(hash, 1)));
    hashes.push(finish(mix(mix(last, hash), 2)));
    hashes.push(finish(mix(mix(mix(before_last, last), hash), 3)));
}

/// The 3- to 5-grams of ` word `.
fn add_characters(word: &[u8], hashes: &mut Vec<u32>) {
    let mut padded = [b' '; MAX_WORD_BYTES + 2];
    let length = word.len() + 2;
    padded[1..=word.len()].copy_from_slice(word);
    for (begin, three) in padded[..length].windows(3).enumerate() {
        let [a, b, c] = [three[0], three[1], three[2]].map(u32::from);
        let mut hash = (a | b << 8 | c << 16).wrapping_mul(0xC2B2_AE35);
        hashes.push(finish(hash));
        for &byte in &padded[begin + 3..length.min(begin + 5)] {
            hash = mix(hash, u32::from(byte));
            hashes.push(finish(hash));
        }
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
        assert_eq!(begins, [0, 152, 304, 456]);
        assert!(features.blocks().all(|(_, hashes)| !hashes.is_empty()));
    }

    #[test]
    fn sentences_are_told_apart() {
        let mut words = Sentences::default();
        extract("one two. three", &mut words, &mut Features::default());
        assert_eq!(words.0, [true, false, true]);
    }
}
