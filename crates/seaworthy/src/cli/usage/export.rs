//! A provider's export of what was used, as CSV or JSON: its columns are known by name, so that the
//! exports of OpenAI and Anthropic and tables made by hand can be read alike.

mod number;
mod table;

use std::collections::BTreeMap;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::report;
use seaworthy_core::money::Micros;
use seaworthy_core::price::undated;
use serde_json::{Map, Value};

use number::Decimals;

/// What one model used on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// All input, cached or not.
    pub(super) input: u64,
    /// All output.
    pub(super) output: u64,
    /// What it cost, if the export says so.
    pub(super) cost: Option<Micros>,
}

/// By day in UTC and by model, without the date in its name.
pub(super) type Days = BTreeMap<(String, String), Used>;

impl Used {
    pub(super) fn add(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost = match (self.cost, other.cost) {
            (Some(a), Some(b)) => Some(a.plus(b)),
            (a, b) => a.or(b),
        };
    }
}

const DAY: [&str; 9] = [
    "day",
    "date",
    "usage_date_utc",
    "usage_date",
    "start_time_iso",
    "starting_at",
    "start_time",
    "timestamp",
    "bucket_start",
];
const MODEL: [&str; 4] = ["model", "model_version", "snapshot_id", "model_id"];
/// Input in which cached input is counted already.
const WHOLE_INPUT: [&str; 4] = [
    "input_tokens",
    "prompt_tokens",
    "n_context_tokens_total",
    "total_input_tokens",
];
/// Parts of the input that add up to it.
const INPUT_PARTS: [&str; 10] = [
    "uncached_input_tokens",
    "usage_input_tokens_no_cache",
    "cache_read_input_tokens",
    "usage_input_tokens_cache_read",
    "cache_creation_input_tokens",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "cached_read_tokens",
];
const OUTPUT: [&str; 4] = [
    "output_tokens",
    "completion_tokens",
    "n_generated_tokens_total",
    "usage_output_tokens",
];
const COST: [&str; 5] = [
    "cost_usd",
    "cost",
    "amount_usd",
    "amount.value",
    "amount_value",
];
const CURRENCY: [&str; 2] = ["currency", "amount.currency"];

/// By how many places the point of a cost is moved at most; nothing is so dear or so cheap.
const MOST_PLACES: usize = 30;
const EXPONENTS: std::ops::RangeInclusive<isize> = -20..=12;

/// Numbers from here on are milliseconds: as seconds they would be in the year 5138.
const LEAST_MILLIS: i64 = 100_000_000_000;

type Fields = BTreeMap<String, String>;

/// Reads an export.
pub(super) fn read(text: &str) -> Result<Days, String> {
    let text = text.trim_start_matches('\u{feff}');
    let (rows, decimals) = match text.trim_start().starts_with(['{', '[']) {
        true => (from_json(text)?, Decimals::Point),
        false => table::read(text)?,
    };
    let mut days = Days::new();
    for (index, row) in rows.iter().enumerate() {
        let read = read_row(row, decimals);
        let (key, used) = read.map_err(|error| format!("row {}: {error}", index + 1))?;
        days.entry(key).or_default().add(used);
    }
    if days.is_empty() {
        return Err("expected a row for each day and model, found none".to_owned());
    }
    Ok(days)
}

