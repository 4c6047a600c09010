//! Who is measured, and how each is started.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{command, install, is_there, quiet, say};

/// The core of the program under test.
pub(crate) const CONTENDER_CORE: &str = "0";
/// The core of the fake provider and the load generator.
pub(crate) const LOAD_CORE: &str = "1";

/// A child process that ends with its owner: asked first, killed after five seconds.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.0.id()) else {
            return;
        };
        let asked = Instant::now();
        // It may be gone already, which is what is wanted.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        while asked.elapsed() < Duration::from_secs(5) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs on one core.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut pinned = command("taskset", &["-c", core]);
    pinned.arg(program);
    pinned
}

/// The upstream of everyone.
pub(crate) struct Fake {
    process: Process,
    pub(crate) addr: SocketAddr,
}

impl Fake {
    /// Starts it and waits for the line that says where it listens.
    pub(crate) fn start(seaworthy: &Path, work: &Path) -> anyhow::Result<Self> {
        let mut child = pinned(LOAD_CORE, seaworthy)
            .args(["fake-provider", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(File::create(work.join("fake-provider.log"))?)
            .spawn()
            .context("cannot start the fake provider (is `taskset` installed?)")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("expected {{\"listening\":…}}, found {line:?}"))?;
        let addr = ready["listening"]
            .as_str()
            .context("no `listening` in the ready line")?;
        Ok(Self {
            process,
            addr: addr.parse()?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// What contenders are started with.
pub(crate) struct Setup {
    seaworthy: PathBuf,
    floorproxy: PathBuf,
    pub(crate) loadgen: PathBuf,
    work: PathBuf,
    upstream: SocketAddr,
    config: PathBuf,
    listen: SocketAddr,
    /// The key that callers present to everyone.
    pub(crate) key: String,
}

impl Setup {
    /// Writes the configurations and makes a key.
    pub(crate) fn new(
        seaworthy: &Path,
        release: &Path,
        work: &Path,
        fake: &Fake,
    ) -> anyhow::Result<Self> {
        let listen = free_addr()?;
        let config = work.join("seaworthy.toml");
        let database = work.join("seaworthy.db");
        let (upstream, database) = (fake.addr, database.display());
        std::fs::write(
            &config,
            format!(
                "[server]\nlisten = \"{listen}\"\n\n\
             [storage]\nurl = \"sqlite:{database}\"\n\n\
             [providers.openai]\nkind = \"openai\"\nbase_url = \"http://{upstream}/v1\"\n\
             api_key = \"secret://env/FAKE_OPENAI_KEY\"\n\n\
             [models.fake-gpt]\ntargets = [\"openai/fake-gpt\"]\n"
            ),
        )?;
        let mut setup = Self {
            seaworthy: seaworthy.to_path_buf(),
            floorproxy: release.join("floorproxy"),
            loadgen: release.join("loadgen"),
            work: work.to_path_buf(),
            upstream,
            config,
            listen,
            key: "sk-bench".to_owned(),
        };
        match setup.create_key() {
            Ok(key) => setup.key = key,
            // The others can be measured all the same.
            Err(error) => say(&format!("   no key from seaworthy: {error:#}")),
        }
        Ok(setup)
    }

    fn create_key(&self) -> anyhow::Result<String> {
        let mut create = command(&self.seaworthy, &["keys", "--config"]);
        create.arg(&self.config);
        create.args(["--format", "json", "create", "--name", "bench"]);
        create.env("FAKE_OPENAI_KEY", "sk-upstream");
        let created: serde_json::Value = serde_json::from_str(&quiet(&mut create)?)?;
        Ok(created["key"]
            .as_str()
            .context("expected a `key`")?
            .to_owned())
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        Ok(File::create(self.work.join(format!("{name}.log")))?)
    }

    /// Starts a program on the contender's core, its output in a file.
    fn start(&self, name: &str, program: &Path, args: &[&str]) -> anyhow::Result<Process> {
        let log = self.log(name)?;
        let child = pinned(CONTENDER_CORE, program)
            .args(args)
            .env("FAKE_OPENAI_KEY", "sk-upstream")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Process(child))
    }
}

/// A contender that was started, and where it will answer. `direct` has no process of its own.
pub(crate) struct Started {
    pub(crate) process: Option<Process>,
    pub(crate) addr: SocketAddr,
}

/// Someone who is measured.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    start: fn(&Setup) -> anyhow::Result<Started>,
}

impl Contender {
    /// Everyone, in the order of the table.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self {
                name: "direct",
                does: "no proxy at all",
                start: |setup| {
                    Ok(Started {
                        process: None,
                        addr: setup.upstream,
                    })
                },
            },
            Self {
                name: "hyper",
                does: "bare hyper, bytes pass through",
                start: |setup| floor(setup, false),
            },
            Self {
                name: "hyper-inspect",
                does: "bare hyper; compares the key, reads model and usage",
                start: |setup| floor(setup, true),
            },
            Self {
                name: "nginx",
                does: "plain reverse proxy, no log",
                start: nginx,
            },
            Self {
                name: "seaworthy",
                does: "keys, accounting, JSON log, metrics",
                start: seaworthy,
            },
        ]
    }

    /// Installs what can be installed; says so when a contender cannot take part.
    pub(crate) fn is_available(&self) -> bool {
        if self.name != "nginx" || is_there("nginx", &["-v"]) {
            return true;
        }
        let installed = install("nginx-light").or_else(|_| install("nginx"));
        if let Err(error) = &installed {
            say(&format!("   nginx is left out: {error:#}"));
        }
        installed.is_ok()
    }

    /// Starts it.
    pub(crate) fn start(&self, setup: &Setup) -> anyhow::Result<Started> {
        (self.start)(setup)
    }
}

fn floor(setup: &Setup, inspect: bool) -> anyhow::Result<Started> {
    let addr = free_addr()?;
    let (listen, upstream) = (addr.to_string(), setup.upstream.to_string());
    let mut args = vec!["--listen", &listen, "--upstream", &upstream];
    if inspect {
        args.extend(["--inspect", "--key", &setup.key]);
    }
    let process = Some(setup.start("floorproxy", &setup.floorproxy, &args)?);
    Ok(Started { process, addr })
}

fn nginx(setup: &Setup) -> anyhow::Result<Started> {
    let addr = free_addr()?;
    let dir = setup.work.join("nginx");
    std::fs::create_dir_all(&dir)?;
    let (at, upstream) = (dir.display(), setup.upstream);
    let config = dir.join("nginx.conf");
    std::fs::write(
        &config,
        format!(
            "daemon off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log crit;\n\
         events {{ worker_connections 2048; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 100000000;\n\
         \x20 client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
         \x20 uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
         \x20 upstream fake {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}\n\
         \x20 server {{\n    listen {addr};\n    location / {{\n      proxy_pass http://fake;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n\
         \x20     proxy_buffering off;\n    }}\n  }}\n}}\n"
        ),
    )?;
    let config = config.to_string_lossy();
    let process = Some(setup.start("nginx", Path::new("nginx"), &["-c", &config])?);
    Ok(Started { process, addr })
}

fn seaworthy(setup: &Setup) -> anyhow::Result<Started> {
    if setup.key == "sk-bench" {
        bail!("seaworthy made no key, so it cannot be measured");
    }
    let config = setup.config.to_string_lossy();
    let args = ["serve", "--config", &config];
    let process = Some(setup.start("seaworthy", &setup.seaworthy, &args)?);
    Ok(Started {
        process,
        addr: setup.listen,
    })
}

/// An address on which nobody listens just now.
pub(crate) fn free_addr() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
