//! Settings from outside the file: environment variables and flags, laid over it in that order.

use crate::document::{Key, Node, Value, parse_setting};
use crate::problem::Finding;
use crate::source::Sources;

/// What the names of environment variables that set an option begin with.
pub const ENVIRONMENT_PREFIX: &str = "SEAWORTHY__";

/// How deep a setting may reach into the configuration.
const MAX_SEGMENTS: usize = 8;

/// Settings to lay over the file. Later ones win.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<Setting>);

#[derive(Clone)]
struct Setting {
    origin: String,
    path: Vec<String>,
    value: String,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.origin)
    }
}

impl Overrides {
    /// The variables that set options: `SEAWORTHY__SERVER__LISTEN` sets `server.listen`. Others
    /// are left alone.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings: Vec<Setting> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(ENVIRONMENT_PREFIX)?;
                let path = path.split("__").map(str::to_lowercase).collect();
                Some(Setting {
                    origin: format!("environment variable {name}"),
                    path,
                    value,
                })
            })
            .collect();
        settings.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(settings)
    }

    /// Adds a flag that sets the option at `key`, such as `--listen` for `server.listen`.
    #[must_use]
    pub fn with_flag(mut self, flag: &str, key: &str, value: impl Into<String>) -> Self {
        let path = key.split('.').map(str::to_owned).collect();
        self.0.push(Setting {
            origin: flag.to_owned(),
            path,
            value: value.into(),
        });
        self
    }

    /// Lays the settings over `root`.
    pub(crate) fn apply(&self, root: &mut Node, sources: &mut Sources<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for setting in &self.0 {
            let span = sources.add_setting(&setting.origin);
            let path = setting.path.join(".");
            if setting.path.len() > MAX_SEGMENTS {
                let message = format!("no option is more than {MAX_SEGMENTS} levels deep");
                findings.push(Finding::error(Some(span), "", message));
                continue;
            }
            match parse_setting(&setting.value, span) {
                Err(message) => findings.push(Finding::error(Some(span), &path, message)),
                Ok(node) => {
                    if let Err(message) = set(root, &setting.path, node) {
                        findings.push(Finding::error(Some(span), &path, message));
                    }
                }
            }
        }
        findings
    }
}

fn set(node: &mut Node, path: &[String], value: Node) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    let Some(entries) = node.entries() else {
        return Err("this sets a key inside a value that is not a section".to_owned());
    };
    if !matches!(node.value, Value::Map(_)) {
        let entries = entries
            .into_iter()
            .map(|(key, node)| (key.clone(), node.clone()));
        node.value = Value::Map(entries.collect());
    }
    let Value::Map(entries) = &mut node.value else {
        return Ok(());
    };
    let span = value.span;
    let index = entries.iter().position(|(key, _)| same(&key.name, first));
    let index = index.unwrap_or_else(|| {
        let key = Key {
            name: first.clone(),
            span,
        };
        entries.push((
            key,
            Node {
                value: Value::Null,
                span,
            },
        ));
        entries.len() - 1
    });
    let (key, node) = &mut entries[index];
    if rest.is_empty() {
        key.span = span;
    }
    set(node, rest, value)
}

/// Whether a key of the file is the one meant by part of a variable's name, which has neither
/// lower case nor `-` nor `.`.
fn same(key: &str, part: &str) -> bool {
    let fold = |text: &str| text.to_lowercase().replace(['-', '.', '/'], "_");
    key == part || fold(key) == fold(part)
}
