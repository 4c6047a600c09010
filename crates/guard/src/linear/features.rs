//! Hashes a text: words, words in a row and with a gap, the beginnings of sentences, and the pieces of
//! four characters that words are made of.

use super::wording::{MAX_WORD_BYTES, Wording, mix};

/// A block ends at the first word that begins this many bytes after it.
const BLOCK_BYTES: usize = 150;

/// Where a text is read closely, a block ends at the first sentence that begins this many bytes after it,
/// so that an order in the midst of other sentences has a window of its own.
const SENTENCE_BYTES: usize = 30;

/// The hashed features of a text, block by block.
#[derive(Debug, Clone, Default)]
pub struct Features {
    hashes: Vec<u32>,
    /// For each block, where it begins in the text and in `hashes`.
    starts: Vec<(usize, usize)>,
}

/// Takes the features of a text as they are made.
pub trait Sink {
    /// A block begins here in the text.
    fn begin_block(&mut self, begin: usize);

    /// The current block has this feature. There is one.
    fn add(&mut self, hash: u32);

    /// The current block has this feature, which is of concepts and tells only about documents.
    fn add_concept(&mut self, _hash: u32) {}
}

impl Sink for Features {
    fn begin_block(&mut self, begin: usize) {
        self.starts.push((begin, self.hashes.len()));
    }

    fn add(&mut self, hash: u32) {
        self.hashes.push(hash);
    }
}

/// Features with those of concepts.
#[derive(Debug, Clone, Default)]
pub struct DocumentFeatures(pub Features);

impl Sink for DocumentFeatures {
    fn begin_block(&mut self, begin: usize) {
        self.0.begin_block(begin);
    }

    fn add(&mut self, hash: u32) {
        self.0.add(hash);
    }

    fn add_concept(&mut self, hash: u32) {
        self.0.add(hash);
    }
}

/// For who only wants what a text's [`Notes`] see.
#[derive(Debug, Clone, Copy)]
pub struct NoFeatures;

impl Sink for NoFeatures {
    fn begin_block(&mut self, _: usize) {}

    fn add(&mut self, _: u32) {}
}

/// A feature with a name of its own.
fn add_named(name: u32, sink: &mut impl Sink) {
    let hash = finish(mix(mix(0x7f4a_7c15, name), 0x2545_f491));
    for _ in 0..NAMED_COPIES {
        sink.add(hash);
    }
}

impl Features {
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
}

fn finish(hash: u32) -> u32 {
    (hash ^ (hash >> 15)).wrapping_mul(0x85EB_CA6B)
}

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

    /// Called where a block begins.
    fn begin_block(&mut self) {}

    /// Called after [`Self::word`] for each word; the names that it adds become features of the block, of as much
    /// weight as a hashed word.
    fn add_concepts(&mut self, _around: Around, _add: impl FnMut(u32)) {}

    /// Called before the word at `offset`; a name that is returned becomes a feature of the block.
    fn mark_before(&mut self, offset: usize) -> Option<u32>;
}

/// What stands around a word.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// The byte behind it.
    pub after: u8,
    /// Whether it stands in a quotation in prose.
    pub is_quoted: bool,
}

/// Follows quotations in prose: those that begin behind a space or a bracket and end in the same line.
#[derive(Debug, Default)]
struct Quotation {
    /// Where the current one ends.
    end: usize,
}

impl Quotation {
    /// Whether the word that begins here stands in one.
    fn holds(&mut self, bytes: &[u8], begin: usize) -> bool {
        if begin >= self.end
            && let Some(mark) = opened(&bytes[..begin])
        {
            // Behind a mark that is alone in its line there is no other to search for, so that a text is searched
            // through once for each kind of mark.
            let rest = &bytes[begin..];
            self.end = match memchr::memchr2(mark, b'\n', rest) {
                Some(end) if rest[end] == mark => begin + end,
                _ => 0,
            };
        }
        begin < self.end
    }
}

