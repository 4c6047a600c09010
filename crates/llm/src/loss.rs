//! What a translation cannot carry over, and what is done about it: one table for all dialects.

use std::fmt;

/// What a call or a reply has and another dialect has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Feature {
    /// A field the canonical call does not know.
    UnknownField,
    /// `top_k`.
    TopK,
    /// `seed`.
    Seed,
    /// Frequency or presence penalty.
    Penalty,
    /// A temperature above what the provider takes.
    HighTemperature,
    /// Labels to be stored with the call.
    Metadata,
    /// A label that is longer than the provider takes, or of other signs.
    Label,
    /// A class of service the provider does not sell.
    ServiceTier,
    /// The name of a speaker.
    SpeakerName,
    /// How closely to look at a picture.
    ImageDetail,
    /// The name of a file.
    FileName,
    /// A mark up to where the prompt should be cached.
    CachePoint,
    /// JSON without a schema.
    JsonObject,
    /// The description of an answer's schema.
    SchemaDescription,
    /// A bound of reasoning in tokens.
    ReasoningBudget,
    /// A bound of reasoning outside of what the provider takes.
    NearestBudget,
    /// Reasoning that the target did not write itself.
    Thinking,
    /// A signature of reasoning.
    Signature,
    /// The mark that a tool failed.
    ToolError,
    /// An answer begun by the caller, to be continued by the model.
    Prefill,
    /// Texts at which generation stops.
    Stop,
    /// That only one tool may be called at a time.
    ParallelToolCalls,
    /// That the arguments of a call must match the schema.
    StrictTool,
    /// An instruction of the operator after the conversation has begun.
    LateInstruction,
    /// That instructions are all that is said.
    OnlyInstruction,
    /// Which tool has to be called.
    NamedTool,
    /// That no tool may be called.
    NoToolCall,
    /// Whether to think, and within which bound.
    ReasoningMode,
    /// Thinking beside something that the provider does without it.
    ThinkingRuledOut,
    /// Settings of chance beside thinking.
    SamplingRuledOut,
    /// How hard to think.
    Effort,
    /// A degree of effort that the provider does not tell apart from its neighbour.
    NearestEffort,
    /// The name of the end user.
    EndUser,
    /// A setting that only OpenAI's APIs have.
    OpenAiSetting,
    /// That the provider should keep the call and its answer.
    Store,
    /// Which stop text was met.
    StopSequence,
    /// A piece of the answer that only its own provider knows.
    NativeAnswer,
    /// More than one alternative answer.
    Choices,
    /// A call that only fills the prompt cache.
    Prewarm,
    /// A piece of content that only its own provider knows.
    NativeBlock,
    /// A tool that only its own provider knows.
    NativeTool,
    /// A rule about tools that only its own provider knows.
    NativeToolChoice,
    /// A medium the provider cannot take, or not from there.
    Media,
    /// Arguments of a tool call that are not a JSON object.
    ToolArguments,
    /// A setting that only its own provider knows.
    NativeField,
    /// A stored answer that the call continues.
    PreviousResponse,
}

