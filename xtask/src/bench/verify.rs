//! The verifier against its bars: a large repository, a full run, what its tests break and match.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::bench::machine;
use crate::command::{self, cargo, say, shown};

/// Options of `cargo xtask bench verify`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure: all of it unless something is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Files of the repository that is scanned
    #[arg(long, default_value_t = 100_000)]
    files: usize,
    /// A program to measure, instead of a release that is built first
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The scan of a repository of many files
    Scan,
    /// Every check on a local instance, its repository and its manifests, without drills
    Run,
    /// What the tests break on purpose, and how other people's checklists are matched
    Tests,
}

/// The longest time of a scan, and of a full run.
const SCAN_SECONDS: f64 = 10.0;
const RUN_SECONDS: f64 = 60.0;

/// A figure that was measured, its limit, and whether that is kept.
struct Figure {
    name: String,
    limit: String,
    measured: String,
    is_kept: bool,
}

/// Measures, prints the table; true when every limit is kept.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let parts = match args.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    let program = match &args.program {
        Some(program) => std::path::absolute(program)?,
        None => {
            say("building a release");
            shown(&mut cargo(&[
                "build",
                "--release",
                "--package",
                "seaworthy",
            ]))?;
            command::target_dir()?.join("release/seaworthy")
        }
    };
    let mut figures = Vec::new();
    for part in parts {
        figures.extend(match part {
            Part::Scan => scan(&program, args.files)?,
            Part::Run => full_run(&program)?,
            Part::Tests => tests()?,
        });
    }
    let mut text = format!(
        "\n{}\n\n| figure | limit | measured | |\n|---|---|--:|---|\n",
        machine::description()
    );
    for figure in &figures {
        let verdict = if figure.is_kept { "pass" } else { "**FAIL**" };
        let Figure {
            name,
            limit,
            measured,
            ..
        } = figure;
        let _ = writeln!(text, "| {name} | {limit} | {measured} | {verdict} |");
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(figures.iter().all(|figure| figure.is_kept))
}

/// A report, and what it took to make it.
struct Checked {
    report: Value,
    wall: Duration,
    cpu: Duration,
}

/// Runs `check`; its verdict may be any, but there must be one.
fn check(program: &Path, folder: &Path, arguments: &[&str]) -> anyhow::Result<Checked> {
    let (began, before) = (Instant::now(), children()?);
    let output = Command::new(program)
        .arg("check")
        .args(arguments)
        .args(["--format", "json"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    let (wall, cpu) = (began.elapsed(), children()?.saturating_sub(before));
    let report = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        format!("no report ({}): {said}", output.status)
    })?;
    Ok(Checked { report, wall, cpu })
}

/// The time of processors that children took which have ended.
fn children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time() + usage.system_time();
    let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn scan(program: &Path, files: usize) -> anyhow::Result<Vec<Figure>> {
    say(&format!("── a repository of {files} files"));
    let folder = Folder::new("scan")?;
    plant(&folder.0, files)?;
    let seen = check(program, &folder.0, &["--files-only", "--repo", "."])?;
    let text = seen.report.to_string();
    ensure!(
        text.contains("last/leak.py") && !text.contains("ignored/"),
        "the key in the last folder is found, and the one in a folder that is ignored is not"
    );
    Ok(vec![Figure {
        name: format!(
            "scan of {files} files, {:.1} s of processors",
            seen.cpu.as_secs_f64()
        ),
        limit: format!("less than {SCAN_SECONDS} s"),
        measured: format!("{:.1} s", seen.wall.as_secs_f64()),
        is_kept: seen.wall.as_secs_f64() < SCAN_SECONDS,
    }])
}

