//! Checks of what comes in that are about form, not meaning: lengths, markup, file references, scope.

pub mod html;
pub mod path;
pub mod reference;
pub mod scope;
pub mod shell;

use serde::{Deserialize, Serialize};

/// The longest texts that are accepted, in characters; `None` leaves a length to the request's size limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lengths {
    /// All messages of a request together.
    pub max_input_length: Option<usize>,
    /// The last message of the user.
    pub max_question_length: Option<usize>,
    /// One argument of a tool.
    pub max_tool_param_length: Option<usize>,
}

/// A text that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{setting} allows {allowed} characters, found {found}; shorten the text")]
pub struct TooLong {
    /// The setting.
    pub setting: &'static str,
    /// What it allows, in characters.
    pub allowed: usize,
    /// What was found, in characters.
    pub found: usize,
}

impl Lengths {
    /// Checks all messages together and the question alone, by their lengths in characters.
    pub fn check_request(&self, input_chars: usize, question_chars: usize) -> Result<(), TooLong> {
        within("max_input_length", self.max_input_length, input_chars)?;
        within(
            "max_question_length",
            self.max_question_length,
            question_chars,
        )
    }

    /// Checks one argument of a tool.
    pub fn check_tool_param(&self, value: &str) -> Result<(), TooLong> {
        within(
            "max_tool_param_length",
            self.max_tool_param_length,
            value.chars().count(),
        )
    }
}

fn within(setting: &'static str, allowed: Option<usize>, found: usize) -> Result<(), TooLong> {
    match allowed {
        Some(allowed) if found > allowed => Err(TooLong {
            setting,
            allowed,
            found,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_has_its_own_limit() {
        let lengths = Lengths {
            max_input_length: Some(10),
            max_question_length: Some(5),
            max_tool_param_length: Some(3),
        };
        assert_eq!(lengths.check_request(10, 5), Ok(()));
        assert_eq!(
            lengths.check_request(11, 5).unwrap_err().setting,
            "max_input_length"
        );
        assert_eq!(
            lengths.check_request(9, 6).unwrap_err().setting,
            "max_question_length"
        );
        assert_eq!(lengths.check_tool_param("äöü"), Ok(()));
        assert!(lengths.check_tool_param("abcd").is_err());
    }
}
