//! CPU time and memory of processes, read from `/proc`.

use std::fs;
use std::time::Duration;

/// What a process and its children have used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time, to the nanosecond where the scheduler tells.
    pub cpu: Duration,
    /// User time in clock ticks.
    pub user_ticks: u64,
    /// System time in clock ticks.
    pub system_ticks: u64,
    /// Resident memory in KiB, shared pages counted in each process.
    pub rss_kib: u64,
}

/// Clock ticks a second: a constant of the Linux ABI on every architecture we run on.
pub const TICKS_PER_SECOND: u64 = 100;

/// Usage of a process and all its descendants; zeros for a process that is gone.
pub fn usage(pid: u32) -> Usage {
    let mut total = Usage::default();
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        let one = single(pid).unwrap_or_default();
        total.cpu += one.cpu;
        total.user_ticks += one.user_ticks;
        total.system_ticks += one.system_ticks;
        total.rss_kib += one.rss_kib;
        left.extend(children(pid));
    }
    total
}

fn single(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (user_ticks, system_ticks) = ticks(&stat)?;
    let by_ticks = Duration::from_millis((user_ticks + system_ticks) * 1000 / TICKS_PER_SECOND);
    // Threads that have ended are only in the ticks.
    let cpu = scheduled(pid).max(by_ticks);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss_kib = rss
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    Some(Usage {
        cpu,
        user_ticks,
        system_ticks,
        rss_kib,
    })
}

/// User and system ticks of a `stat` line. The name in parentheses may contain anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Time on a CPU of all living threads.
fn scheduled(pid: u32) -> Duration {
    let nanos = |thread: fs::DirEntry| -> Option<u64> {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    Duration::from_nanos(threads.filter_map(nanos).sum())
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Time that all CPUs together have spent working since boot.
pub fn machine_busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1);
    let ticks: Vec<u64> = fields
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let idle = ticks.get(3).unwrap_or(&0) + ticks.get(4).unwrap_or(&0);
    let busy = ticks.iter().sum::<u64>() - idle;
    Duration::from_millis(busy * 1000 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_cpu_when_it_works() {
        let before = usage(std::process::id());
        assert!(before.rss_kib > 100);
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(30) {
            std::hint::black_box(0);
        }
        assert!(usage(std::process::id()).cpu > before.cpu);
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 31 12 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some((31, 12)));
    }
}
