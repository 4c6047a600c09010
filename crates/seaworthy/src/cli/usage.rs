//! `seaworthy usage`: what was used, summed from the ledger.

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::report::{self, MAX_PAGE};
use seaworthy_core::ledger::{GroupBy, Only, UsageTotal};
use seaworthy_core::store::UsageQuery;

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output;

mod export;
mod reconcile;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// What to sum by.
    #[arg(long, value_parser = by, default_value = "model")]
    by: GroupBy,
    /// Only calls since then: `24h` or `30d` ago, a day in UTC, or a moment such as
    /// `2026-11-27T14:00:00Z`.
    #[arg(long, value_parser = moment)]
    since: Option<UnixMillis>,
    /// Only calls before then, written as `--since`.
    #[arg(long, value_parser = moment)]
    until: Option<UnixMillis>,
    /// Only calls with this name: `user=ada`, `model=large`, or another dimension of `--by` but `hour`
    /// and `day`. May be repeated; all of them have to be true then.
    #[arg(long, value_name = "DIMENSION=NAME", value_parser = only)]
    only: Vec<Only>,
    /// How many groups to show at most.
    #[arg(long, default_value_t = MAX_PAGE)]
    limit: usize,
    /// How many groups to pass over.
    #[arg(long, default_value_t = 0)]
    offset: usize,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Form::Pretty, global = true)]
    format: Form,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How usage is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Pretty,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare the ledger with the export of a provider, by day and model. Exits with 0 if they
    /// agree, with 1 if they do not.
    Reconcile(reconcile::Arguments),
}

fn by(text: &str) -> Result<GroupBy, String> {
    text.parse()
}

fn only(text: &str) -> Result<Only, String> {
    text.parse()
}

fn moment(text: &str) -> Result<UnixMillis, String> {
    report::moment(text, app::clock().now())
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let config = arguments.config.config.as_deref();
    if let Some(Command::Reconcile(reconcile)) = &arguments.command {
        return reconcile::run(reconcile, config, arguments.format);
    }
    let loaded = app::load(config, &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    let by = arguments.by;
    let totals = super::block_on(async {
        let query = UsageQuery {
            by,
            since: arguments.since,
            until: arguments.until,
            only: arguments.only.clone(),
        };
        let totals = stores.ledger.usage(query).await;
        stores.lifecycle.close().await;
        totals.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))
    })?;
    let page = report::page(totals, by, arguments.offset, arguments.limit);
    match arguments.format {
        Form::Json => output::json(&page.totals)?,
        Form::Csv => output::write(report::csv(by, &page.totals))?,
        Form::Pretty => show(&page.totals)?,
    }
    if let Some(next) = page.next {
        output::note(format_args!(
            "There are more groups: --offset {next} shows them."
        ));
    }
    Ok(exit::OK)
}

fn show(totals: &[UsageTotal]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = totals
        .iter()
        .map(|total| {
            vec![
                total.group.clone(),
                total.calls.to_string(),
                total.unsuccessful_calls.to_string(),
                total.input_tokens.to_string(),
                total.cached_read_tokens.to_string(),
                total.cache_write_tokens.to_string(),
                total.output_tokens.to_string(),
                total.estimated_calls.to_string(),
                total.cost.to_string(),
            ]
        })
        .collect();
    let heading = [
        "GROUP",
        "CALLS",
        "FAILED",
        "INPUT",
        "CACHE READ",
        "CACHE WRITE",
        "OUTPUT",
        "ESTIMATED",
        "COST USD",
    ];
    output::table(&heading, &rows)
}
