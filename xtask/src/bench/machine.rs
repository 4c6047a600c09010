//! What the figures were measured on.

use crate::command::{command, quiet};

/// One paragraph: machine, commit, command.
pub(crate) fn description() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let named = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = named
        .and_then(|line| line.split(": ").nth(1))
        .unwrap_or("unknown CPU");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let command_line: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "{cores} cores of {model}, Linux {}; commit {}; `cargo xtask {}`",
        kernel.trim(),
        commit(),
        command_line.join(" ")
    )
}

fn commit() -> String {
    let git = |args: &[&str]| quiet(&mut command("git", args));
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let clean = changed.is_ok_and(|files| files.is_empty());
    if clean {
        commit
    } else {
        format!("{commit} with changes")
    }
}
