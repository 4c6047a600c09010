//! What the weights are, where they come from, and where the operating points lie.

use serde::{Deserialize, Serialize};

use super::ensemble::MEMBERS;

/// What the weights are and where they come from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The command that reproduces the weights.
    pub command: String,
    /// The seed of the training.
    pub seed: u64,
    /// The members of the ensemble that judges prompts.
    pub members: [Member; MEMBERS],
    /// The log-odds from which a text is flagged.
    pub flag_logit: f32,
    /// The log-odds from which a text is blocked.
    pub block_logit: f32,
    /// The log-odds from which what a user says in several lines is flagged: it may be a document.
    pub lines_logit: f32,
    /// How documents are judged.
    pub documents: Documents,
    /// The data that the weights were trained on.
    pub sources: Vec<Source>,
}

/// The linear model of a member.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// What a weight of 1 is worth.
    pub scale: f32,
    /// Added to every window's sum.
    pub bias: f32,
    /// Taken off this member's log-odds before they are compared with those of others.
    pub handicap: f32,
}

/// The model for documents: they give orders to people all the time, so that other words tell an attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// What a weight of 1 is worth.
    pub scale: f32,
    /// Added to every window's sum.
    pub bias: f32,
    /// The log-odds from which a document is flagged.
    pub flag_logit: f32,
    /// The log-odds from which a document is blocked.
    pub block_logit: f32,
    /// The log-odds, by the linear models for prompts, from which a document is blocked.
    pub as_prompt_logit: f32,
}

/// One data set that the weights were trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its licence.
    pub licence: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// How many texts were used.
    pub used: usize,
}
