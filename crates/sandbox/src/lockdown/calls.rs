//! The few system calls that are left. Any other one ends the process at once.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::{Lacking, lacking};

/// Calls that compute, whatever their arguments.
const FREE: [libc::c_long; 17] = [
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Leaves the process what it needs to compute and to tell what came of it.
pub(super) fn allow_few() -> Result<(), Lacking> {
    let told = |error: String| lacking("seccomp", error);
    let program = program().map_err(|error| told(error.to_string()))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| told(error.to_string()))
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FREE.iter().map(|call| (*call, Vec::new())).collect();
    // Its own ends of the pipes, and nothing else.
    rules.insert(libc::SYS_read, vec![rule(&[(0, Is::Eq, 0)])?]);
    let written = vec![rule(&[(0, Is::Eq, 1)])?, rule(&[(0, Is::Eq, 2)])?];
    rules.insert(libc::SYS_write, written);
    // Memory, but neither files nor code.
    let (anonymous, code) = (libc::MAP_ANONYMOUS as u64, libc::PROT_EXEC as u64);
    let no_code = (2, Is::MaskedEq(code), 0);
    let no_file = (3, Is::MaskedEq(anonymous), anonymous);
    rules.insert(libc::SYS_mmap, vec![rule(&[no_code.clone(), no_file])?]);
    rules.insert(libc::SYS_mprotect, vec![rule(&[no_code])?]);
    // The allocator gives a name to the memory that it takes; nothing else is left of this call.
    let name = u64::from(libc::PR_SET_VMA.cast_unsigned());
    rules.insert(libc::SYS_prctl, vec![rule(&[(0, Is::Eq, name)])?]);
    // To end itself when it is out of memory.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![rule(&[(0, Is::Eq, own)])?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

/// A rule that allows a call whose arguments are like this: number, comparison, value.
fn rule(arguments: &[(u8, Is, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = arguments.iter().map(|(number, is, value)| {
        SeccompCondition::new(*number, Width::Dword, is.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
