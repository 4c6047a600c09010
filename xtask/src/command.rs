//! Running other programs: from the project's root, with their output shown and, if wanted, kept.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Tells the person who waits what is going on.
pub(crate) fn say(line: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A command in the project's root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root()).stdin(Stdio::null());
    command
}

/// `cargo`, the one that runs this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(cargo, args);
    command.env("CARGO_TERM_PROGRESS_WHEN", "never");
    command
}

/// What a command did, with all that it printed.
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    pub(crate) output: String,
}

/// Runs a command, showing its output as it comes and keeping it.
pub(crate) fn shown(command: &mut Command) -> anyhow::Result<Ran> {
    watched(command, say)
}

/// Runs a command, telling every line of its standard output as it comes, showing its errors, and
/// keeping both.
pub(crate) fn watched(command: &mut Command, tell: impl Fn(&str)) -> anyhow::Result<Ran> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = std::thread::scope(|scope| {
        let errors = scope.spawn(|| stderr.map(|from| pass_on(from, say)));
        let mut output = stdout.map(|from| pass_on(from, tell)).unwrap_or_default();
        output.push_str(&errors.join().ok().flatten().unwrap_or_default());
        output
    });
    Ok(Ran {
        succeeded: child.wait()?.success(),
        output,
    })
}

/// Tells every line as it comes; all of them together.
fn pass_on(from: impl Read, tell: impl Fn(&str)) -> String {
    let mut kept = String::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line);
        tell(text.trim_end_matches('\n'));
        kept.push_str(&text);
        line.clear();
    }
    kept
}

/// Runs a command and returns what it printed; its failure is an error.
pub(crate) fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{name} failed ({}): {}",
        output.status,
        errors.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program is there and answers `--version`.
pub(crate) fn is_there(program: &str, args: &[&str]) -> bool {
    quiet(&mut command(program, args)).is_ok()
}

/// Installs a Debian package; says what to do when it cannot.
pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    let can = nix::unistd::Uid::effective().is_root() && is_there("apt-get", &["--version"]);
    ensure!(
        can,
        "{package} is missing; install it (on Debian: `sudo apt-get install {package}`)"
    );
    say(&format!("   installing {package}"));
    let install = || {
        let args = ["install", "-y", "--no-install-recommends", package];
        quiet(command("apt-get", &args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    // A fresh machine has no package lists yet.
    let installed = install().or_else(|_| {
        quiet(&mut command("apt-get", &["update"]))?;
        install()
    });
    installed.with_context(|| format!("cannot install {package}"))?;
    Ok(())
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let metadata = quiet(&mut cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let dir = metadata["target_directory"]
        .as_str()
        .context("cargo metadata has no target dir")?;
    Ok(PathBuf::from(dir))
}
