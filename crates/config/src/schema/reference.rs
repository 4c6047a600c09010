//! The reference of all options as Markdown.

/// Placeholder to compile.
pub fn reference() -> String {
    String::new()
}
