//! A folder to work in, the program as child processes, and HTTP by hand.

mod http;
mod meddler;

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) use http::Request;
pub(crate) use meddler::meddle;

/// How long anything may take that is expected to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test: the one of this build, or the one that `SEAWORTHY_BIN` names.
fn program() -> std::ffi::OsString {
    let named = std::env::var_os("SEAWORTHY_BIN");
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_seaworthy").into())
}

/// A folder of its own, in which the program runs.
pub(crate) struct Ship {
    folder: tempfile::TempDir,
}

impl Ship {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // In one step, as an editor does: half a file is never seen.
        let draft = self.path(&format!("{name}.draft"));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.path(name)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Runs a command that has to succeed and to print JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Makes a key for a configuration and returns it.
    pub(crate) fn create_key(&self, name: &str, role: &str) -> String {
        let made = self.json(&[
            "keys", "create", "--name", name, "--role", role, "--format", "json", "--config",
            "c.toml",
        ]);
        made["key"].as_str().unwrap().to_owned()
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, |_| {})
    }

    pub(crate) fn serve_with(
        &self,
        arguments: &[&str],
        set_up: impl FnOnce(&mut Command),
    ) -> Server {
        let mut all = vec!["serve"];
        all.extend(arguments);
        let mut command = self.command(&all);
        set_up(&mut command);
        let child = Running::start(command);
        let line = child.stdout.wait_for("listens on http", &child);
        let (_, address) = line.split_once("://").unwrap();
        Server {
            address: address.trim().parse().unwrap(),
            child,
        }
    }

    /// Starts a server of the configuration `c.toml`, on a free port.
    pub(crate) fn serve_config(&self) -> Server {
        self.serve(&["--config", "c.toml", "--listen", "127.0.0.1:0"])
    }

    /// Starts a provider.
    pub(crate) fn provider(&self, arguments: &[&str]) -> Provider {
        let mut all = vec!["fake-provider", "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let child = Running::start(self.command(&all));
        let line = child.stdout.wait_for("listening", &child);
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["listening"].as_str().unwrap().parse().unwrap();
        Provider {
            address,
            _child: child,
        }
    }

    /// Writes `c.toml` with one provider, models `gpt` and `claude`, and further lines at its end.
    pub(crate) fn configure(&self, provider: Option<&Provider>, more: &str) {
        self.write("c.toml", &config(provider, more));
    }
}

/// The text of a configuration.
pub(crate) fn config(provider: Option<&Provider>, more: &str) -> String {
    let mut text = "[storage]\nurl = \"sqlite:ship.db\"\n[server]\ndrain_delay = \"300ms\"\n\
                    drain_timeout = \"10s\"\n[providers.echo]\nkind = \"echo\"\n[models.echo]\n\
                    targets = [\"echo/echo\"]\n"
        .to_owned();
    if let Some(provider) = provider {
        let at = provider.address;
        text.push_str(&format!(
            "[providers.o]\nkind = \"openai\"\nbase_url = \"http://{at}/v1\"\napi_key = \
             \"secret://file/provider.key\"\n[models.gpt]\ntargets = [\"o/gpt-real\"]\n"
        ));
    }
    text + more
}

/// A provider that runs in the background.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    _child: Running,
}

/// A server that runs in the background.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Running,
}

impl Server {
    pub(crate) fn get(&self, path: &str) -> Request {
        Request::new(self.address, "GET", path)
    }

    /// A question to a model.
    pub(crate) fn ask(&self, key: &str, model: &str, stream: bool) -> Request {
        let body = format!(
            "{{\"model\":\"{model}\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"Ahoy there\"}}]}}"
        );
        Request::new(self.address, "POST", "/v1/chat/completions")
            .key(key)
            .body(&body)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    /// A line of standard output that contains `needle`.
    pub(crate) fn printed(&self, needle: &str) -> String {
        self.child.stdout.wait_for(needle, &self.child)
    }

    /// A line of the log that contains `needle`.
    pub(crate) fn logged(&self, needle: &str) -> String {
        self.child.stderr.wait_for(needle, &self.child)
    }

    /// Everything that was printed and logged so far.
    pub(crate) fn said(&self) -> String {
        self.child.stdout.all() + &self.child.stderr.all()
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(&self) -> ExitStatus {
        self.child.wait()
    }

    /// Whether the process ends by itself in time.
    pub(crate) fn ends(&self) -> bool {
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if self.child.ended().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Kills it if it runs.
    pub(crate) fn kill(&self) {
        if self.child.ended().is_none() {
            self.signal(Signal::SIGKILL);
        }
        self.wait();
    }

    /// Stops the server as an orchestrator does; it has to end well.
    pub(crate) fn stop(self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }
}

/// What a finished command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command, which is killed when it does not come to an end.
    pub(crate) fn of(mut command: Command) -> Self {
        let child = command.spawn().unwrap();
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let (ended, watch) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if watch.recv_timeout(PATIENCE * 4) == Err(RecvTimeoutError::Timeout) {
                kill(id, Signal::SIGKILL).unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        watchdog.join().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A child process whose output is collected. It is killed when dropped.
pub(crate) struct Running {
    child: Mutex<Child>,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = Lines::collect(child.stdout.take().unwrap());
        let stderr = Lines::collect(child.stderr.take().unwrap());
        Self {
            child: Mutex::new(child),
            stdout,
            stderr,
        }
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.lock().unwrap().id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    fn wait(&self) -> ExitStatus {
        eventually("the process ends", || self.ended())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(|error| error.into_inner());
        // It may have ended by itself.
        let _killed = child.kill();
        let _reaped = child.wait();
    }
}

/// Lines that a child has written so far.
#[derive(Clone)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    fn collect(output: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let shared = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                shared.0.0.lock().unwrap().push(line);
                shared.0.1.notify_all();
            }
        });
        lines
    }

    fn wait_for(&self, needle: &str, child: &Running) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.0.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(needle)) {
                return line.clone();
            }
            assert!(
                Instant::now() < deadline && child.ended().is_none(),
                "expected a line with {needle:?}, found {lines:#?} and {}",
                child.stderr_if_free(self)
            );
            let pause = Duration::from_millis(50);
            lines = self.0.1.wait_timeout(lines, pause).unwrap().0;
        }
    }

    fn all(&self) -> String {
        self.0.0.lock().unwrap().join("\n") + "\n"
    }
}

impl Running {
    /// The log, unless it is the very thing that is being looked at.
    fn stderr_if_free(&self, looked_at: &Lines) -> String {
        match Arc::ptr_eq(&self.stderr.0, &looked_at.0) {
            true => String::new(),
            false => self.stderr.all(),
        }
    }
}

/// Waits until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "expected: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
