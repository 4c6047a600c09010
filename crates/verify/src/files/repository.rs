//! A repository read once, in parallel: what every check needs of it, and no more.

mod contents;
pub(crate) mod locks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ignore::{WalkBuilder, WalkState};

use super::secret_shapes::SecretShapes;
use super::source::Source;
use super::{Problem, relative};

/// Larger files are data, not source.
const MAX_BYTES: u64 = 1024 * 1024;
/// More files are counted and not read.
const MAX_FILES: usize = 500_000;
/// Problems kept of each kind; more are counted only.
const MAX_PROBLEMS: usize = 50;
/// Texts kept for checks that read whole files.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;

/// What a repository holds.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// Every file that version control would keep.
    pub(crate) paths: BTreeSet<String>,
    /// The text of the few files that checks read as a whole.
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) secrets: Tally,
    pub(crate) todos: Tally,
    pub(crate) prints: Tally,
    /// What source that ships looks like.
    pub(crate) source: Source,
    /// Files of source code that ship.
    pub(crate) sources: usize,
    /// Files that hold nothing: they are empty, or locks of no package.
    pub(crate) hollow: BTreeSet<String>,
    /// Files of tests that assert something, and those that do not.
    pub(crate) asserting: usize,
    pub(crate) idle_tests: usize,
    /// Files of tests that use stand-ins for what they must not reach.
    pub(crate) stand_ins: usize,
    /// What each lock file locks, where it could be read.
    pub(crate) locks: BTreeMap<String, BTreeSet<String>>,
    /// Files that could not be read, or not all because there are too many.
    pub(crate) unread: usize,
    /// Files that are too large to be read.
    pub(crate) large: usize,
    kept_bytes: usize,
}

/// Problems of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) total: usize,
    /// The first of them by path.
    pub(crate) first: Vec<Problem>,
}

impl Tally {
    fn merge(&mut self, mut more: Vec<Problem>) {
        self.total += more.len();
        self.first.append(&mut more);
        self.first.sort();
        self.first.truncate(MAX_PROBLEMS);
    }
}

/// What one file holds.
#[derive(Default)]
struct Reading {
    secrets: Vec<Problem>,
    todos: Vec<Problem>,
    prints: Vec<Problem>,
    is_source: bool,
    source: Source,
    kept: Option<String>,
    unread: bool,
    is_large: bool,
    is_hollow: bool,
    /// Whether it is a file of tests, and whether it asserts something.
    tests: Option<bool>,
    uses_stand_ins: bool,
    locks: Option<BTreeSet<String>>,
}

