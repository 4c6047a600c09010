//! Reads the data sets and removes what resembles a text of the test sets.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use seaworthy_guard::injection::Source;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::recipe::{Reading, SETS, Set};

/// A labelled text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) attack: bool,
    pub(crate) weight: f32,
    /// The data set, or the kind of synthesis.
    pub(crate) group: String,
    /// In cross-validation, texts that share words share a fold.
    pub(crate) fold: usize,
}

/// The folds of the cross-validation.
pub(crate) const FOLDS: usize = 5;

#[derive(Debug, Deserialize)]
struct Row {
    text: String,
    label: u8,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Everything of the recipe, without near-duplicates of test texts.
pub(crate) fn read_all(corpora: &Path) -> Result<(Vec<Text>, Vec<Source>)> {
    let seen = test_shingles(&corpora.join("test"))?;
    let (mut texts, mut sources) = (Vec::new(), Vec::new());
    for set in &SETS {
        let path = corpora.join("train").join(format!("{}.jsonl", set.name));
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows = parse(std::str::from_utf8(&bytes)?)?;
        let before = texts.len();
        let step = rows.len().div_ceil(set.most).max(1);
        for row in rows.into_iter().step_by(step) {
            if let Some(text) = read_row(set, row).filter(|text| !resembles(&text.text, &seen)) {
                texts.push(text);
            }
        }
        let mut sha256 = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(sha256, "{byte:02x}")?;
        }
        sources.push(Source {
            name: set.name.to_owned(),
            licence: set.licence.to_owned(),
            sha256,
            used: texts.len() - before,
        });
    }
    Ok((texts, sources))
}

fn parse(text: &str) -> Result<Vec<Row>> {
    text.lines()
        .map(|line| serde_json::from_str(line).context("a row is not what it should be"))
        .collect()
}

fn read_row(set: &Set, row: Row) -> Option<Text> {
    let mut text = row.text;
    let attack = match set.reading {
        Reading::AsLabelled => row.label == 1,
        Reading::Harmless => false,
        Reading::Attack => true,
        Reading::AfterToolCall => {
            let call = text
                .lines()
                .position(|line| line.ends_with(')') && !line.contains(' '))?;
            text = text.lines().skip(call + 1).collect::<Vec<_>>().join("\n");
            false
        }
        Reading::Template => {
            for slot in ["[INSERT PROMPT HERE]", "<INSTRUCTION>"] {
                text = text.replace(slot, "answer the question about my day");
            }
            if text.len() < 60 {
                return None;
            }
            true
        }
        Reading::OfType(kinds) => {
            let kind = row.kind.as_deref().unwrap_or_default();
            if row.label == 1 && !kinds.contains(&kind) {
                return None;
            }
            row.label == 1
        }
        Reading::LongAttack(least) => {
            if text.len() < least {
                return None;
            }
            true
        }
    };
    let fold = shingles(&text, 3).into_iter().min().unwrap_or(0) as usize % FOLDS;
    Some(Text {
        text,
        attack,
        weight: set.weight,
        group: set.name.to_owned(),
        fold,
    })
}

/// The hashes of `length` words in a row.
fn shingles(text: &str, length: usize) -> Vec<u64> {
    let words: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let hash = |words: &[String]| {
        words
            .iter()
            .flat_map(|word| word.bytes().chain([b' ']))
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            })
    };
    match words.len() {
        0 => Vec::new(),
        count if count <= length => vec![hash(&words)],
        _ => words.windows(length).map(hash).collect(),
    }
}

fn test_shingles(folder: &Path) -> Result<HashSet<u64>> {
    let mut seen = HashSet::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "jsonl") {
            for row in parse(&std::fs::read_to_string(&path)?)? {
                seen.extend(shingles(&row.text, 5));
            }
        }
    }
    Ok(seen)
}

/// Whether at least half of a text's shingles are in the test sets.
fn resembles(text: &str, seen: &HashSet<u64>) -> bool {
    let own = shingles(text, 5);
    let shared = own.iter().filter(|shingle| seen.contains(shingle)).count();
    !own.is_empty() && shared * 2 >= own.len()
}
