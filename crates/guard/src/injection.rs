//! Judges whether a text tries to take control of a model: rules for what is certain, small linear
//! models for what is likely, and small networks for what those are not sure of.

mod concepts;
mod document;
pub mod ensemble;
pub mod manifest;
pub mod sequence;
mod structure;
mod words;

use serde::{Deserialize, Serialize};

use crate::linear::{
    self, Around, DocumentFeatures, Features, LinearModel, NoFeatures, Notes, Score, Scorer, Sink,
    Windows, Wording,
};
use crate::normalise::{self, decode};
use crate::policy::Place;
use crate::shown::Shown;
pub use document::is_document;
use ensemble::{Ensemble, EnsembleError, MEMBERS};
pub use manifest::{Documents, Manifest, Source};
use sequence::Passage;
use structure::{Mark, Structure};
use words::{Phrase, Words};

const WEIGHTS: &[u8] = include_bytes!("../data/injection.bin");
const SEQUENCE: &[u8] = include_bytes!("../data/injection-sequence.bin");
const DOCUMENT_WEIGHTS: &[u8] = include_bytes!("../data/injection-documents.bin");
const MANIFEST: &str = include_str!("../data/injection.json");

/// How sure the judge is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing to see.
    #[default]
    Clear,
    /// Likely enough to be looked at.
    Flag,
    /// Certain enough to be stopped.
    Block,
}

/// What made a text suspicious, apart from its score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// Text in tag characters, which nobody can see.
    pub smuggled: bool,
    /// Tokens of a chat template.
    pub template_tokens: bool,
    /// A Markdown image whose URL carries data.
    pub exfil_image: bool,
    /// Earlier instructions are to be set aside.
    pub override_phrase: bool,
    /// Instructions are to be shown.
    pub reveal_phrase: bool,
    /// The suspicious part was encoded or disguised.
    pub encoded: bool,
    /// There are more layers of encoding than are taken off.
    pub buried: bool,
}

/// The judgement about a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// How sure.
    pub level: Level,
    /// The probability that the text tries to take control.
    pub probability: f32,
    /// The log-odds of the worst window.
    pub logit: f32,
    /// Why, apart from the score.
    pub signals: Signals,
}

impl Assessment {
    /// Nothing was said.
    const CLEAR: Self = Self {
        level: Level::Clear,
        probability: 0.0,
        logit: f32::NEG_INFINITY,
        signals: Signals {
            smuggled: false,
            template_tokens: false,
            exfil_image: false,
            override_phrase: false,
            reveal_phrase: false,
            encoded: false,
            buried: false,
        },
    };
}

