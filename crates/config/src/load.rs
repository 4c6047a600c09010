//! From a file to a checked configuration.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::decode::decode;
use crate::document::{Format, MAX_BYTES, Node, Value, parse};
use crate::mask;
use crate::overrides::Overrides;
use crate::problem::{Problems, Severity};
use crate::show::hash;
use crate::source::{Sources, Span};
use crate::validate::validate;
use crate::watch::Fingerprint;

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Arc<Config>,
    /// SHA-256 of the effective configuration as hexadecimal digits. It covers references to
    /// secrets, never their values.
    pub hash: String,
    /// What somebody should look at.
    pub warnings: Problems,
    /// The name of the file.
    pub source: String,
    /// Of the text that was read, to notice when the file changes.
    pub fingerprint: Fingerprint,
}

/// Loads a file; its extension tells the format.
///
/// # Errors
///
/// When the file cannot be read, or with everything that is wrong with it.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let Some(format) = Format::of(path) else {
        let message = "the format of this file is unknown".to_owned();
        let help = "name it `.toml`, `.yaml` or `.yml`".to_owned();
        return Err(Problems::unreadable(&name, message, Some(help)));
    };
    let text = read(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => Some("`seaworthy init` writes one".to_owned()),
            _ => None,
        };
        Problems::unreadable(&name, format!("this file cannot be read: {error}"), help)
    })?;
    load_str(&text, format, &name, overrides)
}

/// Loads a text. `name` is what problems call it.
///
/// # Errors
///
/// With everything that is wrong with it.
pub fn load_str(
    text: &str,
    format: Format,
    name: &str,
    overrides: &Overrides,
) -> Result<Loaded, Problems> {
    let fingerprint = Fingerprint::of_text(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::new(name, text);
    let mut root = match parse(text, format) {
        Ok(root) => root,
        Err(findings) => return Err(Problems::locate(findings, &sources, &[])),
    };
    let mut findings = overrides.apply(&mut root, &mut sources);
    let decoded = decode::<Config>(&root);
    findings.extend(decoded.findings);
    if let Some(config) = &decoded.value {
        let broken: Vec<String> = findings
            .iter()
            .map(|finding| finding.path.clone())
            .collect();
        findings.extend(validate(config, &root, &broken));
    }
    let problems = Problems::locate(findings, &sources, &secret_spans(&root));
    let failed = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    match decoded.value {
        Some(config) if !failed => Ok(Loaded {
            hash: hash(&config),
            config: Arc::new(config),
            warnings: problems,
            source: name.to_owned(),
            fingerprint,
        }),
        _ => Err(problems),
    }
}

pub(crate) fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let limit = MAX_BYTES as u64 + 1;
    std::fs::File::open(path)?
        .take(limit)
        .read_to_string(&mut text)?;
    if text.len() as u64 >= limit {
        return Err(std::io::Error::other(format!(
            "larger than {MAX_BYTES} bytes"
        )));
    }
    Ok(text)
}

/// Where the file holds texts that must not be shown: everything under a name that says so, under
/// `headers`, and under names that are close to one of a secret.
fn secret_spans(root: &Node) -> Vec<Span> {
    fn collect(node: &Node, secret: bool, spans: &mut Vec<Span>) {
        match &node.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    let secret = secret || key.name == "headers" || mask::is_secret_name(&key.name);
                    collect(node, secret, spans);
                }
            }
            Value::List(items) => items.iter().for_each(|item| collect(item, secret, spans)),
            Value::String(text) if secret && !text.starts_with("secret://") => {
                spans.push(node.span);
            }
            Value::String(text) if mask::looks_secret(text) => spans.push(node.span),
            Value::Integer(_) | Value::Float(_) if secret => spans.push(node.span),
            _ => {}
        }
    }
    let mut spans = Vec::new();
    collect(root, false, &mut spans);
    spans
}
