//! What a model name stands for: a provider and the provider's own name of a model.

use std::fmt;

use super::{Refusal, Text, text_value};

/// `provider/model`, such as `openai/gpt-5`; the model's name may contain further slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The provider's name in this configuration.
    pub provider: String,
    /// The model's name at the provider.
    pub model: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Text for Target {
    const KIND: &'static str = "target";
    const EXPECTED: &'static str = "a provider and its model such as \"openai/gpt-5\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.split_once('/') {
            Some((provider, model))
                if !provider.is_empty()
                    && !model.is_empty()
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
            {
                Ok(Self {
                    provider: provider.to_owned(),
                    model: model.to_owned(),
                })
            }
            _ => Err(Refusal::Unlike),
        }
    }
}

text_value!(Target);
