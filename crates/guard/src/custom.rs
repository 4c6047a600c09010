//! Rules that an operator brings: phrases, and patterns in the language of the built-in shapes.
//!
//! ```toml
//! [[rule]]
//! id = "project_falcon"
//! severity = "high"
//! phrases = ["Project Falcon"]
//!
//! [[rule]]
//! id = "ticket"
//! severity = "low"
//! patterns = ["TICK-<digit 4-8>"]
//! ```

use serde::Deserialize;
use toml::Spanned;

use crate::cursor::{Cursor, is_word};
use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::secrets::{Pattern, PatternError};
use crate::trigger::{TriggerError, Triggers};

/// Why rules were refused.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file is not what the format asks for.
    #[error("the rule file `{file}` cannot be read: {error}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        error: Box<toml::de::Error>,
    },
    /// A rule of a file is wrong.
    #[error("`{file}`, line {line}, column {column}: {error}")]
    At {
        /// The file.
        file: String,
        /// Where the name of the rule stands.
        line: usize,
        /// Where in that line.
        column: usize,
        /// What is wrong.
        error: Box<RuleError>,
    },
    /// A pattern is wrong.
    #[error("rule {id}: {error}")]
    Pattern {
        /// The rule.
        id: String,
        /// What is wrong.
        error: PatternError,
    },
    /// A rule has nothing to look for.
    #[error(
        "rule {0} has neither `phrases` nor `patterns`, or an empty one; give it words to look for"
    )]
    Empty(String),
    /// The name of a rule is none.
    #[error(
        "a rule is named `{}`; give it a name of 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`",
        .0.escape_debug()
    )]
    Name(String),
    /// Two rules have one name.
    #[error("two rules are named {0}; rename one")]
    Twice(String),
    /// The literals do not fit.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: Spanned<String>,
    #[serde(default = "medium")]
    severity: Severity,
    #[serde(default)]
    phrases: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
}

fn medium() -> Severity {
    Severity::Medium
}

/// The longest name of a rule: it stands in labels, policies and lists of rules.
const MAX_NAME_BYTES: usize = 128;

/// The most that stands between two words of a phrase, in bytes.
const MAX_GAP_BYTES: usize = 16;

/// What a literal begins.
#[derive(Debug)]
enum Target {
    /// The words of a phrase.
    Phrase(Vec<String>),
    Pattern(Pattern),
}

/// Finds phrases and patterns.
#[derive(Debug)]
pub struct Custom {
    rules: Vec<Rule>,
    /// For each literal, its rule and what it begins.
    targets: Vec<(usize, Target)>,
    triggers: Triggers,
}

impl Custom {
    /// The rules of several files together, each with its name; `None` when they hold none.
    pub fn from_toml<'s>(
        files: impl IntoIterator<Item = (&'s str, &'s str)>,
    ) -> Result<Option<Self>, RuleError> {
        let mut known: Vec<String> = Vec::new();
        let mut building = Building::default();
        for (name, text) in files {
            let file: RawFile = toml::from_str(text).map_err(|error| RuleError::Format {
                file: name.to_owned(),
                error: Box::new(error),
            })?;
            for rule in file.rule {
                let id = rule.id.as_ref();
                let added = match known.contains(id) {
                    true => Err(RuleError::Twice(id.clone())),
                    false => building.add(&rule),
                };
                added.map_err(|error| at(name, text, rule.id.span().start, error))?;
                known.push(id.clone());
            }
        }
        building.finish()
    }

    /// A detector of phrases only, as whole words in any ASCII case; `None` without phrases.
    pub fn phrases(
        id: &str,
        category: Category,
        phrases: &[String],
    ) -> Result<Option<Self>, RuleError> {
        let mut building = Building::default();
        for phrase in phrases {
            let rule = |most| Rule::new(id, category, Severity::High, most);
            building.phrase(rule, phrase);
        }
        building.finish()
    }
}

fn at(file: &str, text: &str, place: usize, error: RuleError) -> RuleError {
    let before = text.get(..place).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    RuleError::At {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
        error: Box::new(error),
    }
}

