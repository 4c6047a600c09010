//! What limits, budgets and prices cost of CPU: the release binary with and without them, in one
//! run. The ledger is always on. Each round visits every configuration once; the figures are medians,
//! and only their ratio counts.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::bench::proxy::contender::{CONTENDER_CORE, Fake, LOAD_CORE, Process, pinned};
use crate::bench::proxy::measure::{MOST_FOREIGN, first_answer};
use crate::command::{self, cargo, command, quiet, say};

/// How much more CPU a request may take with limits and budgets than without.
const MOST_RATIO: f64 = 1.2;

/// How it is measured.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Visits to each configuration, for CPU
    #[arg(long, default_value_t = 5)]
    visits: usize,
    /// Seconds of each of them
    #[arg(long, default_value_t = 4.0)]
    visit_seconds: f64,
    /// Measure this binary instead of building one, all but its deaths
    #[arg(long)]
    pub(super) seaworthy: Option<PathBuf>,
    /// Offer load with this binary instead of building one
    #[arg(long)]
    loadgen: Option<PathBuf>,
}

/// Where the gateway keeps its state, and whether limits and budgets apply.
struct Setting {
    store: &'static str,
    has_limits: bool,
}

const SETTINGS: [Setting; 4] = [
    Setting {
        store: "memory",
        has_limits: false,
    },
    Setting {
        store: "memory",
        has_limits: true,
    },
    Setting {
        store: "SQLite",
        has_limits: false,
    },
    Setting {
        store: "SQLite",
        has_limits: true,
    },
];

/// Rates, places and budgets that apply to every request and refuse none.
const LIMITS: &str = "[rate_limits.global]\nrequests_per_second = 1000000\n\
     [rate_limits.per_user]\nrequests_per_minute = 100000000\nconcurrent_requests = 100000\n\
     tokens_per_minute = 100000000000\n\
     [cost_controls.global]\nmonthly_budget_usd = 1000000000\n\
     [cost_controls.per_user]\ndaily_token_limit = 1000000000000\ndaily_budget_usd = 1000000\n\
     [prices.\"openai/fake-gpt\"]\ninput = 1\noutput = 2\n";

/// Measures; the lines of a table of figures, and whether every limit is kept.
pub(super) fn run(args: &Args) -> anyhow::Result<(Vec<String>, bool)> {
    let release = command::target_dir()?.join("release");
    let built = |given: &Option<PathBuf>, package: &str, name: &str| match given {
        Some(path) => path.canonicalize().context("a binary to measure with"),
        None => {
            say(&format!("── building {name}"));
            quiet(&mut cargo(&["build", "--release", "--package", package]))?;
            Ok(release.join(name))
        }
    };
    let seaworthy = built(&args.seaworthy, "seaworthy", "seaworthy")?;
    let loadgen = built(&args.loadgen, "seaworthy-bench", "loadgen")?;
    let work = std::env::temp_dir().join(format!("seaworthy-cpu-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let fake = Fake::start(&seaworthy, &work)?;
    let place = Place {
        seaworthy: &seaworthy,
        work: &work,
        fake: &fake,
    };
    let mut measured: Vec<Vec<f64>> = SETTINGS.iter().map(|_| Vec::new()).collect();
    let mut most_foreign = 0.0_f64;
    for visit in 1..=args.visits {
        for (setting, measured) in SETTINGS.iter().zip(&mut measured) {
            let name = setting.name();
            say(&format!("── visit {visit} of {}: {name}", args.visits));
            let (process, listen, key) = place.start(setting)?;
            let result = offer(
                &loadgen,
                &fake,
                &process,
                (listen, &key),
                args.visit_seconds,
            )?;
            let cpu = result["cpu_us_per_request"].as_f64();
            measured.push(cpu.context("no CPU time in the report")?);
            most_foreign = most_foreign.max(result["foreign_share"].as_f64().unwrap_or(1.0));
        }
    }
    drop(fake);
    std::fs::remove_dir_all(&work).context("cannot remove the work folder")?;
    Ok(figures(&measured, most_foreign))
}

impl Setting {
    fn name(&self) -> String {
        let limits = if self.has_limits { "with" } else { "without" };
        format!("{}, {limits} limits and budgets", self.store)
    }
}

/// Where gateways are started.
struct Place<'a> {
    seaworthy: &'a Path,
    work: &'a Path,
    fake: &'a Fake,
}

impl Place<'_> {
    /// Starts a gateway with an empty store and waits until it answers.
    fn start(&self, setting: &Setting) -> anyhow::Result<(Process, SocketAddr, String)> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = self.work.join(listen.port().to_string());
        std::fs::create_dir_all(&folder)?;
        let is_file = setting.store == "SQLite";
        let storage = match is_file {
            true => format!("sqlite:{}", folder.join("s.db").display()),
            false => "memory:".to_owned(),
        };
        let (upstream, auth) = (self.fake.addr, if is_file { "true" } else { "false" });
        let limits = if setting.has_limits { LIMITS } else { "" };
        let config = folder.join("c.toml");
        std::fs::write(
            &config,
            format!(
                "[server]\nlisten = \"{listen}\"\n[auth]\nenabled = {auth}\n\
                 [storage]\nurl = \"{storage}\"\n\
                 [providers.openai]\nkind = \"openai\"\nbase_url = \"http://{upstream}/v1\"\n\
                 api_key = \"secret://env/FAKE_OPENAI_KEY\"\n\
                 [models.fake-gpt]\ntargets = [\"openai/fake-gpt\"]\n{limits}"
            ),
        )?;
        let key = match is_file {
            true => self.create_key(&config)?,
            false => "nobody asks for it".to_owned(),
        };
        let log = File::create(folder.join("log"))?;
        let began = Instant::now();
        let child = pinned(CONTENDER_CORE, self.seaworthy)
            .args(["serve", "--config"])
            .arg(&config)
            .env("FAKE_OPENAI_KEY", "sk-upstream")
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start seaworthy")?;
        let process = Process::of(child);
        first_answer(listen, &format!("authorization: Bearer {key}"), began)?;
        Ok((process, listen, key))
    }

    fn create_key(&self, config: &Path) -> anyhow::Result<String> {
        let mut create = command(self.seaworthy, &["keys", "--config"]);
        create.arg(config);
        create.args(["--format", "json", "create", "--name", "bench"]);
        create.env("FAKE_OPENAI_KEY", "sk-upstream");
        let created: Value = serde_json::from_str(&quiet(&mut create)?)?;
        let key = created["key"].as_str().context("expected a `key`")?;
        Ok(key.to_owned())
    }
}

