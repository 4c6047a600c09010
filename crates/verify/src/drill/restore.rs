//! A backup into a scratch place: what is lost (RPO) and how long it takes (RTO), measured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::Stage;
use super::deployment::{Ledger, Provider, Setup, callers, ensure_call, launch, ledger};
use super::servers::{Server, find};
use crate::outcome::{Probed, Stop, ensure, not_verified};
use crate::scratch::Bench;

pub(super) const STEPS: &[&str] = &[
    "start a scripted provider and an instance, with SQLite and then, if its tools are here, with PostgreSQL",
    "make calls, and a backup while more calls are made",
    "kill -9 the instance and delete its database and journal",
    "restore the backup into an empty place and start an instance on it",
    "the key of before answers, and the ledger has every call up to the backup; with --backup FILE, that file is restored instead",
];

/// The longest time from the loss to the first answer.
const RTO: Duration = Duration::from_secs(60);

/// A store that can be backed up with the tools of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The program backs SQLite up itself; PostgreSQL's own tools do it for that.
    fn tools_are_here(self) -> bool {
        let tools: &[&str] = match self {
            Self::Sqlite => &[],
            Self::Postgres => &["initdb", "postgres", "pg_dump", "pg_restore"],
        };
        tools.iter().all(|tool| find(tool).is_some())
    }
}

pub(super) async fn restore(stage: &Stage<'_>) -> Probed {
    if let Some(backup) = &stage.options.backup {
        return given(stage, backup).await;
    }
    let mut words = Vec::new();
    for store in Store::ALL
        .into_iter()
        .filter(|store| store.tools_are_here())
    {
        words.push(own(stage, store, words.is_empty()).await?);
    }
    Ok(words.join("; "))
}

