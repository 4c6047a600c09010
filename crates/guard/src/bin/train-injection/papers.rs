//! Makes documents for the second model: mails, notices, code, tables, logs and pages that give orders to people and
//! speak of models, and the same with an order to a model; and documents into which an attack of the data sets was put.

use anyhow::Result;
use seaworthy_guard::testing::Dice;

use crate::corpus::{FOLDS, Origin, Text};
use crate::grammar::Grammar;

const SOURCES: [&str; 4] = [
    include_str!("grammar/papers.txt"),
    include_str!("grammar/orders.txt"),
    include_str!("grammar/foreign.txt"),
    include_str!("grammar/articles.txt"),
];

/// What the names of each language begin with, and how often it is used.
const LANGUAGES: [&str; 12] = [
    "de", "de", "fr", "fr", "es", "es", "it", "pt", "nl", "pl", "xx", "xx",
];

/// How many documents are made of each label.
const MADE: usize = 3000;
/// Every so many of them is about attacks.
const ARTICLES: usize = 4;
/// How often each attack of the data sets is put into a document.
const CARRIED: usize = 2;
/// What a made text counts: there are many, and they are alike.
const WEIGHT: f32 = 0.15;

/// The data sets whose attacks documents carry, and those that are documents or stand in them.
const ATTACKS: [&str; 3] = ["deepset_train", "pif_injections", "giskard"];
const HONEST: [&str; 2] = ["deepset_train", "pif_benign"];
/// The papers are not among the carriers, as those set the points.
const CARRIERS: [&str; 3] = [
    "bipia_ctx_email_train",
    "bipia_ctx_code_train",
    "own_documents",
];

/// Longer texts are no sentences that a document carries.
const MOST_CARRIED: usize = 350;

/// Makes all documents.
pub(crate) fn make(texts: &[Text], seed: u64) -> Result<Vec<Text>> {
    let mut dice = Dice::new(seed);
    let mut made = written(&mut dice)?;
    made.extend(carried(texts, &mut dice));
    Ok(made)
}

fn text(group: &str, attack: bool, fold: usize, text: String) -> Text {
    Text {
        text,
        attack,
        weight: WEIGHT,
        group: group.to_owned(),
        origin: Origin::Paper,
        fold,
    }
}

/// Documents of the grammars, as many honest ones as others.
fn written(dice: &mut Dice) -> Result<Vec<Text>> {
    let grammar = Grammar::read(&SOURCES)?;
    let mut made = Vec::new();
    for index in 0..MADE {
        let is_article = index % ARTICLES == 0;
        for (label, attack) in [("bad", true), ("good", false)] {
            let language = dice.pick(&LANGUAGES);
            let mut document = grammar.make(if is_article { "article" } else { "paper" }, dice)?;
            let is_foreign = document.contains("{f}");
            while document.contains("{f}") {
                let sentence = grammar.make(&format!("{language}.f"), dice)?;
                document = document.replacen("{f}", &sentence, 1);
            }
            if document.contains("{t}") {
                document = document.replace("{t}", &grammar.make(&format!("{language}.t"), dice)?);
            }
            // Now and then the sentence is in another language than its document.
            let is_other = dice.below(10) == 0;
            let sentence = if is_article && !attack {
                grammar.make("article.good", dice)?
            } else if is_foreign != is_other {
                grammar.make(&format!("{language}.{label}"), dice)?
            } else {
                grammar.make(label, dice)?
            };
            let document = document.replace("{s}", sentence.trim());
            made.push(text("made_papers", attack, index % FOLDS, document));
        }
    }
    Ok(made)
}

/// Documents with an attack of the data sets in them, and with an honest text of those.
fn carried(texts: &[Text], dice: &mut Dice) -> Vec<Text> {
    let of = |groups: &'static [&str], attack: bool| {
        let fits =
            move |text: &&Text| text.attack == attack && groups.contains(&text.group.as_str());
        texts.iter().filter(fits)
    };
    let short = |text: &&Text| text.text.len() < MOST_CARRIED;
    let calm: Vec<&Text> = of(&HONEST, false).filter(short).collect();
    let carriers: Vec<&Text> = of(&CARRIERS, false).collect();
    let mut made = Vec::new();
    for hostile in of(&ATTACKS, true).filter(short) {
        for _ in 0..CARRIED {
            for (sentence, attack) in [(hostile, true), (dice.pick(&calm), false)] {
                let document = put_in(&dice.pick(&carriers).text, &sentence.text, dice);
                made.push(text("carried_papers", attack, hostile.fold, document));
            }
        }
    }
    made
}

/// Puts a sentence into a document: as a line of its own, as a comment behind a comment, or between two sentences.
fn put_in(document: &str, sentence: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<&str> = document.lines().collect();
    if lines.len() >= 3 {
        let at = 1 + dice.below(lines.len());
        let before = lines[at - 1];
        let begin = before.len() - before.trim_start().len();
        let marks = ["# ", "// ", "-- ", "/// ", "- ", "> ", "* "];
        let mark = marks
            .into_iter()
            .find(|mark| before[begin..].starts_with(mark));
        let lead = &before[..begin + mark.map_or(0, str::len)];
        let lead = if mark.is_some() { lead } else { "" };
        let line = format!("{lead}{sentence}");
        lines.insert(at, &line);
        return lines.join("\n");
    }
    let mut ends: Vec<usize> = document.match_indices(". ").map(|(at, _)| at + 2).collect();
    ends.push(document.len());
    let at = ends[dice.below(ends.len())];
    let space = if at == document.len() { " " } else { "" };
    format!("{}{space}{sentence} {}", &document[..at], &document[at..])
}
