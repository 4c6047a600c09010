//! The list of prices: the one that is built in, and what a configuration puts over it.

use std::collections::HashMap;
use std::sync::Arc;

use toml::{Table, Value};

use super::fees::{Fees, ToolFee};
use super::{KnownRates, Price, Rates};
use crate::clock::UnixMillis;
use crate::money::Micros;

const BUILT_IN: &str = include_str!("../../data/prices.toml");

/// Prices of models.
#[derive(Debug, Clone, Default)]
pub struct PriceList {
    /// By kind of provider.
    kinds: HashMap<String, Models>,
    /// By `provider/model`, where the provider has the name that it has in the configuration.
    overrides: Models,
    /// Of tools that providers run, by their kind.
    fees: HashMap<String, Fees>,
    sources: Vec<Source>,
}

/// Where the built-in prices of a provider come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The kind of provider.
    pub kind: String,
    /// The day on which they were known to be right.
    pub as_of: String,
    /// Where they come from, and what they leave out.
    pub source: String,
}

/// Why a list of prices cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct LoadError {
    /// The provider and model.
    pub place: String,
    /// What was expected.
    pub message: String,
}

#[derive(Debug, Clone, Default)]
struct Models {
    exact: HashMap<String, Price>,
    /// Beginnings of names, longest first.
    prefixes: Vec<(String, Price)>,
}

impl PriceList {
    /// The list that comes with the program.
    #[must_use]
    pub fn built_in() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the text is part of the program and tested"
        )]
        Self::read(BUILT_IN).expect("the built-in price list is well formed")
    }

    /// Reads a list in the format of the built-in one.
    pub fn read(text: &str) -> Result<Self, LoadError> {
        let fail = |message: String| LoadError {
            place: "price list".to_owned(),
            message,
        };
        let table: Table = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
        let providers = table.get("provider").and_then(Value::as_array);
        let mut list = Self::default();
        for provider in providers.ok_or_else(|| fail("expected [[provider]]".to_owned()))? {
            let text = |key: &str| provider.get(key).and_then(Value::as_str).map(str::to_owned);
            let (Some(kind), Some(as_of), Some(source)) =
                (text("kind"), text("as_of"), text("source"))
            else {
                return Err(fail("expected the texts kind, as_of, source".to_owned()));
            };
            let models = provider.get("models").and_then(Value::as_array);
            let models = models.ok_or_else(|| fail(format!("expected models of {kind}")))?;
            list.fees.insert(kind.clone(), Fees::read(&kind, provider)?);
            let known = list.kinds.entry(kind.clone()).or_default();
            for model in models.iter().filter_map(Value::as_table) {
                let (id, price) = read_model(model).map_err(|error| LoadError {
                    place: format!("{kind}/{}", error.place),
                    ..error
                })?;
                known.add(&id, price);
            }
            list.sources.push(Source {
                kind,
                as_of,
                source,
            });
        }
        Ok(list)
    }

    /// Puts a price over what the list says of `provider/model`; the model may end in `*`.
    pub fn set(&mut self, target: &str, price: Price) {
        self.overrides.add(target, price);
    }

    /// The price of a model of a provider, which has a name in the configuration and a kind.
    #[must_use]
    pub fn find(&self, provider: &str, kind: &str, model: &str) -> Option<&Price> {
        let set = || self.overrides.find(&format!("{provider}/{model}"));
        let overridden = (!self.overrides.is_empty()).then(set).flatten();
        overridden.or_else(|| {
            let models = self.kinds.get(kind)?;
            names(kind, model).find_map(|name| models.find(name))
        })
    }

    /// What a kind of provider charges for the tools that it runs for a model.
    #[must_use]
    pub fn tool_fees(&self, kind: &str, model: &str) -> Arc<[ToolFee]> {
        let fees = self.fees.get(kind);
        fees.map_or_else(Arc::default, |fees| fees.of(bare(kind, model)))
    }

    /// The day on which the built-in price of a model was known to be right; `None` for one that the
    /// configuration has set, and for one without a price.
    #[must_use]
    pub fn as_of(&self, provider: &str, kind: &str, model: &str) -> Option<&str> {
        if self
            .overrides
            .find(&format!("{provider}/{model}"))
            .is_some()
        {
            return None;
        }
        self.find(provider, kind, model)?;
        let mut sources = self.sources.iter();
        let source = sources.find(|source| source.kind == kind)?;
        Some(&source.as_of)
    }

    /// Where the built-in prices come from.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

/// How many days ago a day was; `None` for a text that is no day.
#[must_use]
pub fn days_since(day: &str, now: UnixMillis) -> Option<u64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let start = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let passed = now.0.saturating_sub(start.as_millisecond()) / 86_400_000;
    u64::try_from(passed).ok()
}

