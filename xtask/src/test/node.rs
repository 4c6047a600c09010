//! Judges and peers that are written for Node: a folder of `tests` with what it needs from npm, in `.cache`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::{self, command, install, quiet, root, say};

/// Installs `tests/<name>` with its pinned packages into `.cache/<name>`; returns where that is.
pub(crate) fn install_folder(name: &str) -> anyhow::Result<PathBuf> {
    let from = root().join("tests").join(name);
    let to = root().join(".cache").join(name);
    std::fs::create_dir_all(&to)?;
    let lock = from.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock)
        .with_context(|| format!("cannot read {}", lock.display()))?;
    for entry in std::fs::read_dir(&from)? {
        let file = entry?;
        std::fs::copy(file.path(), to.join(file.file_name()))?;
    }
    let stamp = to.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(to);
    }
    say(&format!("   installing tests/{name} into .cache/{name}"));
    clean_install(&to)?;
    std::fs::write(&stamp, wanted)?;
    Ok(to)
}

/// Exactly what the lock file says, each package with its hash; scripts of packages do not run.
fn clean_install(folder: &Path) -> anyhow::Result<()> {
    let install = [
        "ci",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ];
    quiet(command("npm", &install).current_dir(folder)).map(drop)
}

/// Makes sure that there is Node and npm; on Debian they are two packages.
pub(crate) fn runtime() -> anyhow::Result<()> {
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        if !command::is_there(program, &["--version"]) {
            install(package)?;
        }
    }
    Ok(())
}
