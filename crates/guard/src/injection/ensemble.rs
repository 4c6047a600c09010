//! The judge of prompts is an ensemble of two members, each a linear model and a network that reads what that model is
//! not sure of. One member has learned from the public data sets and our own words, the other from many writers as well.
//! What either of them finds is found: they take different texts for attacks, and hardly ever the same honest ones.

use std::ops::Range;

use super::manifest;
use super::sequence::{self, Network, NetworkError, Passage};
use crate::linear::{LinearModel, ModelError, Score, Scorer, Windows};

/// How many members the ensemble has.
pub const MEMBERS: usize = 2;

/// A linear model and its network.
#[derive(Debug, Clone)]
pub struct Member {
    /// Counts the words of a text.
    pub linear: LinearModel,
    /// Reads the words of a passage in their order.
    pub network: Network,
}

impl Member {
    /// The log-odds of a text that has this score, and whose passage this is.
    pub fn logit(&self, score: Score, passage: &Passage) -> f32 {
        score.logit + self.network.change(passage)
    }
}

/// The log-odds of the member that is the surest, once each member's handicap has been taken off.
pub fn surest(logits: [f32; MEMBERS], handicaps: [f32; MEMBERS]) -> f32 {
    let compared = logits.iter().zip(handicaps);
    let compared = compared.map(|(logit, handicap)| logit - handicap);
    compared.fold(f32::NEG_INFINITY, f32::max)
}

/// The members.
#[derive(Debug, Clone)]
pub struct Ensemble {
    members: [Member; MEMBERS],
    handicaps: [f32; MEMBERS],
}

