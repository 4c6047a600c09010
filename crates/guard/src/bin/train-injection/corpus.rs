//! Reads the data sets and removes what resembles a text of the test sets.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use seaworthy_guard::injection::Source;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::recipe::{Reading, SETS, Set};
use Origin::{Document, Paper, Prompt};

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody wrote it to a model, or could have.
    Prompt,
    /// Somebody wrote it as a document.
    Document,
    /// So, and only the judge of documents learns from it.
    Paper,
    /// It was put together here.
    Made,
}

/// A labelled text.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) attack: bool,
    pub(crate) weight: f32,
    /// The data set, or the kind of synthesis.
    pub(crate) group: String,
    pub(crate) origin: Origin,
    /// In cross-validation, texts that share words share a fold.
    pub(crate) fold: usize,
}

/// Texts that were written for this project, and what one of them counts: attacks and honest texts that look
/// like them, pieces of its own code and pages, plain instructions and questions, and documents that give
/// orders, some of them to a model, by two writers. The papers come last.
const OWN: [(&str, &str, f32, Origin); 6] = [
    ("own_words", include_str!("own.jsonl"), 1.0, Prompt),
    ("own_more", include_str!("more.jsonl"), 1.0, Prompt),
    ("own_code", include_str!("own_code.jsonl"), 1.0, Prompt),
    ("own_plain", include_str!("plain.jsonl"), 1.0, Prompt),
    (
        "own_documents",
        include_str!("documents.jsonl"),
        2.0,
        Document,
    ),
    ("own_papers", include_str!("papers.jsonl"), 2.0, Paper),
];

/// Writers, sessions of a language model, who knew nothing of each other, each with a field of his own. In cross-validation each is judged by models
/// that have seen none of his texts.
const WRITERS: [(&str, &str); 22] = [
    ("writer_everyday", include_str!("writers/everyday.jsonl")),
    ("writer_languages", include_str!("writers/languages.jsonl")),
    ("writer_roles", include_str!("writers/roles.jsonl")),
    ("writer_company", include_str!("writers/company.jsonl")),
    (
        "writer_instructions",
        include_str!("writers/instructions.jsonl"),
    ),
    ("writer_voices", include_str!("writers/voices.jsonl")),
    ("writer_german", include_str!("writers/german.jsonl")),
    ("writer_switches", include_str!("writers/switches.jsonl")),
    (
        "writer_extraction",
        include_str!("writers/extraction.jsonl"),
    ),
    ("writer_opinions", include_str!("writers/opinions.jsonl")),
    ("writer_twins", include_str!("writers/twins.jsonl")),
    ("writer_short", include_str!("writers/short.jsonl")),
    ("writer_long", include_str!("writers/long.jsonl")),
    ("writer_articles", include_str!("writers/articles.jsonl")),
    ("writer_tongues", include_str!("writers/tongues.jsonl")),
    ("writer_shapes", include_str!("writers/shapes.jsonl")),
    ("writer_personas", include_str!("writers/personas.jsonl")),
    ("writer_people", include_str!("writers/people.jsonl")),
    (
        "writer_lookalikes",
        include_str!("writers/lookalikes.jsonl"),
    ),
    ("writer_tasks", include_str!("writers/tasks.jsonl")),
    ("writer_scenes", include_str!("writers/scenes.jsonl")),
    ("writer_work", include_str!("writers/work.jsonl")),
];

/// To linear models, which know kinds of texts by their words alone, those of the writers count less than others.
const WEIGHT_OF_WRITERS: f32 = 0.25;

/// The folds of the cross-validation.
pub(crate) const FOLDS: usize = 5;

/// Five words in a row that more texts share than these say nothing about where a text is from.
const MOST_SHARED: usize = 40;

