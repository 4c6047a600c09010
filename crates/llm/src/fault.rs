//! What is wrong with bytes that somebody sent, in a sentence that helps.

/// A document that cannot be used: not JSON, a wrong type, a missing field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What was expected and what was found; names the place.
    pub message: String,
    /// The path of the field at fault, such as `messages[2].role`.
    pub param: Option<String>,
    /// An answer that the provider itself broke off: its word for why.
    pub broke_off: Option<&'static str>,
}

impl Fault {
    /// A fault of the document as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            param: None,
            broke_off: None,
        }
    }

    /// A fault at one field; `reason` starts with what was expected.
    pub(crate) fn at(param: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        let param = param.into();
        Self {
            message: format!("`{param}`: {reason}"),
            param: Some(param),
            broke_off: None,
        }
    }

    /// JSON that does not parse, from serde_json's own words and position.
    pub(crate) fn syntax(error: &serde_json::Error) -> Self {
        Self::whole(format!("malformed JSON: {error}"))
    }
}