/// Why an ensemble was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnsembleError {
    /// The weights of a linear model do not fit.
    #[error(transparent)]
    Linear(#[from] ModelError),
    /// A network does not fit.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl Ensemble {
    /// Reads the members from data files, in which one lies behind the other.
    pub fn from_bytes(
        linear: &[u8],
        networks: &[u8],
        manifests: &[manifest::Member; MEMBERS],
    ) -> Result<Self, EnsembleError> {
        let linear = linear.split_at(linear.len() / MEMBERS);
        let networks = networks.split_at(networks.len() / MEMBERS);
        let (first, second) = ((linear.0, networks.0), (linear.1, networks.1));
        let member = |(linear, network): (&[u8], &[u8]), manifest: &manifest::Member| {
            let (scale, bias) = (manifest.scale, manifest.bias);
            Ok::<_, EnsembleError>(Member {
                linear: LinearModel::from_bytes(linear, scale, bias, Windows::OF_SENTENCES)?,
                network: Network::from_bytes(network)?,
            })
        };
        Ok(Self {
            members: [
                member(first, &manifests[0])?,
                member(second, &manifests[1])?,
            ],
            handicaps: manifests.each_ref().map(|manifest| manifest.handicap),
        })
    }

    /// A scorer for each member's linear model.
    pub fn scorers(&self) -> [Scorer<'_>; MEMBERS] {
        self.members.each_ref().map(|member| member.linear.scorer())
    }

    /// The log-odds that the linear models alone give.
    pub fn linear_logit(&self, scores: &[Score; MEMBERS]) -> f32 {
        surest(scores.map(|score| score.logit), self.handicaps)
    }

    /// The log-odds of a text: those of the member that is the surest. Networks are asked only where they could move
    /// them into `decisive` or out of it; `passage` cuts out what they read.
    pub fn logit(
        &self,
        scores: &[Score; MEMBERS],
        decisive: Range<f32>,
        passage: impl Fn(Score) -> Passage,
    ) -> f32 {
        let asked =
            decisive.start - sequence::LARGEST_CHANGE..decisive.end + sequence::LARGEST_CHANGE;
        let mut read: Option<(usize, Passage)> = None;
        let mut most = f32::NEG_INFINITY;
        for ((member, handicap), score) in self.members.iter().zip(self.handicaps).zip(scores) {
            let mut logit = score.logit - handicap;
            if asked.contains(&logit) && most < decisive.end {
                let (_, passage) = match read.take() {
                    Some(same) if same.0 == score.begin => read.insert(same),
                    _ => read.insert((score.begin, passage(*score))),
                };
                logit = member.logit(*score, passage) - handicap;
            }
            most = most.max(logit);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::injection::Featuriser;
    use crate::injection::sequence::train::{Example, Plan, train};
    use crate::linear::Wording;

    fn passage(text: &str) -> Passage {
        let featuriser = Featuriser::built_in().unwrap();
        featuriser.passage(&Wording::of(text), at(0.0))
    }

    fn at(logit: f32) -> Score {
        Score { logit, begin: 0 }
    }

    /// Two members, of which the networks take cats for attacks and dogs for none.
    fn ensemble(handicaps: [f32; MEMBERS]) -> Ensemble {
        let examples = [("the cat sits", true), ("the dog sits", false)];
        let examples = examples.map(|(text, label)| Example {
            passage: passage(text),
            label,
            weight: 1.0,
        });
        let plan = Plan {
            passes: 40,
            seed: 1,
        };
        let linear = LinearModel::new(vec![0; 1 << 10], 1.0, 0.0, Windows::OF_SENTENCES);
        let member = Member {
            linear: linear.unwrap(),
            network: train(&examples, &plan).network(),
        };
        Ensemble {
            members: [member.clone(), member],
            handicaps,
        }
    }

    #[test]
    fn the_surest_member_counts_once_its_handicap_is_off() {
        let ensemble = ensemble([0.0, 2.0]);
        let logit = |first, second| ensemble.linear_logit(&[at(first), at(second)]);
        assert_eq!(logit(1.0, 2.0), 1.0);
        assert_eq!(logit(1.0, 5.0), 3.0);
        let (cat, dog) = (passage("the cat sits"), passage("the dog sits"));
        let judge = |read: &Passage, first, second| {
            ensemble.logit(&[at(first), at(second)], 0.0..9.0, |_| read.clone())
        };
        assert!(judge(&cat, 1.0, -9.0) > 1.0 && judge(&dog, 1.0, -9.0) < 1.0);
        assert!(judge(&cat, -9.0, 3.0) > 1.0 && judge(&dog, -9.0, 3.0) < 1.0);
        let by_second = judge(&cat, -9.0, 3.0);
        assert!(
            (by_second - judge(&cat, 1.0, -9.0)).abs() < 1e-4,
            "{by_second}"
        );
    }

    #[test]
    fn networks_read_only_what_they_could_decide_and_cut_it_out_once() {
        let ensemble = ensemble([0.0, 0.0]);
        let read = |scores: [Score; MEMBERS]| {
            let count = Cell::new(0);
            ensemble.logit(&scores, 2.0..7.0, |_| {
                count.set(count.get() + 1);
                passage("the cat sits")
            });
            count.get()
        };
        let change = sequence::LARGEST_CHANGE;
        assert_eq!(read([at(1.9 - change), at(-20.0)]), 0);
        assert_eq!(read([at(2.1 - change), at(-20.0)]), 1);
        assert_eq!(read([at(-20.0), at(2.1 - change)]), 1);
        assert_eq!(read([at(6.9 + change), at(-20.0)]), 1);
        assert_eq!(read([at(7.1 + change), at(3.0)]), 0);
        assert_eq!(read([at(3.0), at(3.0)]), 1);
        let elsewhere = Score {
            logit: 3.0,
            begin: 9,
        };
        assert_eq!(read([at(3.0), elsewhere]), 2);
    }

    #[test]
    fn members_are_written_and_read() {
        let manifest = manifest::Member {
            scale: 1.0,
            bias: 0.5,
            handicap: 0.0,
        };
        let linear: Vec<u8> = [[1_u8; 1 << 10], [2; 1 << 10]].concat();
        let networks = vec![0; MEMBERS * sequence::BYTES];
        let manifests = [manifest; MEMBERS];
        let read = Ensemble::from_bytes(&linear, &networks, &manifests).unwrap();
        let written = read
            .members
            .each_ref()
            .map(|member| member.linear.to_bytes());
        assert_eq!(written.concat(), linear);
        let too_few = Ensemble::from_bytes(&linear, &networks[1..], &manifests);
        assert!(matches!(too_few, Err(EnsembleError::Network(_))));
        let odd = Ensemble::from_bytes(&linear[1..], &networks, &manifests);
        assert!(matches!(odd, Err(EnsembleError::Linear(_))));
        let too_many = Ensemble::from_bytes(&linear, &[&*networks, &[0]].concat(), &manifests);
        assert!(matches!(too_many, Err(EnsembleError::Network(_))));
    }
}
