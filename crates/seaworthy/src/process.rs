//! What this process takes of its machine, as far as the system shows it.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::unistd::{SysconfVar, sysconf};
use seaworthy_gateway::{Metrics, ProcessUsage};

use crate::app;

/// Counting open files takes longer the more there are.
const EVERY: Duration = Duration::from_secs(5);

/// The allocator asks for huge pages wherever the system gives them, and each heap of each thread would
/// hold megabytes that nothing is in: nearly half of what the process takes.
pub(crate) fn use_small_pages() {
    // Where it is refused, memory is all that it costs.
    let _refused = nix::sys::prctl::set_thp_disable(true);
}

/// Looks at the process now and then.
pub(crate) struct Watcher {
    started_at_seconds: f64,
    looked_at: Option<Instant>,
}

impl Watcher {
    pub(crate) fn new() -> Self {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are few")]
        let started_at_seconds = app::clock().now().seconds() as f64;
        Self {
            started_at_seconds,
            looked_at: None,
        }
    }

    /// Shows what the process takes, if that was not done a moment ago.
    pub(crate) fn look(&mut self, metrics: &Metrics) {
        if self.looked_at.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.looked_at = Some(Instant::now());
        let max_files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
        metrics.show_process(&ProcessUsage {
            resident_bytes: resident_bytes().unwrap_or_default(),
            cpu_seconds: cpu_seconds(),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
            max_files,
            started_at_seconds: self.started_at_seconds,
        });
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page).ok()?)
}

fn cpu_seconds() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return 0.0;
    };
    let time = usage.user_time() + usage.system_time();
    #[expect(
        clippy::cast_precision_loss,
        reason = "fractions of a second are enough"
    )]
    let seconds = time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds
}
