//! Redis and PostgreSQL for scratch deployments, as installed on this machine, in folders of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::evidence::{Action, Observed};
use crate::outcome::{Stop, not_verified};
use crate::scratch::free_port;
use crate::session::{Session, Started};

/// How long a server may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a program is; programs of PostgreSQL are not in the path of Debian.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from));
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(program));
    found.into_iter().find(|path| path.is_file())
}

/// A server of state that can be ended and started again with its data.
pub(super) struct Server {
    folder: TempDir,
    port: u16,
    kind: Kind,
    /// Whom PostgreSQL runs as, because it refuses root.
    user: Option<User>,
    child: Option<Child>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    Postgres,
}

impl Server {
    pub(super) async fn redis(s: &Session<'_>) -> Result<Self, Stop> {
        Self::launch(s, Kind::Redis).await
    }

    pub(super) async fn postgres(s: &Session<'_>) -> Result<Self, Stop> {
        Self::launch(s, Kind::Postgres).await
    }

    async fn launch(s: &Session<'_>, kind: Kind) -> Result<Self, Stop> {
        let failed = |e: std::io::Error| missing(format!("a server of state: {e}"));
        let folder = tempfile::Builder::new()
            .prefix("seaworthy-drill-")
            .tempdir()
            .map_err(failed)?;
        let is_root = Uid::effective().is_root() && kind == Kind::Postgres;
        let user = is_root.then(unprivileged).flatten();
        if let Some(user) = &user {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).map_err(failed)?;
        }
        let port = free_port().await.map_err(failed)?;
        let mut server = Self {
            folder,
            port,
            kind,
            user,
            child: None,
        };
        if kind == Kind::Postgres {
            let data = server.data();
            let mut words = vec!["-D", data.as_str(), "-U", "seaworthy", "-A", "trust"];
            words.extend(["-E", "UTF8", "--locale=C", "--no-sync"]);
            server.run("initdb", &words).await?;
        }
        server.start(s).await?;
        Ok(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    pub(super) fn url(&self) -> String {
        match self.kind {
            Kind::Redis => format!("redis://127.0.0.1:{}", self.port),
            Kind::Postgres => format!("postgres://seaworthy@127.0.0.1:{}/postgres", self.port),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, program: &str) -> Result<Command, Stop> {
        let Some(path) = find(program) else {
            return not_verified(format!("{program} on this machine"));
        };
        let mut command = Command::new(path);
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.kill_on_drop(true);
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Ok(command)
    }

    /// Runs a program of the server to its end, as the server's user.
    pub(super) async fn run(&self, program: &str, words: &[&str]) -> Result<(), Stop> {
        let mut command = self.command(program)?;
        let running = command.args(words).stderr(Stdio::piped()).output();
        match timeout(START_TIMEOUT, running).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                not_verified(format!("{program}, which said: {}", said.trim()))
            }
            Ok(Err(error)) => not_verified(format!("{program}: {error}")),
            Err(_) => not_verified(format!("{program}, which did not end")),
        }
    }

    /// Words with which tools of PostgreSQL reach it.
    pub(super) fn reach(&self) -> [String; 6] {
        let words = [
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "seaworthy",
        ];
        words.map(ToOwned::to_owned)
    }

    /// Starts it, also again, and waits until it answers.
    pub(super) async fn start(&mut self, s: &Session<'_>) -> Result<(), Stop> {
        let (started, clock) = (Started::now(), Instant::now());
        let (port, folder) = (
            self.port.to_string(),
            self.folder.path().display().to_string(),
        );
        let data = self.data();
        let (program, words): (&str, Vec<&str>) = match self.kind {
            Kind::Redis => {
                let mut words = vec!["--bind", "127.0.0.1", "--port", &port, "--dir", &folder];
                words.extend(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
                ("redis-server", words)
            }
            Kind::Postgres => {
                let mut words = vec!["-D", data.as_str(), "-p", &port, "-k", &folder];
                words.extend([
                    "-c",
                    "listen_addresses=127.0.0.1",
                    "-c",
                    "shared_buffers=16MB",
                ]);
                ("postgres", words)
            }
        };
        while clock.elapsed() < START_TIMEOUT {
            let mut command = self.command(program)?;
            let spawned = command.args(&words).stderr(Stdio::null()).spawn();
            let mut child = spawned.map_err(|e| missing(format!("{program}: {e}")))?;
            while clock.elapsed() < START_TIMEOUT && child.try_wait().ok().flatten().is_none() {
                if self.answers().await {
                    self.child = Some(child);
                    let argv = vec![program.to_owned(), format!("(port {port})")];
                    s.record(&started, Action::Command { argv }, Observed::default());
                    return Ok(());
                }
                sleep(Duration::from_millis(20)).await;
            }
            // What an earlier one held is free in a moment.
            sleep(Duration::from_millis(100)).await;
        }
        not_verified(format!(
            "{program} that answers within {} s",
            START_TIMEOUT.as_secs()
        ))
    }

    async fn answers(&self) -> bool {
        let address = ("127.0.0.1", self.port);
        match self.kind {
            Kind::Redis => tokio::net::TcpStream::connect(address).await.is_ok(),
            Kind::Postgres => {
                let port = self.port.to_string();
                self.run("pg_isready", &["-h", "127.0.0.1", "-p", &port])
                    .await
                    .is_ok()
            }
        }
    }

    /// Ends it at once, as a crash does: what was not on disk is lost.
    pub(super) async fn crash(&mut self, s: &Session<'_>) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let started = Started::now();
        // PostgreSQL's own processes end with SIGQUIT, which is its word for a crash.
        let signal = match self.kind {
            Kind::Redis => Signal::SIGKILL,
            Kind::Postgres => Signal::SIGQUIT,
        };
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself.
            let _gone = kill(Pid::from_raw(id), signal);
        }
        let _ended = timeout(Duration::from_secs(10), child.wait()).await;
        let name = format!("{signal} to the server at port {}", self.port);
        s.record(&started, Action::Signal { name }, Observed::default());
    }
}

fn unprivileged() -> Option<User> {
    let by_name = |name| User::from_name(name).ok().flatten();
    ["postgres", "nobody"].into_iter().find_map(by_name)
}

fn missing(what: String) -> Stop {
    Stop::NotVerified { missing: what }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its own processes go with it, which a plain SIGKILL would leave behind.
        let id = self.child.as_ref().and_then(Child::id);
        if let Some(id) = id.and_then(|id| i32::try_from(id).ok()) {
            let signal = match self.kind {
                Kind::Redis => Signal::SIGKILL,
                Kind::Postgres => Signal::SIGQUIT,
            };
            let _gone = kill(Pid::from_raw(id), signal);
            if let (Kind::Postgres, Some(child)) = (self.kind, self.child.as_mut()) {
                for _ in 0..100 {
                    if child.try_wait().ok().flatten().is_some() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}
