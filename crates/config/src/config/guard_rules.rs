//! What guards do, beyond the words of the checklists: policies, scope, leaks, moderation, opinions.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Filter;
use crate::secret::SecretRef;
use crate::value::Duration;

/// What guards do, beyond `input_validation` and `output_handling`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// What happens to what a guard could not judge: `block` stops it, `allow` lets it pass and
    /// reports it.
    pub on_failure: OnFailure,
    /// What happens to parts of a request that guards cannot read: files that it only names by an ID
    /// or an address, documents that are no text, such as PDF, and the words of a stored prompt.
    /// `flag` lets them pass and reports them, `block` refuses the request, `allow` lets them pass
    /// without a word.
    pub unread_parts: UnreadParts,
    /// The folder that references to files must stay in, with `require_within_project`.
    pub project_root: String,
    /// Files with rules of your own, relative to the working directory; read anew with each reload.
    pub rule_files: Vec<String>,
    /// Whether what tools and retrievals return is marked as data on its way to the model.
    pub mark_untrusted: bool,
    /// What follows a match, each under a name of your choice. They go before the words of the
    /// checklists; the most specific one holds, and of two equal ones the stricter.
    pub policies: BTreeMap<String, GuardPolicy>,
    /// What may be talked about and which tools may be called.
    pub scope: GuardScope,
    /// How instructions of the operator are kept from leaving.
    pub prompt_leaks: PromptLeaks,
    /// How harmful content is judged.
    pub moderation: Moderation,
    /// What generated code must not do, with `output_handling.validate_generated_code`.
    pub code: CodeRules,
    /// Others that are asked about what users and tools say, each under a name of your choice.
    pub opinions: BTreeMap<String, Opinion>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            on_failure: OnFailure::Block,
            unread_parts: UnreadParts::Flag,
            project_root: ".".to_owned(),
            rule_files: Vec::new(),
            mark_untrusted: false,
            policies: BTreeMap::new(),
            scope: GuardScope::default(),
            prompt_leaks: PromptLeaks::default(),
            moderation: Moderation::default(),
            code: CodeRules::default(),
            opinions: BTreeMap::new(),
        }
    }
}

/// What happens to what could not be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It goes no further.
    #[default]
    Block,
    /// It passes, and that is reported.
    Allow,
}

/// What happens to parts of a request that guards cannot read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnreadParts {
    /// They pass without a word.
    Allow,
    /// They pass, and that is reported.
    #[default]
    Flag,
    /// The request is refused.
    Block,
}

/// What follows a match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardPolicy {
    /// A family (`secret`, `generic_secret`, `pii`, `injection`, `moderation`, `path`, `leak`,
    /// `custom`, `file`, `shell`, `code`) or one rule, such as `email`.
    pub detector: String,
    /// Where it holds; everywhere unless set.
    #[serde(default)]
    pub places: Vec<GuardPlace>,
    /// What follows.
    pub action: GuardAction,
    /// The models that it holds for, as clients name them; a `*` stands for any letters.
    #[serde(default)]
    pub models: Vec<String>,
    /// The users that it holds for.
    #[serde(default)]
    pub users: Vec<String>,
    /// The IDs of the keys that it holds for.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// Where a text comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardPlace {
    /// What a user or a client sends.
    Input,
    /// What a tool or a retrieval returned.
    ToolResult,
    /// What a model answers.
    OutputText,
    /// The arguments of a tool call.
    ToolArguments,
    /// What a model thinks aloud.
    Reasoning,
}

/// What follows a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
    /// Nothing.
    Allow,
    /// It is reported.
    Flag,
    /// A label takes its place.
    Redact,
    /// A placeholder takes its place, and it comes back in the answer.
    Tokenize,
    /// The text goes no further.
    #[default]
    Block,
}

