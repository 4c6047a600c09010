//! Looks at generated code: does each block parse, and does it do what the policy forbids?
//!
//! Parsers recurse, so code that nests or chains deeper than people write is refused unparsed.

pub mod fence;
mod grammar;
mod names;
mod nesting;
mod statements;

use serde::{Deserialize, Serialize};

use seaworthy_guard::input::shell;
use seaworthy_guard::normalise::normalise;

/// Longer blocks are reported and not parsed.
pub const MAX_CODE_BYTES: usize = 64 * 1024;

/// The languages that are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// JSON.
    Json,
    /// Python 3.
    Python,
    /// JavaScript, JSX included.
    JavaScript,
    /// POSIX shell and Bash.
    Shell,
    /// SQL of any common dialect.
    Sql,
}

impl Language {
    /// The language that a Markdown fence names.
    pub fn of_fence(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "python" | "py" | "python3" | "python2" | "py3" | "ipython" | "ipython3" => {
                Self::Python
            }
            "javascript" | "js" | "jsx" | "mjs" | "cjs" | "node" | "ecmascript" => Self::JavaScript,
            "sh" | "bash" | "shell" | "zsh" | "ksh" | "dash" | "ash" | "console" | "terminal"
            | "shellscript" | "shellsession" | "shell-session" | "sh-session" | "bash-session" => {
                Self::Shell
            }
            "sql" | "postgresql" | "postgres" | "pgsql" | "psql" | "mysql" | "mariadb" | "tsql"
            | "sqlite" | "sqlite3" => Self::Sql,
            _ => return None,
        })
    }
}

/// What code must not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodePolicy {
    /// Names that Python and JavaScript must not use, such as `os.system` or `child_process`.
    pub forbidden_names: Vec<String>,
    /// Whether dangerous shell commands are reported.
    pub refuse_dangerous_shell: bool,
    /// SQL statements that are reported, by their first word, such as `DROP`.
    pub forbidden_sql: Vec<String>,
}

/// What is wrong with a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not a program of its language.
    #[error("the code does not parse")]
    DoesNotParse,
    /// It is too long, or nests too deeply or is too odd to be parsed safely.
    #[error("the code is too long, too deeply nested or too odd to be judged")]
    TooComplex,
    /// It does what the policy forbids.
    #[error("the code does what the policy forbids: {0}")]
    Forbidden(String),
}

/// What is wrong with a piece of code.
pub fn check(language: Language, source: &str, policy: &CodePolicy) -> Vec<Problem> {
    let mut problems = forbidden(language, source, policy);
    if source.len() > MAX_CODE_BYTES || nesting::is_too_deep(source) {
        problems.push(Problem::TooComplex);
    } else {
        problems.extend(parse(language, source).err());
    }
    problems
}

fn parse(language: Language, source: &str) -> Result<(), Problem> {
    let is_whole = match language {
        Language::Json => serde_json::from_str::<serde::de::IgnoredAny>(source).is_ok(),
        Language::Python => grammar::is_whole(&tree_sitter_python::LANGUAGE.into(), source)?,
        Language::JavaScript => {
            grammar::is_whole(&tree_sitter_javascript::LANGUAGE.into(), source)?
        }
        Language::Shell => {
            grammar::is_whole(&tree_sitter_bash::LANGUAGE.into(), &in_ascii(source))?
        }
        Language::Sql => {
            let dialect = sqlparser::dialect::GenericDialect {};
            let parser = sqlparser::parser::Parser::new(&dialect).with_recursion_limit(64);
            parser
                .try_with_sql(source)
                .and_then(|mut parser| parser.parse_statements())
                .is_ok()
        }
    };
    is_whole.then_some(()).ok_or(Problem::DoesNotParse)
}

/// The source with a letter for each character that is not ASCII. To a shell they are parts of words
/// alike; the grammar's scanner looks them up in a table of 256 (`isdigit`) and ends the process.
fn in_ascii(source: &str) -> String {
    let plain = |letter: char| if letter.is_ascii() { letter } else { 'x' };
    source.chars().map(plain).collect()
}

fn forbidden(language: Language, source: &str, policy: &CodePolicy) -> Vec<Problem> {
    match language {
        Language::Json => Vec::new(),
        Language::Python | Language::JavaScript => {
            // `os . system` and `os.system` are one name.
            let plain: String = source.split(' ').collect::<Vec<_>>().join(" ");
            let plain = plain.replace(" .", ".").replace(". ", ".");
            let paths = match policy.forbidden_names.is_empty() {
                true => Vec::new(),
                // Python reads letters of other widths as the plain ones.
                false => names::paths(language, &normalise(source).text),
            };
            let leads = |name: &str| paths.iter().any(|path| names::leads_through(path, name));
            let names = policy
                .forbidden_names
                .iter()
                .filter(|name| uses(&plain, name) || imports(&plain, name) || leads(name));
            names.map(|name| Problem::Forbidden(name.clone())).collect()
        }
        Language::Shell if policy.refuse_dangerous_shell => {
            let worse = shell::dangers(source)
                .into_iter()
                .filter(|d| *d != shell::Danger::Composition);
            worse
                .map(|danger| Problem::Forbidden(danger.as_str().to_owned()))
                .collect()
        }
        Language::Shell => Vec::new(),
        Language::Sql => {
            let firsts = match policy.forbidden_sql.is_empty() {
                true => Vec::new(),
                false => statements::firsts(source),
            };
            let named =
                |word: &&String| firsts.iter().any(|first| first.eq_ignore_ascii_case(word));
            policy
                .forbidden_sql
                .iter()
                .filter(named)
                .map(|word| Problem::Forbidden(word.clone()))
                .collect()
        }
    }
}

