//! The worker: locks itself, reads the job, runs it, says how it went, and ends.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::frame;
use crate::javascript;
use crate::job::{Exit, Job, Language, Limits, Thrown};
use crate::lockdown;

/// How a run ended, as the worker tells it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) exit: Exit,
    pub(crate) error: Option<Thrown>,
    pub(crate) cpu_ms: u64,
    pub(crate) memory_bytes: u64,
}

/// The whole life of a worker, between its standard input and output.
#[must_use]
pub fn run() -> ExitCode {
    match work(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let Some(()) = lock(from, to)? else {
        return Ok(());
    };
    let job: Job = serde_json::from_slice(&frame::read(from, frame::JOB)?)?;
    let mut told = Ok(());
    let mut tell = |kind, text: &[u8]| {
        if told.is_ok() {
            told = frame::write(to, kind, text);
        }
    };
    let ended = match job.language {
        Language::JavaScript => javascript::run(&job, &mut tell),
    };
    told?;
    let (cpu_ms, memory_bytes) = lockdown::used();
    let finished = Finished {
        exit: ended.exit,
        error: ended.error,
        cpu_ms,
        memory_bytes,
    };
    frame::write(to, frame::FINISHED, &serde_json::to_vec(&finished)?)
}

/// Reads the limits and locks the process. `None` if it could not be locked, which was told then.
pub fn lock(from: &mut impl Read, to: &mut impl Write) -> io::Result<Option<()>> {
    let limits: Limits = serde_json::from_slice(&frame::read(from, frame::LIMITS)?)?;
    // What reads files the first time it is used does so now: the time zone, the allocator.
    javascript::warm_up();
    match lockdown::apply(&limits) {
        Ok(()) => {
            frame::write(to, frame::LOCKED, b"")?;
            Ok(Some(()))
        }
        Err(lacking) => {
            frame::write(to, frame::LACKING, lacking.to_string().as_bytes())?;
            Ok(None)
        }
    }
}
