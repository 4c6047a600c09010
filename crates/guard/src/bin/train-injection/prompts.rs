//! Trains the members of the judge of prompts: of each the linear model, and the network that reads what that one is not
//! sure of.

use anyhow::{Result, anyhow};
use seaworthy_guard::injection::ensemble::{MEMBERS, Member};
use seaworthy_guard::injection::sequence::Passage;
use seaworthy_guard::injection::sequence::train::{
    Example as Lesson, Plan as PlanOfNetwork, Trained, train as train_network,
};
use seaworthy_guard::injection::{Featuriser, manifest};
use seaworthy_guard::linear::train::{Example, train};
use seaworthy_guard::linear::{Features, Score, Wording};
use seaworthy_guard::normalise::normalise;
use seaworthy_guard::testing::Dice;

use crate::corpus::{self, FOLDS, Text};
use crate::{SEED, plan, recipe};

const PLAN: PlanOfNetwork = PlanOfNetwork {
    passes: 8,
    seed: SEED,
};

/// Honest texts of fewer log-odds than these, of which the linear model is sure, teach the network little: it learns
/// from some in ten of them.
const SURE: f32 = -5.0;
const SURE_IN_TEN: usize = 3;

/// Whether a member reads the writers.
const READS_WRITERS: [bool; MEMBERS] = [false, true];
/// To a network, which tells kinds of texts from each other better than a linear model does, the texts of the writers
/// count as much as others.
const WEIGHT_OF_WRITERS: f32 = 1.0;

/// The texts that the judge of prompts learns from, and what the linear models see in them.
pub(crate) struct Prompts<'t> {
    pub(crate) texts: &'t [Text],
    pub(crate) examples: &'t [Example],
    pub(crate) featuriser: &'t Featuriser,
}

/// The members after a training, and all that their networks know.
pub(crate) struct Judge {
    members: [Member; MEMBERS],
    networks: [Trained; MEMBERS],
}

impl Judge {
    /// The log-odds of a text that each member gives.
    fn logits(&self, featuriser: &Featuriser, text: &str) -> [f32; MEMBERS] {
        let text = normalise(text).text;
        let features = featuriser.features(&text);
        self.members.each_ref().map(|member| {
            let score = member.linear.score(&features);
            member.logit(score, &passage(featuriser, &text, score))
        })
    }

    /// The log-odds that each linear model alone gives.
    pub(crate) fn linear_logits(&self, features: &Features) -> [f32; MEMBERS] {
        let members = self.members.each_ref();
        members.map(|member| member.linear.score(features).logit)
    }

    /// What the manifest says of the members.
    pub(crate) fn manifests(&self, handicaps: [f32; MEMBERS]) -> [manifest::Member; MEMBERS] {
        std::array::from_fn(|number| manifest::Member {
            scale: self.members[number].linear.scale,
            bias: self.members[number].linear.bias,
            handicap: handicaps[number],
        })
    }

    /// The linear models as they lie in a data file.
    pub(crate) fn linear_bytes(&self) -> Vec<u8> {
        let members = self.members.iter();
        members
            .flat_map(|member| member.linear.to_bytes())
            .collect()
    }

    /// The networks as they lie in a data file.
    pub(crate) fn network_bytes(&self) -> Vec<u8> {
        self.networks.iter().flat_map(Trained::to_bytes).collect()
    }
}

fn passage(featuriser: &Featuriser, text: &str, score: Score) -> Passage {
    featuriser.passage(&Wording::of(text), score)
}

