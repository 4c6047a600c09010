//! Puts training texts together from the project's own sentences: honest ones that use the words of
//! attacks, attacks in several languages, and documents that carry either.

use anyhow::Result;
use seaworthy_guard::testing::Dice;
use serde::Deserialize;

use crate::corpus::Text;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentences {
    mentions: Vec<String>,
    words: Vec<String>,
    topics: Vec<String>,
    plain_mentions: Vec<String>,
    attacks: Vec<String>,
    requests: Vec<String>,
    carriers: Vec<String>,
    errands: Vec<String>,
}

/// How many texts of each kind are made.
const MENTIONS: usize = 2500;
const ATTACKS: usize = 700;
const CARRIED: usize = 600;

/// Makes the texts; `harmless` are short honest requests of the data sets.
pub(crate) fn make(harmless: &[&str], seed: u64) -> Result<Vec<Text>> {
    let sentences: Sentences = toml::from_str(include_str!("synthesis.toml"))?;
    let mut dice = Dice::new(seed);
    let mut texts = Vec::new();
    let mut add = |group: &str, attack: bool, weight: f32, text: String| {
        texts.push(Text { text, attack, weight, group: group.to_owned() });
    };
    for _ in 0..MENTIONS {
        add("own_mentions", false, 1.0, mention(&sentences, &mut dice));
    }
    for plain in &sentences.plain_mentions {
        add("own_mentions", false, 4.0, plain.clone());
    }
    for _ in 0..ATTACKS {
        let bare = attack(&sentences, &mut dice);
        let text = match dice.below(3) {
            0 => bare,
            1 => format!("{} {bare}", dice.pick(harmless)),
            _ => format!("{}. {bare}", dice.pick(harmless).trim_end_matches(['.', '?', '!'])),
        };
        add("own_attacks", true, 0.7, text);
    }
    for _ in 0..CARRIED {
        let carrier = choose(&sentences.carriers, &mut dice);
        let bad = attack(&sentences, &mut dice);
        add("own_carriers", true, 0.7, carrier.replace("{s}", &bad));
        let carrier = choose(&sentences.carriers, &mut dice);
        let good = match dice.below(3) {
            0 => dice.pick(harmless).to_owned(),
            _ => choose(&sentences.errands, &mut dice).to_owned(),
        };
        add("own_carriers", false, 1.0, carrier.replace("{s}", &good));
    }
    Ok(texts)
}

fn choose<'s>(list: &'s [String], dice: &mut Dice) -> &'s str {
    &list[dice.below(list.len())]
}

fn mention(sentences: &Sentences, dice: &mut Dice) -> String {
    let word = choose(&sentences.words, dice);
    let topic = choose(&sentences.topics, dice);
    choose(&sentences.mentions, dice).replace("{w}", word).replace("{t}", topic)
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
