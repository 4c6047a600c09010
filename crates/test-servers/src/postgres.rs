//! A PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::process::{Process, free_port, give, unprivileged, wait_until_ready};

/// A PostgreSQL server with any number of databases.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    folder: TempDir,
    user: Option<String>,
    process: Option<Process>,
    databases: AtomicUsize,
}

impl Postgres {
    /// Starts a server. What is committed survives its death, though not a loss of power.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = unprivileged("postgres");
        give(folder.path(), user.as_deref());
        let mut server = Self {
            port: 0,
            folder,
            user,
            process: None,
            databases: AtomicUsize::new(0),
        };
        server.initialise();
        // Another process can take the port between looking and listening.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("postgres does not start");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn initialise(&self) {
        let data = self.data().display().to_string();
        let arguments = [
            "-D",
            &data,
            "-U",
            "seaworthy",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]);
                command.arg(program("initdb"));
                command
            }
            None => Command::new(program("initdb")),
        };
        command.args(arguments).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let made = command.output().expect("initdb runs");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    fn try_start(&mut self) -> bool {
        let folder = self.folder.path().display().to_string();
        let port = self.port.to_string();
        let options = [
            "listen_addresses=127.0.0.1",
            "max_connections=200",
            "shared_buffers=16MB",
            "fsync=off",
            "full_page_writes=off",
            "autovacuum=off",
        ];
        let mut arguments = vec!["-D".to_owned(), self.data().display().to_string()];
        arguments.extend(["-p".to_owned(), port, "-k".to_owned(), folder]);
        for option in options {
            arguments.extend(["-c".to_owned(), option.to_owned()]);
        }
        let mut process = Process::start(&program("postgres"), &arguments, self.user.as_deref());
        let is_ready = wait_until_ready(&mut process, || self.answers());
        self.process = Some(process);
        is_ready
    }

    fn answers(&self) -> bool {
        self.psql("postgres", "SELECT 1").status.success()
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        let port = self.port.to_string();
        Command::new(program("psql"))
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "seaworthy"])
            .args(["-d", database, "-A", "-t", "-q", "-X", "-c", sql])
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::null())
            .output()
            .expect("psql runs")
    }

    /// Runs a statement in the database that a URL names and returns what it prints, a row a line.
    #[must_use]
    pub fn query(&self, url: &str, sql: &str) -> String {
        let (_, database) = url.rsplit_once('/').expect("a URL with a database");
        let ran = self.psql(database, sql);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{sql}: {errors}");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// How many tables there are in the database that a URL names.
    #[must_use]
    pub fn tables(&self, url: &str) -> usize {
        let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        self.query(url, sql).parse().expect("a number")
    }

    /// Leaves the schema of a database as a program of before its last step has left it; the step
    /// has made one table.
    pub fn undo_last_step(&self, url: &str, table: &str) {
        let last = "(SELECT max(version) FROM schema_migrations)";
        let sql =
            format!("DROP TABLE {table}; DELETE FROM schema_migrations WHERE version = {last}");
        assert_eq!(self.query(url, &sql), "");
    }

    /// Has the record of a database hold a step that no program knows.
    pub fn record_later_step(&self, url: &str) {
        let sql = "INSERT INTO schema_migrations (version, name, checksum) \
                   VALUES (99, '0099_later', '')";
        assert_eq!(self.query(url, sql), "");
    }

    /// The port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    #[must_use]
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let made = self.psql("postgres", &format!("CREATE DATABASE test_{number}"));
        let errors = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{errors}");
        let port = self.port;
        format!("postgres://seaworthy@127.0.0.1:{port}/test_{number}")
    }

    /// Kills it with all its processes.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it as an operator would, cutting connections.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(Signal::SIGINT);
        }
    }

    /// Stops all its processes in their tracks.
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

    /// Starts it again on the same port with the same data.
    pub fn restart(&mut self) {
        self.kill();
        // Processes of a killed server hold its shared memory until they notice.
        for _ in 0..100 {
            if self.try_start() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("postgres does not start again");
    }
}

/// Where a program of PostgreSQL is: Debian does not put all of them on the path.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let mut found: Vec<PathBuf> = versions
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| Path::exists(path))
        .collect();
    found.sort();
    match found.pop() {
        Some(path) => path.display().to_string(),
        None => name.to_owned(),
    }
}
