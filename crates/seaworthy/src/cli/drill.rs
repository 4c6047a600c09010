//! `seaworthy drill`: rehearse faults on purpose, with a plan before and evidence after.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressStyle};
use seaworthy_verify::drill::evidence::{self, FOLDER};
use seaworthy_verify::drill::report::{exit_code, render};
use seaworthy_verify::drill::{learn_environment, plan, run as carry_out};
use seaworthy_verify::{DRILLS, Drill, DrillOptions, DrillReport, Profile, Status};
use serde_json::json;

use super::check::{KEY_LIFETIME, existing_store, is_local, profile};
use super::{ConfigArgument, keys};
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The drills to carry out, one after the other; `all` for every one, `list` to see them.
    #[arg(required = true, value_name = "DRILL", value_parser = names())]
    drills: Vec<String>,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print the plan and do nothing.
    #[arg(long)]
    plan: bool,
    /// A local or staging deployment to do it to. Without it, the drill starts a scratch deployment.
    #[arg(long)]
    url: Option<String>,
    /// An API key of the deployment. Without it, a drill on this machine makes one in the store of the
    /// configuration and revokes it afterwards.
    #[arg(long, env = "SEAWORTHY_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A key for the control plane, if it is another one.
    #[arg(long, env = "SEAWORTHY_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
    /// The model to call on the deployment; without it, `echo`.
    #[arg(long, requires = "url")]
    model: Option<String>,
    /// Certificate authorities to trust beside those of this machine, as PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do it although the deployment is production, or not on this machine.
    #[arg(long)]
    yes_production: bool,
    /// The command that begins the fault of the deployment, run in a shell.
    #[arg(long = "break", value_name = "COMMAND", requires = "url")]
    break_command: Option<String>,
    /// The command that ends it.
    #[arg(long = "mend", value_name = "COMMAND", requires = "url")]
    mend_command: Option<String>,
    /// The program to rehearse with, instead of this one: a release before it is deployed.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    program: Option<PathBuf>,
    /// The Prometheus that watches the deployment, for the drill of alerts.
    #[arg(long, value_name = "URL", requires = "url")]
    prometheus: Option<String>,
    /// Rules of alerts to judge a scratch deployment by, instead of our own.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    rules: Option<PathBuf>,
    /// A backup to restore, instead of one that the drill makes: a folder of `seaworthy backup`, a SQLite
    /// file, or what `pg_dump -Fc` wrote.
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    backup: Option<PathBuf>,
    /// The stated peak in calls a second; the load test goes to twice that.
    #[arg(long, value_name = "CALLS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    peak: u32,
    /// How long each phase of load lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    phase: u64,
    /// The longest time until the service is back.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    recovery: u64,
    /// The most memory that a scratch instance may take under load.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: u64,
    /// The thresholds to judge by.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = profile)]
    profile: Profile,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// The folder in which reports are kept, for `seaworthy check` to read.
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    evidence: PathBuf,
    /// Keep no report.
    #[arg(long)]
    no_evidence: bool,
}

/// Other names that people know a drill by.
const ALIASES: [(&str, &str); 2] = [
    ("rollback", "config-rollback"),
    ("rotate-key", "key-rotation"),
];

fn names() -> impl TypedValueParser<Value = String> {
    let drills = DRILLS.iter().map(|drill| drill.name);
    let values = ["list", "all"].into_iter().chain(drills).map(|name| {
        let aliases = ALIASES.iter().filter(|(_, of)| *of == name);
        PossibleValue::new(name).aliases(aliases.map(|(alias, _)| *alias))
    });
    PossibleValuesParser::new(values).map(|given| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == given);
        alias.map_or(given, |(_, name)| (*name).to_owned())
    })
}

