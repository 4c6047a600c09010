//! Counting tests from what test runners print.

use crate::command::Ran;

/// How many passed, how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Adds up the summaries in a runner's output. A runner that failed without naming a failed test (it
/// did not compile, say) counts as one failure.
pub(crate) fn tally(ran: &Ran) -> Tally {
    let summaries = ran.output.lines().filter(|line| is_summary(line));
    let mut sum = summaries.map(count).fold(Tally::default(), Tally::plus);
    if !ran.succeeded && sum.failed == 0 {
        sum.failed = 1;
    }
    sum
}

/// libtest's `test result: …`, nextest's `Summary […] …`, pytest's `… in 1.23s`.
fn is_summary(line: &str) -> bool {
    // What nextest shows of a test that failed is indented, a summary of libtest included.
    let is_of_libtest = line.starts_with("test result: ");
    let line = line.trim();
    let of_pytest = || {
        let after = line
            .rsplit_once(" in ")
            .map(|(_, time)| time.trim_end_matches([' ', '=']));
        let seconds = after.and_then(|time| time.split_whitespace().next()?.strip_suffix('s'));
        seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
    };
    is_of_libtest || line.starts_with("Summary [") || of_pytest()
}

/// Numbers before `passed`, and before `failed`, `errors` and `timed out`.
fn count(line: &str) -> Tally {
    let words: Vec<&str> = line
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut sum = Tally::default();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<usize>() else {
            continue;
        };
        match pair[1] {
            "passed" => sum.passed += number,
            "failed" | "error" | "errors" | "timed" => sum.failed += number,
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(output: &str, succeeded: bool) -> (usize, usize) {
        let sum = tally(&Ran {
            succeeded,
            output: output.to_owned(),
        });
        (sum.passed, sum.failed)
    }

    #[test]
    fn the_summaries_of_all_three_runners_are_understood() {
        let libtest = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                       test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(of(libtest, false), (6, 1));
        let nextest = "     Summary [   3.579s] 46 tests run: 43 passed (1 slow), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(of(nextest, false), (43, 3));
        let shown = format!("    test result: FAILED. 0 passed; 1 failed; 0 ignored\n{nextest}");
        assert_eq!(
            of(&shown, false),
            (43, 3),
            "a failure is shown and summed up"
        );
        assert_eq!(of("5 passed, 1 failed, 2 warnings in 1.30s", false), (5, 1));
        assert_eq!(
            of(
                "=== 1 failed, 5 passed, 1 error in 61.00s (0:01:01) ===",
                false
            ),
            (5, 2)
        );
    }

    #[test]
    fn a_runner_that_fails_without_a_failed_test_is_one_failure() {
        assert_eq!(of("error[E0308]: mismatched types", false), (0, 1));
        assert_eq!(of("", true), (0, 0));
    }

    #[test]
    fn talk_about_passing_is_no_summary() {
        assert_eq!(
            of("3 passed through here\nwaiting in 5s mode", true),
            (0, 0)
        );
    }
}
