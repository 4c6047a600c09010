//! Says quickly that a word is not in a list, which is true of most words.

/// A bitmap of hashes: a clear bit means that the word is not in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordFilter(Vec<u64>);

/// 2^16 bits: a list of 4,000 words lets one word in sixteen through.
const WORDS: usize = 1 << 10;

impl WordFilter {
    pub(crate) fn new(hashes: impl IntoIterator<Item = u32>) -> Self {
        let mut bits = vec![0; WORDS];
        for hash in hashes {
            let (word, bit) = place(hash);
            bits[word] |= bit;
        }
        Self(bits)
    }

    pub(crate) fn may_hold(&self, hash: u32) -> bool {
        let (word, bit) = place(hash);
        self.0[word] & bit != 0
    }
}

fn place(hash: u32) -> (usize, u64) {
    let short = (hash ^ (hash >> 16)) as u16;
    (usize::from(short >> 6), 1 << (short & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_list_passes_and_most_of_the_rest_does_not() {
        let inside: Vec<u32> = (0..1000_u32).map(|n| n.wrapping_mul(0x9E37_79B1)).collect();
        let filter = WordFilter::new(inside.iter().copied());
        assert!(inside.iter().all(|hash| filter.may_hold(*hash)));
        let outside = (1000..11_000_u32).map(|n| n.wrapping_mul(0x9E37_79B1));
        assert!(outside.filter(|hash| filter.may_hold(*hash)).count() < 1000);
    }
}