impl Repository {
    /// Reads every file that ignore rules leave.
    pub(crate) fn read(root: &Path) -> Self {
        let all = Mutex::new(Self::default());
        let walk = WalkBuilder::new(root)
            .hidden(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build_parallel();
        walk.run(|| {
            Box::new(|entry| {
                let Ok(entry) = entry else {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.unread += 1;
                    return WalkState::Continue;
                };
                if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                    return WalkState::Continue;
                }
                let name = relative(root, entry.path());
                let small = entry.metadata().is_ok_and(|m| m.len() <= MAX_BYTES);
                let reading = if small {
                    read_file(&name, entry.path(), SecretShapes::shared())
                } else {
                    Reading {
                        is_large: true,
                        ..Reading::default()
                    }
                };
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.add(name, reading)
            })
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&mut self, path: String, reading: Reading) -> WalkState {
        if self.paths.len() >= MAX_FILES {
            self.unread += 1;
            return WalkState::Quit;
        }
        self.secrets.merge(reading.secrets);
        self.todos.merge(reading.todos);
        self.prints.merge(reading.prints);
        self.source.merge(reading.source);
        self.sources += usize::from(reading.is_source);
        self.unread += usize::from(reading.unread);
        self.large += usize::from(reading.is_large);
        self.asserting += usize::from(reading.tests == Some(true));
        self.idle_tests += usize::from(reading.tests == Some(false));
        self.stand_ins += usize::from(reading.uses_stand_ins);
        if let Some(locks) = reading.locks {
            self.locks.insert(path.clone(), locks);
        }
        if reading.is_hollow {
            self.hollow.insert(path.clone());
        }
        if let Some(text) = reading.kept {
            if self.kept_bytes + text.len() <= MAX_KEPT_BYTES {
                self.kept_bytes += text.len();
                self.texts.insert(path.clone(), text);
            } else {
                self.unread += 1;
            }
        }
        self.paths.insert(path);
        WalkState::Continue
    }

    /// The kept texts whose path fits.
    pub(crate) fn texts_of<'a>(
        &'a self,
        fits: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let texts = self.texts.iter().filter(move |(path, _)| fits(path));
        texts.map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn read_file(name: &str, path: &Path, shapes: Option<&SecretShapes>) -> Reading {
    let Ok(bytes) = std::fs::read(path) else {
        return Reading {
            unread: true,
            ..Reading::default()
        };
    };
    let Some(text) = contents::text(&bytes) else {
        return Reading::default();
    };
    let is_source = ships(name);
    let mut reading = Reading {
        is_source,
        is_hollow: contents::is_hollow(name, &text),
        tests: tests(name, &text),
        uses_stand_ins: is_test(name) && language(name).is_some() && contents::stands_in(&text),
        locks: locks::locked(name, &text),
        ..Reading::default()
    };
    if is_source {
        let shipped: Vec<&str> = text.lines().take(shipped_lines(name, &text)).collect();
        reading.source = Source::read(name, &shipped.join("\n"));
    }
    let suspicious = shapes.filter(|shapes| !is_test(name) && shapes.suspects(&text));
    if is_source || suspicious.is_some() {
        let shipped = shipped_lines(name, &text);
        let mut lines = text.lines().enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            let next = lines.peek().map_or("", |(_, next)| *next);
            let problem = |found: String| Problem::new(name, index + 1, found);
            if let Some(found) = suspicious.and_then(|shapes| shapes.find(line, next)) {
                reading.secrets.push(problem(found));
            }
            if index >= shipped {
                continue;
            }
            if is_source && let Some(marker) = todo(line) {
                reading.todos.push(problem(marker.to_owned()));
            }
            if is_source && let Some(call) = print(name, line) {
                reading.prints.push(problem(call.to_owned()));
            }
        }
    }
    reading.kept = is_kept(name).then_some(text);
    reading
}

/// Whether a file of tests asserts something; none when it is no file of tests.
fn tests(name: &str, text: &str) -> Option<bool> {
    let inside = name.ends_with(".rs") && text.contains("#[cfg(test)]");
    let is_tests = language(name).is_some() && (is_test(name) || inside);
    is_tests.then(|| contents::asserts(text))
}

/// Lines before the tests that Rust keeps at the end of a file.
fn shipped_lines(path: &str, text: &str) -> usize {
    let marks = |lines: &[&str]| lines == ["#[cfg(test)]", "mod tests {"];
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(marks);
    tests
        .filter(|_| path.ends_with(".rs"))
        .unwrap_or(lines.len())
}

/// The extension of a source file that we know.
pub(crate) fn language(path: &str) -> Option<&str> {
    let (_, extension) = path.rsplit_once('.')?;
    matches!(
        extension,
        "py" | "rs" | "js" | "ts" | "tsx" | "go" | "java" | "kt" | "rb" | "cs"
    )
    .then_some(extension)
}

/// Source that runs in production: no tests, examples or tools.
fn ships(path: &str) -> bool {
    let aside = [
        "examples/",
        "scripts/",
        "docs/",
        "bench",
        "vendor/",
        "third_party/",
        "xtask/",
        "tools/",
        "/train",
    ];
    language(path).is_some() && !is_test(path) && !aside.iter().any(|part| path.contains(part))
}

/// Files of tests, where made-up keys and prints belong.
pub(crate) fn is_test(path: &str) -> bool {
    let lower = path.to_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    lower.split('/').any(|part| {
        matches!(
            part,
            "test" | "tests" | "__tests__" | "spec" | "testdata" | "fixtures"
        )
    }) || file.starts_with("test_")
        || ["_test.", ".test.", ".spec.", "tests.rs"]
            .iter()
            .any(|part| file.contains(part))
}

/// How people mark work that is left.
const MARKERS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), "XXX", "HACK"];

fn todo(line: &str) -> Option<&'static str> {
    let comment = line.find("//").or_else(|| line.find('#'))?;
    let comment = line.get(comment..)?;
    MARKERS.into_iter().find(|marker| {
        let mut words = comment.split(|c: char| !c.is_alphanumeric());
        let begins = comment.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = begins
            .split(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        first.eq_ignore_ascii_case(marker) || words.any(|word| word == *marker)
    })
}

