//! A command as it is looked at: its words, the programs among them, and the pieces of text that matter, each found
//! in one pass over it.

use std::sync::LazyLock;

use crate::detector::Window;
use crate::trigger::Triggers;

/// Programs that matter.
const NAMES: [&str; 36] = [
    "rm",
    "xargs",
    "dd",
    "find",
    "shred",
    "wipefs",
    "blkdiscard",
    "tee",
    "cp",
    "sh",
    "bash",
    "zsh",
    "dash",
    "python",
    "python3",
    "perl",
    "ruby",
    "node",
    "curl",
    "wget",
    "base32",
    "xxd",
    "uudecode",
    "rev",
    "openssl",
    "eval",
    "nc",
    "ncat",
    "socat",
    "scp",
    "sudo",
    "su",
    "doas",
    "nsenter",
    "pkexec",
    "chmod",
];

/// Pieces of text that matter.
const PARTS: [&str; 44] = [
    "--recursive",
    "--force",
    "--no-preserve-root",
    "-exec",
    "of=",
    "-delete",
    ":(){",
    ":() {",
    "drop table",
    "drop database",
    "git push --force",
    "git push -f",
    ">/dev/sd",
    ">/dev/nvme",
    ">/dev/hd",
    ">/dev/vd",
    ">/dev/mmcblk",
    ">/dev/disk",
    "> /dev/sd",
    "> /dev/nvme",
    "> /dev/hd",
    "> /dev/vd",
    "> /dev/mmcblk",
    "> /dev/disk",
    "$(",
    "<(",
    "&&",
    "base64",
    "\\x",
    "\\0",
    "\\1",
    "-c exec(",
    "pty.spawn(",
    "/dev/tcp/",
    "/dev/udp/",
    "777",
    "+s",
    "/etc/shadow",
    "/etc/sudoers",
    "authorized_keys",
    "ld_preload=",
    // Single signs stand in most commands, and are looked for by themselves.
    "|",
    "`",
    ":",
];

/// How many of [`PARTS`] are single signs.
const SIGNS: usize = 3;

#[expect(
    clippy::expect_used,
    reason = "the literals are constants, and a test compiles them"
)]
static TRIGGERS: LazyLock<Triggers> = LazyLock::new(|| {
    let longer = PARTS.into_iter().take(PARTS.len() - SIGNS);
    Triggers::new(longer).expect("the pieces are short and few")
});

/// The bits of programs.
pub(super) const fn names(wanted: &[&str]) -> u64 {
    bits(&NAMES, wanted)
}

/// The bits of pieces of text.
pub(super) const fn parts(wanted: &[&str]) -> u64 {
    bits(&PARTS, wanted)
}

const fn bits(known: &[&str], wanted: &[&str]) -> u64 {
    let (mut bits, mut at) = (0, 0);
    while at < wanted.len() {
        let mut place = 0;
        while place < known.len() && !is_same(known[place], wanted[at]) {
            place += 1;
        }
        assert!(
            place < known.len(),
            "it is none of those that are looked for"
        );
        bits |= 1 << place;
        at += 1;
    }
    bits
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// Which of [`PARTS`] a text in lower case holds, as bits.
pub(super) fn parts_of(text: &str) -> u64 {
    let mut held = 0;
    TRIGGERS.scan(&Window::whole(text), |part, _| held |= 1 << part);
    for (sign, place) in PARTS.iter().rev().zip((0..PARTS.len()).rev()).take(SIGNS) {
        let there = memchr::memchr(sign.as_bytes()[0], text.as_bytes()).is_some();
        held |= u64::from(there) << place;
    }
    held
}

/// The programs that begin with each letter, as bits.
const INITIALS: [u64; 26] = {
    let mut initials = [0; 26];
    let mut place = 0;
    while place < NAMES.len() {
        initials[(NAMES[place].as_bytes()[0] - b'a') as usize] |= 1 << place;
        place += 1;
    }
    initials
};

/// The bit of a program, if it is one of those.
pub(super) fn name_of(program: &[u8]) -> u64 {
    let initial = program
        .first()
        .map_or(u8::MAX, |first| first.wrapping_sub(b'a'));
    let mut left = INITIALS.get(usize::from(initial)).copied().unwrap_or(0);
    while left != 0 {
        let place = left.trailing_zeros();
        if NAMES[place as usize].as_bytes() == program {
            return 1 << place;
        }
        left &= left - 1;
    }
    0
}

/// What a word runs: the last part of a path.
pub(super) fn program(word: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', word).map_or(word, |at| &word[at + 1..])
}

/// Signs that separate words, as a table.
pub(super) type Borders = [bool; 256];

const fn borders(signs: &[u8]) -> Borders {
    let mut borders = [false; 256];
    let mut at = 0;
    while at < signs.len() {
        borders[signs[at] as usize] = true;
        at += 1;
    }
    borders
}

/// What separates words.
pub(super) const BORDERS: &Borders = &borders(b" ;|&()`\"'");
/// What separates them as well where somebody hides them: `{rm,-rf,/}`, or `a=rm; $a -rf /`.
pub(super) const HIDDEN_BORDERS: &Borders = &borders(b" ;|&()`{},=<>");

/// The words of a text.
pub(super) fn split<'t>(
    text: &'t str,
    borders: &'static Borders,
) -> impl Iterator<Item = &'t [u8]> {
    let words = text.as_bytes().split(|byte| borders[usize::from(*byte)]);
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_piece_has_its_bit() {
        for (place, name) in NAMES.iter().enumerate() {
            assert_eq!(name_of(name.as_bytes()), 1 << place, "{name}");
            assert_eq!(name_of(format!("{name}x").as_bytes()), 0, "{name}");
        }
        for (place, part) in PARTS.iter().enumerate() {
            for text in [
                (*part).to_owned(),
                format!("x {part} x"),
                "_".repeat(900) + part,
            ] {
                assert_ne!(parts_of(&text) & 1 << place, 0, "{part}");
            }
        }
        assert_eq!(parts_of("nothing of it") | name_of(b"") | name_of(b"{"), 0);
        assert_eq!(parts(&["--force", "|"]), 1 << 1 | 1 << 41);
        assert_eq!(program(b"/usr/bin/rm"), b"rm");
        assert_eq!(
            split("a;b  (c)", BORDERS).collect::<Vec<_>>(),
            [b"a", b"b", b"c"]
        );
    }
}
