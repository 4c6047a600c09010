//! Starts a worker for each job, holds it to its time, and reads what it tells with suspicion.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::libc;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::frame;
use crate::job::{Exit, Job, Outcome};
use crate::worker::Finished;

/// What a worker may tell beyond the output of its job.
const MOST_BESIDE: u64 = 64 << 10;
/// How long a worker may take to come up beside the time of its job: exec, and locking itself.
const START_TIME: Duration = Duration::from_secs(5);

/// Which program to start as a worker.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The worker could not be started.
    #[error("the worker of the sandbox cannot be started")]
    Start(#[source] io::Error),
    /// The kernel lacks what a sandbox needs.
    #[error("the sandbox cannot be locked here: {0}")]
    Lacking(String),
    /// The worker did not speak as it should before it was locked.
    #[error("the worker of the sandbox ended before it was locked")]
    NotLocked,
}

/// What was heard of a worker.
#[derive(Debug, Default)]
struct Heard {
    is_locked: bool,
    lacking: Option<String>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    result: Vec<u8>,
    finished: Option<Finished>,
    /// It said more than it may.
    is_flood: bool,
}

impl Launcher {
    /// A launcher that starts this program with these arguments.
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
        }
    }

    /// Runs a job in a worker of its own. A worker whose caller leaves is killed.
    ///
    /// # Errors
    /// When the worker cannot be started, or cannot lock itself. Nothing was run then.
    pub async fn run(&self, job: &Job) -> Result<Outcome, LaunchError> {
        let started = Instant::now();
        let mut child = self.start().map_err(LaunchError::Start)?;
        let mut heard = Heard::default();
        let most = job.limits.output_bytes.saturating_add(MOST_BESIDE);
        let longest = Duration::from_millis(job.limits.wall_ms);
        let talk = talk(&mut child, job, most, longest, &mut heard);
        let is_in_time = timeout(START_TIME + longest, talk).await.unwrap_or(false);
        if !is_in_time || heard.is_flood {
            let _is_gone = child.start_kill();
        }
        let cpu_ms = child.id().and_then(cpu_of);
        let status = child.wait().await.map_err(LaunchError::Start)?;
        if let Some(lacking) = heard.lacking {
            return Err(LaunchError::Lacking(lacking));
        }
        if !heard.is_locked {
            return Err(LaunchError::NotLocked);
        }
        let wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(outcome(heard, (is_in_time, status), (cpu_ms, wall_ms)))
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            // Dates of the sandbox say nothing of where it stands.
            .env("TZ", "UTC0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Sends the job and hears what the worker says. Whether all of it came in time; the time of the job
/// counts from when the worker is locked.
async fn talk(
    child: &mut Child,
    job: &Job,
    most: u64,
    longest: Duration,
    heard: &mut Heard,
) -> bool {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return true;
    };
    let (Ok(limits), Ok(job)) = (serde_json::to_vec(&job.limits), serde_json::to_vec(job)) else {
        return true;
    };
    if input
        .write_all(&frame::bytes(frame::LIMITS, &limits))
        .await
        .is_err()
    {
        return true;
    }
    let mut left = most;
    // The first frame says whether it is locked.
    if !hear(&mut output, &mut left, heard).await || !heard.is_locked {
        return true;
    }
    let job = frame::bytes(frame::JOB, &job);
    let send = async move {
        // A worker that died says so by its end.
        let _sent = input.write_all(&job).await;
    };
    let listen = async { while hear(&mut output, &mut left, heard).await {} };
    timeout(longest, async { tokio::join!(send, listen) })
        .await
        .is_ok()
}

/// Hears one frame. `false` at the end, and at what a worker does not say.
async fn hear(output: &mut ChildStdout, left: &mut u64, heard: &mut Heard) -> bool {
    let mut head = [0; frame::HEAD];
    if output.read_exact(&mut head).await.is_err() {
        return false;
    }
    let (kind, length) = frame::parse(head);
    let Some(rest) = left.checked_sub(length as u64 + 1) else {
        heard.is_flood = true;
        return false;
    };
    *left = rest;
    let mut content = vec![0; length];
    if output.read_exact(&mut content).await.is_err() {
        return false;
    }
    match kind {
        frame::LOCKED => heard.is_locked = true,
        frame::LACKING => heard.lacking = Some(String::from_utf8_lossy(&content).into_owned()),
        frame::STDOUT => heard.stdout.append(&mut content),
        frame::STDERR => heard.stderr.append(&mut content),
        frame::RESULT => heard.result = content,
        frame::FINISHED => heard.finished = serde_json::from_slice(&content).ok(),
        _ => return false,
    }
    true
}

fn outcome(
    heard: Heard,
    (is_in_time, status): (bool, ExitStatus),
    (cpu_ms, wall_ms): (Option<u64>, u64),
) -> Outcome {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let finished = heard.finished.filter(|_| !heard.is_flood);
    let exit = match &finished {
        _ if heard.is_flood => Exit::Output,
        Some(finished) => finished.exit,
        None if !is_in_time => Exit::WallTime,
        None => died_of(status),
    };
    let result = String::from_utf8(heard.result).ok();
    let result = result.filter(|result| exit == Exit::Completed && !result.is_empty());
    Outcome {
        exit,
        result: result.and_then(readable),
        memory_bytes: finished.as_ref().map(|finished| finished.memory_bytes),
        cpu_ms: finished.as_ref().map(|finished| finished.cpu_ms).or(cpu_ms),
        error: finished.and_then(|finished| finished.error),
        stdout: text(heard.stdout),
        stderr: text(heard.stderr),
        wall_ms,
    }
}

/// What a worker died of that could not say so.
fn died_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(libc::SIGSYS) => Exit::Forbidden,
        Some(libc::SIGXCPU | libc::SIGKILL) => Exit::CpuTime,
        // An allocation of the host's own failed.
        Some(libc::SIGABRT) => Exit::Memory,
        _ => Exit::Crashed,
    }
}

/// The time of the processor that a process has used which nobody has waited for yet.
fn cpu_of(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may hold anything but ends with the last bracket.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<u64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    let second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    (user + system)
        .checked_mul(1_000)?
        .checked_div(second.max(1).cast_unsigned())
}

/// A result that every reader of JSON can read. Half a character, a number beyond all bounds and the like are JSON to
/// the interpreter and to few others: such a result is shown as text.
fn readable(json: String) -> Option<Box<RawValue>> {
    let json = match serde_json::from_str::<serde_json::Value>(&json) {
        Ok(_) => json,
        Err(_) => serde_json::to_string(&json).ok()?,
    };
    RawValue::from_string(json).ok()
}
