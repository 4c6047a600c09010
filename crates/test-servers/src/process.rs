//! A server as a child process that can be signalled with all its own children.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Ends the thread that started the child.
    _keeper: mpsc::Sender<()>,
}

impl Process {
    /// Starts a server that dies with this process, as another user if this one is root.
    pub(crate) fn start(program: &str, arguments: &[String], user: Option<&str>) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = user {
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        }
        command.arg("--").arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).current_dir("/");
        let (keeper, ended) = mpsc::channel::<()>();
        let (started, child) = mpsc::channel();
        // The death signal comes when the thread ends that started the child, not the process: it
        // has to be one that lives as long as the child may.
        std::thread::spawn(move || {
            started.send(command.spawn()).unwrap();
            let _dropped = ended.recv();
        });
        let child = child.recv().unwrap();
        Self {
            child: child.expect("setpriv runs (Debian: util-linux)"),
            _keeper: keeper,
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Signals the server and the processes that it started.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id();
        let mut all = vec![id];
        all.extend(children(id));
        for id in all {
            // It may have ended in this moment.
            let _gone = kill(Pid::from_raw(i32::try_from(id).unwrap()), signal);
        }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn terminate(&mut self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _gone = kill(id, signal);
        self.child.wait().unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// A port that nobody listens on, below those that systems give to outgoing connections: one of
/// these would sit on it while a server is away between two starts.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u64 = 22_000;
    loop {
        let drawn = RandomState::new().hash_one(0) % COUNT;
        let port = FIRST + u16::try_from(drawn).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `is_ready` says so. False if the process ends before.
pub(crate) fn wait_until_ready(process: &mut Process, mut is_ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_ready() {
        if process.has_ended() {
            return false;
        }
        assert!(Instant::now() < deadline, "the server does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// Whom a server runs as that refuses root; `None` if we are somebody else already.
pub(crate) fn unprivileged(preferred: &str) -> Option<String> {
    if !Uid::effective().is_root() {
        return None;
    }
    let exists = |name: &&str| User::from_name(name).is_ok_and(|user| user.is_some());
    let name = [preferred, "nobody"].into_iter().find(exists);
    Some(name.expect("a user without privileges").to_owned())
}

/// Gives a folder to a user.
pub(crate) fn give(folder: &Path, user: Option<&str>) {
    if let Some(name) = user {
        let user = User::from_name(name).unwrap().unwrap();
        chown(folder, Some(user.uid), Some(user.gid)).unwrap();
    }
}
