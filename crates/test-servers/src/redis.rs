//! A Redis server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port, wait_until_ready};

/// A Redis server with an empty database.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: TempDir,
    options: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further options, such as `--requirepass`.
    #[must_use]
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self {
            port: 0,
            folder,
            options,
            process: None,
        };
        // Another process can take the port between looking and listening.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server does not start; `cargo xtask test` installs it");
    }

    fn try_start(&mut self) -> bool {
        let fixed = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ];
        let mut arguments: Vec<String> = fixed.iter().map(|&text| text.to_owned()).collect();
        arguments.extend(["--port".to_owned(), self.port.to_string()]);
        let folder = self.folder.path().display().to_string();
        arguments.extend(["--dir".to_owned(), folder]);
        arguments.extend(self.options.iter().cloned());
        let mut process = Process::start("redis-server", &arguments, None);
        let port = self.port;
        let is_ready = wait_until_ready(&mut process, || {
            ask(port, &["PING"]).is_some_and(|answer| !answer.starts_with("-LOADING"))
        });
        self.process = Some(process);
        is_ready
    }

    /// The port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Sends a command and returns the raw answer.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> String {
        ask(self.port, words).expect("the server answers")
    }

    /// Kills it: what is not on disk is lost.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops it in its tracks: connections stay open and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Starts it again on the same port, after it was killed.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..50 {
            if self.try_start() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("redis-server does not start again");
    }
}

/// One command on a connection of its own; `None` if nobody answers.
fn ask(port: u16, words: &[&str]) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = vec![0; 64 * 1024];
    let length = stream.read(&mut answer).ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&answer[..length]).into_owned())
}
