//! The files of the project, found by walking its folders: no version control is needed.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Folders, and files, that hold nothing written by people.
const SKIPPED: [&str; 5] = ["target", ".git", ".cache", "__pycache__", ".pytest_cache"];

/// A text file of the project.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the project's root, with `/` between the parts.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl File {
    /// Whether the path ends with a dot and this extension.
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, found)| found == extension)
    }

    /// Whether it lies in one of these folders.
    pub(crate) fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Whether it is only compiled for tests, examples and benchmarks.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/examples/", "/benches/"]
            .iter()
            .any(|part| self.path.contains(part))
            || self.path.ends_with("/tests.rs")
    }

    /// The lines that contain `needle`, as `path:line`.
    pub(crate) fn places_of<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = String> + 'a {
        let lines = self.text.lines().enumerate();
        lines
            .filter(move |(_, line)| line.contains(needle))
            .map(|(at, line)| format!("{}:{}: {}", self.path, at + 1, line.trim()))
    }
}

/// The project's root. Cargo says where it is, also when it was moved after the build.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}

/// Every text file, in the order of paths.
pub(crate) fn files() -> &'static [File] {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let mut found = Vec::new();
        walk(&root(), "", &mut found);
        found.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(
            found.len() > 100,
            "the walk found {} files only",
            found.len()
        );
        found
    });
    &FILES
}

/// Every file with this extension.
pub(crate) fn with_extension(extension: &str) -> impl Iterator<Item = &'static File> {
    files().iter().filter(move |file| file.is(extension))
}

/// The text of a file that has to exist.
pub(crate) fn read(path: &str) -> &'static str {
    let found = files().iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("{path} is missing")).text
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<File>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // In a working tree of its own, version control leaves a file with its place there.
        if SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file()
            // In a second working tree it is a file that names the first one's place.
            && name != ".git"
            // Data that is not text, and files that an editor is replacing, are nobody's style.
            && let Ok(text) = std::fs::read_to_string(entry.path())
        {
            found.push(File { path, text });
        }
    }
}
