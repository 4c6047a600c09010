//! Makes texts by grammars: each name stands for one of its lines, and `{name}` in a line for what that name stands for.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use seaworthy_guard::testing::Dice;

use crate::corpus::{FOLDS, Origin, Text};

/// How deep names may stand in names: a grammar that leads to itself is refused when it is read.
const DEPTH: usize = 12;

/// A language: its grammar, what its names begin with, and how many texts of each label it makes.
struct Language {
    name: &'static str,
    source: &'static str,
    prefix: &'static str,
    count: usize,
}

const ENGLISH: &str = include_str!("grammar/en.txt");
const CHAT: &str = include_str!("grammar/chat.txt");
const CARRIERS: &str = include_str!("grammar/carriers.txt");
const FAMILIES: &str = include_str!("grammar/families.txt");

const LANGUAGES: [Language; 5] = [
    language("english", ENGLISH, "", 4000),
    language("german", include_str!("grammar/de.txt"), "", 2000),
    language("french", include_str!("grammar/fr.txt"), "", 500),
    language("spanish", include_str!("grammar/es.txt"), "", 500),
    language("others", include_str!("grammar/other.txt"), "all.", 2000),
];

const fn language(
    name: &'static str,
    source: &'static str,
    prefix: &'static str,
    count: usize,
) -> Language {
    Language {
        name,
        source,
        prefix,
        count,
    }
}

/// How often each language stands in a document, which may be in another one.
const IN_DOCUMENTS: [usize; 9] = [0, 0, 0, 0, 0, 1, 2, 3, 4];
/// How many documents are made of each label.
const DOCUMENTS: usize = 2500;
/// How many texts of each label are made of the families of attacks and of what is like them.
const FAMILY: usize = 1500;
/// How many honest questions of a chat are made.
const CHATS: usize = 3000;

/// A grammar.
pub(crate) struct Grammar(HashMap<&'static str, Vec<&'static str>>);

impl Grammar {
    pub(crate) fn read(sources: &[&'static str]) -> Result<Self> {
        let mut rules: HashMap<&str, Vec<&str>> = HashMap::new();
        for source in sources {
            let mut name = None;
            for line in source.lines().filter(|line| !line.is_empty()) {
                match line.strip_prefix("= ") {
                    Some(next) => name = Some(next),
                    None => {
                        let name = name.context("a line stands before the first name")?;
                        rules.entry(name).or_default().push(line);
                    }
                }
            }
        }
        Ok(Self(rules))
    }

    pub(crate) fn make(&self, name: &str, dice: &mut Dice) -> Result<String> {
        let mut out = String::new();
        self.expand(name, dice, DEPTH, &mut out)?;
        Ok(out)
    }

    fn expand(&self, name: &str, dice: &mut Dice, depth: usize, out: &mut String) -> Result<()> {
        ensure!(depth > 0, "`{name}` leads to itself; break the circle");
        let lines = self
            .0
            .get(name)
            .with_context(|| format!("nothing is called `{name}`"))?;
        let mut rest = dice.pick(lines);
        while let Some(at) = rest.find(['{', '}', '\\']) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(escaped) = ["{{", "}}", "\\n", "\\t"]
                .into_iter()
                .find(|e| rest.starts_with(*e))
            {
                out.push(match escaped {
                    "{{" => '{',
                    "}}" => '}',
                    "\\n" => '\n',
                    _ => '\t',
                });
                rest = &rest[2..];
            } else if rest.starts_with('{') {
                let end = rest
                    .find('}')
                    .with_context(|| format!("`{rest}` has no end"))?;
                self.expand(&rest[1..end], dice, depth - 1, out)?;
                rest = &rest[end + 1..];
            } else {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        Ok(())
    }
}

/// Makes the texts of all grammars.
pub(crate) fn make(seed: u64) -> Result<Vec<Text>> {
    let mut dice = Dice::new(seed);
    let mut made = Vec::new();
    let mut add = |group: String, attack: bool, weight: f32, text: String| {
        let fold = made.len() % FOLDS;
        made.push(Text {
            text,
            attack,
            weight,
            group,
            origin: Origin::Made,
            fold,
        });
    };
    let mut grammars = Vec::new();
    for language in &LANGUAGES {
        let grammar = Grammar::read(&[language.source])?;
        for _ in 0..language.count {
            for (start, attack) in [("attack", true), ("honest", false)] {
                let text = grammar.make(&format!("{}{start}", language.prefix), &mut dice)?;
                add(format!("made_{}", language.name), attack, 0.5, text);
            }
        }
        grammars.push((grammar, language.prefix));
    }
    let chat = Grammar::read(&[CHAT])?;
    for _ in 0..CHATS {
        add(
            "made_chat".to_owned(),
            false,
            0.8,
            chat.make("chat", &mut dice)?,
        );
    }
    let families = Grammar::read(&[ENGLISH, FAMILIES])?;
    for _ in 0..FAMILY {
        for (start, attack, weight) in [("family", true, 0.4), ("honest_family", false, 0.6)] {
            let text = families.make(start, &mut dice)?;
            add("made_families".to_owned(), attack, weight, text);
        }
    }
    let carriers = Grammar::read(&[ENGLISH, CARRIERS])?;
    for _ in 0..DOCUMENTS {
        let (grammar, prefix) = &grammars[IN_DOCUMENTS[dice.below(IN_DOCUMENTS.len())]];
        let hijack = match prefix.is_empty() {
            true => "hijack",
            false => "all.attack",
        };
        let bad = grammar.make(hijack, &mut dice)?;
        let good = match dice.below(3) {
            0 => grammar.make(&format!("{prefix}errand"), &mut dice)?,
            _ => carriers.make("calm", &mut dice)?,
        };
        for (sentence, attack, weight) in [(bad, true, 0.5), (good, false, 0.8)] {
            let document = carriers.make("carrier", &mut dice)?;
            let text = document.replace("{s}", &sentence);
            add("made_documents".to_owned(), attack, weight, text);
        }
    }
    Ok(made)
}
