//! References to secrets that a manager keeps.

use std::fmt;

/// Who keeps a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Manager {
    /// AWS Secrets Manager.
    Aws,
    /// HashiCorp Vault, the key-value store of version 2.
    Vault,
    /// Azure Key Vault.
    Azure,
    /// Google Cloud Secret Manager.
    Gcp,
}

impl Manager {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Vault, Self::Azure, Self::Gcp];

    /// The name, as in references, metrics and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Vault => "vault",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

/// Where a manager keeps a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagedSecret {
    /// Who keeps it.
    pub manager: Manager,
    /// What it is called there.
    pub path: String,
    /// The key of the value, where the secret is an object.
    pub key: Option<String>,
}

impl ManagedSecret {
    /// Reads what follows the name of the manager. The error says what is expected.
    pub(super) fn parse(manager: Manager, text: &str) -> Result<Self, &'static str> {
        let (path, key) = match text.split_once('#') {
            Some((path, key)) => (path, Some(key)),
            None => (text, None),
        };
        let is_segment = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+=@!:".contains(c);
            !part.is_empty() && part.chars().all(allowed) && part != "." && part != ".."
        };
        let parts = path.split('/').count();
        let (fits, expected) = match manager {
            Manager::Aws => (true, "\"secret://aws/NAME\" or \"secret://aws/NAME#KEY\""),
            Manager::Vault => (key.is_some(), "\"secret://vault/PATH#KEY\""),
            Manager::Azure => (
                matches!(parts, 1 | 2),
                "\"secret://azure/NAME\" or \"secret://azure/VAULT/NAME\"",
            ),
            Manager::Gcp => (
                matches!(parts, 1 | 2),
                "\"secret://gcp/NAME\" or \"secret://gcp/PROJECT/NAME\"",
            ),
        };
        let is_key = key.is_none_or(|key| !key.is_empty() && !key.contains('#'));
        if !fits || !is_key || !path.split('/').all(is_segment) {
            return Err(expected);
        }
        Ok(Self {
            manager,
            path: path.to_owned(),
            key: key.map(str::to_owned),
        })
    }
}

impl fmt::Display for ManagedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret://{}/{}", self.manager.as_str(), self.path)?;
        match &self.key {
            Some(key) => write!(f, "#{key}"),
            None => Ok(()),
        }
    }
}