pub(super) fn run(arguments: Arguments) -> Result<u8, Failure> {
    if arguments.drills.iter().any(|name| name == "list") {
        if arguments.format == Format::Json {
            let drills = DRILLS.iter();
            let drills = drills.map(|drill| json!({"name": drill.name, "title": drill.title}));
            output::json(&drills.collect::<Vec<_>>())?;
            return Ok(exit::OK);
        }
        let rows: Vec<Vec<String>> = DRILLS
            .iter()
            .map(|drill| vec![drill.name.to_owned(), drill.title.to_owned()])
            .collect();
        output::table(&["DRILL", "WHAT HOLDS WHEN IT PASSES"], &rows)?;
        return Ok(exit::OK);
    }
    let is_asked = |drill: &&Drill| {
        arguments
            .drills
            .iter()
            .any(|name| name == "all" || name == drill.name)
    };
    let drills: Vec<&'static Drill> = DRILLS.iter().filter(is_asked).collect();
    let mut options = options(&arguments)?;
    let loaded = app::load(arguments.config.config.as_deref(), &app::environment())
        .map_err(|failure| Failure::new(exit::USAGE, failure.message))?;
    let local = options.url.as_deref().is_some_and(is_local);
    let stores = if local && options.key.is_none() && loaded.config.auth.enabled {
        options
            .environment
            .clone_from(&loaded.config.auth.environment);
        existing_store(&loaded)
    } else {
        None
    };
    super::block_on(async {
        let made = match &stores {
            Some(stores) if !arguments.plan => {
                keys::create_temporary(stores, "drill", KEY_LIFETIME)
                    .await
                    .ok()
            }
            _ => None,
        };
        if let Some((key, _)) = &made {
            options.key = Some(key.expose().to_owned());
            options
                .admin_key
                .get_or_insert_with(|| key.expose().to_owned());
        }
        learn_environment(&mut options).await;
        let code = all(&drills, &options, &arguments).await;
        if let (Some(stores), Some((_, id))) = (&stores, made) {
            // The key expires by itself should this fail.
            let _revoked = stores.keys.revoke(&id, app::clock().now()).await;
            stores.lifecycle.close().await;
        }
        code
    })
}

fn options(arguments: &Arguments) -> Result<DrillOptions, Failure> {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    // Instances run in folders of their own.
    let program = std::path::absolute(program)?;
    let mut options = DrillOptions::new(program);
    options.url.clone_from(&arguments.url);
    options.key.clone_from(&arguments.key);
    let admin_key = arguments.admin_key.as_ref().or(arguments.key.as_ref());
    options.admin_key = admin_key.cloned();
    options.model.clone_from(&arguments.model);
    options.authorities.clone_from(&arguments.ca);
    options.production_agreed = arguments.yes_production;
    options.break_command.clone_from(&arguments.break_command);
    options.mend_command.clone_from(&arguments.mend_command);
    options.prometheus.clone_from(&arguments.prometheus);
    options.rules.clone_from(&arguments.rules);
    options.backup.clone_from(&arguments.backup);
    options.peak = f64::from(arguments.peak);
    options.phase = Duration::from_secs(arguments.phase);
    options.recovery = Duration::from_secs(arguments.recovery);
    options.memory_mib = arguments.memory;
    options.profile = arguments.profile;
    Ok(options)
}

/// Shows the plan of each drill and, unless only that was asked for, carries it out.
async fn all(
    drills: &[&'static Drill],
    options: &DrillOptions,
    arguments: &Arguments,
) -> Result<u8, Failure> {
    let mut reports = Vec::new();
    for drill in drills {
        let plan = plan(drill, options);
        if arguments.plan {
            output::write(plan.render())?;
            continue;
        }
        output::note(plan.render().trim_end());
        let report = with_progress(drill, plan.steps, options).await?;
        if arguments.format == Format::Pretty {
            output::write(render(&report, output::colour()))?;
        }
        if !arguments.no_evidence {
            keep(&report, &arguments.evidence)?;
        }
        reports.push(report);
    }
    if arguments.format == Format::Json && !arguments.plan {
        let documents: Vec<String> = reports.iter().map(evidence::render).collect();
        output::line(format_args!("[{}]", documents.join(",")))?;
    }
    Ok(exit_code(&reports))
}

async fn with_progress(
    drill: &'static Drill,
    steps: &'static [&'static str],
    options: &DrillOptions,
) -> Result<DrillReport, Failure> {
    let bar = ProgressBar::new(steps.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let tell = |step: usize| {
        bar.set_position(step as u64);
        bar.set_message(
            steps
                .get(step.saturating_sub(1))
                .copied()
                .unwrap_or(drill.title),
        );
    };
    let report = carry_out(drill, options, &tell).await;
    bar.finish_and_clear();
    report.map_err(|why| Failure::new(exit::USAGE, why))
}

/// Keeps a report; one that says nothing does not replace an earlier one that does.
fn keep(report: &DrillReport, folder: &Path) -> Result<(), Failure> {
    if report.outcome.status() == Status::NotVerified {
        return Ok(());
    }
    let path = folder.join(evidence::file_name(report));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, evidence::render(report)));
    written.map_err(|error| {
        let message = format!("{} cannot be written: {error}", path.display());
        Failure::new(exit::USAGE, message)
    })?;
    output::note(format_args!("kept in {}", path.display()));
    Ok(())
}
