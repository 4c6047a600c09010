//! A scratch instance of the server's program: its own port, storage and key, gone when dropped.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::evidence::{Action, Observed};
use crate::http::{Base, Dialer, Request};
use crate::outcome::{Stop, fail, not_verified};
use crate::session::{Session, Started, millis};

/// How long an instance may take to answer for the first time before it is given up.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a command may take that should end by itself.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The model of the scratch configuration: it answers by itself and costs nothing.
pub(crate) const MODEL: &str = "echo";

/// An empty folder with a configuration in it, and what is needed to run the program there.
pub(crate) struct Bench<'a> {
    dir: TempDir,
    binary: &'a Path,
    config: PathBuf,
    /// Talks to the instance; the evidence goes to the check that started it.
    pub(crate) session: Session<'a>,
}

impl<'a> Bench<'a> {
    /// A folder with a configuration whose model answers by itself.
    pub(crate) async fn new(s: &Session<'a>) -> Result<Self, Stop> {
        let bench = Self::empty(s).await?;
        let port = bench.session.base().port;
        bench.write_config(&format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\ndrain_timeout = \"20s\"\n\n\
             [storage]\nurl = \"sqlite:{}\"\n\n\
             [providers.{MODEL}]\nkind = \"echo\"\n\n\
             [models.{MODEL}]\ntargets = [\"{MODEL}/{MODEL}\"]\n",
            bench.dir.path().join("check.db").display()
        ))?;
        Ok(bench)
    }

    /// A folder without a configuration, and a free port for the instance.
    pub(crate) async fn empty(s: &Session<'a>) -> Result<Self, Stop> {
        let Some(binary) = s.options().local_binary.as_deref() else {
            return not_verified("the server's program on this machine");
        };
        let dir = tempfile::Builder::new()
            .prefix("seaworthy-check-")
            .tempdir();
        let dir = dir.map_err(|e| missing(format!("a temporary folder: {e}")))?;
        let port = free_port()
            .await
            .map_err(|e| missing(format!("a free port: {e}")))?;
        let base = Base::parse(&format!("http://127.0.0.1:{port}")).map_err(missing)?;
        let config = dir.path().join("check.toml");
        let name = binary.file_name().unwrap_or_default().to_string_lossy();
        let subject = format!("scratch instance of {name} at {}", base.url());
        let session = s.of_instance(base, subject);
        Ok(Self {
            dir,
            binary,
            config,
            session,
        })
    }

    /// The instance will speak TLS, and is reached by a dialer that trusts it.
    pub(crate) fn speak_tls(&mut self, dialer: Dialer) {
        let base = self.session.base().over_tls();
        let subject = format!("scratch instance at {}", base.url());
        self.session = self.session.of_instance(base, subject).with_dialer(dialer);
    }

    /// The file that commands and the instance are configured by.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// The folder, which is gone with the bench.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write_config(&self, text: &str) -> Result<(), Stop> {
        std::fs::write(&self.config, text)
            .map_err(|e| missing(format!("a file in the temporary folder: {e}")))
    }

    /// The program with these arguments, in the folder, without the caller's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) fn argv(&self, args: &[&str]) -> Vec<String> {
        let binary = self.binary.display().to_string();
        std::iter::once(binary)
            .chain(args.iter().map(ToString::to_string))
            .collect()
    }

    /// Runs a command to its end; returns its exit status, output and error output.
    pub(crate) async fn run(
        &self,
        mut command: Command,
        args: &[&str],
    ) -> Result<(Option<ExitStatus>, String, String), Stop> {
        let started = Started::now();
        let (out, err) = (self.dir.path().join("out"), self.dir.path().join("err"));
        let file = |path: &Path| File::create(path).map_err(|e| missing(e.to_string()));
        let spawned = command.stdout(file(&out)?).stderr(file(&err)?).spawn();
        let mut child = spawned.map_err(|e| cannot_start(self.binary, &e))?;
        let status = timeout(COMMAND_TIMEOUT, child.wait())
            .await
            .ok()
            .and_then(Result::ok);
        let (out, err) = (read_start(&out), read_start(&err));
        let observed = Observed {
            status: status.and_then(|status| status.code()),
            // Its output may be a fresh key, so only errors are shown.
            excerpt: self.session.excerpt(err.as_bytes()),
            error: status.is_none().then(|| "it did not end".to_owned()),
            ..Observed::default()
        };
        self.session.record(
            &started,
            Action::Command {
                argv: self.argv(args),
            },
            observed,
        );
        Ok((status, out, err))
    }

    /// Makes a key; `role` is left to the program's default when it is `None`.
    pub(crate) async fn create_key(&self, role: Option<&str>) -> Result<String, Stop> {
        let config = self.config.display().to_string();
        let mut args = vec![
            "keys", "--config", &config, "create", "--name", "check", "--format", "json",
        ];
        args.extend(role.map(|role| ["--role", role]).into_iter().flatten());
        let (status, out, err) = self.run(self.command(&args), &args).await?;
        let made = out.find('{').and_then(|start| {
            let mut values = serde_json::Deserializer::from_str(&out[start..]).into_iter::<Value>();
            values.next()?.ok()?["key"].as_str().map(ToOwned::to_owned)
        });
        match made {
            Some(key) if status.is_some_and(|status| status.success()) => {
                self.session.hide(&key);
                Ok(key)
            }
            _ => not_verified(format!(
                "a key for the scratch instance: `{}` did not print one ({})",
                args.join(" "),
                self.session.excerpt(err.as_bytes())
            )),
        }
    }

    /// Starts the server and waits for its first answer.
    pub(crate) async fn serve<'b>(&'b self) -> Result<Instance<'a, 'b>, Stop> {
        let config = self.config.display().to_string();
        let args = ["serve", "--config", config.as_str()];
        let log = self.dir.path().join("serve.log");
        let file = File::create(&log).map_err(|e| missing(e.to_string()))?;
        let copy = file.try_clone().map_err(|e| missing(e.to_string()))?;
        let (started, clock) = (Started::now(), Instant::now());
        let mut command = self.command(&args);
        let mut child = command
            .stdout(file)
            .stderr(copy)
            .spawn()
            .map_err(|e| cannot_start(self.binary, &e))?;
        let first_answer = loop {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.session.base().port))
                .await
                .is_ok()
                && self.session.quiet_status("/health/live").await == Some(200)
            {
                break Some(clock.elapsed());
            }
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || clock.elapsed() > START_TIMEOUT {
                break None;
            }
            sleep(Duration::from_millis(5)).await;
        };
        let observed = Observed {
            excerpt: first_answer.map_or_else(
                || self.session.excerpt(read_start(&log).as_bytes()),
                |time| format!("first answer after {} ms", millis(time)),
            ),
            error: first_answer
                .is_none()
                .then(|| "it never answered".to_owned()),
            ..Observed::default()
        };
        self.session.record(
            &started,
            Action::Command {
                argv: self.argv(&args),
            },
            observed,
        );
        match first_answer {
            Some(first_answer) => Ok(Instance {
                bench: self,
                child,
                first_answer,
            }),
            None if port_was_taken(&read_start(&log)) => {
                let port = self.session.base().port;
                not_verified(format!(
                    "port {port} for the scratch instance: another program has taken it; try again"
                ))
            }
            None => fail(
                format!(
                    "200 from /health/live within {} s of starting",
                    START_TIMEOUT.as_secs()
                ),
                format!(
                    "no answer; it said: {}",
                    self.session.excerpt(read_start(&log).as_bytes())
                ),
            ),
        }
    }
}

