//! Marks on what is not shown, which tell one value from another while two configurations are
//! compared. They never leave the comparison.

use std::cell::Cell;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// How a mark begins, and how that is written in JSON. No text of a configuration holds it.
const BEGIN: char = '\0';
const BEGIN_IN_JSON: &str = "\\u0000";
/// How many bytes of the digest a mark has.
const DIGEST_BYTES: usize = 16;

thread_local! {
    /// Serde hands nothing down to the values that it writes.
    static ARE_WRITTEN: Cell<bool> = const { Cell::new(false) };
}

/// Calls `write`, in which everything that is not shown gets its mark.
pub(crate) fn written<T>(write: impl FnOnce() -> T) -> T {
    ARE_WRITTEN.set(true);
    let written = write();
    ARE_WRITTEN.set(false);
    written
}

/// The mark of a value, for behind what is shown in its place; nothing outside of [`written`].
pub(crate) fn of(value: &str) -> String {
    let mut mark = String::new();
    if ARE_WRITTEN.get() {
        mark.push(BEGIN);
        for byte in Sha256::digest(value).iter().take(DIGEST_BYTES) {
            let _ = write!(mark, "{byte:02x}");
        }
    }
    mark
}

/// JSON without the marks in it.
pub(crate) fn removed(json: &str) -> String {
    let mut pieces = json.split(BEGIN_IN_JSON);
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| piece.get(2 * DIGEST_BYTES..).unwrap_or_default());
    std::iter::once(first).chain(rest).collect()
}
