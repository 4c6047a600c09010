//! Which action follows a match, by rule and by the place of the text.

use serde::{Deserialize, Serialize};

use crate::finding::{Category, Finding};

/// Where a text comes from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// What a user or a client sends.
    Input,
    /// What a tool or a retrieval returned: nobody vouches for it.
    ToolResult,
    /// What a model answers.
    OutputText,
    /// The arguments of a tool call that a model makes.
    ToolArguments,
    /// What a model thinks aloud.
    Reasoning,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 5] = [
        Self::Input,
        Self::ToolResult,
        Self::OutputText,
        Self::ToolArguments,
        Self::Reasoning,
    ];

    /// Whether the text is on its way to a provider.
    pub fn is_inbound(self) -> bool {
        matches!(self, Self::Input | Self::ToolResult)
    }

    /// The name used in configuration, metrics and audit events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::ToolResult => "tool_result",
            Self::OutputText => "output_text",
            Self::ToolArguments => "tool_arguments",
            Self::Reasoning => "reasoning",
        }
    }
}

/// What follows a match, from the mildest to the strictest.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    #[default]
    Allow,
    /// The match is reported and the text passes.
    Flag,
    /// A reversible placeholder takes the place of the match (inbound only).
    Tokenize,
    /// A label takes the place of the match.
    Redact,
    /// The text ends before the match.
    Block,
}

/// What a policy line speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// One rule by its id.
    Rule(String),
    /// A whole family.
    Category(Category),
}

impl Selector {
    fn covers(&self, category: Category, rule: &str) -> bool {
        match self {
            Self::Rule(id) => id == rule,
            Self::Category(wanted) => *wanted == category,
        }
    }
}

/// One line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLine {
    /// What it speaks of.
    pub selector: Selector,
    /// Where it holds.
    pub places: Vec<Place>,
    /// What follows.
    pub action: Action,
}

/// An ordered list of lines: the first that covers a match decides; without one it is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The lines, the most specific first.
    pub lines: Vec<PolicyLine>,
}

impl Policy {
    /// A policy that does `action` to everything of `categories`, everywhere.
    pub fn everywhere(action: Action, categories: &[Category]) -> Self {
        let line = |category: &Category| PolicyLine {
            selector: Selector::Category(*category),
            places: Place::ALL.to_vec(),
            action,
        };
        Self {
            lines: categories.iter().map(line).collect(),
        }
    }

    /// What follows a match of `rule` at `place`.
    pub fn action(&self, place: Place, category: Category, rule: &str) -> Action {
        self.lines
            .iter()
            .find(|line| line.places.contains(&place) && line.selector.covers(category, rule))
            .map_or(Action::Allow, |line| line.action)
    }
}

/// A match and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The match.
    pub finding: Finding,
    /// What follows.
    pub action: Action,
}

/// The most matches that a verdict lists; further ones are only counted.
pub const MAX_LISTED: usize = 256;

/// What was decided about a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The strictest action that any match asked for.
    pub action: Action,
    /// The first matches, in the order of the text.
    pub judged: Vec<Judged>,
    /// How many matches there were, listed or not.
    pub total: u64,
}

impl Verdict {
    /// Adds one match.
    pub fn add(&mut self, judged: Judged) {
        self.action = self.action.max(judged.action);
        self.total += 1;
        if self.judged.len() < MAX_LISTED {
            self.judged.push(judged);
        }
    }

    /// Joins the verdict about another part of the same exchange: the strictest action wins.
    pub fn merge(&mut self, other: Self) {
        self.action = self.action.max(other.action);
        self.total += other.total;
        let room = MAX_LISTED.saturating_sub(self.judged.len());
        self.judged.extend(other.judged.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    #[test]
    fn the_first_line_that_covers_a_match_decides() {
        let mut policy = Policy::everywhere(Action::Redact, &[Category::Pii]);
        policy.lines.insert(
            0,
            PolicyLine {
                selector: Selector::Rule("ip_address".into()),
                places: vec![Place::Input],
                action: Action::Flag,
            },
        );
        assert_eq!(
            policy.action(Place::Input, Category::Pii, "ip_address"),
            Action::Flag
        );
        assert_eq!(
            policy.action(Place::OutputText, Category::Pii, "ip_address"),
            Action::Redact
        );
        assert_eq!(
            policy.action(Place::Input, Category::Secret, "jwt"),
            Action::Allow
        );
    }

    #[test]
    fn the_strictest_action_wins_and_the_list_is_bounded() {
        let judged = |action| Judged {
            finding: Finding {
                rule: "email".into(),
                category: Category::Pii,
                severity: Severity::Medium,
                span: 0..1,
            },
            action,
        };
        let mut verdict = Verdict::default();
        for _ in 0..1000 {
            verdict.add(judged(Action::Flag));
        }
        let mut other = Verdict::default();
        other.add(judged(Action::Block));
        verdict.merge(other);
        assert_eq!(verdict.action, Action::Block);
        assert_eq!((verdict.total, verdict.judged.len()), (1001, MAX_LISTED));
    }
}
