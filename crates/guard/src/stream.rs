//! Guards a text that arrives in pieces: releases what is decided, holds back only what could still
//! become part of a match.
//!
//! Semantics: whatever the cuts, the released bytes are those that [`Engine::apply`] would give for
//! the whole text, and the verdict is the same. A candidate waits for at most `holdback_bytes`, and a
//! match that overlaps it for as much again.

use std::sync::Arc;

use crate::cursor::LOOKBEHIND_BYTES;
use crate::detector::{Scan, Window};
use crate::engine::Engine;
use crate::invisible::Invisible;
use crate::policy::{Place, Verdict};
use crate::render::{Piece, Renderer};

/// Decided text is dropped from the buffer once there is this much of it.
const TRIM_BYTES: usize = 1024;

/// Where so much waits, it is looked at again only once it has grown by one part in [`GROWTH`]: else a text that
/// keeps candidates open would be read from their beginning for each of its pieces.
const PATIENT_BYTES: usize = 2048;
const GROWTH: usize = 16;

/// Whether a stream may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It goes on.
    Open,
    /// A match asked for `block`: nothing more will be released.
    Blocked,
}

/// The guard of one stream of text.
#[derive(Debug)]
pub struct StreamGuard {
    engine: Arc<Engine>,
    renderer: Renderer,
    invisible: Invisible,
    buffer: String,
    /// The offset of the buffer's first byte in the whole text.
    begin: usize,
    /// Everything before this offset is decided.
    decided: usize,
    /// Everything before this offset was looked at.
    seen: usize,
}

impl StreamGuard {
    pub(crate) fn new(engine: Arc<Engine>, place: Place) -> Self {
        Self {
            engine,
            renderer: Renderer::new(place),
            invisible: Invisible::default(),
            buffer: String::new(),
            begin: 0,
            decided: 0,
            seen: 0,
        }
    }

    /// Takes the next piece and appends what may pass to `out`.
    pub fn push(&mut self, piece: &str, out: &mut String) -> Flow {
        if self.renderer.is_blocked() {
            return Flow::Blocked;
        }
        self.invisible.push(piece, &mut self.buffer);
        let waiting = self.seen - self.decided;
        let grown = self.begin + self.buffer.len() - self.seen;
        if waiting >= PATIENT_BYTES && grown < waiting / GROWTH {
            return Flow::Open;
        }
        self.decide(false, out)
    }

    /// Decides the rest: nothing follows.
    pub fn finish(&mut self, out: &mut String) -> Flow {
        if self.renderer.is_blocked() {
            return Flow::Blocked;
        }
        self.invisible.finish(&mut self.buffer);
        self.decide(true, out)
    }

    /// What was decided so far.
    pub fn verdict(&self) -> &Verdict {
        self.renderer.verdict()
    }

    /// How many bytes wait for a decision.
    pub fn held_bytes(&self) -> usize {
        self.begin + self.buffer.len() - self.decided
    }

    fn decide(&mut self, complete: bool, out: &mut String) -> Flow {
        self.seen = self.begin + self.buffer.len();
        let mut scan = Scan::default();
        let window = Window {
            text: self.buffer.as_bytes(),
            from: self.decided - self.begin,
            complete,
        };
        self.engine.scan(window, &mut scan);
        let until = self.decidable(&scan, window.from);
        scan.findings.retain(|finding| finding.span.start < until);
        for finding in &mut scan.findings {
            finding.span.start += self.begin;
            finding.span.end += self.begin;
        }
        self.decided = self.begin + until;
        let piece = Piece {
            text: &self.buffer,
            begin: self.begin,
        };
        self.renderer.advance(
            (piece, self.decided),
            scan.findings,
            (self.engine.policy(), &mut None),
            out,
        );
        self.trim(until);
        if self.renderer.is_blocked() {
            return Flow::Blocked;
        }
        Flow::Open
    }

    /// How much of the buffer is decided, at a character's boundary and within the holdback.
    fn decidable(&self, scan: &Scan, from: usize) -> usize {
        let length = self.buffer.len();
        // Matches that overlap an open candidate wait with it: one holdback for each.
        let least = length.saturating_sub(2 * self.engine.holdback_bytes());
        let until = scan.safe_cut(scan.undecided.min(length)).max(least);
        self.buffer.floor_char_boundary(until).max(from)
    }

    /// Drops decided text, except what matchers may look back at.
    fn trim(&mut self, until: usize) {
        let spare = until.saturating_sub(LOOKBEHIND_BYTES);
        if spare >= TRIM_BYTES {
            let cut = self.buffer.floor_char_boundary(spare);
            self.buffer.drain(..cut);
            self.begin += cut;
        }
    }
}

#[cfg(test)]
mod tests;
