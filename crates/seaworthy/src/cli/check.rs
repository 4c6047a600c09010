//! `seaworthy check`: judge a running instance, with evidence.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use seaworthy_core::store::Stores;
use seaworthy_verify::report::{baseline, html, json, junit, markdown, oscal, pretty, sarif, seal};
use seaworthy_verify::{
    Asked, FailOn, ModelCalls, Options, PROFILES, Profile, Report, RunError, Scope, exit_code,
};

use super::{ConfigArgument, decide, keys};
use crate::app;
use crate::exit::{self, Failure};
use crate::output;

mod catalogue;
mod checklists;
mod watch;

/// How long the key works that is made for a check of an instance on this machine.
pub(super) const KEY_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The instance; without it, the one that the configuration describes.
    #[arg(long)]
    url: Option<String>,
    /// An API key of the instance. Without it, a check of an instance on this machine makes one in
    /// the store of the configuration and revokes it afterwards.
    #[arg(long, env = "SEAWORTHY_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A key for the control plane, if it is another one.
    #[arg(long, env = "SEAWORTHY_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// The model to call; without it, `echo` if it is served.
    #[arg(long)]
    model: Option<String>,
    /// Call a model even if that may cost money.
    #[arg(long)]
    allow_model_calls: bool,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Form::Pretty)]
    format: Form,
    /// Write the report as JSON to this file as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one HTML file as well.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the report as Markdown as well.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the report as SARIF 2.1.0 as well.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write the report as JUnit XML as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// From which severity on a failed check means not ready.
    #[arg(long, value_enum, default_value_t = Gate::High)]
    fail_on: Gate,
    /// Show the evidence of every check.
    #[arg(long)]
    details: bool,
    /// A repository to read as well: secrets, dependencies, workflows, documents.
    #[arg(long, value_name = "FOLDER")]
    repo: Option<PathBuf>,
    /// A folder of Kubernetes manifests, Prometheus rules and Grafana dashboards to read as well.
    #[arg(long, value_name = "FOLDER")]
    manifests: Option<PathBuf>,
    /// Read files alone: no server is asked, and nothing is said about one.
    #[arg(long)]
    files_only: bool,
    /// A checklist in Markdown to judge as well; may be repeated.
    #[arg(long, value_name = "FILE")]
    checklist: Vec<PathBuf>,
    /// Write the judged checklist to this file.
    #[arg(
        long,
        value_name = "FILE",
        requires = "checklist",
        conflicts_with = "write"
    )]
    output: Option<PathBuf>,
    /// Write each judged checklist back to its own file.
    #[arg(long, requires = "checklist")]
    write: bool,
    /// The file of attestations, waivers and signatures.
    #[arg(long, value_name = "FILE", default_value = seaworthy_verify::decisions::FILE)]
    decisions: PathBuf,
    /// Leave out the checks that start an instance of their own.
    #[arg(long)]
    no_scratch: bool,
    /// Exports of a cloud to read as well, a file or a folder: what `aws`, `az`, `kubectl -o json` and
    /// `terraform show -json` print; may be repeated.
    #[arg(long, value_name = "PATH")]
    cloud: Vec<PathBuf>,
    /// The folder of reports of `seaworthy drill`.
    #[arg(long, value_name = "FOLDER", default_value = seaworthy_verify::drill::evidence::FOLDER)]
    drills: PathBuf,
    /// How old a drill may be to count, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    drill_days: u32,
    /// A Prometheus server to ask as well.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Certificate authorities to trust beside those of this machine, as PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the instance is reached without TLS, if not on port 80 of its host.
    #[arg(long, value_name = "URL")]
    plain_url: Option<String>,
    /// The thresholds to judge by, and the requirements to ask for: `agent-system`, `agent-service`,
    /// `agentcore`, `asap`, `agent-framework` or `strictest`.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = profile)]
    profile: Profile,
    /// Ask for the requirements of this profile as well, at the thresholds of `--profile`; may be
    /// repeated.
    #[arg(long, value_name = "NAME", value_parser = profile)]
    pack: Vec<Profile>,
    /// Run every check, also those that only checklists and profiles ask for.
    #[arg(long)]
    all: bool,
    /// Write the report as OSCAL assessment results as well.
    #[arg(long, value_name = "FILE")]
    oscal: Option<PathBuf>,
    /// Sign the JSON report with this Ed25519 key (PEM).
    #[arg(long, value_name = "FILE", requires = "json")]
    sign_key: Option<PathBuf>,
    /// Show only what got worse since this JSON report; anything does exit with 1.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    #[command(flatten)]
    watch: watch::Watch,
    /// List every check and requirement, and run none.
    #[arg(long)]
    list: bool,
    /// Show all that is known of a check or requirement, and run none.
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Verify the signature of a JSON report, and run nothing.
    #[arg(long, value_name = "FILE", requires = "public_key")]
    verify_report: Option<PathBuf>,
    /// The key that must have signed the report (PEM).
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

