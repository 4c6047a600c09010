//! `seaworthy migrate`: the schema of the store, brought up to date beside what serves.

use seaworthy_store::observe::Observer;
use seaworthy_store::schema::{self, Upgrade};
use serde_json::json;

use super::ConfigArgument;
use super::backup::busy;
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only show what is missing, and exit with 1 if something is.
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let loaded = app::load(arguments.config.config.as_deref(), &app::environment())?;
    let (url, options) = app::store_options(&loaded, Observer::default())?;
    let bar = busy("looking at the schema, and applying the steps that are missing");
    let upgrade = match arguments.plan {
        true => schema::plan(&url, &options),
        false => schema::upgrade(&url, &options),
    };
    bar.finish_and_clear();
    let upgrade = upgrade.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))?;
    match arguments.format {
        Format::Json => output::json(&json!({
            "store": upgrade.backend,
            "from": upgrade.from,
            "to": upgrade.to,
            "steps": upgrade.steps,
            "applied": !arguments.plan,
        }))?,
        Format::Pretty => describe(&upgrade, arguments.plan)?,
    }
    Ok(match arguments.plan && upgrade.from < upgrade.to {
        true => exit::FAILED,
        false => exit::OK,
    })
}

fn describe(upgrade: &Upgrade, is_plan: bool) -> Result<(), Failure> {
    let Upgrade {
        backend, from, to, ..
    } = upgrade;
    if *to == 0 {
        return output::line(format_args!(
            "The store is `{backend}:`, which has no schema: nothing to do."
        ));
    }
    if from == to {
        return output::line(format_args!(
            "The schema in {backend} is at version {to}, which is this program's: nothing to do."
        ));
    }
    output::line(match is_plan {
        true => format!(
            "The schema in {backend} is at version {from}, this program's is {to}. Missing:"
        ),
        false => {
            format!("The schema in {backend} was at version {from} and is now at {to}. Applied:")
        }
    })?;
    for step in &upgrade.steps {
        output::line(format_args!("  {step}"))?;
    }
    match is_plan {
        true => output::line("Apply them with `seaworthy migrate`; what serves can go on serving."),
        false => Ok(()),
    }
}
