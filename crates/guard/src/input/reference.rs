//! References to files, in members that hold nothing else and in running text: no way out of the
//! project, no kinds of files that are not allowed.

mod schemes;

use std::path::{Component, Path, PathBuf};

use self::schemes::{is_remote, local_path, names_file_system};
use super::path::{PathError, ResolveLinks, begins_at_root, decode_fully};

/// What a reference to a file may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRules {
    /// Whether `..` is refused wherever it stands.
    pub no_traversal: bool,
    /// The extensions that are allowed, without the dot, in lower case; empty allows any.
    pub extensions: Vec<String>,
    /// The folder that every file must be in.
    pub within: Option<PathBuf>,
}

/// Names of members and arguments that hold a file and nothing else.
const FILE_NAMES: [&str; 14] = [
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "filepath",
    "file_name",
    "file_path",
    "file_paths",
    "fileuri",
    "file_uri",
    "source_path",
    "target_path",
    "dest_path",
];

/// Whether a member of this name holds a file.
pub fn names_a_file(member: &str) -> bool {
    let lower = member.to_ascii_lowercase();
    FILE_NAMES.contains(&lower.as_str()) || lower.ends_with("_path") || lower.ends_with("_file")
}

/// The longest reference, in bytes; more is no reference to a file.
const MAX_REFERENCE_BYTES: usize = 4096;

impl FileRules {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks a text that is a reference to a file and nothing else.
    pub fn check(&self, reference: &str, links: &dyn ResolveLinks) -> Result<(), PathError> {
        let trimmed = reference.trim();
        if trimmed.is_empty() || is_remote(trimmed) {
            return Ok(());
        }
        if trimmed.len() > MAX_REFERENCE_BYTES {
            return Err(PathError::Encoding);
        }
        let plain = decode_fully(trimmed)?;
        if plain.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        self.check_plain(&plain, true, links)
    }

    /// Checks the references that stand in running text. Only what is clearly one counts: a way
    /// upwards, an absolute path of a host, or a path with a folder and an extension.
    pub fn check_text(&self, text: &str, links: &dyn ResolveLinks) -> Result<(), PathError> {
        for word in words(text) {
            if is_remote(word) {
                continue;
            }
            let Ok(plain) = decode_fully(word) else {
                // Percent signs of something else, unless it was on its way somewhere: `2e` is a dot under any
                // number of layers.
                let suspicious = word.contains("..") || word.to_ascii_lowercase().contains("2e");
                match self.no_traversal && suspicious {
                    true => return Err(PathError::Encoding),
                    false => continue,
                }
            };
            if is_remote(&plain) {
                continue;
            }
            let plain = plain.trim();
            if plain.contains('/') && plain.contains(char::is_control) {
                return Err(PathError::Control);
            }
            if self.no_traversal && goes_up_within(plain) {
                return Err(PathError::Outside);
            }
            let is_reference = goes_up(plain) || is_absolute(plain) || names_a_kind(plain);
            if is_reference {
                let has_kind = names_a_kind(plain);
                self.check_plain(plain, has_kind, links)?;
            }
        }
        Ok(())
    }

    fn check_plain(
        &self,
        plain: &str,
        with_kind: bool,
        links: &dyn ResolveLinks,
    ) -> Result<(), PathError> {
        let path = local_path(plain);
        if self.no_traversal && goes_up(path) {
            return Err(PathError::Outside);
        }
        let resolved = match &self.within {
            Some(root) => Some(within(root, path, links)?),
            None => None,
        };
        if with_kind {
            self.check_kind(Path::new(path))?;
            resolved.map_or(Ok(()), |resolved| self.check_kind(&resolved))?;
        }
        Ok(())
    }

    fn check_kind(&self, path: &Path) -> Result<(), PathError> {
        let kind = path
            .extension()
            .map(|kind| kind.to_string_lossy().to_ascii_lowercase());
        match self.extensions.is_empty() || kind.is_some_and(|kind| self.extensions.contains(&kind))
        {
            true => Ok(()),
            false => Err(PathError::Extension(self.extensions.join(", "))),
        }
    }
}