pub(super) fn profile(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people at a terminal.
    Pretty,
    /// For programs.
    Json,
    /// For people who read files.
    Markdown,
    /// One file for a browser.
    Html,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For CI systems: JUnit XML.
    Junit,
    /// For auditors: OSCAL assessment results.
    Oscal,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Gate {
    Critical,
    High,
    Any,
}

impl From<Gate> for FailOn {
    fn from(gate: Gate) -> Self {
        match gate {
            Gate::Critical => Self::Critical,
            Gate::High => Self::High,
            Gate::Any => Self::Any,
        }
    }
}

pub(super) fn run(arguments: Arguments) -> Result<u8, Failure> {
    if let Some(code) = catalogue::answer(&arguments)? {
        return Ok(code);
    }
    if arguments.watch.is_asked() {
        return watch::run(&arguments);
    }
    let outcome = once(&arguments)?;
    let code = exit_code(&outcome, arguments.fail_on.into());
    let report = outcome.map_err(|error| Failure::of(exit::USAGE, &error))?;
    if arguments.write || arguments.output.is_some() {
        checklists::write(&report, &arguments.checklist, arguments.output.as_deref())?;
    }
    write_files(&report, &arguments)?;
    if let Some(path) = &arguments.baseline {
        let worse = baseline::worse(&report, &read(path)?)
            .map_err(|why| Failure::new(exit::USAGE, format!("{}: {why}", path.display())))?;
        match arguments.format {
            Form::Pretty => output::write(baseline::render(&worse))?,
            Form::Json => output::json(&worse)?,
            _ => return Err(two_forms("--baseline")),
        }
        return Ok(u8::from(!worse.is_empty()));
    }
    show(&report, &arguments)?;
    Ok(code)
}

/// The answer to a question that is not a report.
fn two_forms(question: &str) -> Failure {
    let message = format!("{question} is answered with --format pretty or json");
    Failure::new(exit::USAGE, message)
}

/// One run with everything that belongs to it: a key of its own, the checklists, the decisions.
fn once(arguments: &Arguments) -> Result<Result<Report, RunError>, Failure> {
    let lists = checklists::read(&arguments.checklist, arguments.output.as_deref())?;
    let decisions = decide::read(&arguments.decisions)?;
    let loaded = app::load(arguments.config.config.as_deref(), &app::environment())
        .map_err(|failure| Failure::new(exit::USAGE, failure.message))?;
    let server = &loaded.config.server;
    let scheme = server.tls.as_ref().map_or("http", |_| "https");
    let configured = format!("{scheme}://{}", server.listen);
    let url = arguments.url.clone().unwrap_or(configured);
    let reads =
        arguments.repo.is_some() || arguments.manifests.is_some() || !arguments.cloud.is_empty();
    if arguments.files_only && !reads {
        let message = "--files-only needs --repo, --manifests or --cloud";
        return Err(Failure::new(exit::USAGE, message));
    }
    let asks_server = !arguments.files_only;
    let stores =
        if asks_server && arguments.key.is_none() && is_local(&url) && loaded.config.auth.enabled {
            existing_store(&loaded)
        } else {
            None
        };
    let outcome = super::block_on(async {
        let made = match &stores {
            Some(stores) => keys::create_temporary(stores, "check", KEY_LIFETIME)
                .await
                .ok(),
            None => None,
        };
        let mut options = options(arguments, url);
        options.asked = asked(arguments, &lists)?;
        if let Some((key, _)) = &made {
            options.key = Some(key.expose().to_owned());
            options
                .admin_key
                .get_or_insert_with(|| key.expose().to_owned());
        }
        let outcome = judge(options).await;
        if let (Some(stores), Some((_, id))) = (&stores, made) {
            // The key expires by itself should this fail.
            let _revoked = stores.keys.revoke(&id, app::clock().now()).await;
            stores.lifecycle.close().await;
        }
        Ok(outcome)
    })?;
    Ok(match outcome {
        Ok(mut report) => {
            checklists::judge(lists, &mut report, &decisions)?;
            report.signatures = decisions.genuine_signatures();
            report.waived = decisions.waived_checks(&decide::requirements()?, decide::today());
            Ok(report)
        }
        Err(error) => Err(error),
    })
}

/// The checks that checklists and the profile ask for, beside the standard ones.
fn asked(arguments: &Arguments, lists: &[checklists::Checklist]) -> Result<Asked, Failure> {
    if arguments.all {
        return Ok(Asked::All);
    }
    let requirements = decide::requirements()?;
    let mut ids = checklists::asks(lists, &requirements);
    for profile in arguments.pack.iter().chain([&arguments.profile]) {
        for id in profile.requirements() {
            let probes = requirements.get(id).map(|r| r.probes.iter().cloned());
            ids.extend(probes.into_iter().flatten());
        }
    }
    Ok(Asked::Also(ids))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{} cannot be read: {error}", path.display());
        Failure::new(exit::USAGE, message)
    })
}

