//! Addresses of IPv4, and the versions of four parts that look like them.

use super::number::Run;
use crate::cursor::contains_word;

/// What stands behind a number, as far as it can tell a version from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The ending of a file that is named after a version, such as `.jar`.
    File,
    Bracket,
    Other,
}

/// Words whose value is a version.
const NAMES: [&str; 14] = [
    "version",
    "versions",
    "v",
    "ver",
    "vers",
    "release",
    "releases",
    "build",
    "rev",
    "revision",
    "firmware",
    "patchlevel",
    "resolved",
    "requested",
];

/// Words between such a name and its value.
const LINKS: [&str; 9] = [
    "is", "was", "number", "no", "string", "to", "from", "now", "the",
];

/// What machines are called: a number beside one of these is its address.
const MACHINES: [&str; 20] = [
    "ip", "ipv4", "inet", "net", "host", "addr", "address", "client", "server", "peer", "remote",
    "src", "source", "dst", "dest", "node", "gateway", "router", "proxy", "user",
];

/// Programs that write themselves in lower case where they introduce themselves.
const PROGRAMS: [&str; 12] = [
    "curl", "libcurl", "wget", "okhttp", "axios", "nginx", "python", "node", "chrome", "electron",
    "java", "aiohttp",
];

const OPERATORS: [&str; 7] = [">=", "<=", "~>", "~=", "^", "~", "=="];

/// Endings of files that are named after a version.
pub(super) const FILES: [&str; 22] = [
    "jar", "war", "tar", "tgz", "gz", "xz", "bz2", "zip", "whl", "egg", "gem", "nupkg", "deb",
    "rpm", "apk", "pkg", "dmg", "exe", "msi", "dll", "vsix", "so",
];

/// Whether a run of four numbers is the address of a machine.
pub(super) fn is_address(run: &Run<'_>, before: &[u8], next: Next) -> bool {
    if run.groups.len() != 4 || run.international {
        return false;
    }
    let mut rest = run.digits;
    let mut octets = [0_u32; 4];
    for (octet, &length) in octets.iter_mut().zip(run.groups) {
        let (group, tail) = rest.split_at(usize::from(length));
        *octet = group
            .iter()
            .take(4)
            .fold(0, |sum, &digit| sum * 10 + u32::from(digit));
        if length > 3 || *octet > 255 || (length > 1 && group[0] == 0) {
            return false;
        }
        rest = tail;
    }
    // What ends in two zeros is a network at most, and nobody's address.
    let is_nobody = matches!(octets, [0 | 127, ..] | [.., 0, 0] | [255, 255, 255, 255]);
    !is_nobody && !is_version(before, next)
}

fn is_version(before: &[u8], next: Next) -> bool {
    let line = before.rsplit(|&b| b == b'\n').next().unwrap_or_default();
    // Lists have nothing before it.
    !line.is_empty()
        && (is_named(line)
            || is_required(line)
            || is_product(line)
            || is_coordinate(line)
            || (next == Next::File
                && matches!(
                    line,
                    [.., b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9', b'-' | b'.']
                ))
            || (next == Next::Bracket && line.len() < before.len() && is_locked(line))
            || contains_word(line, &["bump", "bumps", "bumped"]))
}

/// `version = "…"`, `AssemblyVersion("…`, `release number is …`, `version 1.2.3.4 to …`.
fn is_named(line: &[u8]) -> bool {
    let mut rest = line;
    let mut is_step = false;
    for _ in 0..5 {
        let (before, word) = last_word(rest);
        let is = |words: &[&str]| {
            words
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
        };
        if is(&NAMES) || ends_in_version(word) {
            return true;
        }
        let is_number =
            word.iter().filter(|b| **b == b'.').count() >= 2 && word[0].is_ascii_digit();
        if word.is_empty() || !(is(&LINKS) || (is_step && is_number)) {
            return false;
        }
        is_step = is(&["to"]);
        rest = before;
    }
    false
}

/// `fileVersion`, `api_version`, but no `conversion`.
fn ends_in_version(word: &[u8]) -> bool {
    let Some((before, end)) = word.split_last_chunk::<7>() else {
        return false;
    };
    let is_part = end[0] == b'V' || !before.last().is_some_and(u8::is_ascii_alphanumeric);
    end.eq_ignore_ascii_case(b"version") && is_part
}

/// The last word of a line, dots and underscores within it included, and what stands before it.
fn last_word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line
        .iter()
        .rposition(u8::is_ascii_alphanumeric)
        .map_or(0, |at| at + 1);
    let is_inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_');
    let begin = line[..end]
        .iter()
        .rposition(|b| !is_inner(b))
        .map_or(0, |at| at + 1);
    (&line[..begin], &line[begin..end])
}

/// `>= 1.2.3.4`, `==1.2.3.4`.
fn is_required(line: &[u8]) -> bool {
    let bare = line.strip_suffix(b" ").unwrap_or(line);
    if line.ends_with(b"(= ") {
        return true;
    }
    OPERATORS.iter().any(|operator| match *operator {
        // With a space or a quote, it compares.
        "==" => line.ends_with(b"=="),
        operator => bare.ends_with(operator.as_bytes()),
    })
}

/// `Chrome/120.0.6099.109`, as programs introduce themselves.
fn is_product(line: &[u8]) -> bool {
    let Some(line) = line.strip_suffix(b"/") else {
        return false;
    };
    let begin = line
        .iter()
        .rposition(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+')))
        .map_or(0, |at| at + 1);
    let name = &line[begin..];
    let is = |words: &[&str]| {
        words
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
    };
    let begins_word = begin == 0
        || matches!(
            line[begin - 1],
            b' ' | b'\t' | b'(' | b'"' | b'\'' | b';' | b','
        );
    let is_written_so = name.first().is_some_and(u8::is_ascii_uppercase) || is(&PROGRAMS);
    begins_word && name.len() > 1 && is_written_so && !is(&MACHINES)
}

/// `org.example:library:1.2.3.4`.
fn is_coordinate(line: &[u8]) -> bool {
    let Some(line) = line.strip_suffix(b":") else {
        return false;
    };
    let begin = line
        .iter()
        .rposition(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':')))
        .map_or(0, |at| at + 1);
    let mut parts = line[begin..].split(|&b| b == b':');
    let (group, library, more) = (parts.next(), parts.next(), parts.next());
    let has_letter = |part: &[u8]| part.first().is_some_and(u8::is_ascii_alphabetic);
    more.is_none()
        && group.is_some_and(|group| has_letter(group) && group.contains(&b'.'))
        && library.is_some_and(has_letter)
}

/// `    rails (7.0.8.1)`, a line of its own in a list of what was installed.
fn is_locked(line: &[u8]) -> bool {
    let Some(name) = line
        .strip_prefix(b"    ")
        .and_then(|line| line.strip_suffix(b" ("))
    else {
        return false;
    };
    let name = name.trim_ascii_start();
    let is_inner = |b: &u8| b.is_ascii_lowercase() || matches!(b, b'-' | b'_');
    name.iter().all(is_inner)
        && !name.is_empty()
        && !MACHINES.iter().any(|machine| name == machine.as_bytes())
}
