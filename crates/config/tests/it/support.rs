//! Loads texts that must be good, or must be bad.

use seaworthy_config::{Format, Loaded, Overrides, Problems, load_str};

/// Loads a TOML text that must be good.
pub(crate) fn toml(text: &str) -> Loaded {
    load_str(text, Format::Toml, "test.toml", &Overrides::default())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// Loads a YAML text that must be good.
pub(crate) fn yaml(text: &str) -> Loaded {
    load_str(text, Format::Yaml, "test.yaml", &Overrides::default())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The problems of a text that must be bad.
pub(crate) fn problems(text: &str, format: Format) -> Problems {
    load_str(text, format, "test", &Overrides::default()).unwrap_err()
}
