//! Takes away from this process what it could do, for good.
//!
//! In this order, because each step needs what a later one takes: other files are closed, root is left,
//! limits are set, nobody may look in or trace, the file system is closed by Landlock, and at last all
//! system calls but a few that compute are deadly.

mod calls;

use std::fs;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use nix::sys::prctl;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::time::TimeValLike as _;
use nix::unistd::{Gid, Uid, close, setgroups, setresgid, setresuid};

use crate::job::Limits;

/// The kernel lacks what a sandbox needs.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct Lacking {
    what: &'static str,
    cause: String,
}

/// What the process needs beside the memory of the interpreter: stack, buffers, its allocator.
const SLACK_BYTES: u64 = 48 << 20;
/// The user without rights.
const NOBODY: u32 = 65_534;

/// Locks the process. It must have one thread.
///
/// # Errors
/// When anything of it is not possible here. Nothing may be run then.
pub fn apply(limits: &Limits) -> Result<(), Lacking> {
    one_thread()?;
    let held = address_space()?;
    close_files()?;
    leave_root()?;
    set_limits(limits, held)?;
    let told = |error: nix::Error| lacking("prctl", error);
    prctl::set_no_new_privs().map_err(told)?;
    prctl::set_dumpable(false).map_err(told)?;
    // Leaving root has cleared it, so it is set here.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(told)?;
    close_file_system()?;
    setrlimit(Resource::RLIMIT_NOFILE, 0, 0).map_err(|error| lacking("setrlimit", error))?;
    calls::allow_few()
}

fn lacking(what: &'static str, cause: impl ToString) -> Lacking {
    let cause = cause.to_string();
    Lacking { what, cause }
}

/// A filter holds one thread and those that it starts.
fn one_thread() -> Result<(), Lacking> {
    let threads = fs::read_dir("/proc/self/task").map_err(|error| lacking("/proc", error))?;
    match threads.count() {
        1 => Ok(()),
        count => Err(lacking("one thread", format!("found {count}"))),
    }
}

/// How much address space the process has now: the program itself is not the code's.
fn address_space() -> Result<u64, Lacking> {
    let text = fs::read_to_string("/proc/self/statm").map_err(|error| lacking("/proc", error))?;
    let pages: Option<u64> = text.split(' ').next().and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| lacking("/proc/self/statm", "expected a number"))?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok();
    Ok(pages * page.flatten().map_or(4_096, i64::cast_unsigned))
}

/// Closes all files but the three standard ones.
fn close_files() -> Result<(), Lacking> {
    let told = |error: io::Error| lacking("/proc/self/fd", error);
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").map_err(told)? {
        let name = entry.map_err(told)?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The listing's own is closed already.
        let _is_gone = close(descriptor);
    }
    Ok(())
}

/// Becomes nobody, if this is root with the rights of root.
fn leave_root() -> Result<(), Lacking> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let left = setgroups(&[])
        .and_then(|()| {
            let nobody = Gid::from_raw(NOBODY);
            setresgid(nobody, nobody, nobody)
        })
        .and_then(|()| {
            let nobody = Uid::from_raw(NOBODY);
            setresuid(nobody, nobody, nobody)
        });
    match left {
        Err(_) if has_no_rights() => Ok(()),
        left => left.map_err(|error| lacking("leaving root", error)),
    }
}

/// Whether root was stripped of all its rights, as in some containers.
fn has_no_rights() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let rights = lines.find_map(|line| line.strip_prefix("CapEff:"));
    rights.is_some_and(|rights| rights.trim().bytes().all(|digit| digit == b'0'))
}

fn set_limits(limits: &Limits, held: u64) -> Result<(), Lacking> {
    // The interpreter stops by itself; this is for code that keeps it from looking at the time.
    let seconds = limits.cpu_ms.div_ceil(1_000) + 1;
    let memory = held + limits.memory_bytes + SLACK_BYTES;
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CPU, seconds, seconds + 1),
        (Resource::RLIMIT_AS, memory, memory),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_NPROC, 0, 0),
        (Resource::RLIMIT_MEMLOCK, 0, 0),
        (Resource::RLIMIT_MSGQUEUE, 0, 0),
    ] {
        setrlimit(resource, soft, hard).map_err(|error| lacking("setrlimit", error))?;
    }
    Ok(())
}

/// Forbids every way to the file system, and what else the kernel's Landlock knows of.
fn close_file_system() -> Result<(), Lacking> {
    let status = restrict().map_err(|error| lacking("Landlock", error))?;
    match status {
        RulesetStatus::NotEnforced => Err(lacking("Landlock", "it is not enforced")),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn restrict() -> Result<RulesetStatus, landlock::RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?;
    Ok(ruleset.create()?.restrict_self()?.ruleset)
}

/// What the process has used: milliseconds of the processor, and the most bytes of memory at a time.
#[must_use]
pub fn used() -> (u64, u64) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return (0, 0);
    };
    let cpu = usage.user_time() + usage.system_time();
    let memory = usage.max_rss().max(0).cast_unsigned() * 1_024;
    (cpu.num_milliseconds().max(0).cast_unsigned(), memory)
}
