//! The canonical model call: what every dialect is decoded into and encoded from.
//!
//! Plain types without serde: the wire formats live in `seaworthy-llm`. Where JSON itself is the
//! content (tool arguments, schemas) it is kept as its original text, so nothing is lost to a
//! re-parse.

mod block;
mod delta;
mod pieces;
mod reply;

pub use block::{Block, CacheTtl, Media, MediaKind, MediaSource, Message, Role, Sealed};
pub use delta::{BlockOpening, Delta};
pub use reply::{Reply, StopReason};

use crate::dialect::Dialect;

/// One request to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// The model, by the name the caller (or, later, the provider) knows.
    pub model: String,
    /// Instructions that stand before the conversation.
    pub system: Vec<Block>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether and which tool has to be called. `None`: the provider's default.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn. `None`: the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// Upper bound of what the model may generate.
    pub max_output_tokens: Option<u64>,
    /// How tokens are picked.
    pub sampling: Sampling,
    /// Texts at which generation stops.
    pub stop: Vec<String>,
    /// The shape that the answer must have. `None`: free text.
    pub response_format: Option<ResponseFormat>,
    /// How much the model should think before it answers.
    pub reasoning: Reasoning,
    /// How many alternative answers to generate. `None` means one.
    pub choices: Option<u64>,
    /// The end user behind the caller, as an opaque name.
    pub user: Option<String>,
    /// The same for safety systems alone, where a dialect tells the two apart.
    pub safety_identifier: Option<String>,
    /// Labels that the provider should store with the call.
    pub metadata: Vec<(String, String)>,
    /// The provider's class of service.
    pub service_tier: Option<String>,
    /// Whether the provider should keep the call and its answer. `None`: the provider's default.
    pub store: Option<bool>,
    /// Settings that both APIs of OpenAI have and nobody else.
    pub openai: Vec<OpenAiSetting>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the caller asked for usage within the stream.
    pub include_usage: bool,
    /// The stored answer that this call continues, by its ID. Whoever has the store puts the
    /// conversation in its place; a provider that does not know the ID cannot answer.
    pub previous_response_id: Option<String>,
    /// Fields that only their own dialect knows and without which the question is another one.
    /// `kind` is the name of the field, `json` its value.
    pub native_fields: Vec<Native>,
    /// Paths (of the request as it came) of fields that were present and that this type has no
    /// place for, so that a translation can say what it dropped.
    pub unknown_fields: Vec<String>,
    /// Where the blocks of each message came from, for dialects that count messages in another way.
    pub origins: Vec<Vec<Origin>>,
    /// Where the instructions came from.
    pub system_origins: Vec<Origin>,
}

/// From which message or item of the request blocks came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The number of the message or item in the request.
    pub source: usize,
    /// The number of the first block that came from it, marks left out.
    pub first: usize,
}

impl Origin {
    /// Blocks from this message or item, which come after those that are there.
    #[must_use]
    pub fn behind(source: usize, blocks: &[Block]) -> Self {
        let is_mark = |block: &&Block| matches!(block, Block::CachePoint(_));
        Self {
            source,
            first: blocks.iter().filter(|block| !is_mark(block)).count(),
        }
    }
}

impl Call {
    /// The end user behind the caller, for providers that take one name.
    #[must_use]
    pub fn end_user(&self) -> Option<&str> {
        self.user.as_deref().or(self.safety_identifier.as_deref())
    }
}

/// A setting that both APIs of OpenAI have, in the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAiSetting {
    /// Its name at chat completions.
    pub name: &'static str,
    /// Its value as JSON text.
    pub json: String,
}

/// How tokens are picked; `None` is the provider's default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sampling {
    /// Randomness; 0 is the most predictable.
    pub temperature: Option<f64>,
    /// Nucleus sampling: only the most likely tokens that add up to this probability.
    pub top_p: Option<f64>,
    /// Only this many of the most likely tokens.
    pub top_k: Option<u64>,
    /// Penalty for tokens by how often they stand in the text already.
    pub frequency_penalty: Option<f64>,
    /// Penalty for tokens that stand in the text already.
    pub presence_penalty: Option<f64>,
    /// Makes sampling repeatable where the provider supports it.
    pub seed: Option<i64>,
}

/// Something that the model may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// A function that the caller runs.
    Function(Function),
    /// A tool that only its own dialect knows (web search, code execution, grammars).
    Native(Native),
}

/// Something that only its own dialect has, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The dialect that has it.
    pub dialect: Dialect,
    /// The dialect's name for it.
    pub kind: String,
    /// The whole of it as JSON text.
    pub json: String,
}

/// A function that the caller runs when the model asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// The name the model uses.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// JSON schema of the arguments, as JSON text. `None`: no arguments.
    pub schema: Option<String>,
    /// Whether the arguments must match the schema exactly.
    pub strict: Option<bool>,
    /// The prompt up to and including this definition should be cached.
    pub cache: Option<CacheTtl>,
}

/// Whether and which tool has to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool has to be called.
    Required,
    /// This tool has to be called.
    Named(String),
    /// Only these of the functions may be called.
    Allowed {
        /// Whether one of them has to be.
        required: bool,
        /// Their names.
        names: Vec<String>,
    },
    /// A rule that only its own dialect knows.
    Native(Native),
}

/// The shape that an answer must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// A name for the schema.
        name: Option<String>,
        /// What the schema is for, for the model.
        description: Option<String>,
        /// The JSON schema, as JSON text.
        schema: String,
        /// Whether the answer must match the schema exactly.
        strict: Option<bool>,
    },
}

/// How much the model should think; both `None` is the provider's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// Whether it thinks, and within which bound.
    pub mode: Option<ReasoningMode>,
    /// How hard it tries.
    pub effort: Option<Effort>,
}

/// Whether the model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningMode {
    /// Not at all.
    Off,
    /// As it sees fit.
    Adaptive,
    /// Up to this many tokens.
    BudgetTokens(u64),
}

/// How hard the model tries, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// The least that still is reasoning.
    Minimal,
    /// Quick and cheap.
    Low,
    /// Balanced.
    Medium,
    /// Thorough.
    High,
    /// More than high.
    ExtraHigh,
    /// As much as the model can.
    Max,
}
