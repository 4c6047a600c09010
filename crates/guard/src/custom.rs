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

use crate::cursor::{Cursor, is_word};
use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Severity};
use crate::secrets::{Pattern, PatternError};
use crate::trigger::{TriggerError, Triggers};

/// Why rules were refused.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file is not what the format asks for.
    #[error("the rule file cannot be read: {0}")]
    Format(#[from] Box<toml::de::Error>),
    /// A pattern is wrong.
    #[error("rule {id}: {error}")]
    Pattern {
        /// The rule.
        id: String,
        /// What is wrong.
        error: PatternError,
    },
    /// A rule has nothing to look for.
    #[error("rule {0} has neither `phrases` nor `patterns`; give it one of them")]
    Empty(String),
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
    id: String,
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

/// What a literal begins.
#[derive(Debug)]
enum Target {
    /// A phrase of this many bytes, between the ends of words.
    Phrase(usize),
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
    /// The rules of several files together; `None` when they hold none.
    pub fn from_toml<'s>(
        files: impl IntoIterator<Item = &'s str>,
    ) -> Result<Option<Self>, RuleError> {
        let mut raw: Vec<RawRule> = Vec::new();
        for file in files {
            let file: RawFile = toml::from_str(file).map_err(Box::new)?;
            for rule in file.rule {
                if raw.iter().any(|known| known.id == rule.id) {
                    return Err(RuleError::Twice(rule.id));
                }
                raw.push(rule);
            }
        }
        let mut building = Building::default();
        for rule in &raw {
            building.add(rule)?;
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
            building.phrase(
                Rule::new(id, category, Severity::High, phrase.len() + 1),
                phrase,
            );
        }
        building.finish()
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
        if raw.phrases.is_empty() && raw.patterns.is_empty() {
            return Err(RuleError::Empty(raw.id.clone()));
        }
        let rule = |most| Rule::new(&raw.id, Category::Custom, raw.severity, most);
        for phrase in &raw.phrases {
            self.phrase(rule(phrase.len() + 1), phrase);
        }
        for source in &raw.patterns {
            let wrap = |error| RuleError::Pattern {
                id: raw.id.clone(),
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

    fn phrase(&mut self, rule: Rule, phrase: &str) {
        let index = self.rule(rule);
        self.literals.push(phrase.to_owned());
        self.targets.push((index, Target::Phrase(phrase.len())));
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
            if !cursor.starts_token(start) && cursor.clone().peek().is_some_and(is_word) {
                return;
            }
            let found = match target {
                Target::Phrase(length) => reads_phrase(&mut cursor, *length),
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

fn reads_phrase(cursor: &mut Cursor<'_>, length: usize) -> bool {
    let start = cursor.position();
    cursor.advance(length);
    let ends_in_word = cursor.since(start).last().copied().is_some_and(is_word);
    !(ends_in_word && cursor.peek().is_some_and(is_word))
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
        let custom = Custom::from_toml([file]).unwrap().unwrap();
        assert_eq!(
            found(&custom, "the project falcon, TICK-1234 and Project Falcons"),
            [
                ("falcon".to_owned(), "project falcon".to_owned()),
                ("ticket".to_owned(), "TICK-1234".to_owned())
            ]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |file: &str| Custom::from_toml([file]).unwrap_err().to_string();
        assert!(refused("[[rule]]\nid = \"a\"\n").contains("neither"));
        assert!(refused("[[rule]]\nid = \"a\"\npatterns = [\"<digit 3>\"]\n").contains("rule a"));
        let twice = "[[rule]]\nid = \"a\"\nphrases = [\"xx\"]\n".repeat(2);
        assert!(refused(&twice).contains("two rules"));
        assert!(Custom::from_toml([""]).unwrap().is_none());
    }
}
