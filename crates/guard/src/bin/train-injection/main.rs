//! Trains the injection model and writes weights and manifest: `train-injection --corpora DIR --out FILE`.
//!
//! The same corpora give the same files, byte for byte.
#![expect(clippy::print_stdout, reason = "a report for a person")]

mod corpus;
mod grammar;
mod papers;
mod prompts;
mod recipe;
mod synthesis;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use seaworthy_guard::injection::ensemble::{MEMBERS, surest};
use seaworthy_guard::injection::{Documents, Featuriser, Manifest, is_document};
use seaworthy_guard::linear::train::{Example, Plan, train};
use seaworthy_guard::linear::{Features, LinearModel, Windows};
use seaworthy_guard::normalise::normalise;

use corpus::{FOLDS, Origin, TestTexts, Text};
use prompts::{Prompts, flag_point};

const SEED: u64 = 20_260_701;

/// The share of plain instructions that may be flagged, where judges that have seen nothing of their set judge those
/// of chats.
const FLAG_FALSE_ALARMS: f32 = 0.0025;
/// The share of all honest texts, the treacherous ones included, that may be blocked.
const BLOCK_FALSE_ALARMS: f32 = 0.001;
/// The share of our own honest documents, which are harder than ordinary ones, that may be flagged, and the share of
/// all, those made of quoted attacks too, that may be blocked.
const FLAGGED_DOCUMENTS: f32 = 0.04;
const BLOCKED_DOCUMENTS: f32 = 0.003;
/// The share of our own honest documents that the judge of prompts may flag where a user says them.
const FLAGGED_LINES: f32 = 0.1;

/// What the shape of a document teaches the second model counts so much less where it comes from prompts.
const SHARE_OF_PROMPTS: f32 = 0.2;

#[derive(Debug, Parser)]
struct Arguments {
    /// The folder with `train/` and `test/` (the latter only to leave out what resembles it).
    #[arg(long)]
    corpora: PathBuf,
    /// The weights; the networks, the weights for documents and the manifest go beside them, with the endings
    /// `-sequence.bin`, `-documents.bin` and `.json`.
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

/// There are few documents: what is frequent in them counts as much as what is rare.
fn plan_of_documents() -> Plan {
    Plan {
        bits: 16,
        lambda: 2.5e-6,
        by_rarity: false,
        windows: Windows::OF_DOCUMENTS,
        ..plan()
    }
}

/// Texts, and the examples that they are.
type Lesson = (Vec<Text>, Vec<Example>);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let tests = TestTexts::read(&arguments.corpora.join("test"))?;
    let (mut texts, sources) = corpus::read_all(&arguments.corpora, &tests)?;
    let others = texts.iter().filter(|text| text.origin != Origin::Paper);
    let others: Vec<Text> = others.cloned().collect();
    texts.extend(synthesis::make(&others, SEED)?);
    let made = grammar::make(SEED)?.into_iter();
    texts.extend(made.filter(|text| !tests.resemble(&text.text)));
    let papers = papers::make(&texts, SEED)?.into_iter();
    texts.extend(papers.filter(|text| !tests.resemble(&text.text)));
    let featuriser = Featuriser::built_in()?;
    let ((texts, examples), (documents, lessons)) = divide(texts, &featuriser)?;
    println!(
        "{} texts, {} of them attacks; {} documents",
        texts.len(),
        texts.iter().filter(|text| text.attack).count(),
        documents.len()
    );
    let prompts = Prompts {
        texts: &texts,
        examples: &examples,
        featuriser: &featuriser,
    };
    let by_member = prompts.cross_validate()?;
    let handicaps = handicaps(&texts, &by_member);
    let logits: Vec<f32> = by_member
        .iter()
        .map(|logits| surest(*logits, handicaps))
        .collect();
    let flag_logit = rounded(flag_point(&texts, &logits, FLAG_FALSE_ALARMS));
    let block_logit = threshold(&texts, &logits, |_| true, BLOCK_FALSE_ALARMS);
    let block_logit = rounded(block_logit).max(flag_logit);
    report(&texts, &logits, flag_logit, block_logit);
    let is_ours = |text: &Text| text.origin == Origin::Document && is_document(&text.text);
    let lines_logit = threshold(&texts, &logits, is_ours, FLAGGED_LINES);
    let lines_logit = rounded(lines_logit).max(flag_logit);
    println!("lines of users, flag from {lines_logit:.3}");
    if arguments.leave_one_out {
        leave_one_out(&prompts, handicaps, flag_logit)?;
    }
    let judge = prompts.train(|_| true)?;
    let second = train(&lessons, &plan_of_documents())?;
    // The judge of prompts has seen no papers.
    let as_prompt = |text: &Text| {
        let features = featuriser.features(&normalise(&text.text).text);
        surest(judge.linear_logits(&features), handicaps)
    };
    let as_prompts: Vec<f32> = documents.iter().map(as_prompt).collect();
    let points = judge_documents(&documents, &lessons, &as_prompts, &second)?;
    let manifest = Manifest {
        command:
            "cargo run --release -p seaworthy-guard --bin train-injection -- --corpora DIR --out \
                  crates/guard/data/injection.bin"
                .to_owned(),
        seed: SEED,
        members: judge.manifests(handicaps),
        flag_logit,
        block_logit,
        lines_logit,
        documents: points,
        sources,
    };
    let beside = |ending: &str| {
        let stem = arguments.out.with_extension("");
        PathBuf::from(format!("{}{ending}", stem.display()))
    };
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write(&arguments.out, &judge.linear_bytes())?;
    write(&beside("-sequence.bin"), &judge.network_bytes())?;
    write(&beside("-documents.bin"), &second.to_bytes())?;
    let manifest = serde_json::to_string_pretty(&manifest)? + "\n";
    write(&beside(".json"), manifest.as_bytes())
}

