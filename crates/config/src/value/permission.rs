//! What a role allows, by its name in the closed list.

use std::fmt;

use seaworthy_core::principal::Permission as CorePermission;

use super::{Refusal, Text, text_value};
use crate::nearest::suggest;

/// Something that can be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission(pub CorePermission);

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Text for Permission {
    const KIND: &'static str = "permission";
    const EXPECTED: &'static str = "a permission such as \"call_models\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let found = CorePermission::ALL.iter().find(|p| p.as_str() == text);
        match found {
            Some(permission) => Ok(Self(*permission)),
            None => {
                let names: Vec<&str> = CorePermission::ALL.iter().map(|p| p.as_str()).collect();
                let hint = suggest(text, "the permissions are", &names);
                Refusal::because(format!("expected {}: {hint}", Self::EXPECTED))
            }
        }
    }
}

text_value!(Permission);