/// What is done about a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is left out, and a warning says so.
    Drop,
    /// The call is refused: without it the answer would be to another question.
    Refuse,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 46] = [
        Self::UnknownField,
        Self::TopK,
        Self::Seed,
        Self::Penalty,
        Self::HighTemperature,
        Self::Metadata,
        Self::Label,
        Self::ServiceTier,
        Self::SpeakerName,
        Self::ImageDetail,
        Self::FileName,
        Self::CachePoint,
        Self::JsonObject,
        Self::SchemaDescription,
        Self::ReasoningBudget,
        Self::NearestBudget,
        Self::Thinking,
        Self::Signature,
        Self::ToolError,
        Self::Prefill,
        Self::Stop,
        Self::ParallelToolCalls,
        Self::StrictTool,
        Self::LateInstruction,
        Self::OnlyInstruction,
        Self::NamedTool,
        Self::NoToolCall,
        Self::ReasoningMode,
        Self::ThinkingRuledOut,
        Self::SamplingRuledOut,
        Self::Effort,
        Self::NearestEffort,
        Self::EndUser,
        Self::OpenAiSetting,
        Self::Store,
        Self::StopSequence,
        Self::NativeAnswer,
        Self::Choices,
        Self::Prewarm,
        Self::NativeBlock,
        Self::NativeTool,
        Self::NativeToolChoice,
        Self::Media,
        Self::ToolArguments,
        Self::NativeField,
        Self::PreviousResponse,
    ];

    /// The table: what is done, and why.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table is read line by line")]
    pub fn verdict(self) -> (Verdict, &'static str) {
        use Verdict::{Drop, Refuse};
        match self {
            Self::UnknownField => (Drop, "the field has no counterpart"),
            Self::TopK => (Drop, "the provider has no `top_k`"),
            Self::Seed => (Drop, "the provider has no `seed`"),
            Self::Penalty => (Drop, "the provider has no penalties"),
            Self::HighTemperature => (Drop, "the provider takes at most 1, which was sent"),
            Self::Metadata => (Drop, "the provider stores no labels"),
            Self::Label => (
                Drop,
                "the provider takes labels of at most 63 small letters, digits, `_` and `-`",
            ),
            Self::ServiceTier => (Drop, "the provider has no such service tier"),
            Self::SpeakerName => (Drop, "the provider has no names of speakers"),
            Self::ImageDetail => (Drop, "the provider has no detail setting for pictures"),
            Self::FileName => (Drop, "the provider takes no names of files"),
            Self::CachePoint => (Drop, "the provider decides by itself what it caches"),
            Self::JsonObject => (
                Drop,
                "the provider enforces JSON only with a schema; the prompt has to ask for JSON",
            ),
            Self::SchemaDescription => (Drop, "the provider takes no description of a schema"),
            Self::ReasoningBudget => (Drop, "the provider takes an effort, the nearest was sent"),
            Self::NearestBudget => (
                Drop,
                "the provider takes at least 1024 tokens and less than the bound of the output; the nearest was sent",
            ),
            Self::Thinking => (Drop, "the provider takes back only reasoning of its own"),
            Self::Signature => (Drop, "the dialect has no place for it"),
            Self::ToolError => (Drop, "the provider has no mark for it; the text tells"),
            Self::Prefill => (
                Drop,
                "the provider starts a new answer instead of continuing",
            ),
            Self::Stop => (Refuse, "the provider cannot stop at a text"),
            Self::ParallelToolCalls => (Drop, "the provider may call several tools at a time"),
            Self::StrictTool => (Drop, "the provider does not promise to keep to the schema"),
            Self::LateInstruction => (
                Drop,
                "the provider takes instructions only at the start; it was sent as said by the user",
            ),
            Self::OnlyInstruction => (
                Drop,
                "the provider answers only what somebody says; it was sent as said by the user",
            ),
            Self::NamedTool => (
                Drop,
                "the provider takes no names; no other tool was offered",
            ),
            Self::NoToolCall => (Drop, "the provider cannot be told; no tool was offered"),
            Self::ReasoningMode => (
                Drop,
                "the provider has no setting for it that fits every model",
            ),
            Self::ThinkingRuledOut => (
                Drop,
                "the provider does not think where it has to call a tool, goes on with what was begun, or misses what it thought before",
            ),
            Self::SamplingRuledOut => (Drop, "the provider takes none where it thinks"),
            Self::Effort => (
                Drop,
                "the provider takes no effort beside that; thinking was switched on",
            ),
            Self::NearestEffort => (
                Drop,
                "the provider has no such effort, the nearest was sent",
            ),
            Self::EndUser => (Drop, "the provider takes no name of an end user"),
            Self::OpenAiSetting => (Drop, "only OpenAI's APIs have it"),
            Self::Store => (Drop, "the provider keeps nothing on request"),
            Self::StopSequence => (Drop, "the dialect does not tell which text it was"),
            Self::NativeAnswer => (Drop, "the dialect has no place for it"),
            Self::Choices => (
                Refuse,
                "a translated answer has one choice; ask several times",
            ),
            Self::Prewarm => (Refuse, "the provider fills its cache only by answering"),
            Self::NativeBlock => (Refuse, "only its own provider understands this content"),
            Self::NativeTool => (Refuse, "only its own provider has this tool"),
            Self::NativeToolChoice => (Refuse, "only its own provider understands this rule"),
            Self::Media => (
                Refuse,
                "the provider does not take this medium from this source",
            ),
            Self::ToolArguments => (Refuse, "the provider takes only a JSON object"),
            Self::NativeField => (Refuse, "only its own provider understands this setting"),
            Self::PreviousResponse => (
                Refuse,
                "the provider has no store of answers; send the whole conversation",
            ),
        }
    }
}

/// One thing that could not be carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What it is.
    pub feature: Feature,
    /// Where it stood, such as `top_k` or `messages[2].content[0]`. Messages are counted as in the
    /// canonical call: after the instructions, and with the results of parallel calls in one.
    pub path: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`: {}", self.path, self.feature.verdict().1)
    }
}

/// The call cannot be translated without changing what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What cannot be carried over; at least one.
    pub refused: Vec<Loss>,
}

impl std::error::Error for Lost {}

impl fmt::Display for Lost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the request cannot be translated for the provider of this model: ")?;
        for (index, loss) in self.refused.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(out, "{separator}{loss}")?;
        }
        Ok(())
    }
}

/// A translated document and what was left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The document.
    pub body: Vec<u8>,
    /// What was left out, for the warning header and the audit.
    pub dropped: Vec<Loss>,
}

/// Collects losses while a document is written.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Loss>);

/// How many losses are kept; the caller decides how many there are.
const KEPT_AT_MOST: usize = 64;

impl Losses {
    /// Notes that something at `path` has no place in the document.
    pub(crate) fn add(&mut self, feature: Feature, path: impl Into<String>) {
        let path = path.into();
        let refused = feature.verdict().0 == Verdict::Refuse;
        // A refusal must not get lost behind a crowd of trifles.
        if self.0.len() < KEPT_AT_MOST || (refused && !self.any_refused()) {
            self.0.push(Loss { feature, path });
        }
    }

    pub(crate) fn add_unknown(&mut self, paths: &[String]) {
        for path in paths {
            self.add(Feature::UnknownField, path);
        }
    }

    fn any_refused(&self) -> bool {
        let mut losses = self.0.iter();
        losses.any(|loss| loss.feature.verdict().0 == Verdict::Refuse)
    }

    /// Everything that was noted until now.
    pub(crate) fn so_far(&self) -> &[Loss] {
        &self.0
    }

    /// Everything that was noted.
    pub(crate) fn into_dropped(self) -> Vec<Loss> {
        self.0
    }

    /// The document, unless something in it has to be refused.
    pub(crate) fn verdict(self, body: Vec<u8>) -> Result<Encoded, Lost> {
        if !self.any_refused() {
            return Ok(Encoded {
                body,
                dropped: self.0,
            });
        }
        let mut refused = self.0;
        refused.retain(|loss| loss.feature.verdict().0 == Verdict::Refuse);
        Err(Lost { refused })
    }
}
