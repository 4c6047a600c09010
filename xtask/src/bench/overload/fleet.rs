//! Gateways, providers and clients of a part.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use seaworthy_bench::client::{Connection, request};
use serde_json::Value;

use super::super::proxy::contender::{LOAD_CORE, Process, free_addr, pinned};
use crate::command::quiet;

/// The core of the gateway.
const GATEWAY_CORE: &str = "0";

/// Where the programs are, and where a part keeps its files.
#[derive(Clone)]
pub(super) struct Programs {
    seaworthy: PathBuf,
    bench: PathBuf,
    folder: PathBuf,
}

/// Something that was started and listens.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) addr: SocketAddr,
}

impl Programs {
    pub(super) fn new(seaworthy: PathBuf, bench: PathBuf) -> Self {
        let folder = std::env::temp_dir();
        Self {
            seaworthy,
            bench,
            folder,
        }
    }

    pub(super) fn within(&self, folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
            ..self.clone()
        }
    }

    fn start(
        &self,
        core: &str,
        name: &str,
        program: &Path,
        args: &[&str],
    ) -> anyhow::Result<Process> {
        let log = File::create(self.folder.join(format!("{name}.log")))?;
        let child = pinned(core, program)
            .args(args)
            .current_dir(&self.folder)
            .env("UPSTREAM_KEY", "sk-upstream")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name} (is `taskset` installed?)"))?;
        Ok(Process::of(child))
    }

    /// A provider.
    pub(super) fn provider(&self, name: &str, args: &[&str]) -> anyhow::Result<Started> {
        let addr = free_addr()?;
        let listen = addr.to_string();
        let args = [&["fake-provider", "--listen", &listen], args].concat();
        let process = self.start(LOAD_CORE, name, &self.seaworthy, &args)?;
        let started = Started { process, addr };
        started.wait_for("/__control/stats")?;
        Ok(started)
    }

    /// A gateway of this configuration, in which nobody needs a key.
    pub(super) fn gateway(&self, name: &str, config: &str) -> anyhow::Result<Started> {
        let addr = free_addr()?;
        let file = self.folder.join(format!("{name}.toml"));
        let text = format!(
            "[server]\nlisten = \"{addr}\"\n\n[storage]\nurl = \"memory:\"\n\n[auth]\nenabled = false\n\n{config}"
        );
        std::fs::write(&file, text)?;
        let file = file.to_string_lossy();
        let args = ["serve", "--config", &file];
        let process = self.start(GATEWAY_CORE, name, &self.seaworthy, &args)?;
        let started = Started { process, addr };
        started.wait_for("/health/ready")?;
        Ok(started)
    }

    /// The bare proxy.
    pub(super) fn floor(&self, upstream: SocketAddr) -> anyhow::Result<Started> {
        let addr = free_addr()?;
        let (listen, upstream) = (addr.to_string(), upstream.to_string());
        let args = ["--listen", &listen, "--upstream", &upstream];
        let program = self.bench.join("floorproxy");
        let process = self.start(GATEWAY_CORE, "floorproxy", &program, &args)?;
        Ok(Started { process, addr })
    }

    /// Clients, to their end; what they report.
    pub(super) fn clients(&self, program: &str, args: &[&str]) -> anyhow::Result<Value> {
        let printed = quiet(pinned(LOAD_CORE, &self.bench.join(program)).args(args))?;
        serde_json::from_str(&printed).with_context(|| format!("expected JSON, found {printed:?}"))
    }

    /// A crowd that asks at a constant rate.
    pub(super) fn load(
        &self,
        gateway: &Started,
        rate: f64,
        seconds: f64,
        more: &[&str],
    ) -> anyhow::Result<Value> {
        let (addr, pid) = (gateway.addr.to_string(), gateway.process.pid().to_string());
        let (rate, seconds) = (rate.to_string(), seconds.to_string());
        let args = [
            "load",
            "--addr",
            &addr,
            "--pid",
            &pid,
            "--rate",
            &rate,
            "--seconds",
            &seconds,
        ];
        self.clients("crowd", &[&args, more].concat())
    }

    /// Clients that run beside others; they end with the returned process.
    pub(super) fn beside(&self, args: &[&str]) -> anyhow::Result<Process> {
        self.start(LOAD_CORE, "slow", &self.bench.join("crowd"), args)
    }
}

impl Started {
    /// Waits until it answers 200.
    fn wait_for(&self, path: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if self
                .get(path)
                .is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("{path} at {} is not 200 within 20 s", self.addr)
    }

    /// The whole answer to a GET, head included.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<String> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(self.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let addr = self.addr;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The JSON of a GET.
    pub(super) fn json(&self, path: &str) -> anyhow::Result<Value> {
        let text = self.get(path)?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).with_context(|| format!("{path}: {text}"))
    }

    /// Sends JSON that has to be taken.
    pub(super) fn post(&self, path: &str, body: &str) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.addr, Duration::from_secs(10))?;
        let status = connection.exchange(&request(self.addr, path, &[], body))?;
        ensure!(status == 200, "{path}: status {status}");
        Ok(())
    }
}