fn read_row(row: &Fields, decimals: Decimals) -> Result<((String, String), Used), String> {
    let first = |names: &[&str]| {
        let found = names.iter().find_map(|name| row.get(*name));
        found.map(String::as_str).filter(|text| !text.is_empty())
    };
    let day = first(&DAY).ok_or_else(|| missing("a day", &DAY, row))?;
    let model = first(&MODEL).ok_or_else(|| missing("a model", &MODEL, row))?;
    let count = |name: &&str| -> Result<u64, String> {
        let text = row.get(*name).map_or("0", |text| match text.as_str() {
            "" => "0",
            text => text,
        });
        let error = || format!("`{name}`: expected a whole number, found {text:?}");
        let plain = decimals.plain(text).ok_or_else(error)?;
        let (whole, rest) = plain.split_once('.').unwrap_or((&plain, ""));
        let is_whole = rest.bytes().all(|digit| digit == b'0');
        let number = whole.parse().ok().filter(|_| is_whole);
        number.ok_or_else(error)
    };
    let sum = |names: &[&str]| -> Result<u64, String> {
        let counts: Result<Vec<u64>, String> = names.iter().map(count).collect();
        Ok(counts?.into_iter().fold(0, u64::saturating_add))
    };
    let has = |names: &[&str]| names.iter().any(|name| row.contains_key(*name));
    if !has(&OUTPUT) {
        return Err(missing("the output", &OUTPUT, row));
    }
    // Where a table has the same under two names, it counts once.
    let one = |names: &[&str]| {
        let is_filled = |name: &&&str| row.get(**name).is_some_and(|text| !text.is_empty());
        names.iter().find(is_filled).map_or(Ok(0), count)
    };
    let parts = sum(&INPUT_PARTS)?;
    // `input_tokens` beside parts of a cache is Anthropic's, and then one more part.
    let input = one(&WHOLE_INPUT)?.saturating_add(parts);
    if let Some(currency) = first(&CURRENCY)
        && !currency.eq_ignore_ascii_case("usd")
    {
        return Err(format!(
            "expected costs in USD, which the ledger is kept in, found {currency:?}"
        ));
    }
    let cost = first(&COST).map(|text| {
        let cost = decimals.plain(text).and_then(|plain| dollars(&plain));
        let example = decimals.example();
        cost.ok_or_else(|| format!("expected dollars such as {example}, found {text:?}"))
    });
    let used = Used {
        input,
        output: one(&OUTPUT)?,
        cost: cost.transpose()?,
    };
    Ok(((utc_day(day)?, undated(model).to_owned()), used))
}

fn missing(what: &str, names: &[&str], row: &Fields) -> String {
    if let Some(name) = names.iter().find(|name| row.contains_key(**name)) {
        return format!("`{name}`: expected {what}, found an empty cell: leave out rows of sums");
    }
    let found: Vec<&str> = row.keys().map(String::as_str).collect();
    let names = names.join(", ");
    format!(
        "there is no column for {what}; expected one of {names}, found {}",
        found.join(", ")
    )
}

/// Exports have more decimals than there are micro-dollars: what is beyond is cut. Small costs are often
/// written as `1.5e-05`.
fn dollars(text: &str) -> Option<Micros> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse().ok()?),
        None => (text, 0),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{decimals}");
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number || !EXPONENTS.contains(&exponent) {
        return None;
    }
    // Zeros on both sides, so that the point lies within the digits wherever it is moved to.
    let zeros = "0".repeat(MOST_PLACES);
    let point = MOST_PLACES + whole.len();
    let point = point.checked_add_signed(exponent)?;
    let digits = format!("{zeros}{digits}{zeros}");
    let (whole, decimals) = digits.split_at_checked(point)?;
    let whole = whole.trim_start_matches('0');
    format!("0{whole}.{}", decimals.get(..6)?).parse().ok()
}

fn utc_day(text: &str) -> Result<String, String> {
    if let Ok(number) = text.parse::<i64>() {
        let day = match number < LEAST_MILLIS {
            true => jiff::Timestamp::from_second(number),
            false => jiff::Timestamp::from_millisecond(number),
        };
        return day
            .map(|day| day.strftime("%Y-%m-%d").to_string())
            .map_err(|error| error.to_string());
    }
    if let Some(day) = day_with_points(text) {
        return Ok(day);
    }
    let text = text.replacen(' ', "T", 1);
    let moment = report::moment(&text, UnixMillis(0));
    let moment = moment.or_else(|error| match text.get(..10) {
        Some(day) => report::moment(day, UnixMillis(0)),
        None => Err(error),
    })?;
    Ok(moment.to_string().get(..10).unwrap_or_default().to_owned())
}

