//! What is kept of a drill: a file in the repository of its owner, which later checks read.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{DrillReport, Subject};
use crate::outcome::{Outcome, Status};
use crate::report::seal;

/// Name and version of the format.
pub const SCHEMA: &str = "seaworthy.drill/1";

/// Where reports are kept unless the caller says otherwise.
pub const FOLDER: &str = ".seaworthy/drills";

/// The largest file that is read as a report.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The report as a document; its `digest` covers all of it.
#[must_use]
pub fn render(report: &DrillReport) -> String {
    let (expected, words) = match &report.outcome {
        Outcome::Pass { found } => (None, found),
        Outcome::Fail { expected, found } => (Some(expected), found),
        Outcome::NotApplicable { why } => (None, why),
        Outcome::NotVerified { missing } => (None, missing),
    };
    let mut document = json!({
        "schema": SCHEMA,
        "tool_version": env!("CARGO_PKG_VERSION"),
        "drill": report.drill.name,
        "title": report.drill.title,
        "subject": report.subject,
        "started_at": report.started_at.to_string(),
        "duration_ms": report.duration_ms,
        "status": report.outcome.status(),
        "expected": expected,
        "found": words,
        "answers": report.answers,
        "plan": report.steps,
        "measures": report.measures,
        "evidence": report.evidence,
    });
    let digest = seal::digest(&document);
    document["digest"] = digest.into();
    format!("{document:#}\n")
}

/// The name of a report's file: the newest report of a drill on a subject replaces the one before.
#[must_use]
pub fn file_name(report: &DrillReport) -> String {
    let Subject { scratch, name, .. } = &report.subject;
    if *scratch {
        return format!("{}.json", report.drill.name);
    }
    let plain = name
        .split_once("://")
        .map_or(name.as_str(), |(_, rest)| rest);
    let safe: String = plain
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("{}@{}.json", report.drill.name, safe.trim_matches('-'))
}

/// A report that was read back.
#[derive(Debug, Clone)]
pub struct Record {
    /// The file.
    pub path: String,
    /// The drill.
    pub drill: String,
    /// Done to a deployment that the drill started itself.
    pub scratch: bool,
    /// What it was done to.
    pub subject: String,
    /// The version that the subject said it was.
    pub version: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How it ended.
    pub status: Status,
    /// What was seen, or what was missing.
    pub words: String,
    /// The requirements that it answers.
    pub answers: Vec<String>,
}

/// Reports of a folder, and what is wrong with files that are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    pub(crate) good: Vec<Record>,
    /// Files with the reason why they do not count.
    pub(crate) bad: Vec<(String, String)>,
}

impl Records {
    /// Reads a folder; one that is not there holds no reports.
    pub(crate) fn read(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        let mut records = Self::default();
        for path in paths {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match read(&path, &name) {
                Ok(record) => records.good.push(record),
                Err(why) => records.bad.push((name, why)),
            }
        }
        records
    }
}

fn read(path: &Path, name: &str) -> Result<Record, String> {
    let size = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if value["schema"] != SCHEMA {
        return Err("it is no report of a drill".to_owned());
    }
    if value["digest"].as_str() != Some(seal::digest(&value).as_str()) {
        return Err("it was changed after the drill: its digest does not fit".to_owned());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = match value["status"].as_str() {
        Some("pass") => Status::Pass,
        Some("fail") => Status::Fail,
        Some("not_applicable") => Status::NotApplicable,
        _ => Status::NotVerified,
    };
    let answers = value["answers"].as_array().into_iter().flatten();
    Ok(Record {
        path: name.to_owned(),
        drill: text(&value["drill"]),
        scratch: value["subject"]["scratch"] == true,
        subject: text(&value["subject"]["name"]),
        version: value["subject"]["version"].as_str().map(ToOwned::to_owned),
        started_at: text(&value["started_at"])
            .parse()
            .map_err(|e| format!("its time cannot be read: {e}"))?,
        status,
        words: text(&value["found"]),
        answers: answers.map(text).collect(),
    })
}
