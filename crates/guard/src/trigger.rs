//! Finds many literals in one pass and knows how much of one the text may be in the middle of.

use aho_corasick::automaton::Automaton;
use aho_corasick::automaton::StateID;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

use crate::detector::Window;

/// A set of literals, matched in any ASCII case; overlapping occurrences are all reported.
#[derive(Debug)]
pub struct Triggers {
    automaton: DFA,
    start: StateID,
    lengths: Vec<usize>,
    /// For each state, how many bytes of a literal have been read.
    depths: Vec<u8>,
    stride_shift: u32,
}

/// Why a set of literals could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum TriggerError {
    /// A literal has no bytes or too many.
    #[error("a literal must have 1 to 64 bytes, found {0:?}; shorten it")]
    Length(String),
    /// The automaton would be too large.
    #[error("the literals do not fit an automaton: {0}; use fewer or shorter ones")]
    TooLarge(#[from] aho_corasick::BuildError),
    /// The automaton cannot be searched without an anchor.
    #[error("the automaton cannot be searched: {0}")]
    Search(#[from] aho_corasick::MatchError),
}

impl Triggers {
    /// Compiles the literals; they are reported by their index.
    pub fn new<'l>(literals: impl IntoIterator<Item = &'l str>) -> Result<Self, TriggerError> {
        let literals: Vec<&str> = literals.into_iter().collect();
        if let Some(odd) = literals.iter().find(|l| l.is_empty() || l.len() > 64) {
            return Err(TriggerError::Length((*odd).to_owned()));
        }
        let automaton = DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(aho_corasick::StartKind::Unanchored)
            .prefilter(false)
            .build(&literals)?;
        let start = automaton.start_state(Anchored::No)?;
        let mut depths: Vec<(usize, u8)> = Vec::new();
        for literal in &literals {
            let mut state = start;
            for (index, byte) in literal.bytes().enumerate() {
                state = automaton.next_state(Anchored::No, state, byte);
                depths.push((state.as_usize(), u8::try_from(index + 1).unwrap_or(u8::MAX)));
            }
        }
        let all_bits = depths
            .iter()
            .fold(start.as_usize(), |bits, (id, _)| bits | id);
        let stride_shift = all_bits.trailing_zeros().min(8);
        let largest = depths.iter().map(|(id, _)| *id).max().unwrap_or(0);
        let mut table = vec![0; (largest >> stride_shift) + 1];
        for (id, depth) in depths {
            table[id >> stride_shift] = depth;
        }
        Ok(Self {
            lengths: literals.iter().map(|literal| literal.len()).collect(),
            automaton,
            start,
            depths: table,
            stride_shift,
        })
    }

    /// Calls `visit(index, start)` for every occurrence from `window.from` on, and returns where the
    /// text may be in the middle of one (its length when it is not).
    pub fn scan(&self, window: &Window<'_>, mut visit: impl FnMut(usize, usize)) -> usize {
        let mut state = self.start;
        let tail = window.text.get(window.from..).unwrap_or_default();
        for (offset, &byte) in tail.iter().enumerate() {
            state = self.automaton.next_state(Anchored::No, state, byte);
            if self.automaton.is_special(state) && self.automaton.is_match(state) {
                let end = window.from + offset + 1;
                for index in 0..self.automaton.match_len(state) {
                    let literal = self.automaton.match_pattern(state, index).as_usize();
                    visit(literal, end - self.lengths[literal]);
                }
            }
        }
        let depth = self.depths.get(state.as_usize() >> self.stride_shift);
        window.text.len() - usize::from(depth.copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window<'_> {
        Window {
            text: text.as_bytes(),
            from: 0,
            complete: false,
        }
    }

    #[test]
    fn reports_overlapping_literals_in_any_case() {
        let triggers = Triggers::new(["token", "api_token", "ken"]).unwrap();
        let mut found = Vec::new();
        triggers.scan(&window("my API_TOKEN is"), |literal, start| {
            found.push((literal, start))
        });
        found.sort_unstable();
        assert_eq!(found, [(0, 7), (1, 3), (2, 9)]);
    }

    #[test]
    fn knows_where_a_literal_may_have_begun() {
        let triggers = Triggers::new(["ghp_", "glpat-", "pat"]).unwrap();
        for (text, open) in [
            ("x gh", 2),
            ("x glpa", 2),
            ("x glpx", 6),
            ("a ghp", 2),
            ("", 0),
            ("gh gl", 3),
        ] {
            assert_eq!(triggers.scan(&window(text), |_, _| {}), open, "{text}");
        }
    }

    #[test]
    fn refuses_an_empty_literal() {
        assert!(matches!(
            Triggers::new(["a", ""]),
            Err(TriggerError::Length(_))
        ));
    }
}
