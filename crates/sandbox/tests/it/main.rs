//! The sandbox from outside: what it runs, and what does not get out of it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, its helpers too, and each escape prints how it was contained"
)]

mod escapes;
mod javascript;
mod native;

use seaworthy_sandbox::{Job, Language, Launcher, Limits, Outcome};

/// Enough for anything that is meant to end by itself, and little for what is not.
const LIMITS: Limits = Limits {
    cpu_ms: 300,
    wall_ms: 20_000,
    memory_bytes: 32 << 20,
    output_bytes: 64 << 10,
};

fn job(code: &str) -> Job {
    Job {
        language: Language::JavaScript,
        code: code.to_owned(),
        stdin: "a line\nand another".to_owned(),
        arguments: vec!["one".to_owned(), "two".to_owned()],
        limits: LIMITS,
    }
}

fn launcher(arguments: &[&str]) -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_sandbox-escapes"), arguments)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn run(job: &Job) -> Outcome {
    block_on(launcher(&[]).run(job)).unwrap()
}

fn result(outcome: &Outcome) -> &str {
    outcome.result.as_ref().map_or("", |result| result.get())
}