impl Models {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    fn add(&mut self, name: &str, price: Price) {
        let Some(prefix) = name.strip_suffix('*') else {
            self.exact.insert(name.to_owned(), price);
            return;
        };
        self.prefixes.retain(|(known, _)| known != prefix);
        self.prefixes.push((prefix.to_owned(), price));
        self.prefixes
            .sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    fn find(&self, name: &str) -> Option<&Price> {
        self.exact.get(name).or_else(|| {
            let fits = |(prefix, _): &&(String, Price)| name.starts_with(prefix.as_str());
            self.prefixes.iter().find(fits).map(|(_, price)| price)
        })
    }
}

/// The names that a model may be listed under, most specific first.
fn names<'a>(kind: &str, model: &'a str) -> impl Iterator<Item = &'a str> {
    const REGIONS: [&str; 8] = [
        "us.", "eu.", "apac.", "jp.", "au.", "ca.", "us-gov.", "global.",
    ];
    let model = bare(kind, model);
    let undated = undated(model);
    let regional = REGIONS
        .iter()
        .find_map(|region| model.strip_prefix(region))
        .filter(|_| kind == "bedrock");
    let names = [
        Some(model),
        Some(undated),
        regional,
        regional.map(self::undated),
    ];
    names.into_iter().flatten()
}

/// The name without the collection that Gemini puts before it.
fn bare<'a>(kind: &str, model: &'a str) -> &'a str {
    match kind {
        "gemini" => model.strip_prefix("models/").unwrap_or(model),
        _ => model,
    }
}

/// The name without its version: `-2025-08-07`, `-20250929`, `-latest`, `-001`, and Bedrock's
/// `-v1:0` after any of them.
#[must_use]
pub fn undated(model: &str) -> &str {
    let model = without_revision(model);
    if let Some(name) = model.strip_suffix("-latest") {
        return name;
    }
    for shape in ["-####-##-##", "-########", "@########", "-####", "-###"] {
        let Some(split) = model.len().checked_sub(shape.len()) else {
            continue;
        };
        let fits = |(found, wanted): (u8, u8)| match wanted {
            b'#' => found.is_ascii_digit(),
            other => found == other,
        };
        if let (Some(name), Some(tail)) = (model.get(..split), model.get(split..))
            && tail.bytes().zip(shape.bytes()).all(fits)
        {
            return name;
        }
    }
    model
}

/// The name without Bedrock's `-v1:0`.
fn without_revision(model: &str) -> &str {
    let Some((name, revision)) = model.rsplit_once("-v") else {
        return model;
    };
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match revision.split_once(':') {
        Some((major, minor)) if numeric(major) && numeric(minor) => name,
        None if numeric(revision) => name,
        _ => model,
    }
}

fn read_model(model: &Table) -> Result<(String, Price), LoadError> {
    let id = model.get("id").and_then(Value::as_str).unwrap_or("?");
    let fail = |message: String| LoadError {
        place: id.to_owned(),
        message,
    };
    let extras = ["id", "long", "priority", "image", "tool_call", "request"];
    let rates = read_rates(model, &extras).map_err(fail)?;
    let amount = |key| Ok(read_amount(model, key)?.unwrap_or_default());
    let mut price = Price {
        image: amount("image").map_err(fail)?,
        tool_call: amount("tool_call").map_err(fail)?,
        request: amount("request").map_err(fail)?,
        ..Price::of_tokens(rates)
    };
    price.long = read_long(model).map_err(fail)?;
    if let Some(priority) = model.get("priority") {
        let expected = || fail("expected priority = { input = \"…\", … }".to_owned());
        let priority = priority.as_table().ok_or_else(expected)?;
        price.priority = Some(read_rates(priority, &["long"]).map_err(fail)?.into());
        price.priority_long = read_long(priority).map_err(fail)?;
    }
    Ok((id.to_owned(), price))
}

/// `long` of a model or of its priority tier.
fn read_long(table: &Table) -> Result<Option<(u64, Rates)>, String> {
    let Some(long) = table.get("long") else {
        return Ok(None);
    };
    let expected = || "expected long = { above = number, … }".to_owned();
    let long = long.as_table().ok_or_else(expected)?;
    let above = long.get("above").and_then(Value::as_integer);
    let above = above.and_then(|above| u64::try_from(above).ok());
    let rates = read_rates(long, &["above"])?;
    Ok(Some((above.ok_or_else(expected)?, rates.into())))
}

fn read_rates(table: &Table, others: &[&str]) -> Result<KnownRates, String> {
    const CLASSES: [&str; 8] = [
        "input",
        "output",
        "cached_read",
        "cache_write_5m",
        "cache_write_1h",
        "reasoning",
        "audio_input",
        "audio_output",
    ];
    let known = |key: &String| CLASSES.contains(&key.as_str()) || others.contains(&key.as_str());
    if let Some(stranger) = table.keys().find(|key| !known(key)) {
        return Err(format!("unknown key {stranger}"));
    }
    let required = |key: &str| {
        let missing = || format!("{key} is missing");
        read_amount(table, key)?.ok_or_else(missing)
    };
    Ok(KnownRates {
        input: required("input")?,
        output: required("output")?,
        cached_read: read_amount(table, "cached_read")?,
        cache_write_5m: read_amount(table, "cache_write_5m")?,
        cache_write_1h: read_amount(table, "cache_write_1h")?,
        reasoning: read_amount(table, "reasoning")?,
        audio_input: read_amount(table, "audio_input")?,
        audio_output: read_amount(table, "audio_output")?,
    })
}

pub(super) fn read_amount(table: &Table, key: &str) -> Result<Option<Micros>, String> {
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .ok_or_else(|| format!("{key}: expected dollars as a text, found {value}"))?;
    let amount: Micros = text.parse().map_err(|error| format!("{key}: {error}"))?;
    Ok(Some(amount))
}
