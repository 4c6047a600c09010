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

/// So many places of a text are read at the same time: each step waits for the one before it, and a processor
/// has other things to do meanwhile.
const LANES: usize = 4;

/// A text is read in blocks of so many bytes, so that what is noted of one is bounded.
const BLOCK: usize = 16 * 1024;

/// No literal is longer.
const MAX_LITERAL: usize = 64;

/// For each lane, the strides in which literals end: the offset of each, and the row in which it begins.
type LaneEnds = [Vec<(usize, u32)>; LANES];

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
        if let Some(odd) = literals
            .iter()
            .find(|l| l.is_empty() || l.len() > MAX_LITERAL)
        {
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

    /// Calls `visit(index, start)` for every occurrence from `window.from` on, in the order of their ends, and
    /// returns where the text may be in the middle of one (its length when it is not).
    pub fn scan(&self, window: &Window<'_>, mut visit: impl FnMut(usize, usize)) -> usize {
        let (mut row, mut at) = (0, window.from);
        let mut ends = Default::default();
        for block in window.text.get(at..).unwrap_or_default().chunks(BLOCK) {
            let lane = block.len() / LANES / STRIDE * STRIDE;
            let mut rest = block;
            if lane >= 2 * MAX_LITERAL {
                row = self.read_lanes(row, block, lane, &mut ends);
                for (index, ends) in ends.iter_mut().enumerate() {
                    for (offset, row) in ends.drain(..) {
                        let begin = index * lane + offset;
                        let stride = &block[begin..begin + STRIDE];
                        self.step(row, stride, at + begin, &mut visit);
                    }
                }
                rest = &block[LANES * lane..];
                at += LANES * lane;
            }
            row = self.read(row, rest, at, &mut visit);
            at += rest.len();
        }
        let depth = self.depths.get(row as usize / self.columns);
        window.text.len() - usize::from(depth.copied().unwrap_or(0))
    }

    /// Reads the first `LANES` times `lane` bytes of a block, and notes for each lane in which strides literals
    /// end, and in which row each of those begins. Returns the last row.
    fn read_lanes(&self, row: u32, block: &[u8], lane: usize, ends: &mut LaneEnds) -> u32 {
        let strides = |index: usize| block[index * lane..][..lane].as_chunks::<STRIDE>().0;
        let lanes: [&[[u8; STRIDE]]; LANES] = std::array::from_fn(strides);
        // What has been read longer ago than the longest literal does not matter.
        let mut rows: [u32; LANES] = std::array::from_fn(|index| match index {
            0 => row,
            _ => block[index * lane - MAX_LITERAL..index * lane]
                .iter()
                .fold(0, |row, byte| self.next(row, *byte) & !MATCHES),
        });
        for stride in 0..lane / STRIDE {
            let before = rows;
            let mut seen = [0; LANES];
            for byte in 0..STRIDE {
                for ((row, seen), lane) in rows.iter_mut().zip(&mut seen).zip(&lanes) {
                    *row = self.next(*row & !MATCHES, lane[stride][byte]);
                    *seen |= *row;
                }
            }
            for (index, seen) in seen.iter().enumerate() {
                if seen & MATCHES != 0 {
                    ends[index].push((stride * STRIDE, before[index] & !MATCHES));
                }
            }
        }
        rows[LANES - 1] & !MATCHES
    }

    /// Reads the bytes that stand at `at`, and says which row they lead to.
    fn read(
        &self,
        mut row: u32,
        bytes: &[u8],
        mut at: usize,
        visit: &mut impl FnMut(usize, usize),
    ) -> u32 {
        let (strides, rest) = bytes.as_chunks::<STRIDE>();
        for stride in strides {
            // Few bytes end a literal: only where one of the stride does are they looked at again.
            let (mut next, mut seen) = (row, 0);
            for &byte in stride {
                next = self.next(next & !MATCHES, byte);
                seen |= next;
            }
            row = match seen & MATCHES {
                0 => next,
                _ => self.step(row, stride, at, visit),
            };
            at += STRIDE;
        }
        self.step(row, rest, at, visit)
    }

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
    fn long_texts_are_read_as_one() {
        let literals = ["ab", "bab", "abababa", "aabba", "bbbbbbbbbbbb"];
        let triggers = Triggers::new(literals).unwrap();
        let mut dice = crate::testing::Dice::new(3);
        for length in [100, 511, 512, 1029, 4096, 16_384, 16_385, 40_000] {
            let text: String = (0..length).map(|_| dice.pick(&["a", "b"])).collect();
            let mut expected: Vec<(usize, usize)> = (0..length)
                .flat_map(|at| (0..literals.len()).map(move |literal| (at, literal)))
                .filter(|(at, literal)| text[*at..].starts_with(literals[*literal]))
                .map(|(at, literal)| (at + literals[literal].len(), literal))
                .collect();
            let mut found = Vec::new();
            triggers.scan(&window(&text), |literal, start| {
                found.push((start + literals[literal].len(), literal));
            });
            assert!(found.is_sorted_by_key(|(end, _)| *end));
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{length}");
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
