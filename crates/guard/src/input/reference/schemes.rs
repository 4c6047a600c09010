//! The scheme that a reference begins with: is it a file, and which?

/// Schemes of file systems, of this machine or of others.
const FILE_SCHEMES: [&str; 15] = [
    "file",
    "smb",
    "cifs",
    "nfs",
    "afp",
    "php",
    "zip",
    "phar",
    "jar",
    "netdoc",
    "glob",
    "expect",
    "local-file",
    "local_file",
    "compress.zlib",
];

/// Schemes before a whole reference, scheme and all: `jar:file:/srv/a.jar!/b`.
const WRAPPERS: [&str; 5] = ["url", "view-source", "jar", "zip", "compress.zlib"];

/// The scheme of a reference and what follows its colon.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let may_be = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
    let is_scheme = scheme.len() > 1 && scheme.chars().all(may_be);
    is_scheme.then_some((scheme, rest))
}

/// A reference without the schemes around it.
fn unwrapped(reference: &str) -> &str {
    let mut inner = reference;
    while let Some((name, rest)) = scheme(inner) {
        let is_wrapper = WRAPPERS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        // `zip://a` is a scheme of its own.
        let rest = match rest.strip_prefix("//") {
            Some(after) if scheme(after).is_some() => after,
            _ => rest,
        };
        if !is_wrapper || scheme(rest).is_none() {
            break;
        }
        inner = rest;
    }
    inner
}

/// Whether it begins with the scheme of a file system.
pub(super) fn names_file_system(reference: &str) -> bool {
    let is_one = |(scheme, rest): (&str, &str)| {
        let known = FILE_SCHEMES
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        known && rest.starts_with('/')
    };
    scheme(unwrapped(reference)).is_some_and(is_one)
}

/// Whether it is on the web, and not in a file system.
pub(super) fn is_remote(reference: &str) -> bool {
    let has_host = scheme(reference).is_some_and(|(_, rest)| rest.starts_with("//"));
    (has_host && !names_file_system(reference)) || reference.starts_with("data:")
}

/// The path that `file:///srv/x`, `file:/srv/x` and `file://localhost/srv/x` stand for; others as they are.
/// What follows `?` and `#` is no part of it.
pub(super) fn local_path(reference: &str) -> &str {
    let reference = unwrapped(reference);
    let Some((name, rest)) = scheme(reference) else {
        return reference;
    };
    if !name.eq_ignore_ascii_case("file") {
        return reference;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    if !rest.starts_with('/') {
        // Relative to a folder that the reader knows.
        return rest;
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let is_here = path
        .get(..9)
        .is_some_and(|host| host.eq_ignore_ascii_case("localhost"));
    match path.starts_with('/') {
        true => path,
        false if is_here => &path[9..],
        // Another machine.
        false => reference,
    }
}