#[derive(Debug, Deserialize)]
struct Row {
    text: String,
    label: u8,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What stands in the test sets, five words in a row at a time.
pub(crate) struct TestTexts(HashSet<u64>);

/// Everything of the recipe and our own words, without near-duplicates of test texts.
pub(crate) fn read_all(corpora: &Path, tests: &TestTexts) -> Result<(Vec<Text>, Vec<Source>)> {
    let (mut texts, mut sources) = (Vec::new(), Vec::new());
    for set in &SETS {
        let path = corpora.join("train").join(format!("{}.jsonl", set.name));
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows = parse(std::str::from_utf8(&bytes)?)?;
        let before = texts.len();
        let step = rows.len().div_ceil(set.most).max(1);
        for row in rows.into_iter().step_by(step) {
            if let Some(text) = read_row(set, row).filter(|text| !tests.resemble(&text.text)) {
                texts.push(text);
            }
        }
        sources.push(source(set.name, set.licence, &bytes, texts.len() - before)?);
    }
    let writers = WRITERS.map(|(name, file)| (name, file, WEIGHT_OF_WRITERS, Prompt));
    for (name, file, weight, origin) in writers.into_iter().chain(OWN) {
        let own = parse(file)?.into_iter().map(|row| Text {
            attack: row.label == 1,
            text: row.text,
            weight,
            group: name.to_owned(),
            origin,
            fold: 0,
        });
        let before = texts.len();
        texts.extend(own.filter(|text| !tests.resemble(&text.text)));
        let (licence, used) = (env!("CARGO_PKG_LICENSE"), texts.len() - before);
        sources.push(source(name, licence, file.as_bytes(), used)?);
    }
    // The papers come last, and apart: what the first judge learns does not depend on them.
    let papers = texts.iter().filter(|text| text.origin == Paper);
    let first = texts.len() - papers.count();
    fold(&mut texts[..first]);
    fold(&mut texts[first..]);
    Ok((texts, sources))
}

fn source(name: &str, licence: &str, bytes: &[u8], used: usize) -> Result<Source> {
    let mut sha256 = String::new();
    for byte in Sha256::digest(bytes) {
        write!(sha256, "{byte:02x}")?;
    }
    Ok(Source {
        name: name.to_owned(),
        licence: licence.to_owned(),
        sha256,
        used,
    })
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
    Some(Text {
        text,
        attack,
        weight: set.weight,
        group: set.name.to_owned(),
        origin: Prompt,
        fold: 0,
    })
}

/// Gives texts that share five words in a row the same fold, and texts that share them with those; and all texts of a
/// writer.
/// Words that very many texts have are not counted, or all would be one.
fn fold(texts: &mut [Text]) {
    let own: Vec<Vec<u64>> = texts.iter().map(|text| shingles(&text.text, 5)).collect();
    let mut count: HashMap<u64, usize> = HashMap::new();
    for shingle in own.iter().flatten() {
        *count.entry(*shingle).or_default() += 1;
    }
    let mut parents: Vec<usize> = (0..texts.len()).collect();
    let mut first: HashMap<u64, usize> = HashMap::new();
    for (index, shingles) in own.iter().enumerate() {
        for shingle in shingles
            .iter()
            .filter(|shingle| count[shingle] <= MOST_SHARED)
        {
            let other = *first.entry(*shingle).or_insert(index);
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    for (index, text) in texts.iter_mut().enumerate() {
        let lead = own[root(&mut parents, index)].first().copied().unwrap_or(0);
        text.fold = writer(text).unwrap_or((lead >> 7) as usize) % FOLDS;
    }
}

/// Which of the writers wrote a text.
fn writer(text: &Text) -> Option<usize> {
    WRITERS.iter().position(|(name, _)| *name == text.group)
}

/// Whether one of the writers wrote a text.
pub(crate) fn is_of_writer(text: &Text) -> bool {
    writer(text).is_some()
}

fn root(parents: &mut [usize], mut of: usize) -> usize {
    while parents[of] != of {
        parents[of] = parents[parents[of]];
        of = parents[of];
    }
    of
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

impl TestTexts {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut seen = HashSet::new();
        for entry in std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "jsonl") {
                for row in parse(&std::fs::read_to_string(&path)?)? {
                    seen.extend(shingles(&row.text, 5));
                }
            }
        }
        Ok(Self(seen))
    }

    /// Whether at least half of a text's shingles are in the test sets.
    pub(crate) fn resemble(&self, text: &str) -> bool {
        let own = shingles(text, 5);
        let shared = own.iter().filter(|shingle| self.0.contains(shingle));
        let shared = shared.count();
        !own.is_empty() && shared * 2 >= own.len()
    }
}
