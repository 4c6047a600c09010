//! `seaworthy usage`: what was used, summed from the ledger.

use seaworthy_config::Duration as ConfigDuration;
use seaworthy_core::ledger::{GroupBy, UsageTotal};
use seaworthy_core::store::UsageQuery;

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// What to sum by.
    #[arg(long, value_enum, default_value_t = By::Model)]
    by: By,
    /// Only calls of the last so long, for example `24h` or `30d`.
    #[arg(long, value_parser = duration)]
    since: Option<ConfigDuration>,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    User,
    Model,
    Operation,
    Key,
}

fn duration(text: &str) -> Result<ConfigDuration, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let loaded = app::load(arguments.config.config.as_deref(), &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    let since = arguments.since.map(|span| {
        let now = app::clock().now();
        seaworthy_core::clock::UnixMillis(
            now.0
                .saturating_sub(i64::try_from(span.as_std().as_millis()).unwrap_or(i64::MAX)),
        )
    });
    let by = match arguments.by {
        By::User => GroupBy::User,
        By::Model => GroupBy::Model,
        By::Operation => GroupBy::Operation,
        By::Key => GroupBy::Key,
    };
    let totals = super::block_on(async {
        let query = UsageQuery {
            by,
            since,
            until: None,
        };
        let totals = stores.ledger.usage(query).await;
        stores.lifecycle.close().await;
        totals.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))
    })?;
    match arguments.format {
        Format::Json => output::json(&totals),
        Format::Pretty => show(&totals),
    }
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
