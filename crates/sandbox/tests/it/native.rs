//! Escapes by code of the machine, as if the interpreter itself had been broken: the kernel holds it.

use seaworthy_sandbox::{Exit, Limits};

use crate::{LIMITS, block_on, job, launcher, run};

/// What ends at the first system call.
const FORBIDDEN: [&str; 32] = [
    "read",
    "write",
    "list",
    "stat",
    "environment",
    "maps",
    "program",
    "symlink",
    "link",
    "rename",
    "remove",
    "folder",
    "fifo",
    "working-folder",
    "device",
    "duplicate",
    "connect",
    "listen",
    "datagram",
    "local-socket",
    "fork",
    "exec",
    "thread",
    "kill",
    "session",
    "sleep",
    "root",
    "chroot",
    "limits",
    "dumpable",
    "mask",
    "clock",
];

fn try_to(escape: &str, limits: Limits) -> Exit {
    let mut job = job("");
    job.limits = limits;
    let outcome = block_on(launcher(&[escape]).run(&job)).unwrap();
    println!("contained: native {escape}: {}", outcome.exit.as_str());
    assert!(outcome.result.is_none(), "{escape}: {:?}", outcome.result);
    outcome.exit
}

#[test]
fn the_kernel_ends_what_asks_it_for_anything() {
    for escape in FORBIDDEN {
        assert_eq!(try_to(escape, LIMITS), Exit::Forbidden, "{escape}");
    }
    assert!(!std::path::Path::new("/tmp/sandbox-escape").exists());
    assert_eq!(run(&job("1")).exit, Exit::Completed);
}

#[test]
fn what_it_may_use_is_bounded_without_its_help() {
    assert_eq!(try_to("flood", LIMITS), Exit::Output);
    assert_eq!(try_to("memory", LIMITS), Exit::Memory);
    let short = Limits {
        cpu_ms: 1,
        ..LIMITS
    };
    assert_eq!(try_to("loop", short), Exit::CpuTime);
    let impatient = Limits {
        cpu_ms: 60_000,
        wall_ms: 200,
        ..LIMITS
    };
    assert_eq!(try_to("loop", impatient), Exit::WallTime);
    let overflow = try_to("stack", LIMITS);
    assert!(
        matches!(overflow, Exit::Crashed | Exit::Forbidden | Exit::Memory),
        "{overflow:?}"
    );
    assert_eq!(run(&job("1")).exit, Exit::Completed);
}