/// What may be talked about and which tools may be called. A denial wins over a permission.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardScope {
    /// Words and phrases of which the question must name one.
    pub allowed_topics: Vec<String>,
    /// Words and phrases that neither a question nor an answer may name.
    pub denied_topics: Vec<String>,
    /// The only tools that may be offered and called; a `*` stands for any letters.
    pub allowed_tools: Vec<String>,
    /// Tools that may neither be offered nor called.
    pub denied_tools: Vec<String>,
    /// Tools that change something outside.
    pub side_effect_tools: Vec<String>,
    /// What happens to calls of `side_effect_tools` once the conversation holds what a tool or a
    /// retrieval returned: `block` refuses them, `confirm` refuses those that the caller did not
    /// confirm with the header `x-seaworthy-confirm-tools`, `allow` lets them pass.
    pub after_untrusted: AfterUntrusted,
}

/// What happens to tools with effects after untrusted input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterUntrusted {
    /// They may not be called.
    #[default]
    Block,
    /// They may be called when the caller confirmed them.
    Confirm,
    /// They may be called.
    Allow,
}

/// How instructions of the operator are kept from leaving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptLeaks {
    /// What happens to an answer that repeats the system prompt.
    pub action: GuardAction,
    /// How many words in a row are a repetition.
    pub overlap_words: Option<NonZeroUsize>,
    /// Whether a random word is planted in the system prompt, and looked for in answers.
    pub plant_canary: bool,
    /// Words that stand in system prompts already and nowhere else, 12 letters at least each.
    pub canaries: Vec<String>,
}

impl Default for PromptLeaks {
    fn default() -> Self {
        Self {
            action: GuardAction::Block,
            overlap_words: None,
            plant_canary: false,
            canaries: Vec::new(),
        }
    }
}

/// How harmful content is judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Moderation {
    /// What happens to what users and tools say.
    pub input: Filter,
    /// What happens to what models answer.
    pub output: Filter,
    /// The least severity that counts.
    pub least_severity: Severity,
    /// What happens to single categories, instead of `input` and `output`: `hate`, `violence`,
    /// `self_harm`, `sexual_minors`, `illicit`, `profanity`, `abuse`.
    pub categories: BTreeMap<String, Filter>,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a note.
    Low,
    /// Worth a look.
    #[default]
    Medium,
    /// Must not pass unnoticed.
    High,
    /// Must not pass.
    Critical,
}

/// What generated code must not do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CodeRules {
    /// Names that Python and JavaScript must not use, such as `os.system`.
    pub forbidden_names: Vec<String>,
    /// Statements that SQL must not hold, by their first word, such as `DROP`.
    pub forbidden_sql: Vec<String>,
    /// Whether shell must not hold dangerous commands.
    pub forbid_dangerous_shell: bool,
}

/// Somebody else who is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opinion {
    /// A model of this gateway that is asked as a judge; it is accounted for like any call.
    #[serde(default)]
    pub model: Option<String>,
    /// A model of this gateway with a moderation endpoint that is asked.
    #[serde(default)]
    pub moderation_model: Option<String>,
    /// A service that is sent `{"text": …, "place": …}` and answers `{"flagged": true}` or a
    /// `{"score": 0.9}`.
    #[serde(default)]
    pub url: Option<String>,
    /// What is sent as `authorization` to `url`.
    #[serde(default)]
    pub authorization: Option<SecretRef>,
    /// The least score that counts.
    #[serde(default = "half")]
    pub threshold: f64,
    /// Whether it is asked about every text, or only about those that our own judge finds likely.
    #[serde(default)]
    pub ask: Ask,
    /// What happens to what it flags.
    #[serde(default)]
    pub action: GuardAction,
    /// How long it is waited for.
    #[serde(default = "two_seconds")]
    pub timeout: Duration,
    /// What happens when it cannot be asked.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// When somebody else is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// About every text of users and tools.
    #[default]
    Always,
    /// About those that our own judge of injections finds likely.
    WhenSuspicious,
}

fn half() -> f64 {
    0.5
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}