#[derive(Default)]
struct Building {
    rules: Vec<Rule>,
    literals: Vec<String>,
    targets: Vec<(usize, Target)>,
}

impl Building {
    fn add(&mut self, raw: &RawRule) -> Result<(), RuleError> {
        let id = raw.id.as_ref();
        let may_stand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > MAX_NAME_BYTES || !id.chars().all(may_stand) {
            return Err(RuleError::Name(id.clone()));
        }
        let is_empty = |phrase: &String| phrase.trim().is_empty();
        if raw.phrases.iter().any(is_empty) || (raw.phrases.is_empty() && raw.patterns.is_empty()) {
            return Err(RuleError::Empty(id.clone()));
        }
        let rule = |most| Rule::new(id, Category::Custom, raw.severity, most);
        for phrase in &raw.phrases {
            self.phrase(rule, phrase);
        }
        for source in &raw.patterns {
            let wrap = |error| RuleError::Pattern {
                id: id.clone(),
                error,
            };
            let pattern = Pattern::parse(source).map_err(wrap)?;
            self.literals
                .push(pattern.prefix(source).map_err(wrap)?.to_owned());
            let index = self.rule(rule(pattern.max_len_bytes() + 1));
            self.targets.push((index, Target::Pattern(pattern)));
        }
        Ok(())
    }

    fn phrase(&mut self, rule: impl Fn(usize) -> Rule, phrase: &str) {
        let words: Vec<String> = phrase.split_whitespace().map(str::to_owned).collect();
        let gaps = words.len() * MAX_GAP_BYTES;
        let index = self.rule(rule(phrase.len() + gaps + 1));
        self.literals
            .push(words.first().cloned().unwrap_or_default());
        self.targets.push((index, Target::Phrase(words)));
    }

    /// One rule bears the most that any of its texts needs.
    fn rule(&mut self, rule: Rule) -> usize {
        match self.rules.iter().position(|known| known.id == rule.id) {
            Some(index) => {
                let known = &mut self.rules[index];
                known.max_len_bytes = known.max_len_bytes.max(rule.max_len_bytes);
                index
            }
            None => {
                self.rules.push(rule);
                self.rules.len() - 1
            }
        }
    }

    fn finish(self) -> Result<Option<Custom>, RuleError> {
        if self.literals.is_empty() {
            return Ok(None);
        }
        Ok(Some(Custom {
            triggers: Triggers::new(self.literals.iter().map(String::as_str))?,
            rules: self.rules,
            targets: self.targets,
        }))
    }
}

impl Detector for Custom {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let open = self.triggers.scan(&window, |literal, start| {
            let (rule, target) = &self.targets[literal];
            let mut cursor = window.cursor(start);
            // Markdown puts `_` around words.
            let is_emphasised =
                matches!(target, Target::Phrase(_)) && cursor.byte_before(start) == Some(b'_');
            let begins = is_emphasised || cursor.starts_token(start);
            if !begins && cursor.clone().peek().is_some_and(is_word) {
                return;
            }
            let found = match target {
                Target::Phrase(words) => reads_phrase(&mut cursor, words),
                Target::Pattern(pattern) => pattern.read(&mut cursor).is_some(),
            };
            let found = found.then(|| self.rules[*rule].at(start..cursor.position()));
            scan.settle(start, &cursor, found);
        });
        if !window.complete && open < window.text.len() {
            scan.open(open);
        }
    }
}

