//! What got worse since an earlier report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::Report;

/// A check or an item that is worse than it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Worse {
    /// The check's ID, or the hash of a checklist's item.
    pub id: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub now: String,
    /// What it is about.
    pub title: String,
}

/// What somebody accepts.
const WAIVED: &str = "waived";

/// Compares a report with an earlier one in JSON; what was not asked then cannot be worse now.
///
/// # Errors
/// When the earlier report is not JSON of ours.
pub fn worse(report: &Report, earlier: &str) -> Result<Vec<Worse>, String> {
    let earlier: Value = serde_json::from_str(earlier).map_err(|error| error.to_string())?;
    if earlier["schema"] != super::json::SCHEMA {
        return Err(format!(
            "expected a report of the format {}",
            super::json::SCHEMA
        ));
    }
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    for result in list(&earlier, "results") {
        let status = match result["waived"].as_str() {
            Some(_) => Some(WAIVED),
            None => result["status"].as_str(),
        };
        before.extend(result["id"].as_str().zip(status));
    }
    for checklist in list(&earlier, "checklists") {
        for item in list(checklist, "items") {
            before.extend(item["hash"].as_str().zip(item["status"].as_str()));
        }
    }
    let results = report.results.iter().map(|r| {
        let status = match report.waiver_for(r) {
            Some(_) => WAIVED.to_owned(),
            None => word(r.outcome.status()),
        };
        (r.check.id.to_owned(), status, r.check.title.to_owned())
    });
    let items = report.checklists.iter().flat_map(|c| &c.items);
    let items = items.map(|item| (item.hash.clone(), word(item.status), item.text.clone()));
    let worse = results.chain(items).filter_map(|(id, now, title)| {
        let before = (*before.get(id.as_str())?).to_owned();
        (weight(&now) > weight(&before)).then_some(Worse {
            id,
            before,
            now,
            title,
        })
    });
    Ok(worse.collect())
}

/// The comparison as text.
#[must_use]
pub fn render(worse: &[Worse]) -> String {
    if worse.is_empty() {
        return "Nothing got worse.\n".to_owned();
    }
    let mut out = format!("{} got worse:\n", worse.len());
    for w in worse {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {}: {} → {}  {}", w.id, w.before, w.now, w.title);
    }
    out
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A status as the JSON report has it.
fn word(status: impl serde::Serialize) -> String {
    let value = serde_json::to_value(status).unwrap_or(Value::Null);
    value.as_str().unwrap_or_default().to_owned()
}

/// Higher is worse; what does not apply, or what a person answers for, is as good as a pass.
fn weight(status: &str) -> u8 {
    match status {
        "fail" => 3,
        "not_verified" => 2,
        WAIVED => 1,
        _ => 0,
    }
}