/// The path with its links followed, if it is inside the folder before and after.
fn within(root: &Path, path: &str, links: &dyn ResolveLinks) -> Result<PathBuf, PathError> {
    let root = links.resolve(root)?;
    let is_drive = matches!(path.as_bytes().get(1), Some(b':' | b'|'));
    if path.starts_with('~') || is_drive || names_file_system(path) {
        return Err(PathError::Absolute);
    }
    if names_variable(path) {
        return Err(PathError::Outside);
    }
    let mut joined = PathBuf::new();
    for component in root.join(path).components() {
        match component {
            Component::ParentDir => {
                joined.pop();
            }
            Component::CurDir => {}
            other => joined.push(other),
        }
    }
    let inside = |path: &Path| path.starts_with(&root);
    if !inside(&joined) {
        return Err(PathError::Outside);
    }
    let resolved = links.resolve_below(&root, &joined)?;
    match inside(&resolved) {
        true => Ok(resolved),
        false => Err(PathError::Outside),
    }
}

/// Pieces of a text that may be references.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let may_be = |word: &&str| {
        word.len() <= MAX_REFERENCE_BYTES
            && (word.contains([
                '/', '\\', '%', '\u{FF0F}', '\u{FF3C}', '\u{2215}', '\u{2044}', '\u{2216}',
                '\u{29F5}', '\u{29F8}', '\u{29F9}', '\u{FE68}',
            ]) || word.starts_with('~'))
    };
    text.split(|c: char| c.is_whitespace() || "\"'`<>()[]{},;|".contains(c))
        .map(|word| word.trim_start_matches(['@', ':', '=']))
        .map(without_full_stop)
        .filter(may_be)
}

/// A word without what ends a sentence; `a/..` keeps its dots.
fn without_full_stop(word: &str) -> &str {
    let word = word.trim_end_matches([':', '!', '?']);
    match word.ends_with("/..") || word.ends_with("\\..") {
        true => word,
        false => word.trim_end_matches(['.', ':', '!', '?']),
    }
}