fn print(path: &str, line: &str) -> Option<&'static str> {
    let calls: &[&'static str] = match language(path)? {
        "py" => &["print(", "sys.stdout.write("],
        "rs" => &["println!(", "eprintln!(", "dbg!("],
        "js" | "ts" | "tsx" => &["console.log(", "console.debug(", "process.stdout.write("],
        "go" => &["fmt.Println(", "fmt.Printf("],
        "java" | "kt" => &["System.out.print"],
        _ => return None,
    };
    let code = line.trim_start();
    // Also behind a condition on the same line.
    let conditions = ["if ", "if(", "else", "for ", "while ", "except", "} else"];
    let is_condition = conditions.iter().any(|word| code.starts_with(word));
    let signs = [": ", ") ", "{ ", "else "];
    let behind = |call: &str| {
        let mut places = code.match_indices(call);
        let before = |at| code.get(..at).unwrap_or_default();
        places.any(|(at, _)| signs.iter().any(|sign| before(at).ends_with(sign)))
    };
    calls
        .iter()
        .copied()
        .find(|call| code.starts_with(call) || is_condition && behind(call))
}

/// Files that checks read as a whole.
fn is_kept(path: &str) -> bool {
    let lower = path.to_lowercase();
    let file = lower.rsplit('/').next().unwrap_or(&lower);
    let by_name = file.starts_with("dockerfile")
        || file.starts_with("containerfile")
        || file.ends_with(".dockerfile")
        || is_compose(file)
        || (file.starts_with("requirements") || lower.contains("requirements/"))
            && file.ends_with(".txt")
        || matches!(
            file,
            "package.json" | "pyproject.toml" | "cargo.toml" | "go.mod"
        )
        || file.starts_with(".env")
        || file.ends_with(".env");
    let report = file.ends_with(".xml") || file.ends_with(".sarif") || file == "lcov.info";
    let scan = file.ends_with(".json") && is_result(file);
    let migration = lower.contains("migrations/") && file.ends_with(".sql");
    by_name
        || report
        || scan
        || migration
        || file.ends_with(".md")
        || lower.starts_with(".github/workflows/")
        || lower.starts_with(".github/actions/")
}

/// Whether this is the lower-case name of a compose file.
pub(crate) fn is_compose(file: &str) -> bool {
    (file.ends_with(".yaml") || file.ends_with(".yml"))
        && (file.starts_with("docker-compose") || file.starts_with("compose"))
}

/// JSON files in which tools leave their results, and documents of an API.
fn is_result(file: &str) -> bool {
    let words = [
        "coverage",
        "trivy",
        "grype",
        "audit",
        "osv",
        "sarif",
        "promptfoo",
        "eval",
        "results",
        "openapi",
        "scan",
        "vuln",
    ];
    words.iter().any(|word| file.contains(word))
}

#[cfg(test)]
mod tests {
    use super::{is_test, print, shipped_lines, ships, todo};

    #[test]
    fn knows_what_ships() {
        assert!(ships("src/app.py") && ships("crates/a/src/lib.rs"));
        for path in [
            "tests/it/main.rs",
            "src/test_app.py",
            "src/a.spec.ts",
            "examples/a.py",
            "src/bin/train-model/main.rs",
            "a.md",
        ] {
            assert!(!ships(path), "{path}");
        }
        assert!(is_test("src/checklist/document/tests.rs"));
        let text = "a\nb\n#[cfg(test)]\nmod tests {\n// XXX\n}\n";
        assert_eq!(shipped_lines("src/a.rs", text), 2);
        assert_eq!(shipped_lines("src/a.py", text), 6);
    }

    #[test]
    fn finds_markers_in_comments_and_prints_in_code() {
        assert_eq!(todo("x = 1  # XXX later"), Some("XXX"));
        assert_eq!(todo("let xxx = XXXL; // see XXXL"), None);
        assert_eq!(print("a.py", "    print(x)"), Some("print("));
        assert_eq!(print("a.py", "log.print(x)"), None);
        assert_eq!(print("a.py", "if x: print(x)"), Some("print("));
        assert_eq!(
            print("a.ts", "if (x) console.log(x);"),
            Some("console.log(")
        );
        assert_eq!(print("a.py", "if x: self.print(x)"), None);
        assert_eq!(todo("x  # xxx later"), Some("XXX"));
    }
}