/// `27.11.2026`, which is read in one way everywhere, with or without a time.
fn day_with_points(text: &str) -> Option<String> {
    let mut parts = text.split([' ', 'T']).next()?.split('.');
    let mut number = || parts.next()?.parse::<i16>().ok();
    let (day, month, year) = (number()?, number()?, number()?);
    if parts.next().is_some() || year < 1_000 {
        return None;
    }
    let (day, month) = (i8::try_from(day).ok()?, i8::try_from(month).ok()?);
    let day = jiff::civil::Date::new(year, month, day).ok()?;
    Some(day.to_string())
}

/// The rows of an answer of a usage API, of a list of objects or of one object.
fn from_json(text: &str) -> Result<Vec<Fields>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.get("has_more") == Some(&Value::Bool(true)) {
        return Err(
            "expected all of the export, found one page of it, which says `has_more`: ask the provider for \
             the pages after it, and put them into a list"
                .to_owned(),
        );
    }
    let mut rows = Vec::new();
    gather(&value, &Fields::new(), &mut rows);
    Ok(rows)
}

/// A bucket passes its day on to its results.
fn gather(value: &Value, above: &Fields, rows: &mut Vec<Fields>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, above, rows)),
        Value::Object(object) => {
            let mut fields = above.clone();
            flatten(object, "", &mut fields);
            match object.get("data").or_else(|| object.get("results")) {
                Some(inner) => gather(inner, &fields, rows),
                None => rows.push(fields),
            }
        }
        _ => {}
    }
}

