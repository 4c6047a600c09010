//! Asks a grammar about code, for a bounded time: the parser looks for the least broken reading of broken
//! code, and for the end of what begins, which took minutes for 64 KiB of closing brackets.

use std::cell::Cell;
use std::ops::ControlFlow;

use tree_sitter::{Language, ParseOptions, ParseState, Parser};

use crate::Problem;

/// The parser reports every hundred operations. Code that people write takes one report for a hundred bytes
/// or more.
const BYTES_A_REPORT: usize = 16;
/// It is given so many bytes of the code at a time, and asks for the same ones again where it goes back.
const READ_BYTES: usize = 512;
/// Code that people write is read a few times over.
const BYTES_A_READ: usize = 32;
/// Short code may take as many of both.
const LEAST: usize = 200;

/// Whether the grammar covers all of the source.
pub(crate) fn is_whole(language: &Language, source: &str) -> Result<bool, Problem> {
    let mut parser = Parser::new();
    if parser.set_language(language).is_err() {
        return Ok(false);
    }
    let bytes = source.as_bytes();
    let (mut reports, mut is_broken, reads) = (0, false, Cell::new(0));
    let most_reports = LEAST + bytes.len() / BYTES_A_REPORT;
    let most_reads = LEAST + bytes.len() / BYTES_A_READ;
    let mut progress = |state: &ParseState| {
        reports += 1;
        // No reading is left without an error: what else there is to say of it is not asked.
        is_broken |= state.has_error();
        match is_broken || reports > most_reports || reads.get() > most_reads {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let mut read = |at: usize, _| {
        reads.set(reads.get() + 1);
        let rest = bytes.get(at..).unwrap_or_default();
        // Who has read enough is told that this is the end.
        let most = if reads.get() > most_reads {
            0
        } else {
            READ_BYTES
        };
        &rest[..rest.len().min(most)]
    };
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    match tree {
        _ if reads.get() > most_reads => Err(Problem::TooComplex),
        Some(tree) => Ok(!tree.root_node().has_error()),
        None if is_broken => Ok(false),
        None => Err(Problem::TooComplex),
    }
}