/// 64 connections, as fast as answers come.
fn offer(
    loadgen: &Path,
    fake: &Fake,
    process: &Process,
    (listen, key): (SocketAddr, &str),
    seconds: f64,
) -> anyhow::Result<Value> {
    let mut load = pinned(LOAD_CORE, loadgen);
    load.args([
        "closed",
        "--addr",
        &listen.to_string(),
        "--connections",
        "64",
    ]);
    load.args(["--header", &format!("authorization: Bearer {key}")]);
    load.args(["--directive", "answer_bytes=1024"]);
    load.args(["--seconds", &seconds.to_string()]);
    load.args([
        "--helper",
        &fake.pid().to_string(),
        "--pid",
        &process.pid().to_string(),
    ]);
    let result: Value = serde_json::from_str(&quiet(&mut load)?)?;
    ensure!(
        result["refused"] == 0 && result["failed"] == 0,
        "requests were refused or failed: {result}"
    );
    Ok(result)
}

fn figures(measured: &[Vec<f64>], most_foreign: f64) -> (Vec<String>, bool) {
    let mut lines = Vec::new();
    let mut is_kept = true;
    for (setting, pair) in SETTINGS.chunks(2).zip(measured.chunks(2)) {
        let [without, with] = pair else { continue };
        let (without, with) = (median(without), median(with));
        let ratio = with / without;
        // What was not measured is not kept.
        let passes = ratio <= MOST_RATIO;
        is_kept &= passes;
        let verdict = if passes { "pass" } else { "**FAIL**" };
        lines.push(format!(
            "{}: CPU a request with limits and budgets, {with:.1} µs, to {without:.1} µs without | \
             at most {MOST_RATIO} | {ratio:.2} | {verdict}",
            setting[0].store
        ));
    }
    if most_foreign > MOST_FOREIGN {
        let share = most_foreign * 100.0;
        lines.push(format!(
            "disturbed: other programs used {share:.0} % of the machine | | | "
        ));
    }
    (lines, is_kept)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_the_limit_or_without_a_measurement_fails() {
        let of = |with: f64| vec![vec![10.0], vec![with], vec![10.0, 10.0], vec![11.0]];
        assert!(figures(&of(12.0), 0.0).1);
        assert!(!figures(&of(12.1), 0.0).1);
        let nothing = vec![vec![], vec![], vec![], vec![]];
        assert!(!figures(&nothing, 0.0).1);
    }
}
