//! The bounds of the sandbox.

use super::Check;

impl Check<'_> {
    pub(super) fn sandbox(&mut self) {
        let sandbox = &self.config.sandbox;
        let (memory, output) = (sandbox.max_memory, sandbox.max_output);
        if !(1 << 20..=1 << 30).contains(&memory.bytes()) {
            self.error(
                &["sandbox", "max_memory"],
                format!("expected `1MiB` to `1GiB`, found `{memory}`"),
                "each run may take it: `64MiB` is much for what models write",
            );
        }
        if output.bytes() > 16 << 20 {
            self.error(
                &["sandbox", "max_output"],
                format!("expected at most `16MiB`, found `{output}`"),
                "the gateway holds the output of every run in memory",
            );
        }
        let (cpu, all) = (sandbox.max_cpu_time, sandbox.max_time);
        let hour = std::time::Duration::from_secs(3_600);
        if all.as_std() > hour || cpu.as_std() > hour {
            self.error(
                &["sandbox", "max_time"],
                format!("expected at most an hour of time and of the processor, found `{all}` and `{cpu}`"),
                "lower `max_time` and `max_cpu_time`",
            );
        }
    }
}