/// A running scratch instance.
pub(crate) struct Instance<'a, 'b> {
    bench: &'b Bench<'a>,
    child: Child,
    pub(crate) first_answer: Duration,
}

impl Instance<'_, '_> {
    /// Its number on this machine while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Stop> {
        let started = Started::now();
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        let sent = pid.map(|pid| kill(Pid::from_raw(pid), signal));
        let observed = Observed::default();
        self.bench.session.record(
            &started,
            Action::Signal {
                name: signal.to_string(),
            },
            observed,
        );
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(e)) => not_verified(format!("a signal to the instance: {e}")),
            None => fail("a running instance", "it has ended by itself"),
        }
    }

    /// Waits for the program to end; `None` when it does not.
    pub(crate) async fn exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = Started::now();
        let status = timeout(limit, self.child.wait())
            .await
            .ok()
            .and_then(Result::ok);
        let observed = Observed {
            status: status.and_then(|status| status.code()),
            error: status.is_none().then(|| "it is still running".to_owned()),
            ..Observed::default()
        };
        let until = "the program ends".to_owned();
        self.bench
            .session
            .record(&started, Action::Wait { until }, observed);
        status
    }
}

impl Session<'_> {
    /// The status of a path, without evidence: for polling.
    pub(crate) async fn quiet_status(&self, path: &str) -> Option<u16> {
        let limit = self.options().request_timeout;
        let request = Request::get(path);
        let protocol = crate::http::Protocol::Http1;
        crate::http::exchange(self.dialer(), self.base(), &request, protocol, limit)
            .await
            .ok()
            .map(|answer| answer.status())
    }
}

/// A port of the loopback that nobody listens on.
///
/// It is drawn from below those that systems give to outgoing connections: one of these would sit
/// on it before a program listens there, or while the program is away between two starts.
pub(crate) async fn free_port() -> std::io::Result<u16> {
    const FIRST: u16 = 10_000;
    const COUNT: u64 = 22_000;
    for _ in 0..20 {
        let drawn = RandomState::new().hash_one(0) % COUNT;
        let port = FIRST + u16::try_from(drawn).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return Ok(port);
        }
    }
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// Whether a program says that it could not have its port.
fn port_was_taken(log: &str) -> bool {
    log.to_ascii_lowercase().contains("address already in use")
}

/// The start of a file that the program wrote.
pub(crate) fn read_start(path: &Path) -> String {
    use std::io::Read;
    let mut text = Vec::new();
    if let Ok(file) = File::open(path) {
        // An unreadable log leaves the excerpt empty; the verdict does not depend on it.
        let _ = file.take(16 * 1024).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn missing(what: impl Into<String>) -> Stop {
    Stop::NotVerified {
        missing: what.into(),
    }
}

pub(crate) fn cannot_start(binary: &Path, error: &std::io::Error) -> Stop {
    missing(format!(
        "a program that can be started at {}: {error}",
        binary.display()
    ))
}
