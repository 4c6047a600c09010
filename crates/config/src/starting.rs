//! The configurations to begin with: none at all, and the one that `seaworthy init` writes.

use crate::document::Format;
use crate::load::{Loaded, load_str};
use crate::overrides::Overrides;
use crate::problem::Problems;

/// What runs when there is no file: the built-in `echo` model, on this machine only.
const DEFAULT: &str = r#"
[providers.echo]
kind = "echo"

[models.echo]
targets = ["echo/echo"]
"#;

/// The configuration of dev mode, with environment variables and flags laid over it.
///
/// # Errors
///
/// With everything that is wrong with what was laid over it.
pub fn load_default(overrides: &Overrides) -> Result<Loaded, Problems> {
    load_str(DEFAULT, Format::Toml, "built-in defaults", overrides)
}

/// The commented file that `seaworthy init` writes.
pub const fn starting_config() -> &'static str {
    include_str!("starting.toml")
}
