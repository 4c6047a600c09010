//! A sink for log lines: a request appends to memory, one thread writes to the file descriptor.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Lines wait in memory up to this size; then lines are dropped and counted.
const MAX_PENDING_BYTES: usize = 8 * 1024 * 1024;
/// Pending lines are written at the latest after this time.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Pending lines are written early from this size on.
const FLUSH_BYTES: usize = 256 * 1024;

/// Where log lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogSink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
    dropped_lines: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    closed: bool,
}

/// The thread that writes. Dropping it writes what is pending and ends the thread.
#[derive(Debug)]
pub struct LogWriter {
    sink: LogSink,
    thread: Option<JoinHandle<()>>,
}

impl LogSink {
    /// Starts a thread that writes lines to `output`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(output: impl Write + Send + 'static) -> std::io::Result<(Self, LogWriter)> {
        let sink = Self(Arc::new(Shared {
            pending: Mutex::new(Pending::default()),
            wake: Condvar::new(),
            dropped_lines: AtomicU64::new(0),
        }));
        let shared = Arc::clone(&sink.0);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || write_lines(&shared, output))?;
        Ok((
            sink.clone(),
            LogWriter {
                sink,
                thread: Some(thread),
            },
        ))
    }

    /// Appends one line through `render`, which must end it with a newline.
    pub fn line(&self, render: impl FnOnce(&mut Vec<u8>)) {
        let mut pending = self.0.pending.lock();
        if pending.closed || pending.bytes.len() >= MAX_PENDING_BYTES {
            self.0.dropped_lines.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = pending.bytes.is_empty();
        render(&mut pending.bytes);
        let is_full = pending.bytes.len() >= FLUSH_BYTES;
        drop(pending);
        if was_empty || is_full {
            self.0.wake.notify_one();
        }
    }

    /// Lines that were dropped because the output did not keep up.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.0.dropped_lines.load(Ordering::Relaxed)
    }
}

fn write_lines(shared: &Shared, mut output: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut pending = shared.pending.lock();
        while pending.bytes.is_empty() && !pending.closed {
            shared.wake.wait(&mut pending);
        }
        if pending.bytes.len() < FLUSH_BYTES && !pending.closed {
            // Let a batch gather: one write for many requests.
            shared.wake.wait_for(&mut pending, FLUSH_INTERVAL);
        }
        std::mem::swap(&mut batch, &mut pending.bytes);
        let closed = pending.closed;
        drop(pending);
        // A log that cannot be written must not stop the service; there is nowhere to report it.
        let _written = output.write_all(&batch).and_then(|()| output.flush());
        batch.clear();
        batch.shrink_to(FLUSH_BYTES);
        if closed && shared.pending.lock().bytes.is_empty() {
            return;
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.sink.0.pending.lock().closed = true;
        self.sink.0.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_by_the_time_the_writer_is_dropped() {
        let captured = Captured::default();
        let (sink, writer) = LogSink::start(captured.clone()).unwrap();
        for number in 0..1000 {
            sink.line(|out| writeln!(out, "line {number}").unwrap());
        }
        drop(writer);
        let text = String::from_utf8(captured.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert!(text.ends_with("line 999\n"));
        sink.line(|out| out.push(b'\n'));
        assert_eq!(sink.dropped_lines(), 1);
    }

    #[test]
    fn an_output_that_hangs_costs_lines_and_not_memory() {
        let (blocked, blocker) = std::sync::mpsc::channel::<()>();
        struct Hanging(std::sync::mpsc::Receiver<()>);
        impl Write for Hanging {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _released = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (sink, writer) = LogSink::start(Hanging(blocker)).unwrap();
        let megabyte = vec![b'x'; 1024 * 1024];
        for _ in 0..64 {
            sink.line(|out| out.extend_from_slice(&megabyte));
        }
        assert!(sink.dropped_lines() > 40);
        drop(blocked);
        drop(writer);
    }
}
