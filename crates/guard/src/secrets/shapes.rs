//! Reads the shape file and judges whether a run of bytes is one of its credentials.

use serde::Deserialize;

use super::checks;
use super::pattern::{Pattern, PatternError};
use crate::cursor::{Cursor, contains_ignoring_case};
use crate::detector::Rule;
use crate::finding::{Category, Finding, Severity};
use crate::trigger::TriggerError;

/// Why a shape file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// The file is not what the format asks for.
    #[error("the shape file cannot be read: {0}")]
    Format(#[from] Box<toml::de::Error>),
    /// A pattern is wrong.
    #[error("shape {id}: {error}")]
    Pattern {
        /// The shape.
        id: String,
        /// What is wrong.
        error: PatternError,
    },
    /// The literals do not fit.
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    shape: Vec<RawShape>,
    #[serde(default)]
    named: Vec<RawNamed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawShape {
    id: String,
    severity: Severity,
    patterns: Vec<String>,
    #[serde(default = "default_entropy")]
    entropy: f32,
    check: Option<Check>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNamed {
    id: String,
    severity: Severity,
    words: Vec<String>,
    pattern: String,
    #[serde(default = "default_entropy")]
    entropy: f32,
}

fn default_entropy() -> f32 {
    3.0
}

/// A test of the random part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Check {
    Crc32Base62,
}

/// A made-up credential and the rule that must find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The rule's id.
    pub rule: String,
    /// The credential.
    pub text: String,
}

/// A credential with characters of its own.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) rule: Rule,
    pub(super) prefix: String,
    pattern: Pattern,
    entropy: f32,
    check: Option<Check>,
}

impl Shape {
    /// Reads the credential at the cursor.
    pub(super) fn read(&self, cursor: &mut Cursor<'_>) -> Option<Finding> {
        let start = cursor.position();
        let random = self.pattern.read(cursor)?;
        let sample = &random[..random.len().min(256)];
        if checks::is_placeholder(&sample[..sample.len().min(64)])
            || checks::entropy(sample) < self.entropy
        {
            return None;
        }
        let mut found = self.rule.at(start..cursor.position());
        // A wrong checksum lowers the severity only: an issuer may change its checksum any day.
        if self.check == Some(Check::Crc32Base62) && !checks::ends_in_crc32(&random) {
            found.severity = found.severity.min(Severity::High);
        }
        Some(found)
    }

    /// A made-up credential of this shape.
    pub(super) fn example(&self, pick: &mut dyn FnMut(usize) -> usize) -> Example {
        Example {
            rule: self.rule.id.to_string(),
            text: self.pattern.example(pick),
        }
    }
}

/// A credential that only the name it is assigned to gives away.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) rule: Rule,
    words: Vec<String>,
    pattern: Pattern,
    entropy: f32,
}

impl Named {
    /// Whether `value`, after `context`, is this credential.
    pub(super) fn accepts(&self, context: &[u8], value: &[u8]) -> bool {
        let mut cursor = Cursor::new(value, 0, true);
        let Some(random) = self.pattern.read(&mut cursor) else {
            return false;
        };
        cursor.position() == value.len()
            && self
                .words
                .iter()
                .all(|word| contains_ignoring_case(context, word.as_bytes()))
            && !checks::is_placeholder(value)
            && checks::entropy(&random) >= self.entropy
    }
}

/// The compiled shape file.
#[derive(Debug)]
pub(super) struct ShapeFile {
    pub(super) shapes: Vec<Shape>,
    pub(super) named: Vec<Named>,
}

impl ShapeFile {
    pub(super) fn parse(source: &str) -> Result<Self, ShapeError> {
        let raw: RawFile = toml::from_str(source).map_err(Box::new)?;
        let mut shapes = Vec::new();
        for shape in raw.shape {
            for source in &shape.patterns {
                let wrap = |error| ShapeError::Pattern {
                    id: shape.id.clone(),
                    error,
                };
                let pattern = Pattern::parse(source).map_err(wrap)?;
                let prefix = pattern.prefix(source).map_err(wrap)?.to_owned();
                // One byte more: the one that shows that the credential ended.
                let most = pattern.max_len_bytes() + 1;
                shapes.push(Shape {
                    rule: Rule::new(&shape.id, Category::Secret, shape.severity, most),
                    prefix,
                    pattern,
                    entropy: shape.entropy,
                    check: shape.check,
                });
            }
        }
        let named = raw.named.into_iter().map(|named| {
            let wrap = |error| ShapeError::Pattern {
                id: named.id.clone(),
                error,
            };
            Ok(Named {
                pattern: Pattern::parse(&named.pattern).map_err(wrap)?,
                rule: Rule::new(
                    &named.id,
                    Category::Secret,
                    named.severity,
                    super::assignment::MAX_LEN,
                ),
                words: named.words,
                entropy: named.entropy,
            })
        });
        Ok(Self {
            shapes,
            named: named.collect::<Result<_, ShapeError>>()?,
        })
    }
}
