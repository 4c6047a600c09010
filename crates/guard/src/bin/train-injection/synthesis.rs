//! Puts training texts together from the project's own sentences: honest ones that use the words of
//! attacks, attacks in several languages, and documents that carry either.

use anyhow::Result;
use seaworthy_guard::testing::Dice;
use serde::Deserialize;

use crate::corpus::{FOLDS, Origin, Text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    mentions: Vec<String>,
    followups: Vec<String>,
    words: Vec<String>,
    topics: Vec<String>,
    plain_mentions: Vec<String>,
    attacks: Vec<String>,
    requests: Vec<String>,
    carriers: Vec<String>,
    errands: Vec<String>,
    openings: Vec<String>,
    personas: Vec<String>,
    tasks: Vec<String>,
    notes: Vec<String>,
}

/// How many texts of each kind are made.
const MENTIONS: usize = 2500;
const FOLLOWUPS: usize = 1000;
const ROLES: usize = 1500;
const NOTES: usize = 500;
const ATTACKS: usize = 1600;
const JOINED: usize = 800;
const CARRIED: usize = 600;

/// Makes the texts from the short texts of the data sets. The parts of one text come from one fold, so
/// that cross-validation never meets a part of a text that it has learnt from.
pub(crate) fn make(texts: &[Text], seed: u64) -> Result<Vec<Text>> {
    let sentences: Sentences = toml::from_str(include_str!("synthesis.toml"))?;
    let mut dice = Dice::new(seed);
    let mut made = Vec::new();
    for fold in 0..FOLDS {
        let short = |attack: bool| -> Vec<&str> {
            let fits =
                |text: &&Text| text.attack == attack && text.fold == fold && text.text.len() < 200;
            texts
                .iter()
                .filter(fits)
                .map(|text| text.text.as_str())
                .collect()
        };
        let parts = Parts {
            harmless: short(false),
            hostile: short(true),
            sentences: &sentences,
        };
        let mut add = |group: &str, attack: bool, weight: f32, text: String| {
            made.push(Text {
                text,
                attack,
                weight,
                group: group.to_owned(),
                origin: Origin::Made,
                fold,
            });
        };
        for _ in 0..MENTIONS / FOLDS {
            add("own_mentions", false, 0.4, mention(&sentences, &mut dice));
        }
        for _ in 0..FOLLOWUPS / FOLDS {
            let topic = choose(&sentences.topics, &mut dice);
            let text = choose(&sentences.followups, &mut dice).replace("{t}", topic);
            add("own_followups", false, 0.5, text);
        }
        for _ in 0..ROLES / FOLDS {
            add("own_roles", false, 0.2, role(&sentences, &mut dice));
        }
        for _ in 0..NOTES / FOLDS {
            let (bad, good) = parts.noted(&mut dice);
            add("own_notes", true, 0.6, bad);
            add("own_notes", false, 0.5, good);
        }
        for plain in sentences.plain_mentions.iter().skip(fold).step_by(FOLDS) {
            add("own_mentions", false, 2.0, plain.clone());
        }
        for _ in 0..ATTACKS / FOLDS {
            add("own_attacks", true, 0.7, parts.bare_or_joined(&mut dice));
        }
        for _ in 0..JOINED / FOLDS {
            add("own_joined", true, 0.25, parts.hijacked(&mut dice));
            let calm: Vec<&str> = (0..2 + dice.below(2))
                .map(|_| dice.pick(&parts.harmless))
                .collect();
            add(
                "own_joined",
                false,
                0.25,
                calm.join(dice.pick(&[" ", ". ", "\n"])),
            );
        }
        for _ in 0..CARRIED / FOLDS {
            let carrier = choose(&sentences.carriers, &mut dice);
            let bad = attack(&sentences, &mut dice);
            add("own_carriers", true, 0.7, carrier.replace("{s}", &bad));
            let carrier = choose(&sentences.carriers, &mut dice);
            let good = match dice.below(3) {
                0 => dice.pick(&parts.harmless).to_owned(),
                _ => choose(&sentences.errands, &mut dice).to_owned(),
            };
            add("own_carriers", false, 1.0, carrier.replace("{s}", &good));
        }
    }
    Ok(made)
}

/// What the texts of one fold are made of.
struct Parts<'p> {
    harmless: Vec<&'p str>,
    hostile: Vec<&'p str>,
    sentences: &'p Sentences,
}

impl Parts<'_> {
    fn bare_or_joined(&self, dice: &mut Dice) -> String {
        let bare = attack(self.sentences, dice);
        match dice.below(3) {
            0 => bare,
            1 => format!("{} {bare}", dice.pick(&self.harmless)),
            _ => format!(
                "{}. {bare}",
                dice.pick(&self.harmless).trim_end_matches(['.', '?', '!'])
            ),
        }
    }

    /// A task with its text, into which a note tries to reach, and the same without it.
    fn noted(&self, dice: &mut Dice) -> (String, String) {
        let topic = choose(&self.sentences.topics, dice);
        let task = choose(&self.sentences.tasks, dice).replace("{t}", topic);
        let request = choose(&self.sentences.requests, dice);
        let note = choose(&self.sentences.notes, dice).replace("{q}", request);
        let text = dice.pick(&self.harmless);
        let bad = match dice.below(3) {
            0 => format!("{task}\n\n{text} {note}"),
            1 => format!("{task} '{note} {text}'"),
            _ => format!("{text}\n{note}"),
        };
        (bad, format!("{task}\n\n{text}"))
    }

    fn hijacked(&self, dice: &mut Dice) -> String {
        let (calm, bad) = (dice.pick(&self.harmless), dice.pick(&self.hostile));
        let joint = dice.pick(&[" ", ". ", "\n", "\n\n"]);
        match dice.below(4) {
            0 => format!("{bad}{joint}{calm}"),
            1 => format!("{calm}{joint}{bad}{joint}{}", dice.pick(&self.harmless)),
            _ => format!("{calm}{joint}{bad}"),
        }
    }
}

fn choose<'s>(list: &'s [String], dice: &mut Dice) -> &'s str {
    &list[dice.below(list.len())]
}

/// An honest request to play somebody, or to see a thing with the eyes of somebody.
fn role(sentences: &Sentences, dice: &mut Dice) -> String {
    let task = choose(&sentences.tasks, dice);
    let topic = choose(&sentences.topics, dice);
    choose(&sentences.openings, dice)
        .replace("{p}", choose(&sentences.personas, dice))
        .replace("{k}", task)
        .replace("{t}", topic)
}

fn mention(sentences: &Sentences, dice: &mut Dice) -> String {
    let word = choose(&sentences.words, dice);
    let topic = choose(&sentences.topics, dice);
    choose(&sentences.mentions, dice)
        .replace("{w}", word)
        .replace("{t}", topic)
}

fn attack(sentences: &Sentences, dice: &mut Dice) -> String {
    let request = choose(&sentences.requests, dice);
    let text = choose(&sentences.attacks, dice).replace("{q}", request);
    match dice.below(8) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => text,
    }
}