/// Whether Python takes the last part of a dotted name out of its module: `from os import system`.
fn imports(source: &str, name: &str) -> bool {
    let Some((module, item)) = name.rsplit_once('.') else {
        return false;
    };
    let lines = source.lines().map(str::trim);
    lines.filter(|line| line.starts_with("from ")).any(|line| {
        let (from, items) = line.split_once(" import ").unwrap_or((line, ""));
        from.trim_start_matches("from ").trim() == module && (uses(items, item) || items == "*")
    })
}

/// Whether `name` stands in the source as a name of its own.
fn uses(source: &str, name: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    !name.is_empty()
        && source.match_indices(name).any(|(at, _)| {
            let before = source[..at].chars().next_back();
            let after = source[at + name.len()..].chars().next();
            !before.is_some_and(inner) && !after.is_some_and(inner)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_parses_has_no_problem_and_broken_code_has() {
        for (language, good, bad) in [
            (Language::Json, "{\"a\": [1, 2]}", "{a: 1}"),
            (
                Language::Python,
                "def f(x):\n    return [y for y in x]\n",
                "def f(x:\n  return",
            ),
            (
                Language::JavaScript,
                "const f = async (x) => ({ ...x });",
                "const = ;",
            ),
            (
                Language::Shell,
                "for f in *.txt; do echo \"$f\"; done",
                "if true; then echo",
            ),
            (
                Language::Sql,
                "SELECT a, count(*) FROM t WHERE b = 1 GROUP BY a",
                "SELEC a FRM t",
            ),
        ] {
            assert_eq!(check(language, good, &CodePolicy::default()), [], "{good}");
            assert_eq!(
                check(language, bad, &CodePolicy::default()),
                [Problem::DoesNotParse],
                "{bad}"
            );
        }
    }

    #[test]
    fn letters_beyond_ascii_are_words_of_a_shell() {
        // Far enough from the table of digits to be outside of what the process may read.
        for source in [
            "{\u{e01d1}",
            "echo {\u{10ffff}..3}",
            "echo 'größer' | grep ß",
        ] {
            check(Language::Shell, source, &CodePolicy::default());
        }
        let good = "for f in *.tex; do echo \"Übersetze $f → PDF\"; done";
        assert_eq!(check(Language::Shell, good, &CodePolicy::default()), []);
    }

    #[test]
    fn the_policy_is_enforced() {
        let policy = CodePolicy {
            forbidden_names: vec!["os.system".into(), "eval".into()],
            refuse_dangerous_shell: true,
            forbidden_sql: vec!["DROP".into()],
        };
        let name = |text: &str| vec![Problem::Forbidden(text.to_owned())];
        assert_eq!(
            check(Language::Python, "import os\nos.system('id')\n", &policy),
            name("os.system")
        );
        assert_eq!(
            check(
                Language::Python,
                "from os import path, system\nsystem('id')\n",
                &policy
            ),
            name("os.system")
        );
        assert_eq!(
            check(Language::JavaScript, "eval('1'); retrieval(2);", &policy),
            name("eval")
        );
        assert_eq!(
            check(Language::Shell, "rm -rf /", &policy),
            name("destruction")
        );
        assert_eq!(
            check(Language::Sql, "SELECT 1; drop table t", &policy),
            name("DROP")
        );
    }

    #[test]
    fn hostile_nesting_is_refused_and_not_parsed() {
        let deep = |open: &str, count: usize| open.repeat(count);
        for (language, source) in [
            (Language::Python, deep("(", 50_000)),
            (Language::Python, deep("not ", 15_000)),
            (Language::Python, format!("x = {}1", deep("1**", 20_000))),
            (Language::JavaScript, deep("a=>", 20_000)),
            (Language::JavaScript, format!("{}1", deep("-+", 30_000))),
            (Language::JavaScript, deep("a?b:", 15_000)),
            (Language::Shell, deep("$(", 30_000)),
            (Language::Sql, format!("SELECT {}1", deep("NOT ", 15_000))),
            (Language::Json, deep("[", 60_000)),
        ] {
            assert!(
                check(language, &source, &CodePolicy::default()).contains(&Problem::TooComplex),
                "{language:?}"
            );
        }
    }
}
