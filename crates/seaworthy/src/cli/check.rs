//! `seaworthy check`: judge a running instance, with evidence.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use seaworthy_core::store::Stores;
use seaworthy_verify::report::{html, json, junit, markdown, pretty, sarif};
use seaworthy_verify::{FailOn, ModelCalls, Options, Report, RunError, Scope, exit_code};

use super::{ConfigArgument, decide, keys};
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

mod checklists;

/// How long the key works that is made for a check of an instance on this machine.
const KEY_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
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
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
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
    let lists = checklists::read(&arguments.checklist, arguments.output.as_deref())?;
    let decisions = decide::read(&arguments.decisions)?;
    let loaded = app::load(arguments.config.config.as_deref(), &app::environment())
        .map_err(|failure| Failure::new(exit::USAGE, failure.message))?;
    let configured = format!("http://{}", loaded.config.server.listen);
    let url = arguments.url.clone().unwrap_or(configured);
    if arguments.files_only && arguments.repo.is_none() && arguments.manifests.is_none() {
        let message = "--files-only needs --repo, --manifests or both";
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
        let mut options = options(&arguments, url);
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
    let outcome = match outcome {
        Ok(mut report) => {
            checklists::judge(lists, &mut report, &decisions)?;
            Ok(report)
        }
        Err(error) => Err(error),
    };
    let code = exit_code(&outcome, arguments.fail_on.into());
    match outcome {
        Ok(report) => {
            if arguments.write || arguments.output.is_some() {
                checklists::write(&report, &arguments.checklist, arguments.output.as_deref())?;
            }
            show(&report, &arguments)?;
        }
        Err(error) => return Err(Failure::of(exit::USAGE, &error)),
    }
    Ok(code)
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
    if arguments.files_only {
        options.scope = Scope::Files;
    }
    if arguments.allow_model_calls {
        options.model_calls = ModelCalls::Allow;
    }
    // A scratch instance says something about this program only, not about somebody else's.
    if !arguments.no_scratch && is_local(&options.url) {
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

fn show(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
    let files: [(&Option<PathBuf>, Render); 5] = [
        (&arguments.json, json::render),
        (&arguments.html, html::render),
        (&arguments.markdown, markdown::render),
        (&arguments.sarif, sarif::render),
        (&arguments.junit, junit::render),
    ];
    for (path, render) in files {
        if let Some(path) = path {
            std::fs::write(path, render(report)).map_err(|error| {
                Failure::new(
                    exit::USAGE,
                    format!("{} cannot be written: {error}", path.display()),
                )
            })?;
        }
    }
    match arguments.format {
        Format::Json => output::line(json::render(report)),
        Format::Pretty => {
            let style = pretty::Style {
                colour: output::colour(),
                details: arguments.details,
            };
            output::write(pretty::render(report, style))
        }
    }
}

/// Whoever can write the store of an instance on this machine may make a key for it.
fn is_local(url: &str) -> bool {
    ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|prefix| {
            url.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        })
}

/// The store, if there is one: a check must not create it.
fn existing_store(loaded: &seaworthy_config::Loaded) -> Option<Stores> {
    match &loaded.config.storage.url {
        seaworthy_config::StorageUrl::Sqlite(path) if path.exists() => {
            app::open_stores(loaded).ok()
        }
        seaworthy_config::StorageUrl::Postgres(_) => app::open_stores(loaded).ok(),
        _ => None,
    }
}
