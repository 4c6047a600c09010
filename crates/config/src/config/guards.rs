//! What is checked in what callers send and in what models answer.

use std::fmt;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Whether a request is refused when a user or a tool tries to take control of the model.
    pub reject_known_injection_patterns: bool,
    /// What happens to credentials: `true` redacts them, `"block"` refuses the request.
    pub filter_secrets: Filter,
    /// What happens to data about persons: `true` redacts it, `"block"` refuses the request.
    pub redact_pii: Filter,
}

/// What is checked in answers before the caller sees them. Everything is off unless it is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutputHandling {
    /// What happens to credentials: `true` redacts them, `"block"` ends the answer before them.
    pub filter_secrets: Filter,
    /// What happens to data about persons: `true` redacts it, `"block"` ends the answer before it.
    pub redact_pii: Filter,
    /// What happens to absolute paths of a host: `true` redacts them, `"block"` ends the answer
    /// before them.
    pub sanitize_paths: Filter,
}

/// What happens to a match. `true` is `redact`, `false` is `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Nothing: it is not looked for.
    #[default]
    Off,
    /// A label takes its place.
    Redact,
    /// The text goes no further.
    Block,
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FilterVisitor)
    }
}

struct FilterVisitor;

impl Visitor<'_> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false`, `\"off\"`, `\"redact\"` or `\"block\"`")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Filter, E> {
        Ok(if value { Filter::Redact } else { Filter::Off })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Filter, E> {
        match text {
            "off" => Ok(Filter::Off),
            "redact" => Ok(Filter::Redact),
            "block" => Ok(Filter::Block),
            _ => Err(E::invalid_value(Unexpected::Other("value"), &self)),
        }
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
                { "const": "redact" },
                { "const": "block" },
                { "const": true },
                { "const": false },
            ],
        })
    }
}
