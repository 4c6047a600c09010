//! The official SDKs as judges: what they need from PyPI, and pytest against the binary.

use std::path::PathBuf;

use anyhow::Context as _;

use super::peers::Peers;
use super::tally::{Tally, tally};
use crate::command::{self, cargo, command, install, quiet, root, say, shown};

/// Written by `uv pip compile --universal --generate-hashes` from `requirements.in` beside it.
const REQUIREMENTS: &str = "tests/sdk/requirements.txt";

/// Builds the binary and lets the SDKs judge it.
pub(super) fn sdk(peers: &Peers, filter: Option<&str>) -> anyhow::Result<Tally> {
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
    // Much of what is tested is waiting, so more files run at once than there are cores.
    let args = [
        "-m",
        "pytest",
        "tests/sdk",
        "--color=no",
        "-n",
        "4",
        "--dist",
        "loadfile",
    ];
    let mut pytest = command(&peers.python, &args);
    pytest
        .env("SEAWORTHY_BIN", binary)
        .env("SEAWORTHY_NODE", &peers.node)
        .env("SEAWORTHY_OIDC", &peers.oidc)
        .env("PYTHONPYCACHEPREFIX", root().join(".cache/pycache"));
    if let Some(filter) = filter {
        pytest.args(["-k", filter]);
    }
    Ok(tally(&shown(&mut pytest)?))
}

/// Makes sure that there is Python with the module for virtual environments, which Debian packages
/// apart.
pub(super) fn interpreter() -> anyhow::Result<()> {
    if !command::is_there("python3", &["--version"]) {
        install("python3")?;
    }
    if !command::is_there("python3", &["-m", "ensurepip", "--version"]) {
        install("python3-venv")?;
    }
    Ok(())
}

/// The Python of a virtual environment that has exactly the pinned requirements.
pub(super) fn environment() -> anyhow::Result<PathBuf> {
    let venv = root().join(".cache/venv");
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.installed");
    let wanted = std::fs::read_to_string(root().join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    say(&format!("   installing {REQUIREMENTS} into .cache/venv"));
    let path = venv.to_string_lossy();
    quiet(&mut command("python3", &["-m", "venv", "--clear", &path]))
        .context("cannot create a virtual environment")?;
    // The lock file is complete and has a hash for everything; Python compiles what it loads.
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
        "--no-compile",
        "-r",
        REQUIREMENTS,
    ];
    quiet(&mut command(&python, &pip))?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}