/// Makes a backup of a scratch deployment, loses the deployment and restores it.
async fn own(stage: &Stage<'_>, store: Store, tells: bool) -> Probed {
    let step = || {
        if tells {
            stage.next_step();
        }
    };
    step();
    let bench = Bench::empty(&stage.session).await?;
    let provider = Provider::start(&bench, "").await?;
    let server = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Server::postgres(&stage.session).await?),
    };
    let setup = Setup {
        storage: server.as_ref().map(Server::url),
        providers: vec![("first", provider.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let mut running = launch(stage, &bench).await?;

    step();
    let traffic = callers(&bench.session, &running.key);
    sleep(Duration::from_secs(1)).await;
    let _samples = traffic.finish().await;
    let before = ledger(&bench.session, &running.admin_key).await?;
    let traffic = callers(&bench.session, &running.key);
    sleep(Duration::from_millis(300)).await;
    let saved = Instant::now();
    let place = tempfile::tempdir().map_err(|e| missing(format!("a temporary folder: {e}")))?;
    let backup = save(&bench, server.as_ref(), place.path()).await?;
    sleep(Duration::from_secs(1)).await;
    let _samples = traffic.finish().await;
    let after = ledger(&bench.session, &running.admin_key).await?;

    step();
    running.instance.signal(Signal::SIGKILL)?;
    let lost = Instant::now();
    let _gone = running.instance.exit(Duration::from_secs(5)).await;
    let rpo = lost.duration_since(saved);
    if let Some(mut server) = server {
        server.crash(&stage.session).await;
    }
    forget(bench.folder());

    step();
    let fresh = bring_back(stage, &bench, store, &backup).await?;
    let setup = Setup {
        storage: fresh.as_ref().map(Server::url),
        ..setup
    };
    setup.write(&bench)?;
    let _again = bench.serve().await?;
    ensure_call(
        &bench.session,
        &running.key,
        "with the key of before the backup",
    )
    .await?;
    let rto = lost.elapsed();

    step();
    let mut has = ledger(&bench.session, &running.admin_key).await?;
    // The call of a moment ago is in it, too.
    has.calls -= 1;
    judge(before, has, after)?;
    tell(stage, store, has, rto, (rpo, after.calls - has.calls))
}

/// Keeps what was measured, and holds the time against its bound.
fn tell(
    stage: &Stage<'_>,
    store: Store,
    has: Ledger,
    rto: Duration,
    (rpo, missed): (Duration, u64),
) -> Probed {
    let name = store.name();
    let (rto, rpo, limit) = (rto.as_secs_f64(), rpo.as_secs_f64(), RTO.as_secs_f64());
    stage.measure(&format!("RTO, {name}"), rto, "s", Some(limit));
    stage.measure(&format!("RPO, {name}"), rpo, "s", None);
    let what = format!("calls after the backup, {name}");
    stage.measure(&what, missed as f64, "calls", None);
    ensure(
        rto <= limit,
        format!("an answer within {limit:.0} s of the loss"),
        format!("{rto:.1} s"),
    )?;
    Ok(format!(
        "{name}: back {rto:.1} s after the loss with {} calls; the {missed} calls of the {rpo:.1} s \
         after the backup are lost",
        has.calls
    ))
}

fn judge(before: Ledger, has: Ledger, after: Ledger) -> Result<(), Stop> {
    ensure(
        (before.calls..=after.calls).contains(&has.calls),
        format!(
            "the {} calls of before the backup, and at most the {} of all",
            before.calls, after.calls
        ),
        format!("{} calls", has.calls),
    )?;
    ensure(
        has.tokens >= before.tokens && has.cost >= before.cost,
        format!(
            "at least {} tokens and {} micro-dollars",
            before.tokens, before.cost
        ),
        format!("{} tokens and {} micro-dollars", has.tokens, has.cost),
    )
}

/// Backs the store up while it is in use.
async fn save(bench: &Bench<'_>, server: Option<&Server>, place: &Path) -> Result<PathBuf, Stop> {
    match server {
        None => {
            let folder = place.join("backup");
            let said = folder.display().to_string();
            ours(bench, &["backup", "--output", &said, "--format", "json"]).await?;
            Ok(folder)
        }
        Some(server) => {
            let made = server.folder().join("backup.dump");
            let reach = server.reach();
            let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
            let path = made.display().to_string();
            words.extend(["-Fc", "-f", &path, "postgres"]);
            server.run("pg_dump", &words).await?;
            let kept = place.join("backup.dump");
            std::fs::copy(&made, &kept)
                .map_err(|e| missing(format!("a copy of the backup: {e}")))?;
            Ok(kept)
        }
    }
}

/// Deletes what a lost machine takes with it.
fn forget(folder: &Path) {
    for name in ["drill.db", "drill.db-wal", "drill.db-shm"] {
        // What is not there cannot be deleted.
        let _absent = std::fs::remove_file(folder.join(name));
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        let _absent = std::fs::remove_dir_all(entry.path());
    }
}

/// Puts a backup where an instance finds it.
async fn bring_back(
    stage: &Stage<'_>,
    bench: &Bench<'_>,
    store: Store,
    backup: &Path,
) -> Result<Option<Server>, Stop> {
    let copied = |e: std::io::Error| missing(format!("a copy of the backup: {e}"));
    match store {
        Store::Sqlite if backup.is_dir() => {
            let said = backup.display().to_string();
            ours(bench, &["restore", "--from", &said]).await?;
            Ok(None)
        }
        Store::Sqlite => {
            std::fs::copy(backup, bench.folder().join("drill.db")).map_err(copied)?;
            Ok(None)
        }
        Store::Postgres => {
            let server = Server::postgres(&stage.session).await?;
            let inside = server.folder().join("backup.dump");
            std::fs::copy(backup, &inside).map_err(copied)?;
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(&inside, open).map_err(copied)?;
            let reach = server.reach();
            let mut words: Vec<&str> = reach.iter().map(String::as_str).collect();
            let path = inside.display().to_string();
            words.extend(["--no-owner", "-d", "postgres", &path]);
            server.run("pg_restore", &words).await?;
            Ok(Some(server))
        }
    }
}

/// Restores a backup that was made before, by whatever makes them.
async fn given(stage: &Stage<'_>, backup: &Path) -> Probed {
    stage.next_step();
    let unreadable = |e: std::io::Error| missing(format!("{}, readable: {e}", backup.display()));
    let age = std::fs::metadata(backup)
        .and_then(|file| file.modified())
        .map_err(unreadable)?;
    let head = first_bytes(backup).map_err(unreadable)?;
    let is_ours = backup.join("backup.json").is_file();
    let store = if is_ours || head.starts_with(b"SQLite format 3") {
        Store::Sqlite
    } else if head.starts_with(b"PGDMP") {
        Store::Postgres
    } else {
        return not_verified(
            "a folder of `seaworthy backup`, a SQLite file or an archive of `pg_dump -Fc` as backup",
        );
    };
    let began = Instant::now();
    let bench = Bench::empty(&stage.session).await?;
    let provider = Provider::start(&bench, "").await?;
    let setup = Setup {
        providers: vec![("first", provider.port)],
        ..Setup::default()
    };
    setup.write(&bench)?;
    let backup = std::path::absolute(backup).map_err(unreadable)?;
    let server = bring_back(stage, &bench, store, &backup).await?;
    let setup = Setup {
        storage: server.as_ref().map(Server::url),
        ..setup
    };
    setup.write(&bench)?;
    let running = launch(stage, &bench).await?;
    ensure_call(&bench.session, &running.key, "from the restored store").await?;
    let rto = began.elapsed();
    let has = ledger(&bench.session, &running.admin_key).await?;
    let age = started(age);
    stage.measure("RTO", rto.as_secs_f64(), "s", Some(RTO.as_secs_f64()));
    stage.measure("RPO, the age of the backup", age.as_secs_f64(), "s", None);
    ensure(
        has.calls > 1,
        "a ledger with calls of before the backup",
        "an empty one: this is no backup of a ledger",
    )?;
    Ok(format!(
        "{} with {} calls was restored in {:.1} s; everything younger than {:.0} s would be lost",
        store.name(),
        has.calls - 1,
        rto.as_secs_f64(),
        age.as_secs_f64()
    ))
}

/// How long ago a file was written.
fn started(written: SystemTime) -> Duration {
    written.elapsed().unwrap_or_default()
}

fn first_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    if path.is_dir() {
        return Ok(head);
    }
    std::fs::File::open(path)?.take(16).read_to_end(&mut head)?;
    Ok(head)
}

/// Runs a command of the program on the configuration in the folder.
async fn ours(bench: &Bench<'_>, words: &[&str]) -> Result<(), Stop> {
    let config = bench.config().display().to_string();
    let mut all = words.to_vec();
    all.extend(["--config", &config]);
    let (status, _, said) = bench.run(bench.command(&all), &all).await?;
    let what = words.first().copied().unwrap_or_default();
    let found = status.map_or_else(|| "no end".to_owned(), |status| status.to_string());
    ensure(
        status.is_some_and(|status| status.success()),
        format!("`{what}` that ends well"),
        format!("{found}: {}", bench.session.excerpt(said.as_bytes())),
    )
}

fn missing(what: String) -> Stop {
    Stop::NotVerified { missing: what }
}
