//! A text as the judges of whole texts see it: without disguise, cut into words once for all of them.

use crate::linear::Wording;
use crate::normalise::{Traces, normalise};

/// Longer texts are judged in pieces, so that what a judge keeps of one is bounded.
const PIECE_BYTES: usize = 256 * 1024;

/// So much of the end of a piece is judged again with the next one, so that nothing hides in the seam.
const SEAM_BYTES: usize = 4 * 1024;

/// A text, or a piece of one, that is to be judged.
#[derive(Debug)]
pub struct Shown<'t> {
    pub(crate) wording: Wording<'t>,
    /// What was written in tag characters.
    pub(crate) smuggled: String,
    pub(crate) traces: Traces,
}

impl<'t> Shown<'t> {
    /// Takes the disguise off a text, piece by piece: one piece, unless the text is very long.
    pub fn pieces(text: &'t str) -> impl Iterator<Item = Shown<'t>> {
        pieces(text).map(Self::of)
    }

    fn of(text: &'t str) -> Self {
        let shown = normalise(text);
        Self {
            wording: Wording::of(shown.text),
            smuggled: shown.smuggled,
            traces: shown.traces,
        }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        if whole.len() <= PIECE_BYTES {
            return Some(whole);
        }
        let end = whole.floor_char_boundary(PIECE_BYTES);
        let next = whole.floor_char_boundary(end - SEAM_BYTES);
        rest = Some(&whole[next..]);
        Some(&whole[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_overlap_and_leave_nothing_out() {
        let text: String = (0..200_000).map(|n| format!("{n}é ")).collect();
        let mut covered = 0;
        for piece in pieces(&text) {
            let begin = piece.as_ptr() as usize - text.as_ptr() as usize;
            assert!(begin <= covered && piece.len() <= PIECE_BYTES);
            assert!(covered == 0 || covered - begin >= SEAM_BYTES);
            covered = begin + piece.len();
        }
        assert_eq!(covered, text.len());
        assert_eq!(pieces("").collect::<Vec<_>>(), [""]);
    }
}
