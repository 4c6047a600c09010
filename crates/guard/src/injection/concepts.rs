//! What a block of a text speaks of: a model, a reader, a secret, an order. Which of these stand together, and in
//! which order, tells words to a model from words to a colleague, whatever the words are.

use crate::linear::Around;

/// More concepts than these there are not.
const MOST: usize = 48;

/// Concepts of a block, and what stood before the word that comes next.
#[derive(Debug)]
pub(super) struct Concepts {
    /// Those that the block has.
    seen: u64,
    /// For each concept, those that it came after.
    after: [u64; MOST],
    /// Those of the last two words of the sentence that have some, the latest first.
    last: [u64; 2],
}

impl Default for Concepts {
    fn default() -> Self {
        Self {
            seen: 0,
            after: [0; MOST],
            last: [0; 2],
        }
    }
}

/// The concepts of a set.
fn each(mut set: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let next = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (next < 64).then_some(next)
    })
}

const ALONE: u32 = 1 << 16;
const TOGETHER: u32 = 2 << 16;
const IN_ORDER: u32 = 3 << 16;
const FIRST: u32 = 4 << 16;

/// A model that is called by its name, as in `Assistant:`.
const CALLED: u32 = MOST as u32 - 1;
/// A model that something is for, or that is greeted.
const HAILED: u32 = MOST as u32 - 2;
/// A quotation in prose: who quotes an order does not give it.
const QUOTED: u32 = MOST as u32 - 3;

/// What tells that a model is spoken to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Address {
    /// The concepts that are models.
    models: u64,
    /// Those that greet one, or say what is for it.
    hails: u64,
}

impl Address {
    /// From the names of the concepts, in their order.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut address = Self::default();
        for (index, name) in names.enumerate() {
            match name {
                "ai" | "agent" | "doer" => address.models |= 1 << index,
                "hail" | "to" => address.hails |= 1 << index,
                _ => {}
            }
        }
        address
    }
}

impl Concepts {
    /// Forgets the block before.
    pub(super) fn begin_block(&mut self) {
        self.seen = 0;
        self.after = [0; MOST];
    }

    /// Takes the concepts of the next word, and names what they add to the block, each once: themselves, each pair
    /// with one that the block has, each pair with one of the last two words, and whether they begin a sentence.
    pub(super) fn add(
        &mut self,
        mut set: u64,
        address: Address,
        begins: bool,
        around: Around,
        mut add: impl FnMut(u32),
    ) {
        if begins {
            self.last = [0; 2];
        }
        if around.is_quoted {
            set |= (1 << QUOTED) & !self.seen;
        }
        if set == 0 {
            return;
        }
        let last = self.last[0] | self.last[1];
        if set & address.models != 0 {
            let is_called = matches!(around.after, b':' | b',' | b'!');
            set |= u64::from(is_called) << CALLED;
            set |= u64::from(last & address.hails != 0) << HAILED;
        }
        for concept in each(set) {
            if self.seen & (1 << concept) == 0 {
                add(ALONE | concept);
                for other in each(self.seen) {
                    add(TOGETHER | concept.min(other) << 8 | concept.max(other));
                }
                self.seen |= 1 << concept;
            }
            let before = last & !self.after[concept as usize];
            self.after[concept as usize] |= before;
            for other in each(before) {
                add(IN_ORDER | other << 8 | concept);
            }
            if begins {
                add(FIRST | concept);
            }
        }
        self.last = [set, self.last[0]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: u64 = 1;
    const TO: u64 = 1 << 1;
    const SEND: u64 = 1 << 2;

    /// The names that words with these concepts, and what stands behind each, add to a block.
    fn names(words: &[(u64, u8)]) -> Vec<u32> {
        let address = Address::new(["agent", "to", "send"].into_iter());
        let (mut concepts, mut names) = (Concepts::default(), Vec::new());
        for (index, (set, after)) in words.iter().enumerate() {
            let around = Around {
                after: *after,
                is_quoted: false,
            };
            concepts.add(*set, address, index == 0, around, |name| names.push(name));
        }
        names
    }

    #[test]
    fn a_model_that_is_spoken_to_is_told_from_one_that_is_spoken_of() {
        let of = names(&[(AGENT, b' '), (SEND, b' ')]);
        assert_eq!(of, [ALONE, FIRST, ALONE | 2, TOGETHER | 2, IN_ORDER | 2]);
        let called = names(&[(AGENT, b':'), (SEND, b' ')]);
        assert!(called.contains(&(TOGETHER | 2 << 8 | CALLED)));
        let hailed = names(&[(TO, b' '), (AGENT, b' ')]);
        assert!(hailed.contains(&(ALONE | HAILED)) && !hailed.contains(&(ALONE | CALLED)));
    }

    #[test]
    fn a_quotation_is_named_once_in_a_block() {
        let (mut concepts, mut quoted) = (Concepts::default(), 0);
        for _ in 0..3 {
            let around = Around {
                after: b' ',
                is_quoted: true,
            };
            let count = |name| quoted += u32::from(name == ALONE | QUOTED);
            concepts.add(SEND, Address::default(), false, around, count);
        }
        assert_eq!(quoted, 1);
    }

    #[test]
    fn what_a_block_has_is_not_named_again() {
        let once = names(&[(AGENT, b' '), (SEND, b' ')]).len();
        let twice = names(&[(AGENT, b' '), (SEND, b' '), (SEND, b' ')]);
        assert_eq!(twice[once..], [IN_ORDER | 2 << 8 | 2]);
    }
}
