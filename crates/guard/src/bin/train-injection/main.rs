//! Trains the injection model and writes weights and manifest: `train-injection --corpora DIR --out FILE`.
//!
//! The same corpora give the same files, byte for byte.
#![expect(clippy::print_stdout, reason = "a report for a person")]

mod corpus;
mod grammar;
mod recipe;
mod synthesis;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use seaworthy_guard::injection::{Featuriser, Manifest};
use seaworthy_guard::linear::train::{Example, Plan, train};
use seaworthy_guard::linear::{LinearModel, Windows};
use seaworthy_guard::normalise::normalise;

use corpus::{FOLDS, TestTexts, Text};

const SEED: u64 = 20_260_701;

/// The share of instructions of chats that may be flagged by models that have seen nothing of their set. Among
/// plain instructions of all kinds fewer are: most of them are questions.
const FLAG_FALSE_ALARMS: f32 = 0.015;
/// The share of all honest texts, the treacherous ones included, that may be blocked.
const BLOCK_FALSE_ALARMS: f32 = 0.001;

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
    Plan {
        bits: 19,
        epochs: 20,
        lambda: 2.5e-7,
        rate: 3.0,
        seed: SEED,
        by_rarity: true,
        left_out: 0.6,
        windows: Windows::OF_SENTENCES,
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let tests = TestTexts::read(&arguments.corpora.join("test"))?;
    let (mut texts, sources) = corpus::read_all(&arguments.corpora, &tests)?;
    texts.extend(synthesis::make(&texts, SEED)?);
    let made = grammar::make(SEED)?.into_iter();
    texts.extend(made.filter(|text| !tests.resemble(&text.text)));
    let featuriser = Featuriser::built_in()?;
    let examples: Vec<Example> = texts
        .iter()
        .map(|text| Example {
            features: featuriser.features(&normalise(&text.text).text),
            label: text.attack,
            weight: text.weight,
        })
        .collect();
    println!(
        "{} texts, {} of them attacks",
        texts.len(),
        texts.iter().filter(|text| text.attack).count()
    );
    let mut logits = cross_validate(&texts, &examples)?;
    for group in recipe::CHAT {
        leave_out(group, &texts, &examples, &mut logits)?;
    }
    let is_chat = |text: &Text| recipe::CHAT.contains(&text.group.as_str());
    let flag_logit = threshold(&texts, &logits, is_chat, FLAG_FALSE_ALARMS);
    let block_logit = threshold(&texts, &logits, |_| true, BLOCK_FALSE_ALARMS).max(flag_logit);
    report(&texts, &logits, flag_logit, block_logit);
    if arguments.leave_one_out {
        leave_one_out(&texts, &examples, flag_logit)?;
    }
    let model = train(&examples, &plan())?;
    let manifest = Manifest {
        command:
            "cargo run --release -p seaworthy-guard --bin train-injection -- --corpora DIR --out \
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
fn cross_validate(texts: &[Text], examples: &[Example]) -> Result<Vec<f32>> {
    let mut logits = vec![0.0; examples.len()];
    for fold in 0..FOLDS {
        let others = texts
            .iter()
            .zip(examples)
            .filter(|(text, _)| text.fold != fold);
        let model: LinearModel = train(
            &others
                .map(|(_, example)| example.clone())
                .collect::<Vec<_>>(),
            &plan(),
        )?;
        for (index, example) in examples
            .iter()
            .enumerate()
            .filter(|(index, _)| texts[*index].fold == fold)
        {
            logits[index] = model.score(&example.features).logit;
        }
    }
    Ok(logits)
}

/// The log-odds that the given share of the honest texts among `wanted` exceed.
fn threshold(texts: &[Text], logits: &[f32], wanted: impl Fn(&Text) -> bool, share: f32) -> f32 {
    let honest = texts
        .iter()
        .zip(logits)
        .filter(|(text, _)| !text.attack && wanted(text));
    let mut logits: Vec<f32> = honest.map(|(_, logit)| *logit).collect();
    logits.sort_by(|a, b| b.total_cmp(a));
    logits
        .get((logits.len() as f32 * share) as usize)
        .copied()
        .unwrap_or(0.0)
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

/// The log-odds of the texts of a data set under a model that has seen nothing of it.
fn leave_out(group: &str, texts: &[Text], examples: &[Example], logits: &mut [f32]) -> Result<()> {
    let others = texts.iter().zip(examples);
    let others = others.filter(|(text, _)| text.group != group);
    let others: Vec<Example> = others.map(|(_, example)| example.clone()).collect();
    let model = train(&others, &plan())?;
    for (index, text) in texts.iter().enumerate() {
        if text.group == group {
            logits[index] = model.score(&examples[index].features).logit;
        }
    }
    Ok(())
}

/// How each data set is judged by a model that has seen nothing of it.
fn leave_one_out(texts: &[Text], examples: &[Example], flag: f32) -> Result<()> {
    println!("| left out | attacks flagged | honest flagged |\n|---|---|---|");
    let mut groups: Vec<&str> = texts.iter().map(|text| text.group.as_str()).collect();
    groups.dedup();
    let mut logits = vec![0.0; texts.len()];
    for group in groups {
        leave_out(group, texts, examples, &mut logits)?;
        let mut counts = [[0_usize; 2]; 2];
        let judged = texts.iter().zip(&logits);
        for (text, logit) in judged.filter(|(text, _)| text.group == group) {
            counts[usize::from(text.attack)][0] += 1;
            counts[usize::from(text.attack)][1] += usize::from(*logit >= flag);
        }
        let [[honest, false_alarms], [attacks, hits]] = counts;
        println!("| {group} | {hits} of {attacks} | {false_alarms} of {honest} |");
    }
    Ok(())
}
