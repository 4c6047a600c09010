//! What is checked in what callers send and in what models answer.

use std::fmt;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Config;
use crate::value::Count;

/// What is checked in requests before they leave. Everything is off unless it is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputValidation {
    /// Whether markup is taken out of what users and tools say.
    pub strip_html_tags: bool,
    /// The most characters that all texts of a request may have together.
    pub max_input_length: Option<NonZeroUsize>,
    /// The most characters that the last message of the user may have.
    pub max_question_length: Option<NonZeroUsize>,
    /// The most characters that one argument of a tool call may have, in requests and in answers.
    pub max_tool_param_length: Option<NonZeroUsize>,
    /// Whether a request is refused when a user or a tool tries to take control of the model.
    pub reject_known_injection_patterns: bool,
    /// Regular expressions of which no text of a user or a tool may match one.
    pub blocked_patterns: Vec<String>,
    /// What happens to credentials: `true` redacts them, `"block"` refuses the request.
    pub filter_secrets: Filter,
    /// What happens to data about persons: `true` redacts it, `"tokenize"` puts placeholders in its
    /// place and the data back into the answer, `"block"` refuses the request.
    pub redact_pii: Filter,
    /// Whether references to files with `..` in them are refused, in requests and in tool calls.
    pub no_path_traversal: bool,
    /// The extensions of the files that may be referred to; empty allows any.
    pub whitelist_extensions: Vec<String>,
    /// Whether references to files outside `guards.project_root` are refused, links followed.
    pub require_within_project: bool,
    /// Requests of a user in a minute.
    pub requests_per_minute: Option<Count>,
    /// Requests of a user in an hour.
    pub requests_per_hour: Option<Count>,
    /// Requests of a user at the same time.
    pub concurrent_requests: Option<Count>,
}

/// What is checked in answers before the caller sees them. Everything is off unless it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputHandling {
    /// What happens to credentials: `true` redacts them, `"block"` ends the answer before them.
    pub filter_secrets: Filter,
    /// What happens to data about persons: `true` redacts it, `"block"` ends the answer before it.
    pub redact_pii: Filter,
    /// What happens to absolute paths of a host: `true` redacts them, `"block"` ends the answer
    /// before them.
    pub sanitize_paths: Filter,
    /// What happens to dangerous shell commands: `true` writes them as comments in blocks of code,
    /// quotes arguments of tools that carry one, and refuses tool calls whose command is one;
    /// `"block"` ends the answer before any.
    pub escape_shell_commands: Filter,
    /// What happens to code that does not parse or does what `guards.code` forbids: `true` reports
    /// it, `"redact"` takes it out, `"block"` ends the answer before it.
    pub validate_generated_code: CodeFilter,
    /// Whether generated code is run in the sandbox only: tool calls that would run code anywhere
    /// else are refused.
    pub sandbox_code_execution: bool,
}

/// What the agent's configuration checks in requests; it holds beside `input_validation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentValidation {
    /// The most characters that the last message of the user may have.
    pub max_question_length: Option<NonZeroUsize>,
    /// The most characters that one argument of a tool call may have.
    pub max_tool_param_length: Option<NonZeroUsize>,
    /// Whether a request is refused when a user or a tool tries to take control of the model.
    pub block_prompt_injection: bool,
    /// Whether a request with data about persons is refused.
    pub block_pii: bool,
    /// What happens to data about persons; `block_pii` goes before it.
    pub redact_pii: Filter,
    /// Regular expressions of which no text of a user or a tool may match one.
    pub blocked_patterns: Vec<String>,
}

impl Config {
    /// What is checked in requests, from `input_validation` and `agent.security.validation`: of two
    /// lengths the shorter one holds, of two actions the stricter one.
    #[must_use]
    pub fn input_rules(&self) -> InputValidation {
        let agent = &self.agent.security.validation;
        let mut rules = self.input_validation.clone();
        let shorter = |a: Option<NonZeroUsize>, b: Option<NonZeroUsize>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        rules.max_question_length = shorter(rules.max_question_length, agent.max_question_length);
        rules.max_tool_param_length =
            shorter(rules.max_tool_param_length, agent.max_tool_param_length);
        rules.reject_known_injection_patterns |= agent.block_prompt_injection;
        rules.redact_pii = rules.redact_pii.max(agent.redact_pii);
        if agent.block_pii {
            rules.redact_pii = Filter::Block;
        }
        rules
            .blocked_patterns
            .extend(agent.blocked_patterns.iter().cloned());
        rules
    }

    /// What is checked in answers, from `output_handling` and `agent.security.output`.
    #[must_use]
    pub fn output_rules(&self) -> OutputHandling {
        let (mut rules, agent) = (self.output_handling, &self.agent.security.output);
        rules.filter_secrets = rules.filter_secrets.max(agent.filter_secrets);
        rules.redact_pii = rules.redact_pii.max(agent.redact_pii);
        rules.sanitize_paths = rules.sanitize_paths.max(agent.sanitize_paths);
        rules.escape_shell_commands = rules.escape_shell_commands.max(agent.escape_shell_commands);
        rules.validate_generated_code = CodeFilter(
            rules
                .validate_generated_code
                .0
                .max(agent.validate_generated_code.0),
        );
        rules.sandbox_code_execution |= agent.sandbox_code_execution;
        rules
    }
}

/// What happens to a match. `true` is `redact`, `false` is `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Nothing: it is not looked for.
    #[default]
    Off,
    /// It is reported.
    Flag,
    /// A label takes its place.
    Redact,
    /// A placeholder takes its place on the way to the provider, and it comes back in the answer.
    Tokenize,
    /// The text goes no further.
    Block,
}

impl Filter {
    const WORDS: [(&str, Self); 5] = [
        ("off", Self::Off),
        ("flag", Self::Flag),
        ("redact", Self::Redact),
        ("tokenize", Self::Tokenize),
        ("block", Self::Block),
    ];
}

/// What happens to code with a fault. `true` is `flag`, `false` is `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodeFilter(pub Filter);

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilterVisitor(Self::Redact))
    }
}

impl<'de> Deserialize<'de> for CodeFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let filter = deserializer.deserialize_any(FilterVisitor(Filter::Flag))?;
        Ok(Self(filter))
    }
}

/// Reads a filter; `true` stands for the one that it bears.
struct FilterVisitor(Filter);

impl Visitor<'_> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "`true`, `false`, `\"off\"`, `\"flag\"`, `\"redact\"`, `\"tokenize\"` or `\"block\"`",
        )
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Filter, E> {
        Ok(if value { self.0 } else { Filter::Off })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Filter, E> {
        let known = Filter::WORDS.iter().find(|(word, _)| *word == text);
        known
            .map(|(_, filter)| *filter)
            .ok_or_else(|| E::invalid_value(Unexpected::Other("value"), &self))
    }
}

impl JsonSchema for Filter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                { "const": "off" },
                { "const": "flag" },
                { "const": "redact" },
                { "const": "tokenize" },
                { "const": "block" },
                { "const": true },
                { "const": false },
            ],
        })
    }
}

impl JsonSchema for CodeFilter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CodeFilter".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "oneOf": [
                { "const": "off" },
                { "const": "flag" },
                { "const": "redact" },
                { "const": "block" },
                { "const": true },
                { "const": false },
            ],
        })
    }
}