/// Why the judge could not be built.
#[derive(Debug, thiserror::Error)]
pub enum InjectionError {
    /// The manifest is not what the format asks for.
    #[error("the manifest of the injection model cannot be read: {0}")]
    Manifest(#[from] serde_json::Error),
    /// The word file is not what the format asks for.
    #[error("the word file of the injection rules cannot be read: {0}")]
    Words(#[from] Box<toml::de::Error>),
    /// The weights for documents do not fit.
    #[error(transparent)]
    Documents(#[from] linear::ModelError),
    /// The weights for prompts do not fit.
    #[error(transparent)]
    Prompts(#[from] EnsembleError),
    /// The marks do not fit.
    #[error(transparent)]
    Trigger(#[from] crate::trigger::TriggerError),
}

/// More marks than these over letters are there to hide them.
const LEAST_MARKS: u32 = 8;

/// Turns a text into the features that rules and model look at.
#[derive(Debug)]
pub struct Featuriser {
    words: Words,
    structure: Structure,
}

/// What the rules see in one text.
#[derive(Debug, Clone, Copy)]
struct Seen {
    signals: Signals,
    /// Whether it holds orders in rot13.
    turned: bool,
    /// Whether it holds words of orders that are written backwards.
    mirrored: bool,
}

struct Reading<'r> {
    reader: words::Reader<'r>,
    marks: std::slice::Iter<'r, (usize, Mark)>,
    /// Where the next of them stands.
    next_mark: usize,
}

fn next_mark(marks: &std::slice::Iter<'_, (usize, Mark)>) -> usize {
    marks.as_slice().first().map_or(usize::MAX, |(at, _)| *at)
}

impl Notes for Reading<'_> {
    fn word(&mut self, hash: u32, new_sentence: bool) -> Option<u32> {
        self.reader
            .word(hash, new_sentence)
            .map(|phrase| match phrase {
                Phrase::Override => 1,
                Phrase::Dismiss => 2,
                Phrase::Reveal => 3,
                Phrase::Renew => 4,
            })
    }

    fn add_kinds(&mut self, new_sentence: bool, add: impl FnMut(u32)) {
        self.reader.add_kinds(new_sentence, add);
    }

    fn begin_block(&mut self) {
        self.reader.begin_block();
    }

    fn add_concepts(&mut self, around: Around, add: impl FnMut(u32)) {
        self.reader.add_concepts(around, add);
    }

    fn mark_before(&mut self, offset: usize) -> Option<u32> {
        if self.next_mark >= offset {
            return None;
        }
        let (_, mark) = self.marks.next()?;
        self.next_mark = next_mark(&self.marks);
        Some(match mark {
            Mark::Template => 5,
            Mark::Role => 6,
            Mark::Delimiter => 7,
            Mark::ExfilImage => 8,
            Mark::Shout => 9,
            Mark::Spaced => 10,
        })
    }
}

impl Featuriser {
    /// The featuriser with the built-in words and marks.
    pub fn built_in() -> Result<Self, InjectionError> {
        Ok(Self {
            words: Words::built_in()?,
            structure: Structure::built_in()?,
        })
    }

    /// The features of a text that has been normalised.
    pub fn features(&self, text: &str) -> Features {
        let mut features = Features::default();
        self.read(&Wording::of(text), &mut features);
        features
    }

    /// The features of a document that has been normalised.
    pub fn document_features(&self, text: &str) -> Features {
        let mut features = DocumentFeatures::default();
        self.read(&Wording::of(text), &mut features);
        features.0
    }

    /// The passage of a text that has been normalised, of which the linear model has this score.
    pub fn passage(&self, wording: &Wording<'_>, score: Score) -> Passage {
        Passage::around(wording, score.begin, &self.words)
    }

    fn read(&self, wording: &Wording<'_>, sink: &mut impl Sink) -> Seen {
        let text = wording.text();
        let mut marks = self.structure.read(wording.lower());
        let shouts = structure::shouts(text).into_iter();
        marks.extend(shouts.map(|at| (at, Mark::Shout)));
        marks.extend(structure::spaced(wording).map(|at| (at, Mark::Spaced)));
        marks.sort_by_key(|(at, _)| *at);
        let mut reading = Reading {
            reader: self.words.reader(),
            next_mark: next_mark(&marks.iter()),
            marks: marks.iter(),
        };
        linear::extract(wording, &mut reading, sink);
        let phrases = reading.reader.phrases;
        let has = |wanted: Mark| marks.iter().any(|(_, mark)| *mark == wanted);
        Seen {
            signals: Signals {
                template_tokens: has(Mark::Template),
                exfil_image: has(Mark::ExfilImage),
                override_phrase: phrases.overrides > 0,
                reveal_phrase: phrases.reveals > 0,
                ..Signals::default()
            },
            turned: phrases.turned > 0,
            mirrored: phrases.is_mirrored(),
        }
    }
}

/// Judges texts.
#[derive(Debug)]
pub struct InjectionJudge {
    featuriser: Featuriser,
    prompts: Ensemble,
    documents: LinearModel,
    manifest: Manifest,
}

/// Scores the same features by the models for prompts and, where it is asked, by that for documents.
struct Scorers<'m> {
    prompts: [Scorer<'m>; MEMBERS],
    documents: Option<Scorer<'m>>,
}

impl Scorers<'_> {
    fn each(&mut self, tell: impl FnMut(&mut Scorer<'_>)) {
        self.prompts
            .iter_mut()
            .chain(&mut self.documents)
            .for_each(tell);
    }
}

impl Sink for Scorers<'_> {
    fn begin_block(&mut self, begin: usize) {
        self.each(|scorer| scorer.begin_block(begin));
    }

    fn add(&mut self, hash: u32) {
        self.each(|scorer| scorer.add(hash));
    }

    fn add_concept(&mut self, hash: u32) {
        if let Some(documents) = &mut self.documents {
            documents.add(hash);
        }
    }
}

impl InjectionJudge {
    /// The judge with the built-in rules and weights.
    pub fn built_in() -> Result<Self, InjectionError> {
        let manifest: Manifest = serde_json::from_str(MANIFEST)?;
        let documents = &manifest.documents;
        Ok(Self {
            featuriser: Featuriser::built_in()?,
            prompts: Ensemble::from_bytes(WEIGHTS, SEQUENCE, &manifest.members)?,
            documents: LinearModel::from_bytes(
                DOCUMENT_WEIGHTS,
                documents.scale,
                documents.bias,
                Windows::OF_DOCUMENTS,
            )?,
            manifest,
        })
    }

    /// Where the weights come from and where the operating points lie.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Judges a text that stands at this place, and what is hidden in it; of a long one the worst piece counts.
    pub fn assess(&self, text: &str, place: Place) -> Assessment {
        let judged = Shown::pieces(text).map(|piece| self.assess_shown(&piece, place));
        judged.fold(Assessment::CLEAR, |worst, piece| {
            match (piece.level, piece.logit) > (worst.level, worst.logit) {
                true => piece,
                false => worst,
            }
        })
    }

    /// Judges a text, or a piece of one, that others judge too.
    pub fn assess_shown(&self, shown: &Shown<'_>, place: Place) -> Assessment {
        let text = shown.wording.text();
        let (mut worst, seen) = self.assess_wording(&shown.wording, place);
        let decode::Hidden {
            texts: mut disguised,
            is_cut,
        } = decode::hidden_texts(text);
        self.add_readings(shown, seen, &mut disguised);
        for inner in &disguised {
            let inner = Wording::of(normalise::normalise(inner).text);
            let (mut assessment, seen) = self.assess_wording(&inner, place);
            if seen.turned {
                let turned = Wording::of(decode::rot13(inner.text()));
                let (under, _) = self.assess_wording(&turned, place);
                assessment = if (under.level, under.logit) > (assessment.level, assessment.logit) {
                    under
                } else {
                    assessment
                };
            }
            if (assessment.level, assessment.logit) > (worst.level, worst.logit) {
                assessment.signals.encoded = true;
                worst = assessment;
            }
        }
        // A flag of a country is made of tag characters too, six of them at most.
        worst.signals.smuggled = shown.traces.tags > 8;
        worst.signals.buried = is_cut;
        if worst.signals.smuggled || worst.signals.buried {
            worst.level = Level::Block;
        }
        worst
    }

    /// Whether a reading holds a phrase of an order, and is no accident.
    fn is_order(&self, reading: &str) -> bool {
        let seen = self.featuriser.read(&Wording::of(reading), &mut NoFeatures);
        seen.signals.override_phrase || seen.signals.reveal_phrase
    }

    /// Adds how a text reads in other ways: in leetspeak, turned, backwards, without marks, with joined letters.
    fn add_readings(&self, shown: &Shown<'_>, seen: Seen, readings: &mut Vec<String>) {
        let text = shown.wording.text();
        if normalise::leet_words(text).any(|word| self.featuriser.words.has_role(&word)) {
            let leet = normalise::fold_leetspeak(text);
            if leet != text && self.is_order(&leet) {
                readings.push(leet);
            }
        }
        if seen.turned {
            readings.push(decode::rot13(text));
        }
        if seen.mirrored {
            readings.push(normalise::backwards(text));
        }
        if shown.traces.marks >= LEAST_MARKS {
            readings.push(normalise::without_marks(text));
        }
        let joined = normalise::joined_letters(text);
        readings.extend(joined.filter(|joined| self.is_order(joined)));
        if shown.traces.tags > 0 {
            readings.push(shown.smuggled.clone());
        }
    }

    /// Judges a text as it stands; also says what the rules see in it.
    fn assess_wording(&self, wording: &Wording<'_>, place: Place) -> (Assessment, Seen) {
        let has_lines = is_document(wording.text());
        // A tool returns documents, however short they are.
        let documents = (has_lines || place == Place::ToolResult).then(|| self.documents.scorer());
        let mut scorers = Scorers {
            prompts: self.prompts.scorers(),
            documents,
        };
        let seen = self.featuriser.read(wording, &mut scorers);
        let scores = scorers.prompts.map(Scorer::score);
        let points = &self.manifest;
        let decisive = points.flag_logit..points.block_logit;
        let passage = |score| self.featuriser.passage(wording, score);
        let as_prompt = self.prompts.logit(&scores, decisive, passage);
        // The networks have read no documents: of lines the linear models alone are sure enough to block.
        let is_sure = match has_lines {
            true => self.prompts.linear_logit(&scores) >= points.documents.as_prompt_logit,
            false => as_prompt >= points.block_logit,
        };
        let (level, logit) = match scorers.documents {
            _ if is_sure => (Level::Block, as_prompt),
            Some(documents) => {
                let may_be_prompt = place == Place::Input || !has_lines;
                self.level_of_document(as_prompt, documents.score().logit, may_be_prompt)
            }
            None => {
                let flag = self.manifest.flag_logit;
                (level(as_prompt, flag, f32::INFINITY), as_prompt)
            }
        };
        let assessment = Assessment {
            level,
            probability: linear::probability(logit),
            logit,
            signals: seen.signals,
        };
        (assessment, seen)
    }

    /// How sure both models are about a document. What a tool returned is one; what a user says in the shape of one
    /// may be some lines with an order among them, so there both models have a say.
    fn level_of_document(
        &self,
        as_prompt: f32,
        as_document: f32,
        may_be_prompt: bool,
    ) -> (Level, f32) {
        let points = &self.manifest.documents;
        let flag = self.manifest.flag_logit;
        // Of both models the log-odds say how far a text is from being flagged.
        let logit = as_document - points.flag_logit + flag;
        let block = points.block_logit - points.flag_logit + flag;
        let as_it_is = level(logit, flag, block);
        if !may_be_prompt {
            return (as_it_is, logit);
        }
        let as_lines = as_prompt - self.manifest.lines_logit + flag;
        let likely = level(as_lines, flag, f32::INFINITY);
        (as_it_is.max(likely), logit.max(as_lines))
    }
}

fn level(logit: f32, flag: f32, block: f32) -> Level {
    if logit >= block {
        Level::Block
    } else if logit >= flag {
        Level::Flag
    } else {
        Level::Clear
    }
}

#[cfg(test)]
mod tests;
