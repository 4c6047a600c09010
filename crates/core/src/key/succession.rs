//! Which key took the place of which: whoever rotates a key keeps its limits and budgets.

use std::collections::HashMap;
use std::sync::Arc;

/// How far keys are followed back. Nobody rotates a key so often; a circle, which only a hand in the
/// database can make, ends here.
pub const MAX_ROTATIONS: u32 = 10_000;

/// Keys that took the place of others by rotation, each with the one that was before it.
#[derive(Debug, Default)]
pub struct Successions(HashMap<String, Arc<str>>);

impl FromIterator<(String, String)> for Successions {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(pairs.map(|(key, before)| (key, before.into())).collect())
    }
}

impl Successions {
    /// The keys that this one took the place of, one after the other, latest first.
    pub fn before(&self, id: &str) -> impl Iterator<Item = Arc<str>> {
        let first = self.0.get(id).cloned();
        let earlier = std::iter::successors(first, |key| self.0.get(&**key).cloned());
        earlier.take(MAX_ROTATIONS as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_followed_back_to_the_first_and_circles_end() {
        let pairs = [("c", "b"), ("b", "a"), ("x", "y"), ("y", "x")];
        let pairs = pairs.map(|(key, before)| (key.to_owned(), before.to_owned()));
        let successions: Successions = pairs.into_iter().collect();
        let before = |id| Vec::from_iter(successions.before(id));
        assert_eq!(before("c"), [Arc::from("b"), Arc::from("a")]);
        assert_eq!(before("a"), []);
        assert_eq!(before("unknown"), []);
        assert_eq!(before("x").len(), MAX_ROTATIONS as usize);
    }
}