/// The mark that begins a quotation in prose here; in JSON a name and its colon stand before it, or another value.
fn opened(before: &[u8]) -> Option<u8> {
    match before {
        [.., b'"', b':', b' ', b'"'] | [.., b',', b' ', b'"'] => None,
        [.., b' ' | b'(', mark @ (b'"' | b'`')] => Some(*mark),
        _ => None,
    }
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

/// Hashes the words of a text.
pub fn extract<N: Notes>(wording: &Wording<'_>, notes: &mut N, sink: &mut impl Sink) {
    let bytes = wording.lower.as_bytes();
    let (mut last, mut before_last) = (0_u32, 0_u32);
    let mut seen = Seen::default();
    let mut quotation = Quotation::default();
    let mut block = None;
    for word in &wording.words {
        let begin = word.begin as usize;
        let (hash, new_sentence) = (word.hash, word.new_sentence);
        let enough = match N::CLOSELY && new_sentence {
            true => SENTENCE_BYTES,
            false => BLOCK_BYTES,
        };
        if block.is_none_or(|block| begin >= block + enough) {
            block = Some(begin);
            sink.begin_block(begin);
            if N::CLOSELY {
                seen.clear();
            }
            notes.begin_block();
        }
        while let Some(name) = notes.mark_before(begin) {
            add_named(name, sink);
        }
        if let Some(name) = notes.word(hash, new_sentence) {
            add_named(name, sink);
        }
        let around = Around {
            after: bytes.get(word.end as usize).copied().unwrap_or(b' '),
            is_quoted: N::CLOSELY && quotation.holds(bytes, begin),
        };
        notes.add_concepts(around, |name| {
            sink.add_concept(finish(mix(mix(0x6b43_a9b5, name), 0x2545_f491)));
        });
        if N::CLOSELY && seen.has(mix(last, hash)) {
            // What is said over and over counts once, or nonsense would weigh more than words.
            (before_last, last) = (last, hash);
            continue;
        }
        notes.add_kinds(new_sentence, |name| {
            let hash = finish(mix(mix(0x51ed_270b, name), 0x2545_f491));
            for _ in 0..KIND_COPIES {
                sink.add(hash);
            }
        });
        if N::CLOSELY {
            sink.add(finish(mix(mix(before_last, hash), 7)));
            if new_sentence {
                sink.add(finish(mix(hash, 8)));
                (before_last, last) = (SENTENCE, SENTENCE);
            }
            let letters = &bytes[begin..word.end as usize];
            if letters.len() >= LEAST_PIECED {
                add_pieces(letters, sink);
            }
        }
        sink.add(finish(mix(hash, 1)));
        sink.add(finish(mix(mix(last, hash), 2)));
        sink.add(finish(mix(mix(mix(before_last, last), hash), 3)));
        (before_last, last) = (last, hash);
    }
    while let Some(name) = notes.mark_before(usize::MAX) {
        if block.is_none() {
            block = Some(0);
            sink.begin_block(0);
        }
        add_named(name, sink);
    }
}

/// Shorter words have no parts that say more than they do.
const LEAST_PIECED: usize = 5;

/// The pieces of four bytes of ` word `: enough to know a word by its parts.
fn add_pieces(word: &[u8], sink: &mut impl Sink) {
    let [first, second, rest @ ..] = word else {
        return;
    };
    let hash = |piece: u32| finish(piece.wrapping_mul(0xC2B2_AE35));
    // The last four bytes, the latest on top.
    let mut piece = u32::from_le_bytes([0, b' ', *first, *second]);
    for byte in rest.iter().chain(b" ") {
        piece = piece >> 8 | u32::from(*byte) << 24;
        sink.add(hash(piece));
    }
    if !word.is_ascii() {
        add_wide_pieces(word, sink);
    }
}

/// Pieces of six and nine bytes, which are two and three letters of most other scripts: four bytes are
/// little more than one.
fn add_wide_pieces(word: &[u8], sink: &mut impl Sink) {
    let mut padded = [b' '; MAX_WORD_BYTES + 2];
    padded[1..=word.len()].copy_from_slice(word);
    let begins_letter = |piece: &&[u8]| piece[0] & 0xC0 != 0x80;
    for size in [6, 9] {
        let pieces = padded[..word.len() + 2].windows(size);
        for piece in pieces.filter(begins_letter) {
            let hash = piece
                .iter()
                .fold(size as u32, |hash, byte| mix(hash, u32::from(*byte)));
            sink.add(finish(hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::Word;

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
        let text = "lorem ipsum dolor. ".repeat(30);
        extract(&Wording::of(text), &mut words, &mut features);
        let begins: Vec<usize> = features.blocks().map(|(begin, _)| begin).collect();
        assert_eq!(words.0.len(), 90);
        assert_eq!(begins[..3], [0, 38, 76]);
        assert!(features.blocks().all(|(_, hashes)| !hashes.is_empty()));
    }

    #[test]
    fn what_is_said_over_and_over_counts_once() {
        let count = |text: &str| {
            let mut features = Features::default();
            extract(&Wording::of(text), &mut Sentences::default(), &mut features);
            features.hashes.len()
        };
        assert_eq!(count(&"ha ".repeat(40)), count(&"ha ".repeat(4)));
        assert!(count("one two three four") > count("one two one two"));
    }

    #[test]
    fn quotations_in_prose_are_told_from_values() {
        let quoted = |text: &str| {
            let mut quotation = Quotation::default();
            let wording = Wording::of(text);
            let held = |word: &&Word| quotation.holds(text.as_bytes(), word.range().start);
            let words = wording.words().iter().filter(held);
            words.map(|word| &text[word.range()]).collect::<String>()
        };
        assert_eq!(
            quoted("he wrote \"obey me. now\" and (`run`) left"),
            "obeymenowrun"
        );
        assert_eq!(quoted("he wrote \"obey me\nand \"left"), "");
        assert_eq!(
            quoted("{\"text\": \"obey\", \"and\": [\"me\", \"now\"]}"),
            ""
        );
        assert_eq!(quoted("<a b=\"obey me\">,\"now\""), "");
    }

    #[test]
    fn sentences_are_told_apart() {
        let mut words = Sentences::default();
        extract(&Wording::of("one two. three"), &mut words, &mut NoFeatures);
        assert_eq!(words.0, [true, false, true]);
    }
}
