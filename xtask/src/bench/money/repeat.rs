//! Tests with the counts that releases are held to: how far they are, and the figures that they tell.

use std::cell::RefCell;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Args, Part, Tests};
use crate::command::{cargo, say, watched};

/// A line of a test that tells a figure: `figure: NAME | LIMIT | MEASURED | VERDICT`.
const FIGURE: &str = "figure: ";
/// A line of a test that tells how far it is: `progress: 12 of 100 WHAT`.
const PROGRESS: &str = "progress: ";

/// Runs tests with the counts that are asked for; what they tell, and whether they passed.
pub(super) fn run(tests: &[Tests], part: Part, args: &Args) -> anyhow::Result<(Vec<String>, bool)> {
    let (mut told, mut all_passed) = (Vec::new(), true);
    for Tests(package, filter) in tests {
        let mut command = cargo(&["test", "--package", package, "--test", "it"]);
        let profile = part.profile().unwrap_or(&args.profile);
        command.args(["--profile", profile, "--", filter]);
        command.args(["--nocapture", "--test-threads=1"]);
        command
            .env("SEAWORTHY_TEST_ROUNDS", args.rounds.to_string())
            .env("SEAWORTHY_TEST_SECONDS", args.seconds.to_string())
            .env("SEAWORTHY_TEST_CASES", args.leavers.to_string())
            .env("SEAWORTHY_SIMULATION_SEEDS", args.seeds.to_string());
        if let Some(binary) = args.cpu.seaworthy.as_ref().filter(|_| part.takes_binary()) {
            command.env("SEAWORTHY_BIN", binary.canonicalize()?);
        }
        let progress = RefCell::new(Progress::default());
        let ran = watched(&mut command, |line| match line.split_once(PROGRESS) {
            Some((_, told)) => progress.borrow_mut().show(told),
            None => progress.borrow().say(line),
        })?;
        progress.borrow_mut().end();
        told.extend(figures(&ran.output).into_iter().map(str::to_owned));
        all_passed &= ran.succeeded;
    }
    Ok((told, all_passed))
}

/// How far a test is: a bar where somebody looks, and a line for every tenth part elsewhere.
#[derive(Default)]
struct Progress {
    bar: Option<ProgressBar>,
    tenths_told: u64,
}

impl Progress {
    fn show(&mut self, told: &str) {
        let Some((done, all, what)) = parsed(told) else {
            return;
        };
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(all);
            if let Ok(style) =
                ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}, {eta} left")
            {
                bar.set_style(style);
            }
            bar
        });
        bar.set_length(all);
        bar.set_position(done);
        bar.set_message(what.to_owned());
        let tenths = done.saturating_mul(10) / all.max(1);
        if bar.is_hidden() && tenths > self.tenths_told {
            say(&format!("   {done} of {all} {what}"));
        }
        self.tenths_told = tenths;
        if done >= all {
            self.end();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.tenths_told = 0;
    }
}

/// `12 of 100 WHAT`.
fn parsed(told: &str) -> Option<(u64, u64, &str)> {
    let (done, rest) = told.split_once(" of ")?;
    let (all, what) = rest.split_once(' ')?;
    Some((done.parse().ok()?, all.parse().ok()?, what.trim()))
}

/// The lines of tests that tell a figure.
fn figures(output: &str) -> Vec<&str> {
    // The first one follows the name of its test on the same line.
    let told = output.lines().filter_map(|line| line.split_once(FIGURE));
    told.map(|(_, figure)| figure.trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_among_what_tests_say() {
        let output = "running 1 test\ntest a ... figure: drift | at most 0 | 0 | pass\nhello\n\
                      figure: x | at least 1 | 0 | **FAIL**\n";
        assert_eq!(
            figures(output),
            [
                "drift | at most 0 | 0 | pass",
                "x | at least 1 | 0 | **FAIL**"
            ]
        );
    }

    #[test]
    fn progress_has_a_number_a_whole_and_a_name() {
        assert_eq!(
            parsed("12 of 100 kills, SQLite"),
            Some((12, 100, "kills, SQLite"))
        );
        assert_eq!(parsed("a few"), None);
    }
}
