//! The `seaworthy` program: runs AI agents in production and proves that they are ready.

use std::process::ExitCode;

mod app;
mod cli;
mod env_files;
mod exit;
mod output;
mod ports;
mod process;
mod secrets;
mod serve;
mod telemetry;
mod tls;

// Measured with streams in flight: a fifth of the CPU of a request is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    process::use_small_pages();
    cli::run()
}
