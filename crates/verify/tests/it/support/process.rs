//! The scripted server as a program of its own: this test binary, started again through a script.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::handler::Server;
use super::{ADMIN_KEY, KEY, serve};

/// A folder with a program that behaves like `seaworthy`, but for what is broken.
pub(crate) struct Program {
    dir: tempfile::TempDir,
    name: String,
}

impl Program {
    pub(crate) fn new(broken: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let name = broken.unwrap_or("good").to_owned();
        let link = |from: PathBuf, to: &str| {
            std::os::unix::fs::symlink(from, dir.path().join(to)).expect("a link");
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/scripted.sh");
        link(script.into(), &name);
        link(std::env::current_exe().expect("this binary"), "test-binary");
        Self { dir, name }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }
}

/// Not a test of its own: the script runs it to play the server.
#[test]
fn plays_the_server_when_started_by_the_script() {
    let Ok(args) = std::env::var("SCRIPTED_ARGS") else {
        return;
    };
    let broken = std::env::var("SCRIPTED_BROKEN")
        .ok()
        .filter(|name| name != "good");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let code = runtime.block_on(play(&args, broken.map(|name| &*name.leak())));
    #[expect(
        clippy::disallowed_methods,
        reason = "the test harness has no other way to set it"
    )]
    std::process::exit(code);
}

async fn play(args: &str, broken: Option<&'static str>) -> i32 {
    let words: Vec<&str> = args.split_whitespace().collect();
    if words.first() == Some(&"keys") && words.contains(&"create") {
        let key = if words.contains(&"admin") {
            ADMIN_KEY
        } else {
            KEY
        };
        println!("{{\n  \"key\": \"{key}\"\n}}");
        return 0;
    }
    let Some(config) = words
        .iter()
        .position(|w| *w == "--config")
        .map(|at| words[at + 1])
    else {
        // Development mode, which the check tries on a public address.
        let code = i32::from(broken != Some("lifecycle.dev-mode-stays-local"));
        eprintln!("error: without a configuration it listens on the loopback only, not 0.0.0.0");
        return code;
    };
    let text = std::fs::read_to_string(config).expect("the configuration");
    let listen = text
        .lines()
        .find_map(|line| line.strip_prefix("listen = \"")?.strip_suffix('"'));
    if broken == Some("lifecycle.starts-quickly") {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
    }
    let listener = TcpListener::bind(listen.expect("an address"))
        .await
        .expect("the port");
    let server = Arc::new(Server::new(broken));
    let mut hangup = signal(SignalKind::hangup()).expect("a handler");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler");
    let reloads = Arc::clone(&server);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let silent = broken == Some("lifecycle.bad-reload-changes-nothing");
            reloads.reload_failed.store(!silent, Ordering::SeqCst);
        }
    });
    let stopped = async move {
        terminate.recv().await;
    };
    if broken == Some("lifecycle.sigterm-drains") {
        tokio::select! {
            () = serve(listener, server, std::future::pending()) => {}
            () = stopped => {}
        }
    } else {
        serve(listener, server, stopped).await;
    }
    0
}
