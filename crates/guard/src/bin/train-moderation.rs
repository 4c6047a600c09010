//! Trains the moderation model and hashes its lexicon: `train-moderation --corpora DIR --out FOLDER`.
//!
//! The same corpora give the same files, byte for byte.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use seaworthy_guard::injection::Source;
use seaworthy_guard::linear::Windows;
use seaworthy_guard::linear::train::{Example, Plan, train};
use seaworthy_guard::moderation::{Lexicon, Manifest, featurise};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const SEED: u64 = 20_260_702;
const FOLDS: usize = 5;

/// The share of harmless training texts that may be flagged, in cross-validation.
const FALSE_ALARMS: f32 = 0.01;

#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with `train/`.
    #[arg(long)]
    corpora: PathBuf,
    /// Where the weights, the manifest and the lexicon go.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Row {
    text: String,
    label: u8,
}

/// Name, licence, the labels that mean harm, and what one row counts.
const SETS: [(&str, &str, &[u8], f32); 7] = [
    ("openai_moderation_1680", "MIT", &[1], 2.0),
    ("davidson_hate_offensive", "MIT", &[0, 1], 0.3),
    ("wildguard_benign", "MIT and ODC-BY", &[], 1.0),
    ("gpteacher_roleplay", "MIT", &[], 0.5),
    ("gpteacher_codegen", "MIT", &[], 0.5),
    (
        "selfinstruct_user_oriented_instructions",
        "Apache-2.0",
        &[],
        1.0,
    ),
    ("deepset_train", "Apache-2.0", &[], 1.0),
];

const LEXICONS: [(&str, &str); 2] = [
    ("surge_profanity_en", "MIT"),
    ("ldnoobw_28lang", "CC BY 4.0"),
];

fn read(corpora: &Path, name: &str, licence: &str) -> Result<(Vec<Row>, Source)> {
    let path = corpora.join("train").join(format!("{name}.jsonl"));
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Vec<Row> = std::str::from_utf8(&bytes)?
        .lines()
        .map(|line| serde_json::from_str(line).context("a row is not what it should be"))
        .collect::<Result<_>>()?;
    let mut sha256 = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(sha256, "{byte:02x}")?;
    }
    let used = rows.len();
    Ok((
        rows,
        Source {
            name: name.to_owned(),
            licence: licence.to_owned(),
            sha256,
            used,
        },
    ))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (mut sources, mut words) = (Vec::new(), Vec::new());
    for (name, licence) in LEXICONS {
        let (rows, source) = read(&arguments.corpora, name, licence)?;
        words.extend(rows.into_iter().map(|row| row.text));
        sources.push(source);
    }
    let lexicon = Lexicon::of(words.iter().map(String::as_str));
    let mut examples = Vec::new();
    for (name, licence, harmful, weight) in SETS {
        let (rows, source) = read(&arguments.corpora, name, licence)?;
        sources.push(source);
        examples.extend(rows.into_iter().map(|row| Example {
            features: featurise(&row.text, &lexicon).0,
            label: harmful.contains(&row.label),
            weight,
        }));
    }
    let plan = Plan {
        bits: 16,
        epochs: 6,
        lambda: 2e-6,
        rate: 1.0,
        seed: SEED,
        by_rarity: false,
        left_out: 0.0,
        windows: Windows::OF_BLOCKS,
    };
    let flag_logit = flagging_point(&examples, &plan)?;
    let model = train(&examples, &plan)?;
    let manifest = Manifest {
        command:
            "cargo run --release -p seaworthy-guard --bin train-moderation -- --corpora DIR --out \
                  crates/guard/data"
                .to_owned(),
        seed: SEED,
        scale: model.scale,
        bias: model.bias,
        flag_logit,
        sources,
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = arguments.out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write("moderation.bin", &model.to_bytes())?;
    write("moderation-lexicon.bin", &lexicon.to_bytes())?;
    write(
        "moderation.json",
        (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes(),
    )
}

/// Where the flagging point lies, by the log-odds of texts under models that have not seen them.
fn flagging_point(examples: &[Example], plan: &Plan) -> Result<f32> {
    let mut logits: Vec<(bool, f32)> = Vec::new();
    for fold in 0..FOLDS {
        let others = examples
            .iter()
            .enumerate()
            .filter(|(index, _)| index % FOLDS != fold);
        let model = train(
            &others
                .map(|(_, example)| example.clone())
                .collect::<Vec<_>>(),
            plan,
        )?;
        let own = examples.iter().skip(fold).step_by(FOLDS);
        logits.extend(own.map(|example| (example.label, model.score(&example.features).logit)));
    }
    let mut harmless: Vec<f32> = logits
        .iter()
        .filter(|(label, _)| !label)
        .map(|(_, logit)| *logit)
        .collect();
    harmless.sort_by(|a, b| b.total_cmp(a));
    let flag_logit = harmless
        .get((harmless.len() as f32 * FALSE_ALARMS) as usize)
        .copied()
        .unwrap_or(0.0);
    let harm: Vec<f32> = logits
        .iter()
        .filter(|(label, _)| *label)
        .map(|(_, logit)| *logit)
        .collect();
    let found = harm.iter().filter(|logit| **logit >= flag_logit).count();
    println!(
        "cross-validated: {found} of {} harmful texts found at {FALSE_ALARMS} false alarms",
        harm.len()
    );
    Ok(flag_logit)
}
