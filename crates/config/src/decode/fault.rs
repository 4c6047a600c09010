//! Why a value could not be decoded, and where.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::join;
use crate::nearest::suggest;
use crate::problem::Finding;
use crate::source::Span;

/// Why a value could not be decoded.
#[derive(Debug)]
pub(super) struct Fault {
    kind: Kind,
    pub place: Option<Place>,
}

#[derive(Debug)]
enum Kind {
    /// The value is not what was expected here.
    Expected(String),
    /// The value is not acceptable, for this reason.
    Refused {
        message: String,
        help: Option<String>,
    },
    /// A key without a default is not there.
    Missing(&'static str),
}

/// Where a fault happened.
#[derive(Debug)]
pub(super) struct Place {
    pub path: String,
    pub span: Span,
    /// What stands there, in words.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Expected(what) => write!(f, "expected {what}"),
            Kind::Refused { message, .. } => f.write_str(message),
            Kind::Missing(key) => write!(f, "the key `{key}` is missing"),
        }
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::refused(message.to_string(), None)
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self {
            kind: Kind::Expected(in_words(&expected.to_string())),
            place: None,
        }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("unknown key `{key}`");
        Self::refused(message, Some(suggest(key, "the keys are", expected)))
    }

    fn missing_field(key: &'static str) -> Self {
        Self {
            kind: Kind::Missing(key),
            place: None,
        }
    }
}

impl Fault {
    pub(super) fn refused(message: String, help: Option<String>) -> Self {
        Self {
            kind: Kind::Refused { message, help },
            place: None,
        }
    }

    /// Whether a key is missing, which is said of the key of the section.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.kind, Kind::Missing(_))
    }

    /// The problem, and the path of the value to leave out before trying again.
    pub(super) fn into_finding(self) -> (Finding, String) {
        let (path, span, found) = match self.place {
            Some(place) => (place.path, Some(place.span), place.found),
            None => (String::new(), None, String::new()),
        };
        let finding = match self.kind {
            Kind::Expected(what) => {
                Finding::error(span, &path, format!("expected {what}, found {found}"))
            }
            Kind::Refused { message, help } => Finding {
                help,
                ..Finding::error(span, &path, message)
            },
            Kind::Missing(key) => {
                let owner = if path.is_empty() {
                    "the file"
                } else {
                    path.as_str()
                };
                let message = format!("the key `{key}` is missing in `{owner}`");
                Finding::error(span, &join(&path, key), message)
            }
        };
        (finding, path)
    }
}

/// The words of serde and the standard library in those of the documentation.
fn in_words(expected: &str) -> String {
    match expected {
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "usize" | "u64" | "u32" => "a whole number, 0 or more".to_owned(),
        "a nonzero usize" => "a whole number, 1 or more".to_owned(),
        "a map" => "a section".to_owned(),
        other if other.starts_with("struct ") => "a section".to_owned(),
        other => other.to_owned(),
    }
}
