//! A small reproducible random source for tests, drills and benchmarks.

/// A generator whose sequence depends on its seed alone (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count` (0 when `count` is 0).
    pub fn below(&mut self, count: usize) -> usize {
        self.roll().checked_rem(count as u64).unwrap_or(0) as usize
    }

    /// One of `choices`.
    pub fn pick<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> &'c T {
        choices[self.below(choices.len())]
    }

    /// `length` characters of `alphabet`.
    pub fn string(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length)
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    /// Random letters and digits.
    pub fn alnum(&mut self, length: usize) -> String {
        self.string(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            length,
        )
    }

    /// Random base-32 characters.
    pub fn base32(&mut self, length: usize) -> String {
        self.string("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length)
    }

    /// Random digits.
    pub fn digits(&mut self, length: usize) -> String {
        self.string("0123456789", length)
    }
}