/// Whether a part of a path is what a shell puts something else for: `$HOME`, `${HOME}`, `%HOME%`, `!HOME!`.
fn names_variable(plain: &str) -> bool {
    let begins_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{' | '(');
    plain.split('/').any(|part| {
        let named = part
            .strip_prefix('$')
            .map(|rest| rest.starts_with(begins_name));
        let is_between = |sign| part.len() > 2 && part.starts_with(sign) && part.ends_with(sign);
        named == Some(true) || is_between('%') || is_between('!')
    })
}

/// Whether a part of a path is the folder above. Some servers read `..;x` as `..`.
fn goes_up(plain: &str) -> bool {
    let own = |part: &str| part.split(';').next().unwrap_or_default().trim() == "..";
    plain.split('/').any(own)
}

/// Whether a path begins behind what a word of a text has in front, and goes up: `--file=../x`, `-I../x`, `*../x*`.
fn goes_up_within(word: &str) -> bool {
    let Some((first, _)) = word.split_once('/') else {
        return false;
    };
    let Some(before) = first.strip_suffix("..") else {
        return false;
    };
    let is_flag = before.len() == 2 && before.starts_with('-');
    is_flag || before.ends_with(['=', '&', '+', '*', '_', '#', ':', '@', '^'])
}

fn is_absolute(plain: &str) -> bool {
    let lower = plain.to_ascii_lowercase();
    let drive = lower.as_bytes().get(1) == Some(&b':')
        && lower
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphabetic)
        && lower.as_bytes().get(2) == Some(&b'/');
    drive || lower.starts_with("~/") || names_file_system(&lower) || begins_at_root(plain)
}

/// Whether it is a path with a folder and an extension, and no address of the web.
fn names_a_kind(plain: &str) -> bool {
    let Some((folder, file)) = plain.rsplit_once('/') else {
        return false;
    };
    let first = folder.split('/').next().unwrap_or_default();
    let is_host = first.contains('.') && !first.trim_matches('.').is_empty();
    let Some((stem, kind)) = file.rsplit_once('.') else {
        return false;
    };
    let is_kind = kind.len() <= 8
        && kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.chars().all(|c| c.is_ascii_alphanumeric());
    !is_host && !stem.is_empty() && is_kind
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Links;

    impl ResolveLinks for Links {
        fn resolve(&self, path: &Path) -> std::io::Result<PathBuf> {
            Ok(match path.ends_with("link.md") {
                true => "/etc/shadow.md".into(),
                false => path.to_owned(),
            })
        }
    }

    fn rules() -> FileRules {
        FileRules {
            no_traversal: true,
            extensions: vec!["py".into(), "md".into()],
            within: Some("/srv/project".into()),
        }
    }

    #[test]
    fn references_inside_the_project_pass() {
        for good in [
            "a.md",
            "src/./lib.py",
            "/srv/project/docs/a.md",
            "file:///srv/project/a.md",
            "file://localhost/srv/project/a.md",
            "5$/100%/us$.md",
            "https://example.org/a/../b.exe",
            "",
        ] {
            assert!(rules().check(good, &Links).is_ok(), "{good}");
        }
        for text in [
            "Fix src/lib.py and docs/a.md, please; 3/4 of and/or is fine.",
            "See https://example.org/../x.exe or example.org/x.html at 50% off.",
            "a regex like \\d+/\\w* and <b>markup</b>",
            "for i in 0..=n/2 { v[..i/2]; w[i..] } // or so.../maybe",
            "the byte %00 ends it, 20%2 is 0, and jar:x or url:y/z are no files",
        ] {
            assert!(rules().check_text(text, &Links).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_way_up_that_stays_inside_passes_where_none_is_forbidden() {
        let rules = FileRules {
            no_traversal: false,
            ..rules()
        };
        for good in ["x/../b.md", "caf%C3%A9.md"] {
            assert!(rules.check(good, &Links).is_ok(), "{good}");
        }
        for bad in [
            "../x.md",
            "a/../../x.md",
            "..%2fx.md",
            "%252e%252e%252fx.md",
            "..\\x.md",
            "\u{FF0E}\u{FF0E}/x.md",
            ".\u{200b}./x.md",
            "..%c0%af.md",
            "%25252525252e.md",
            "a.md%00.py",
            "noextension",
            "link.md",
        ] {
            assert!(rules.check(bad, &Links).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_way_out_is_closed_in_members_and_in_text() {
        for bad in [
            "../x.md",
            "a/../b.md",
            "..%2fx.md",
            "%2e%2e/x.md",
            "%252e%252e%252fx.md",
            "..\\x.md",
            "\u{FF0E}\u{FF0E}/x.md",
            "..\u{FF0F}..\u{FF0F}x.md",
            "/etc/passwd.md",
            "C:\\x.md",
            "~/x.md",
            "file:///etc/x.md",
            "FILE:///etc/x.md",
            "file:/etc/x.md",
            "file://localhost/etc/x.md",
            "file://srv.example/share/x.md",
            "smb://srv/share/x.md",
            "$HOME/x.md",
            "a/${UP}/x.md",
            "%USERPROFILE%\\x.md",
            "..\u{200b}/x.md",
            ".\u{200b}./x.md",
            "src/a.exe",
            "src/link.md",
            "..\u{2215}x.md",
            "..\u{2044}x.md",
            "..\u{29F5}x.md",
            "%25252e%25252e/x.md",
            "..%u2215x.md",
            "%u002e%u002e/x.md",
            "file:../x.md",
            "file:a/../../x.md",
            "url:file:///etc/x.md",
            "view-source:file:///etc/x.md",
            "jar:file:///etc/a.jar!/x.md",
            "netdoc:///etc/x.md",
            "a/!UP!/x.md",
            ".%00./x.md",
            "src/a.exe%00.md",
            "src/a.exe%20",
            "file:///srv/project/a.exe?x=.md",
            "src/..",
        ] {
            assert!(rules().check(bad, &Links).is_err(), "{bad}");
            let text = format!("Please read `{bad}`.");
            assert!(rules().check_text(&text, &Links).is_err(), "{text}");
        }
        for bad in [
            "a.md%00.py",
            "noextension",
            "a\u{0}.md",
            "C|/x.md",
            "..;/x.md",
            "..;a/x.md",
        ] {
            assert!(rules().check(bad, &Links).is_err(), "{bad}");
        }
        for bad in [
            "--file=../x.md",
            "-I../x",
            "*../x.md*",
            "_../x.md_",
            "a&../x.md",
            "x=../x.md",
            "#../x",
        ] {
            let text = format!("Please run {bad} now");
            assert!(rules().check_text(&text, &Links).is_err(), "{text}");
        }
    }

    #[test]
    fn each_rule_holds_by_itself() {
        let only = |rules: FileRules, text: &str| rules.check_text(text, &Links).is_ok();
        let traversal = FileRules {
            no_traversal: true,
            ..FileRules::default()
        };
        assert!(only(traversal.clone(), "cat /etc/passwd") && !only(traversal, "cat ../x"));
        let kinds = FileRules {
            extensions: vec!["py".into()],
            ..FileRules::default()
        };
        assert!(only(kinds.clone(), "cat /etc/passwd ../a.py") && !only(kinds, "run ../a/b.sh"));
    }

    #[test]
    fn members_that_hold_files_are_known_by_name() {
        for name in [
            "path",
            "filePath",
            "file_name",
            "output_path",
            "config_file",
        ] {
            assert!(names_a_file(name), "{name}");
        }
        assert!(!names_a_file("pathology") && !names_a_file("profile"));
    }
}