fn flatten(object: &Map<String, Value>, prefix: &str, fields: &mut Fields) {
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => flatten(inner, &format!("{name}."), fields),
            Value::String(text) => drop(fields.insert(name, text.clone())),
            Value::Number(number) => drop(fields.insert(name, number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> (String, String, Used) {
        let days = read(text).unwrap();
        assert_eq!(days.len(), 1, "{days:?}");
        let ((day, model), used) = days.into_iter().next().unwrap();
        (day, model, used)
    }

    fn used(input: u64, output: u64, cost: Option<u64>) -> Used {
        Used {
            input,
            output,
            cost: cost.map(Micros),
        }
    }

    #[test]
    fn the_answer_of_openais_usage_api_is_read() {
        let text = r#"{"object":"page","data":[{"object":"bucket","start_time":1764201600,
            "end_time":1764288000,"results":[
            {"model":"gpt-5-2025-08-07","input_tokens":1000,"input_cached_tokens":800,
             "output_tokens":500,"num_model_requests":5},
            {"model":"gpt-5-2025-08-07","input_tokens":1,"output_tokens":2}]}]}"#;
        let (day, model, found) = only(text);
        assert_eq!((&*day, &*model), ("2025-11-27", "gpt-5"));
        assert_eq!(found, used(1_001, 502, None));
    }

    #[test]
    fn the_answer_of_anthropics_usage_api_is_read() {
        let text = r#"{"data":[{"starting_at":"2026-11-27T00:00:00Z","results":[
            {"model":"claude-opus-4-5-20251101","uncached_input_tokens":100,
             "cache_creation":{"ephemeral_1h_input_tokens":30,"ephemeral_5m_input_tokens":20},
             "cache_read_input_tokens":7,"output_tokens":9}]}],"has_more":false}"#;
        let (day, model, found) = only(text);
        assert_eq!((&*day, &*model), ("2026-11-27", "claude-opus-4-5"));
        assert_eq!(found, used(157, 9, None));
    }

    #[test]
    fn tables_are_read_with_quotes_and_costs() {
        let text = "\u{feff}usage_date_utc,model_version,usage_input_tokens_no_cache,\
                    usage_input_tokens_cache_read,usage_output_tokens,cost_usd\r\n\
                    2026-11-27,\"claude-haiku-4-5\",\"1,000\",5,7,$1.2345678\r\n\r\n";
        let (_, _, found) = only(text);
        assert_eq!(found, used(1_005, 7, Some(1_234_567)));
    }

    #[test]
    fn costs_are_read_however_they_are_written() {
        let cost = |text| dollars(text).map(|cost| cost.0);
        for (text, micros) in [
            ("0.458", 458_000),
            ("4.58e-01", 458_000),
            ("1.5e-05", 15),
            ("1.5E+2", 150_000_000),
            ("3e0", 3_000_000),
            (".5", 500_000),
            ("12", 12_000_000),
            ("1.9e-7", 0),
        ] {
            assert_eq!(cost(text), Some(micros), "{text}");
        }
        for text in ["", "NaN", "-1", "e5", "1e", "1e99", "1.2.3", "1e-5e"] {
            assert_eq!(cost(text), None, "{text}");
        }
        let row = r#"[{"day":"2026-11-27","model":"m","input_tokens":1,"output_tokens":1,"cost":1.5e-5}]"#;
        assert_eq!(only(row).2, used(1, 1, Some(15)));
    }

    #[test]
    fn costs_in_another_currency_are_not_taken_for_dollars() {
        let row = |currency: &str| {
            read(&format!(
                r#"[{{"day":"27.11.2026 08:00","model":"m","output_tokens":1,"amount":{{"value":2,"currency":"{currency}"}}}}]"#
            ))
        };
        let days = row("usd").unwrap();
        assert_eq!(days.keys().next().unwrap().0, "2026-11-27");
        assert!(row("eur").unwrap_err().contains("expected costs in USD"));
    }

    #[test]
    fn an_export_without_a_row_agrees_with_nothing() {
        for text in ["day,model,output_tokens\n", "\u{1}", "[]", r#"{"data":[]}"#] {
            assert!(read(text).unwrap_err().contains("found none"), "{text:?}");
        }
    }

    #[test]
    fn what_stands_there_twice_counts_once_or_is_refused() {
        let row = "2026-11-27,m,100,100,7,7\n";
        let (_, _, found) = only(&format!(
            "day,model,input_tokens,prompt_tokens,output_tokens,completion_tokens\n{row}"
        ));
        assert_eq!(found, used(100, 7, None));
        let (_, _, found) =
            only("day,model,input_tokens,prompt_tokens,output_tokens\n2026-11-27,m,,9,1\n");
        assert_eq!(found, used(9, 1, None));
        let error = read("day,model,input_tokens,input_tokens,output_tokens\n2026-11-27,m,1,2,3\n");
        assert!(
            error
                .unwrap_err()
                .contains("`input_tokens` stands in the heading twice")
        );
        // What means nothing here may.
        only("day,model,note,output_tokens,note\n2026-11-27,m,a,3,b\n");
    }

    #[test]
    fn one_page_of_many_and_rows_of_sums_are_refused() {
        let page = |more: bool| {
            let row = r#"{"day":"2026-11-27","model":"m","output_tokens":1}"#;
            read(&format!(r#"{{"data":[{row}],"has_more":{more}}}"#))
        };
        assert!(page(false).is_ok());
        assert!(page(true).unwrap_err().contains("`has_more`"));
        let sums = read("day,model,output_tokens\n2026-11-27,,1\n").unwrap_err();
        assert!(
            sums.contains("row 1: `model`: expected a model, found an empty cell"),
            "{sums}"
        );
    }

    #[test]
    fn moments_are_read_in_seconds_and_in_milliseconds() {
        for at in ["1764201600", "1764201600000"] {
            let row = format!(r#"[{{"start_time":{at},"model":"m","output_tokens":1}}]"#);
            assert_eq!(only(&row).0, "2025-11-27", "{at}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read("day,model\n2026-11-27,m\n").unwrap_err();
        assert!(
            error.contains("row 1: there is no column for the output"),
            "{error}"
        );
        assert!(read("day,model,output_tokens\nsoon,m,1\n").is_err());
        assert!(read("").is_err());
    }
}
