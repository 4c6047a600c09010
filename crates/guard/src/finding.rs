//! What a detector reports: who found it, where, and how grave it is.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The families of things that guards look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A credential whose shape is known (a provider's key, a private key, a connection string).
    Secret,
    /// A value that is assigned to a name such as `password` and looks random.
    GenericSecret,
    /// Data about a person.
    Pii,
    /// An attempt to take control of the model.
    Injection,
    /// Content that a moderation policy names.
    Moderation,
    /// A path of the host's file system.
    Path,
    /// Text of the system prompt.
    Leak,
    /// What a rule file of the operator names.
    Custom,
    /// What is not to be talked about, or a tool that is not to be called.
    Scope,
    /// A reference to a file outside the project.
    File,
    /// A dangerous shell command.
    Shell,
    /// Generated code that does not parse or does what is forbidden.
    Code,
}

impl Category {
    /// Every family.
    pub const ALL: [Self; 12] = [
        Self::Secret,
        Self::GenericSecret,
        Self::Pii,
        Self::Injection,
        Self::Moderation,
        Self::Path,
        Self::Leak,
        Self::Custom,
        Self::Scope,
        Self::File,
        Self::Shell,
        Self::Code,
    ];

    /// The name used in configuration, metrics and audit events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::GenericSecret => "generic_secret",
            Self::Pii => "pii",
            Self::Injection => "injection",
            Self::Moderation => "moderation",
            Self::Path => "path",
            Self::Leak => "leak",
            Self::Custom => "custom",
            Self::Scope => "scope",
            Self::File => "file",
            Self::Shell => "shell",
            Self::Code => "code",
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a note.
    Low,
    /// Worth a look.
    Medium,
    /// Must not pass unnoticed.
    High,
    /// Must not pass.
    Critical,
}

/// One match: never the content, only where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that matched, for example `email` or `github_token`.
    pub rule: Arc<str>,
    /// The family of the rule.
    pub category: Category,
    /// How grave it is.
    pub severity: Severity,
    /// The bytes that matched, as offsets into the whole text.
    pub span: Range<usize>,
}
