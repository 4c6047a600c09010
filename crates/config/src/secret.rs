//! Secrets: references to them in the configuration, and the few ways to their value.

mod managed;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::mark;
use crate::mask::REDACTED;
use crate::value::{Refusal, Text, text_value};

pub use self::managed::{ManagedSecret, Manager};

/// How large a secret may be.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A secret's value. It is never printed and is wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value into custody.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Where a secret is. Shown as written, except for a value written into the configuration itself.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `secret://env/NAME`: an environment variable.
    Env(String),
    /// `secret://file/PATH`: a file, relative to the working directory unless PATH begins with `/`.
    File(PathBuf),
    /// `secret://aws/…`, `secret://vault/…`, `secret://azure/…`, `secret://gcp/…`: a manager has it.
    Managed(ManagedSecret),
    /// The value itself, which does not belong in a configuration file.
    Literal(Secret),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "secret://env/{name}"),
            Self::File(path) => write!(f, "secret://file/{}", path.display()),
            Self::Managed(managed) => managed.fmt(f),
            Self::Literal(secret) => write!(f, "{REDACTED}{}", mark::of(secret.expose())),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Text for SecretRef {
    const KIND: &'static str = "secret";
    const EXPECTED: &'static str =
        "a reference such as \"secret://env/NAME\" or \"secret://file/PATH\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let Some(reference) = text.strip_prefix("secret://") else {
            return match text {
                "" => Refusal::because(format!("expected {}, found an empty text", Self::EXPECTED)),
                REDACTED => Refusal::because(format!(
                    "expected {}, found the placeholder of a hidden secret",
                    Self::EXPECTED
                )),
                _ => Ok(Self::Literal(Secret::new(text.to_owned()))),
            };
        };
        let variable = |name: &str| {
            !name.is_empty() && !name.contains(|c: char| c == '=' || c == '/' || c.is_whitespace())
        };
        let manager = |name: &str| Manager::ALL.into_iter().find(|one| one.as_str() == name);
        match reference.split_once('/') {
            Some(("env", name)) if variable(name) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some((name, rest)) if manager(name).is_some() => {
                let Some(manager) = manager(name) else {
                    return Err(Refusal::Unlike);
                };
                let parsed = ManagedSecret::parse(manager, rest).map(Self::Managed);
                parsed.or_else(|expected| {
                    Refusal::because(format!("expected {expected}, found another form"))
                })
            }
            _ => Refusal::because(format!(
                "expected {}, found another kind of reference",
                Self::EXPECTED
            )),
        }
    }
}

text_value!(SecretRef);

/// A way to the values of secrets.
pub trait SecretSource: Send + Sync {
    /// The value that `reference` stands for now.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be read.
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError>;

    /// What keeps values from being fetched again, if anything does. What was fetched before goes on
    /// to be used.
    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Secrets in environment variables and files. The environment is passed in as a function.
#[derive(Clone, Debug)]
pub struct LocalSecrets<E>(pub E);

impl<E: Fn(&str) -> Option<String> + Send + Sync> SecretSource for LocalSecrets<E> {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let value = match reference {
            SecretRef::Env(name) => {
                (self.0)(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?
            }
            SecretRef::File(path) => read(path).map_err(|source| SecretError::Unreadable {
                path: path.clone(),
                source,
            })?,
            SecretRef::Managed(managed) => {
                return Err(SecretError::NotFetched(managed.to_string()));
            }
            SecretRef::Literal(secret) => return Ok(secret.clone()),
        };
        if value.trim().is_empty() {
            return Err(SecretError::Empty(reference.to_string()));
        }
        Ok(Secret::new(value))
    }
}

/// Reads a file without its last line ending: most tools that write one end it with one.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(std::io::Error::other(format!(
            "larger than {MAX_SECRET_BYTES} bytes"
        )));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {0} of secret://env/{0} is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("the file {} of a secret cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A manager has it, and it was not fetched.
    #[error("{0} was not fetched from its manager")]
    NotFetched(String),
    /// There is a value, but it is empty.
    #[error("the secret at {0} is empty")]
    Empty(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "KEY").then(|| "from-env".to_owned())
    }

    #[test]
    fn variables_and_files_resolve_and_one_line_ending_is_trimmed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "from-file\n\r\n").unwrap();
        let secrets = LocalSecrets(env);
        let resolve = |text: &str| secrets.resolve(&SecretRef::parse(text).unwrap());
        assert_eq!(resolve("secret://env/KEY").unwrap().expose(), "from-env");
        let reference = format!("secret://file/{}", path.display());
        assert_eq!(resolve(&reference).unwrap().expose(), "from-file\n");
        assert_eq!(resolve("plain").unwrap().expose(), "plain");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let secrets = LocalSecrets(env);
        let error = |reference| secrets.resolve(&reference).unwrap_err().to_string();
        assert!(error(SecretRef::Env("NONE".into())).contains("secret://env/NONE is not set"));
        assert!(error(SecretRef::File(empty)).ends_with("is empty"));
        assert!(error(SecretRef::File(dir.path().join("no"))).contains("cannot be read"));
    }

    #[test]
    fn references_to_managers_are_read_and_shown_as_written() {
        for text in [
            "secret://aws/prod/openai",
            "secret://aws/prod/openai#key",
            "secret://vault/apps/gateway#openai",
            "secret://azure/openai-key",
            "secret://azure/my-vault/openai-key",
            "secret://gcp/openai-key",
            "secret://gcp/my-project/openai-key",
        ] {
            assert_eq!(SecretRef::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "secret://aws/",
            "secret://aws/a?b",
            "secret://vault/apps/gateway",
            "secret://vault/../sys/x#y",
            "secret://azure/a/b/c",
            "secret://gcp/a/b/c",
            "secret://aws/a#",
        ] {
            let refusal = SecretRef::parse(text).unwrap_err();
            let Refusal::Because(reason) = refusal else {
                panic!("expected a reason")
            };
            assert!(reason.starts_with("expected \"secret://"), "{reason}");
        }
    }
}
