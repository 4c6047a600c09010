//! Development tasks: `cargo xtask test` and `cargo xtask bench`.

mod bench;
mod command;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Install what the tests need, then run everything
    Test(test::Args),
    /// Measure what the project claims
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            command::say(&format!("error: {error:#}"));
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_command_can_be_parsed() {
        super::Task::command().debug_assert();
    }
}