/// What the judge of prompts learns from, which is all but the papers, and what that of documents does, which is all
/// documents that were not put together here. What the writers have in the shape of a document are prompts of several
/// lines, and made it take more documents for attacks.
fn divide(texts: Vec<Text>, featuriser: &Featuriser) -> Result<(Lesson, Lesson)> {
    let (mut said, mut documents): (Lesson, Lesson) = Default::default();
    let add = |lesson: &mut Lesson, text: Text, features: Features| {
        lesson.1.push(Example {
            features,
            label: text.attack,
            weight: text.weight,
        });
        lesson.0.push(text);
    };
    for text in texts {
        let normal = normalise(&text.text).text.into_owned();
        let is_lesson = match text.origin {
            Origin::Made => false,
            Origin::Prompt => is_document(&normal) && !corpus::is_of_writer(&text),
            Origin::Document | Origin::Paper => true,
        };
        if is_lesson {
            let mut text = text.clone();
            if text.origin == Origin::Prompt {
                text.weight *= SHARE_OF_PROMPTS;
            }
            add(&mut documents, text, featuriser.document_features(&normal));
        }
        if text.origin != Origin::Paper {
            add(&mut said, text, featuriser.features(&normal));
        }
    }
    Ok((said, documents))
}

/// The points of the second model, from honest documents that it has not seen.
fn judge_documents(
    texts: &[Text],
    examples: &[Example],
    as_prompts: &[f32],
    second: &LinearModel,
) -> Result<Documents> {
    let logits = cross_validate(texts, examples, &plan_of_documents())?;
    let is_ours = |text: &Text| text.group == "own_papers";
    let flag_logit = threshold(texts, &logits, is_ours, FLAGGED_DOCUMENTS);
    let block_logit = threshold(texts, &logits, |_| true, BLOCKED_DOCUMENTS).max(flag_logit);
    report(texts, &logits, flag_logit, block_logit);
    let as_prompt_logit = rounded(threshold(texts, as_prompts, is_ours, BLOCKED_DOCUMENTS));
    println!("as prompts, block from {as_prompt_logit:.3}");
    report(texts, as_prompts, as_prompt_logit, as_prompt_logit);
    Ok(Documents {
        scale: second.scale,
        bias: second.bias,
        flag_logit,
        block_logit,
        as_prompt_logit,
    })
}

/// The log-odds of each text under a model that has not seen it.
fn cross_validate(texts: &[Text], examples: &[Example], plan: &Plan) -> Result<Vec<f32>> {
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
            plan,
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

/// What is taken off each member's log-odds, so that its own flagging point is that of the first.
fn handicaps(texts: &[Text], by_member: &[[f32; MEMBERS]]) -> [f32; MEMBERS] {
    let points: [f32; MEMBERS] = std::array::from_fn(|member| {
        let logits: Vec<f32> = by_member.iter().map(|logits| logits[member]).collect();
        flag_point(texts, &logits, FLAG_FALSE_ALARMS)
    });
    points.map(|point| rounded(point - points[0]))
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

/// The point as the manifest has it: a hundredth more changes nothing.
fn rounded(point: f32) -> f32 {
    (point * 100.0).ceil() / 100.0
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

/// How each data set is judged by a judge that has seen nothing of it.
fn leave_one_out(prompts: &Prompts<'_>, handicaps: [f32; MEMBERS], flag: f32) -> Result<()> {
    println!("| left out | attacks flagged | honest flagged |\n|---|---|---|");
    let texts = prompts.texts;
    let mut groups: Vec<&str> = texts.iter().map(|text| text.group.as_str()).collect();
    groups.dedup();
    let mut by_member = vec![[0.0; MEMBERS]; texts.len()];
    for group in groups {
        prompts.leave_out(|text| text.group == group, &mut by_member)?;
        let mut counts = [[0_usize; 2]; 2];
        let judged = texts.iter().zip(&by_member);
        for (text, logits) in judged.filter(|(text, _)| text.group == group) {
            counts[usize::from(text.attack)][0] += 1;
            counts[usize::from(text.attack)][1] += usize::from(surest(*logits, handicaps) >= flag);
        }
        let [[honest, false_alarms], [attacks, hits]] = counts;
        println!("| {group} | {hits} of {attacks} | {false_alarms} of {honest} |");
    }
    Ok(())
}
