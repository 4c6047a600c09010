//! The official Python SDKs as judges: their virtual environment, and pytest against the binary.

use std::path::PathBuf;

use anyhow::Context as _;

use super::tally::{Tally, tally};
use crate::command::{self, cargo, command, install, quiet, root, say, shown};

const REQUIREMENTS: &str = "tests/sdk/requirements.txt";

/// Builds the binary and lets the SDKs judge it.
pub(crate) fn sdk(filter: Option<&str>) -> anyhow::Result<Tally> {
    let python = environment()?;
    let built = shown(&mut cargo(&[
        "build",
        "--package",
        "seaworthy",
        "--bin",
        "seaworthy",
    ]))?;
    if !built.succeeded {
        return Ok(tally(&built));
    }
    let binary = command::target_dir()?.join("debug/seaworthy");
    let mut pytest = command(python, &["-m", "pytest", "tests/sdk", "--color=no"]);
    pytest
        .env("SEAWORTHY_BIN", binary)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(filter) = filter {
        pytest.args(["-k", filter]);
    }
    Ok(tally(&shown(&mut pytest)?))
}

/// The Python of a virtual environment that has exactly the pinned requirements.
fn environment() -> anyhow::Result<PathBuf> {
    let venv = root().join(".cache/venv");
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.installed");
    let wanted = std::fs::read_to_string(root().join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    say(&format!("   installing {REQUIREMENTS} into .cache/venv"));
    if !command::is_there("python3", &["--version"]) {
        install("python3")?;
    }
    let create = || {
        let path = venv.to_string_lossy();
        quiet(&mut command("python3", &["-m", "venv", "--clear", &path]))
    };
    // Debian packages the module apart.
    if create().is_err() {
        install("python3-venv")?;
        create().context("cannot create a virtual environment")?;
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        REQUIREMENTS,
    ];
    quiet(&mut command(&python, &pip))?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}
