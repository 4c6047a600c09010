//! Finds many literals in one pass and knows how much of one the text may be in the middle of.

use aho_corasick::automaton::Automaton as _;
use aho_corasick::automaton::StateID;
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

use crate::detector::Window;

/// Marks an entry of the table that leads to a state with a match.
const MATCHES: u32 = 1 << 31;

/// So many bytes are read before it is asked whether one of them ended a literal.
const STRIDE: usize = 8;

/// A set of literals, matched in any ASCII case; overlapping occurrences are all reported.
///
/// The automaton is built by a library and then written down as one flat table, because each byte of each
/// text goes through it: a class, an addition and a load.
#[derive(Debug)]
pub struct Triggers {
    /// For each byte, its column.
    classes: [u8; 256],
    columns: usize,
    /// For each state and column, where the row of the next state begins.
    table: Vec<u32>,
    /// For each state, the literals that end in it.
    ends: Vec<Vec<usize>>,
    lengths: Vec<usize>,
    /// For each state, how many bytes of a literal have been read.
    depths: Vec<u8>,
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
        let (classes, columns) = classes(&literals);
        // For each state of the library's automaton, its row in the table.
        let mut rows: Vec<Option<u32>> = Vec::new();
        let mut states = Vec::new();
        let mut row_of = |states: &mut Vec<StateID>, state: StateID| {
            let index = state.as_usize();
            if rows.len() <= index {
                rows.resize(index + 1, None);
            }
            *rows[index].get_or_insert_with(|| {
                states.push(state);
                ((states.len() - 1) * columns.len()) as u32
            })
        };
        row_of(&mut states, start);
        let mut table = Vec::new();
        while let Some(&state) = states.get(table.len() / columns.len()) {
            for byte in &columns {
                let next = automaton.next_state(Anchored::No, state, *byte);
                let row = row_of(&mut states, next);
                let is_match = automaton.is_match(next);
                table.push(row | if is_match { MATCHES } else { 0 });
            }
        }
        let ends = states.iter().map(|&state| {
            let count = match automaton.is_match(state) {
                true => automaton.match_len(state),
                false => 0,
            };
            let ends = (0..count).map(|index| automaton.match_pattern(state, index).as_usize());
            ends.collect()
        });
        let mut triggers = Self {
            ends: ends.collect(),
            depths: vec![0; states.len()],
            lengths: literals.iter().map(|literal| literal.len()).collect(),
            columns: columns.len(),
            classes,
            table,
        };
        for literal in &literals {
            let mut row = 0;
            for (index, byte) in literal.bytes().enumerate() {
                row = triggers.next(row, byte) & !MATCHES;
                let state = row as usize / triggers.columns;
                triggers.depths[state] = u8::try_from(index + 1).unwrap_or(u8::MAX);
            }
        }
        Ok(triggers)
    }

    fn next(&self, row: u32, byte: u8) -> u32 {
        self.table[row as usize + usize::from(self.classes[usize::from(byte)])]
    }

    /// Calls `visit(index, start)` for every occurrence from `window.from` on, and returns where the
    /// text may be in the middle of one (its length when it is not).
    pub fn scan(&self, window: &Window<'_>, mut visit: impl FnMut(usize, usize)) -> usize {
        let mut row = 0;
        let tail = window.text.get(window.from..).unwrap_or_default();
        let (strides, rest) = tail.as_chunks::<STRIDE>();
        let mut at = window.from;
        for stride in strides {
            // Few bytes end a literal: only where one of the stride does are they looked at again.
            let (mut next, mut seen) = (row, 0);
            for &byte in stride {
                next = self.next(next & !MATCHES, byte);
                seen |= next;
            }
            row = match seen & MATCHES {
                0 => next,
                _ => self.step(row, stride, at, &mut visit),
            };
            at += STRIDE;
        }
        row = self.step(row, rest, at, &mut visit);
        let depth = self.depths.get(row as usize / self.columns);
        window.text.len() - usize::from(depth.copied().unwrap_or(0))
    }
}

impl Triggers {
    /// Takes the bytes that stand at `at`, and says which row they lead to.
    fn step(
        &self,
        mut row: u32,
        bytes: &[u8],
        at: usize,
        visit: &mut impl FnMut(usize, usize),
    ) -> u32 {
        for (offset, &byte) in bytes.iter().enumerate() {
            row = self.next(row, byte);
            if row & MATCHES != 0 {
                row &= !MATCHES;
                let end = at + offset + 1;
                for &literal in &self.ends[row as usize / self.columns] {
                    visit(literal, end - self.lengths[literal]);
                }
            }
        }
        row
    }
}

/// The column of each byte, and one byte of each column: bytes that no literal has share the first.
fn classes(literals: &[&str]) -> ([u8; 256], Vec<u8>) {
    let mut classes = [0; 256];
    let mut is_used = [false; 256];
    for byte in literals.iter().flat_map(|literal| literal.bytes()) {
        is_used[usize::from(byte.to_ascii_lowercase())] = true;
    }
    let is_free = |byte: &u8| !is_used[usize::from(byte.to_ascii_lowercase())];
    let mut columns = vec![(0..=u8::MAX).find(is_free).unwrap_or(0)];
    for byte in (0..=u8::MAX).filter(|byte| is_used[usize::from(*byte)]) {
        let column = u8::try_from(columns.len()).unwrap_or(0);
        classes[usize::from(byte)] = column;
        classes[usize::from(byte.to_ascii_uppercase())] = column;
        columns.push(byte);
    }
    (classes, columns)
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
