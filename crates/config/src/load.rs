//! From a file to a checked configuration.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use crate::adopt::adopt;
use crate::config::Config;
use crate::decode::decode;
use crate::document::{Format, MAX_BYTES, Node, Value, parse};
use crate::mask;
use crate::overrides::Overrides;
use crate::problem::{Problems, Severity};
use crate::show::hash;
use crate::source::{Sources, Span};
use crate::validate::{mistake, validate};
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
/// When the file cannot be read, or with every error in it, in its order.
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
/// With every error in it, in the order of the text.
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
    let mut decoded = decode::<Config>(&root);
    findings.extend(decoded.findings);
    for clash in decoded.value.as_mut().into_iter().flat_map(adopt) {
        findings.push(mistake(&root, &clash.path(), clash.message, clash.help));
    }
    if let Some(config) = &decoded.value {
        let broken: Vec<String> = findings
            .iter()
            .map(|finding| finding.path.clone())
            .collect();
        findings.extend(validate(config, &root, &broken));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    let secrets = secret_spans(&root);
    match decoded.value {
        Some(config) if errors.is_empty() => Ok(Loaded {
            hash: hash(&config),
            config: Arc::new(config),
            warnings: Problems::locate(warnings, &sources, &secrets),
            source: name.to_owned(),
            fingerprint,
        }),
        _ => Err(Problems::locate(errors, &sources, &secrets)),
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

/// Where the file holds texts that must not be shown: everything under a name that says so or that
/// is close to one, everything under `headers`, and what looks like a key.
fn secret_spans(node: &Node) -> Vec<Span> {
    let reference =
        |node: &Node| matches!(&node.value, Value::String(text) if text.starts_with("secret://"));
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .flat_map(|(key, node)| {
                if key.name == "headers" || mask::is_secret_name(&key.name) {
                    let leaves = node.leaves().into_iter().filter(|leaf| !reference(leaf));
                    leaves.map(|leaf| leaf.span).collect()
                } else {
                    secret_spans(node)
                }
            })
            .collect(),
        Value::List(items) => items.iter().flat_map(secret_spans).collect(),
        Value::String(text) if mask::looks_secret(text) => vec![node.span],
        _ => Vec::new(),
    }
}