fn options(arguments: &Arguments, url: String) -> Options {
    let mut options = Options::new(url);
    options.key = arguments.key.clone();
    options.admin_key = arguments
        .admin_key
        .clone()
        .or_else(|| arguments.key.clone());
    options.model = arguments.model.clone();
    options.repository = arguments.repo.clone();
    options.manifests = arguments.manifests.clone();
    options.cloud.clone_from(&arguments.cloud);
    options.drills = Some(arguments.drills.clone());
    options.drill_days = arguments.drill_days;
    options.prometheus.clone_from(&arguments.prometheus);
    options.authorities.clone_from(&arguments.ca);
    options.plain_url.clone_from(&arguments.plain_url);
    options.profile = arguments.profile;
    if arguments.files_only {
        options.scope = Scope::Files;
    }
    if arguments.allow_model_calls {
        options.model_calls = ModelCalls::Allow;
    }
    // A scratch instance says something about this program only, not about somebody else's.
    if !arguments.no_scratch && !arguments.watch.is_asked() && is_local(&options.url) {
        options.local_binary = std::env::current_exe().ok();
    }
    options
}

async fn judge(options: Options) -> Result<Report, RunError> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let outcome = seaworthy_verify::run(options, |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.last.check.title);
    })
    .await;
    bar.finish_and_clear();
    outcome
}

type Render = fn(&Report) -> String;

/// Writes every file that was asked for.
fn write_files(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
    let files: [(&Option<PathBuf>, Render); 6] = [
        (&arguments.json, json::render),
        (&arguments.html, html::render),
        (&arguments.markdown, markdown::render),
        (&arguments.sarif, sarif::render),
        (&arguments.junit, junit::render),
        (&arguments.oscal, oscal::render),
    ];
    for (path, render) in files {
        let Some(path) = path else { continue };
        let mut text = render(report);
        if let Some(key) = arguments
            .sign_key
            .as_ref()
            .filter(|_| arguments.json.as_ref() == Some(path))
        {
            text = seal::sign(&text, read(key)?.as_bytes())
                .map_err(|error| Failure::of(exit::USAGE, &error))?;
        }
        std::fs::write(path, text).map_err(|error| {
            let message = format!("{} cannot be written: {error}", path.display());
            Failure::new(exit::USAGE, message)
        })?;
    }
    Ok(())
}

fn show(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
    let render: Render = match arguments.format {
        Form::Pretty => {
            let style = pretty::Style {
                colour: output::colour(),
                details: arguments.details,
            };
            return output::write(pretty::render(report, style));
        }
        Form::Json => json::render,
        Form::Markdown => markdown::render,
        Form::Html => html::render,
        Form::Sarif => sarif::render,
        Form::Junit => junit::render,
        Form::Oscal => oscal::render,
    };
    output::line(render(report).trim_end())
}

/// Whoever can write the store of an instance on this machine may make a key for it.
pub(super) fn is_local(url: &str) -> bool {
    let place = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        place
            .strip_prefix(host)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}

/// The store, if there is one: a check must not create it.
pub(super) fn existing_store(loaded: &seaworthy_config::Loaded) -> Option<Stores> {
    match &loaded.config.storage.url {
        seaworthy_config::StorageUrl::Sqlite(path) if path.exists() => {
            app::open_stores(loaded).ok()
        }
        seaworthy_config::StorageUrl::Postgres(_) => app::open_stores(loaded).ok(),
        _ => None,
    }
}