/// A tree of source, documents and data, with one key that counts and one that does not.
fn plant(root: &Path, files: usize) -> anyhow::Result<()> {
    const IN_A_FOLDER: usize = 100;
    let kinds = [
        (
            "py",
            "import os\n\n\ndef handle(request: dict) -> dict:\n    \"\"\"Answers.\"\"\"\n    return {\"ok\": bool(request)}\n",
        ),
        (
            "rs",
            "//! One part.\n\n/// Adds.\npub fn add(a: u32, b: u32) -> u32 {\n    a.saturating_add(b)\n}\n",
        ),
        (
            "ts",
            "export function greet(name: string): string {\n  return `Hello ${name}`;\n}\n",
        ),
        (
            "md",
            "# A page\n\nIt says something about a part of the system, and links to another.\n",
        ),
        (
            "json",
            "{\"name\": \"part\", \"values\": [1, 2, 3], \"nested\": {\"a\": true}}\n",
        ),
    ];
    for number in 0..files {
        let (extension, text) = kinds[number % kinds.len()];
        let folder = root.join(format!("part-{}", number / IN_A_FOLDER));
        if number % IN_A_FOLDER == 0 {
            std::fs::create_dir_all(&folder)?;
        }
        // About the size that files have: two kilobytes.
        let text = text.repeat(2_000 / text.len());
        std::fs::write(folder.join(format!("file-{number}.{extension}")), text)?;
    }
    let key = format!("KEY = \"AKIA{}\"\n", "Q3R5T7ZK4WPRM2XB");
    for folder in ["last", "ignored"] {
        std::fs::create_dir_all(root.join(folder))?;
        std::fs::write(root.join(folder).join("leak.py"), &key)?;
    }
    std::fs::write(root.join(".gitignore"), "ignored/\n")?;
    Ok(())
}

fn full_run(program: &Path) -> anyhow::Result<Vec<Figure>> {
    say("── every check on a local instance");
    let folder = Folder::new("run")?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n\n[storage]\nurl = \"sqlite:{}\"\n\n\
         [providers.echo]\nkind = \"echo\"\n\n[models.echo]\ntargets = [\"echo/echo\"]\n",
        folder.0.join("bench.db").display()
    );
    std::fs::write(folder.0.join("bench.toml"), config)?;
    let mut serve = Command::new(program);
    serve.args(["serve", "--config", "bench.toml"]);
    let serving = serve.current_dir(&folder.0).stdin(Stdio::null());
    let _server = Server(
        serving
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > Duration::from_secs(20) {
            bail!("the instance does not answer");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let root = command::root();
    let (repo, manifests) = (root.display().to_string(), root.join("deploy"));
    let manifests = manifests.display().to_string();
    let arguments = ["--config", "bench.toml", "--all", "--repo", &repo];
    let arguments = [&arguments[..], &["--manifests", &manifests]].concat();
    let seen = check(program, &folder.0, &arguments)?;
    let results = seen.report["results"].as_array().map_or(0, Vec::len);
    ensure!(results > 300, "every check was asked, not {results}");
    Ok(vec![Figure {
        name: format!(
            "full run of {results} checks, {:.1} s of processors",
            seen.cpu.as_secs_f64()
        ),
        limit: format!("at most {RUN_SECONDS} s"),
        measured: format!("{:.1} s", seen.wall.as_secs_f64()),
        is_kept: seen.wall.as_secs_f64() <= RUN_SECONDS,
    }])
}

/// Runs the tests that break and match on purpose, and keeps what they count.
fn tests() -> anyhow::Result<Vec<Figure>> {
    say("── what is broken on purpose, and what is matched");
    let mut tests = cargo(&[
        "test",
        "--package",
        "seaworthy-verify",
        "--test",
        "it",
        "--",
    ]);
    let ran = shown(tests.arg("--nocapture"))?;
    let is_told = |line: &&str| {
        line.starts_with("sabotaged ")
            || line.starts_with("seen: matched")
            || line.starts_with("boxes answered")
    };
    let told: Vec<&str> = ran.output.lines().filter(is_told).collect();
    ensure!(!told.is_empty(), "the tests told no figure");
    let figure = |line: &str| Figure {
        name: line.to_owned(),
        limit: "the test's".to_owned(),
        measured: String::new(),
        is_kept: ran.succeeded,
    };
    Ok(told.into_iter().map(figure).collect())
}

/// A folder that is gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("seaworthy-bench-verify-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say(&format!("{} stays behind: {error}", self.0.display()));
        }
    }
}

/// A server that ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}
