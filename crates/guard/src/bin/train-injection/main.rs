//! Trains the injection model and writes weights and manifest: `train-injection --corpora DIR --out FILE`.
//!
//! The same corpora give the same files, byte for byte.
#![expect(clippy::print_stdout, reason = "a report for a person")]

mod corpus;
mod recipe;
mod synthesis;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use seaworthy_guard::injection::{Featuriser, Manifest};
use seaworthy_guard::linear::LinearModel;
use seaworthy_guard::linear::train::{Example, Plan, train};
use seaworthy_guard::normalise::normalise;

use corpus::Text;

const SEED: u64 = 20_260_701;
const FOLDS: usize = 5;

/// The share of honest training texts that may be flagged, in cross-validation.
const FLAG_FALSE_ALARMS: f32 = 0.005;
/// The share of honest training texts that may be blocked, in cross-validation.
const BLOCK_FALSE_ALARMS: f32 = 0.0005;

#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with `train/` and `test/` (the latter only to leave out what resembles it).
    #[arg(long)]
    corpora: PathBuf,
    /// The weights; the manifest goes beside them with the ending `.json`.
    #[arg(long)]
    out: PathBuf,
    /// Also trains once without each data set and reports how it is judged then.
    #[arg(long)]
    leave_one_out: bool,
}

fn plan() -> Plan {
    Plan { bits: 18, epochs: 8, lambda: 2e-6, rate: 1.0, seed: SEED }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (mut texts, sources) = corpus::read_all(&arguments.corpora)?;
    let harmless: Vec<String> = texts
        .iter()
        .filter(|text| !text.attack && text.text.len() < 200)
        .map(|text| text.text.clone())
        .collect();
    let harmless: Vec<&str> = harmless.iter().map(String::as_str).collect();
    texts.extend(synthesis::make(&harmless, SEED)?);
    let featuriser = Featuriser::built_in()?;
    let examples: Vec<Example> = texts
        .iter()
        .map(|text| Example {
            features: featuriser.read(&normalise(&text.text).text).features,
            label: text.attack,
            weight: text.weight,
        })
        .collect();
    println!("{} texts, {} of them attacks", texts.len(), texts.iter().filter(|text| text.attack).count());
    let logits = cross_validate(&examples)?;
    let flag_logit = threshold(&texts, &logits, FLAG_FALSE_ALARMS);
    let block_logit = threshold(&texts, &logits, BLOCK_FALSE_ALARMS).max(flag_logit);
    report(&texts, &logits, flag_logit, block_logit);
    if arguments.leave_one_out {
        leave_one_out(&texts, &examples, flag_logit)?;
    }
    let model = train(&examples, &plan())?;
    let manifest = Manifest {
        command: "cargo run --release -p seaworthy-guard --bin train-injection -- --corpora DIR --out \
                  crates/guard/data/injection.bin"
            .to_owned(),
        seed: SEED,
        scale: model.scale,
        bias: model.bias,
        flag_logit,
        block_logit,
        sources,
    };
    std::fs::write(&arguments.out, model.to_bytes())
        .with_context(|| format!("cannot write {}", arguments.out.display()))?;
    let beside = arguments.out.with_extension("json");
    std::fs::write(&beside, serde_json::to_string_pretty(&manifest)? + "\n")
        .with_context(|| format!("cannot write {}", beside.display()))?;
    Ok(())
}

/// The log-odds of each text under a model that has not seen it.
fn cross_validate(examples: &[Example]) -> Result<Vec<f32>> {
    let mut logits = vec![0.0; examples.len()];
    for fold in 0..FOLDS {
        let seen: Vec<Example> = examples
            .iter()
            .enumerate()
            .filter(|(index, _)| index % FOLDS != fold)
            .map(|(_, example)| example.clone())
            .collect();
        let model: LinearModel = train(&seen, &plan())?;
        for index in (fold..examples.len()).step_by(FOLDS) {
            logits[index] = model.score(&examples[index].features).logit;
        }
    }
    Ok(logits)
}

/// The log-odds that the given share of honest texts exceed, each text counted by its weight.
fn threshold(texts: &[Text], logits: &[f32], share: f32) -> f32 {
    let mut honest: Vec<(f32, f32)> = texts
        .iter()
        .zip(logits)
        .filter(|(text, _)| !text.attack)
        .map(|(text, logit)| (*logit, text.weight))
        .collect();
    honest.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total: f32 = honest.iter().map(|(_, weight)| weight).sum();
    let mut above = 0.0;
    for (logit, weight) in honest {
        above += weight;
        if above > share * total {
            return logit;
        }
    }
    0.0
}

fn report(texts: &[Text], logits: &[f32], flag: f32, block: f32) {
    println!("cross-validated; flag from {flag:.3}, block from {block:.3}");
    println!("| group | attack | texts | flagged | blocked |\n|---|---|---|---|---|");
    let mut groups: BTreeMap<(&str, bool), [usize; 3]> = BTreeMap::new();
    for (text, logit) in texts.iter().zip(logits) {
        let counts = groups.entry((&text.group, text.attack)).or_default();
        counts[0] += 1;
        counts[1] += usize::from(*logit >= flag);
        counts[2] += usize::from(*logit >= block);
    }
    for ((group, attack), [count, flagged, blocked]) in groups {
        println!("| {group} | {attack} | {count} | {flagged} | {blocked} |");
    }
}

/// How each data set is judged by a model that has seen nothing of it.
fn leave_one_out(texts: &[Text], examples: &[Example], flag: f32) -> Result<()> {
    println!("| left out | attacks flagged | honest flagged |\n|---|---|---|");
    let mut groups: Vec<&str> = texts.iter().map(|text| text.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let others = texts.iter().zip(examples).filter(|(text, _)| text.group != group);
        let model = train(&others.map(|(_, example)| example.clone()).collect::<Vec<_>>(), &plan())?;
        let mut counts = [[0_usize; 2]; 2];
        for (text, example) in texts.iter().zip(examples).filter(|(text, _)| text.group == group) {
            let flagged = model.score(&example.features).logit >= flag;
            counts[usize::from(text.attack)][0] += 1;
            counts[usize::from(text.attack)][1] += usize::from(flagged);
        }
        let [[honest, false_alarms], [attacks, hits]] = counts;
        println!("| {group} | {hits} of {attacks} | {false_alarms} of {honest} |");
    }
    Ok(())
}
