//! `seaworthy usage reconcile`: the ledger beside what a provider says it has served.

use std::collections::BTreeSet;
use std::path::PathBuf;

use seaworthy_core::budget::watch::Share;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{GroupBy, report};
use seaworthy_core::money::Micros;
use seaworthy_core::price::undated;
use seaworthy_core::store::{Ledger, UsageQuery};
use serde::Serialize;

use super::Form;
use super::export::{self, Days, Used};
use crate::app;
use crate::exit::{self, Failure};
use crate::output;

const DAY_MS: i64 = 86_400_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The export of the provider, as CSV or JSON.
    file: PathBuf,
    /// Only targets of this provider; without it, only models that the export names.
    #[arg(long)]
    provider: Option<String>,
    /// By how much a figure may differ, in hundredths of a per cent: 50 is 0.5 %.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    tolerance: u32,
}

/// One model on one day.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Row {
    day: String,
    model: String,
    ledger: Figures,
    export: Figures,
    /// The names of the figures that differ by more than is tolerated.
    differs: Vec<&'static str>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Figures {
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: Option<u64>,
}

impl From<Used> for Figures {
    fn from(used: Used) -> Self {
        Self {
            input_tokens: used.input,
            output_tokens: used.output,
            cost_micros: used.cost.map(|cost| cost.0),
        }
    }
}

pub(super) fn run(
    arguments: &Arguments,
    config: Option<&std::path::Path>,
    format: Form,
) -> Result<u8, Failure> {
    let shown = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file)
        .map_err(|error| Failure::new(exit::USAGE, format!("{shown} cannot be read: {error}")))?;
    let theirs = export::read(&text)
        .map_err(|error| Failure::new(exit::USAGE, format!("{shown} is no export: {error}")))?;
    let loaded = app::load(config, &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    let ours = super::super::block_on(async {
        let ours = ours(&*stores.ledger, &theirs, arguments.provider.as_deref()).await;
        stores.lifecycle.close().await;
        ours
    })?;
    let tolerated =
        Share::from_ten_thousandths(arguments.tolerance).unwrap_or(Share::EIGHTY_PERCENT);
    let rows = compare(&ours, &theirs, tolerated);
    let is_equal = rows.iter().all(|row| row.differs.is_empty());
    match format {
        Form::Json => output::json(&rows)?,
        Form::Pretty | Form::Csv => show(&rows)?,
    }
    Ok(if is_equal { exit::OK } else { exit::FAILED })
}

/// What the ledger has of the days of an export.
async fn ours(ledger: &dyn Ledger, theirs: &Days, provider: Option<&str>) -> Result<Days, Failure> {
    let mut ours = Days::new();
    let days: BTreeSet<&str> = theirs.keys().map(|(day, _)| &**day).collect();
    for day in days {
        let start =
            report::moment(day, UnixMillis(0)).map_err(|error| Failure::new(exit::USAGE, error))?;
        let query = UsageQuery {
            by: GroupBy::Target,
            since: Some(start),
            until: Some(UnixMillis(start.0.saturating_add(DAY_MS))),
            only: Vec::new(),
        };
        let totals = ledger.usage(query).await;
        for total in totals.map_err(|error| Failure::of(exit::UNAVAILABLE, &error))? {
            let (at, model) = total.group.split_once('/').unwrap_or(("", &total.group));
            if provider.is_some_and(|provider| provider != at) {
                continue;
            }
            let key = (day.to_owned(), undated(model).to_owned());
            if provider.is_none() && !theirs.contains_key(&key) {
                continue;
            }
            let used = Used {
                input: total.tokens().saturating_sub(total.output_tokens),
                output: total.output_tokens,
                cost: Some(total.cost),
            };
            ours.entry(key).or_default().add(used);
        }
    }
    Ok(ours)
}

fn compare(ours: &Days, theirs: &Days, tolerated: Share) -> Vec<Row> {
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let row = |key: &(String, String)| {
        let (mine, known) = (ours.get(key).copied(), theirs.get(key).copied());
        let (mine, known) = (mine.unwrap_or_default(), known.unwrap_or_default());
        let cost = known
            .cost
            .map(|cost| (mine.cost.unwrap_or(Micros::ZERO).0, cost.0));
        let (a, b) = cost.unwrap_or_default();
        let figures = [
            ("input_tokens", mine.input, known.input),
            ("output_tokens", mine.output, known.output),
            ("cost_micros", a, b),
        ];
        let differs = figures
            .into_iter()
            .filter(|(name, a, b)| match *name {
                // Rounded to whole micro-dollars, here and there.
                "cost_micros" => a.abs_diff(*b) > tolerated.of(*b),
                _ => exceeds(a.abs_diff(*b), *b, tolerated),
            })
            .map(|(name, ..)| name)
            .collect();
        let (day, model) = key.clone();
        Row {
            day,
            model,
            ledger: mine.into(),
            export: known.into(),
            differs,
        }
    };
    keys.into_iter().map(row).collect()
}

/// Whether a difference is more than this part of the whole.
fn exceeds(difference: u64, whole: u64, part: Share) -> bool {
    u128::from(difference) * 10_000 > u128::from(whole) * u128::from(part.ten_thousandths())
}

fn show(rows: &[Row]) -> Result<(), Failure> {
    let heading = [
        "DAY", "MODEL", "INPUT", "EXPORT", "OUTPUT", "EXPORT", "COST USD", "EXPORT", "DIFFERS",
    ];
    let money =
        |micros: Option<u64>| micros.map_or("-".to_owned(), |micros| Micros(micros).to_string());
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.day.clone(),
                row.model.clone(),
                row.ledger.input_tokens.to_string(),
                row.export.input_tokens.to_string(),
                row.ledger.output_tokens.to_string(),
                row.export.output_tokens.to_string(),
                money(row.ledger.cost_micros),
                money(row.export.cost_micros),
                row.differs.join(", "),
            ]
        })
        .collect();
    output::table(&heading, &cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(input: u64, output: u64, cost: Option<u64>) -> Days {
        let used = Used {
            input,
            output,
            cost: cost.map(Micros),
        };
        Days::from([(("2026-11-27".to_owned(), "m".to_owned()), used)])
    }

    #[test]
    fn a_difference_counts_from_half_a_per_cent_on() {
        let tolerated = Share::from_ten_thousandths(50).unwrap();
        let differs =
            |ours: &Days, theirs: &Days| compare(ours, theirs, tolerated)[0].differs.clone();
        let ours = days(1_000, 200, Some(500));
        assert_eq!(differs(&ours, &days(1_005, 200, None)), [""; 0]);
        assert_eq!(
            differs(&ours, &days(1_006, 200, None)),
            ["input_tokens"],
            "0.6 %"
        );
        assert_eq!(
            differs(&days(12, 9, None), &days(11, 9, None)),
            ["input_tokens"],
            "of few, one is much"
        );
        assert_eq!(
            differs(&ours, &days(1_010, 200, Some(520))),
            ["input_tokens", "cost_micros"]
        );
        assert_eq!(
            differs(&Days::new(), &days(9, 9, None)),
            ["input_tokens", "output_tokens"]
        );
        assert_eq!(compare(&ours, &Days::new(), tolerated)[0].differs.len(), 2);
    }
}