impl Prompts<'_> {
    /// Trains on the texts that are kept.
    pub(crate) fn train(&self, is_kept: impl Fn(&Text) -> bool + Sync) -> Result<Judge> {
        let one = |number: usize| {
            let is_read = |text: &Text| READS_WRITERS[number] || !corpus::is_of_writer(text);
            self.train_member(|text| is_kept(text) && is_read(text))
        };
        let trained = std::thread::scope(|scope| {
            let one = &one;
            let running =
                std::array::from_fn::<_, MEMBERS, _>(|number| scope.spawn(move || one(number)));
            running.map(|thread| thread.join().map_err(|_| anyhow!("a training panicked"))?)
        });
        let [first, second] = trained;
        let (first, second) = (first?, second?);
        Ok(Judge {
            members: [first.0, second.0],
            networks: [first.1, second.1],
        })
    }

    fn train_member(&self, is_kept: impl Fn(&Text) -> bool) -> Result<(Member, Trained)> {
        let kept = self.texts.iter().zip(self.examples);
        let kept: Vec<(&Text, &Example)> = kept.filter(|(text, _)| is_kept(text)).collect();
        let examples: Vec<Example> = kept.iter().map(|(_, example)| (*example).clone()).collect();
        let linear = train(&examples, &plan())?;
        let mut dice = Dice::new(SEED);
        let mut lessons = Vec::new();
        for (text, example) in kept {
            let score = linear.score(&example.features);
            if !text.attack && score.logit < SURE && dice.below(10) >= SURE_IN_TEN {
                continue;
            }
            lessons.push(Lesson {
                passage: passage(self.featuriser, &normalise(&text.text).text, score),
                label: text.attack,
                weight: match corpus::is_of_writer(text) {
                    true => WEIGHT_OF_WRITERS,
                    false => text.weight,
                },
            });
        }
        let trained = train_network(&lessons, &PLAN);
        let network = trained.network();
        Ok((Member { linear, network }, trained))
    }

    /// Judges each text by a judge that has not seen it; by one that has seen nothing of its data set where that is
    /// one of chats.
    pub(crate) fn cross_validate(&self) -> Result<Vec<[f32; MEMBERS]>> {
        let mut logits = vec![[0.0; MEMBERS]; self.texts.len()];
        for fold in 0..FOLDS {
            self.leave_out(|text| text.fold == fold, &mut logits)?;
        }
        for groups in recipe::CHAT {
            self.leave_out(|text| groups.contains(&&*text.group), &mut logits)?;
        }
        Ok(logits)
    }

    /// Judges some texts by a judge that has seen none of them.
    pub(crate) fn leave_out(
        &self,
        is_left_out: impl Fn(&Text) -> bool + Sync,
        logits: &mut [[f32; MEMBERS]],
    ) -> Result<()> {
        let judge = self.train(|text| !is_left_out(text))?;
        for (index, text) in self.texts.iter().enumerate() {
            if is_left_out(text) {
                logits[index] = judge.logits(self.featuriser, &text.text);
            }
        }
        Ok(())
    }
}

/// The log-odds that the given share of plain instructions exceed: sums and chats, each set of chats as much as any
/// other. Few texts are so far out that a single one would move the point, so what is counted is the tail that the
/// highest log-odds of a set let expect.
pub(crate) fn flag_point(texts: &[Text], logits: &[f32], share: f32) -> f32 {
    let (sums, share_of_sums) = recipe::SUMS;
    let chats = recipe::CHAT.concat();
    let share_of_chat = (1.0 - share_of_sums) / chats.len() as f32;
    let sets = chats.iter().map(|chat| (*chat, share_of_chat));
    let tails: Vec<(Tail, f32)> = sets
        .chain([(sums, share_of_sums)])
        .map(|(set, share)| {
            let of_set = texts.iter().zip(logits);
            let of_set = of_set.filter(|(text, _)| text.group == set);
            (Tail::of(of_set.map(|(_, logit)| *logit).collect()), share)
        })
        .collect();
    let flagged = |point: f32| -> f32 {
        let parts = tails.iter().map(|(tail, share)| share * tail.beyond(point));
        parts.sum()
    };
    let (mut low, mut high) = (-20.0, 20.0);
    for _ in 0..40 {
        let middle = f32::midpoint(low, high);
        match flagged(middle) > share {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// The highest log-odds of a set, of which those beyond a point fall off exponentially.
struct Tail {
    begin: f32,
    /// How much of the set lies beyond the begin, and how far on average.
    share: f32,
    mean_excess: f32,
}

impl Tail {
    /// The share of a set that is its tail, and the fewest texts that make one.
    const SHARE: f32 = 0.05;
    const LEAST: usize = 12;

    fn of(mut logits: Vec<f32>) -> Self {
        logits.sort_by(|a, b| b.total_cmp(a));
        let count = ((logits.len() as f32 * Self::SHARE) as usize).max(Self::LEAST);
        let count = count.min(logits.len().saturating_sub(1));
        let begin = logits.get(count).copied().unwrap_or(0.0);
        let excess: f32 = logits[..count].iter().map(|logit| logit - begin).sum();
        Self {
            begin,
            share: count as f32 / logits.len().max(1) as f32,
            mean_excess: (excess / count.max(1) as f32).max(f32::MIN_POSITIVE),
        }
    }

    /// How much of the set lies beyond a point.
    fn beyond(&self, point: f32) -> f32 {
        let excess = (point - self.begin).max(0.0);
        self.share * (-excess / self.mean_excess).exp()
    }
}