/// Reads the words of a phrase, whatever stands between them that is no letter: a line may end there.
fn reads_phrase(cursor: &mut Cursor<'_>, words: &[String]) -> bool {
    let start = cursor.position();
    for (index, word) in words.iter().enumerate() {
        let begins_in_letter = !word.starts_with(|c: char| c.is_ascii_punctuation());
        let is_gap = |byte: u8| match begins_in_letter {
            true => byte.is_ascii() && !byte.is_ascii_alphanumeric(),
            false => byte.is_ascii_whitespace(),
        };
        if index > 0 && cursor.eat_while(MAX_GAP_BYTES, is_gap) == 0 {
            return false;
        }
        if !cursor.eat_ignoring_case(word.as_bytes()) {
            return false;
        }
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric();
    let ends_in_word = cursor.since(start).last().copied().is_some_and(is_letter);
    !(ends_in_word && cursor.peek().is_some_and(is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(custom: &Custom, text: &str) -> Vec<(String, String)> {
        let mut scan = Scan::default();
        custom.scan(Window::whole(text), &mut scan);
        scan.findings
            .iter()
            .map(|f| (f.rule.to_string(), text[f.span.clone()].to_owned()))
            .collect()
    }

    #[test]
    fn phrases_are_whole_words_and_patterns_are_read() {
        let file = "[[rule]]\nid = \"falcon\"\nphrases = [\"Project Falcon\"]\n[[rule]]\nid = \
                    \"ticket\"\nseverity = \"low\"\npatterns = [\"TICK-<digit 4-8>\"]\n";
        let custom = Custom::from_toml([("a.toml", file)]).unwrap().unwrap();
        assert_eq!(
            found(&custom, "the project falcon, TICK-1234 and Project Falcons"),
            [
                ("falcon".to_owned(), "project falcon".to_owned()),
                ("ticket".to_owned(), "TICK-1234".to_owned())
            ]
        );
    }

    #[test]
    fn a_phrase_is_found_over_the_end_of_a_line() {
        let phrases = [
            "Project Falcon".to_owned(),
            "a b".to_owned(),
            "vitamin (b12)".to_owned(),
        ];
        let custom = Custom::phrases("topic", Category::Scope, &phrases);
        let custom = custom.unwrap().unwrap();
        for text in [
            "project\nfalcon",
            "PROJECT  falcon.",
            "a project-falcon",
            "**Project** _Falcon_",
            "> project\r\n> falcon",
            "project\u{200b} falcon".replace('\u{200b}', "").as_str(),
            "see A, B",
            "Vitamin\n(B12)",
        ] {
            assert_eq!(found(&custom, text).len(), 1, "{text}");
        }
        for text in [
            "projectfalcon",
            "project of falcon",
            "project falcons",
            "ab",
            "xa b",
        ] {
            assert_eq!(found(&custom, text), [], "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |text: &str| {
            let refused = Custom::from_toml([("empty.toml", ""), ("rules.toml", text)]);
            refused.unwrap_err().to_string()
        };
        assert!(refused("[[rule]]\nid = \"a\"\n").contains("neither"));
        assert!(refused("[[rule]]\nid = \"a\"\npatterns = [\"<digit 3>\"]\n").contains("rule a"));
        let twice = "[[rule]]\nid = \"a\"\nphrases = [\"xx\"]\n".repeat(2);
        assert!(refused(&twice).contains("two rules"));
        assert!(refused(&twice).starts_with("`rules.toml`, line 5, column 6: "));
        assert!(refused("[[rule]]\nid = \"a\"\nphrases = [\" \"]\n").contains("line 2, column 6"));
        for name in [
            "",
            " ",
            "two words",
            "münze",
            "a]b",
            "a\\nb",
            &"a".repeat(129),
        ] {
            let told = refused(&format!("[[rule]]\nid = \"{name}\"\nphrases = [\"xx\"]\n"));
            let expected =
                format!("`rules.toml`, line 2, column 6: a rule is named `{name}`; give");
            assert!(told.starts_with(&expected), "{told}");
        }
        let good = format!(
            "[[rule]]\nid = \"Case-1.{}\"\nphrases = [\"xx\"]\n",
            "a".repeat(121)
        );
        assert!(Custom::from_toml([("a.toml", &*good)]).unwrap().is_some());
        let broken = refused("[[rule]]\nid = \"a\"\nphrases = 7\n");
        let is_told = broken.contains("`rules.toml`") && broken.contains("line 3, column 11");
        assert!(is_told, "{broken}");
        assert!(Custom::from_toml([("a.toml", "")]).unwrap().is_none());
    }
}
