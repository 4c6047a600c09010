//! Guards of the content: built from `input_validation`, `output_handling`, their counterparts of the
//! agent and `guards`, and only from them.
//!
//! [`input`] screens requests before they leave, [`output`] answers before the caller sees them.
//! Without these sections there are no guards and no text is looked at.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use regex::RegexSet;
use seaworthy_config::{AfterUntrusted, Config, OnFailure, UnreadParts};
use seaworthy_guard::injection::{InjectionError, InjectionJudge};
use seaworthy_guard::input::Lengths;
use seaworthy_guard::input::reference::FileRules;
use seaworthy_guard::input::scope::Scope;
use seaworthy_guard::leak::CanaryError;
use seaworthy_guard::moderation::{ModerationError, ModerationJudge};
use seaworthy_guard::policy::Selector;
use seaworthy_guard::secrets::ShapeError;
use seaworthy_guard::trigger::TriggerError;
use seaworthy_guard::{Category, Engine, EngineError, Policy, Severity, VaultKey};
use seaworthy_guard_code::CodePolicy;

mod arguments;
mod build;
mod called;
mod failing;
pub(crate) mod guarding;
pub(crate) mod input;
mod links;
mod moderate;
pub(crate) mod opinions;
mod outbound;
pub(crate) mod output;
mod packed;
mod pipe;
mod policy;
mod said;
mod texts;
mod tools;
pub(crate) mod verdicts;

pub(crate) use links::MOST_FILES;
pub(crate) use policy::Who;

use policy::Lines;

/// Why the guards could not be built. Then the configuration is refused: there is no way to run
/// without a guard that is asked for.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The shapes of secrets.
    #[error("the rules that find secrets are broken")]
    Secrets(#[from] ShapeError),
    /// The words that announce matches.
    #[error("the words that announce matches are broken")]
    Triggers(#[from] TriggerError),
    /// The judge of injections.
    #[error("the judge of injections is broken")]
    Injection(#[from] InjectionError),
    /// The judge of harmful content.
    #[error("the judge of harmful content is broken")]
    Moderation(#[from] ModerationError),
    /// Detectors and policy do not fit.
    #[error("the detectors do not fit the policy: {0}")]
    Engine(#[from] EngineError),
    /// A rule file cannot be read.
    #[error("the rule file `{path}` of `guards.rule_files` cannot be read: {source}")]
    RuleFile {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A rule of the operator.
    #[error("`guards.rule_files`: {0}")]
    Rule(#[source] seaworthy_guard::custom::RuleError),
    /// The name of such a rule.
    #[error(
        "`guards.rule_files`: a rule is named `{0}`, as one that is built in or a family; rename it"
    )]
    Taken(String),
    /// A topic.
    #[error("`guards.scope.denied_topics`: {0}")]
    Topic(#[source] seaworthy_guard::custom::RuleError),
    /// A canary.
    #[error("`guards.prompt_leaks.canaries`: {0}")]
    Canary(#[from] CanaryError),
    /// A regular expression.
    #[error("`blocked_patterns`: {0}")]
    Pattern(#[from] regex::Error),
    /// A policy speaks of something that nothing finds.
    #[error("`guards.policies` speak of `{0}`, which is neither a family nor a rule; rules: {1}")]
    Unknown(String, String),
    /// The folder of the project.
    #[error("`guards.project_root`: `{path}` cannot be opened: {source}")]
    Root {
        /// The folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The parts of a configuration that guards are built from.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    input: seaworthy_config::InputValidation,
    output: seaworthy_config::OutputHandling,
    guards: seaworthy_config::Guards,
    /// What stands in the rule files.
    rules: Vec<String>,
}

/// The guards of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    built_from: Option<Source>,
    /// `None` where there is nothing to look for.
    pub(crate) rules: Option<Arc<Rules>>,
    /// The judge of harmful content for callers who ask it themselves.
    judge: OnceLock<Arc<ModerationJudge>>,
}

/// What is looked for, and what follows.
#[derive(Debug)]
pub(crate) struct Rules {
    lines: Lines,
    /// The policy of everybody, where it does not depend on who asks.
    shared: Option<Policy>,
    inbound: Option<Sided>,
    outbound: Option<Sided>,
    lengths: Lengths,
    strip_html_tags: bool,
    injection: Option<InjectionJudge>,
    blocked_patterns: Option<RegexSet>,
    moderation: Option<ModerationJudge>,
    least_severity: Severity,
    files: Option<FileRules>,
    scope: Scope,
    side_effect_tools: Vec<String>,
    after_untrusted: AfterUntrusted,
    /// How many words in a row of the system prompt are a leak.
    overlap_words: Option<usize>,
    plant_canary: bool,
    code: CodePolicy,
    sandbox_only: bool,
    /// Whether somebody else is asked about what users and tools say.
    asks_others: bool,
    mark_untrusted: bool,
    on_failure: OnFailure,
    unread_parts: UnreadParts,
    vault_key: VaultKey,
}

/// An engine for one direction, and the names of its rules.
#[derive(Debug)]
struct Sided {
    engine: Arc<Engine>,
    rules: std::collections::HashSet<String>,
}

impl Rules {
    /// Whether a line of a policy speaks of harmful content.
    fn is_of_moderation(&self, selector: &Selector) -> bool {
        match selector {
            Selector::Category(category) => *category == Category::Moderation,
            Selector::Rule(id) => build::MODERATION_CATEGORIES.contains(&id.as_str()),
        }
    }
}

impl Guards {
    /// What stands in the rule files: it changes without the configuration.
    pub(crate) fn rule_texts(&self) -> &[String] {
        self.built_from.as_ref().map_or(&[], |source| &source.rules)
    }

    /// Builds what the configuration asks for; what did not change is kept.
    pub(crate) fn build(
        config: &Config,
        known: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, GuardError> {
        let source = Source {
            input: config.input_rules(),
            output: config.output_rules(),
            guards: config.guards.clone(),
            rules: read_rule_files(&config.guards.rule_files)?,
        };
        if let Some(known) = known.filter(|known| known.built_from.as_ref() == Some(&source)) {
            return Ok(Arc::clone(known));
        }
        let key = known.and_then(|known| Some(known.rules.as_ref()?.vault_key.clone()));
        let rules = build::rules(&source, key.unwrap_or_default())?;
        Ok(Arc::new(Self {
            built_from: Some(source),
            rules: rules.map(Arc::new),
            judge: OnceLock::new(),
        }))
    }

    /// The judge of harmful content, built when it is first asked.
    pub(crate) fn moderation_judge(&self) -> Result<Arc<ModerationJudge>, ModerationError> {
        if let Some(judge) = self.judge.get() {
            return Ok(Arc::clone(judge));
        }
        let judge = Arc::new(ModerationJudge::built_in()?);
        Ok(Arc::clone(self.judge.get_or_init(|| judge)))
    }
}

/// Builds the guards of a configuration as a start would, and lets go of them: rule files, patterns and
/// the bounds of streams show their mistakes here.
///
/// # Errors
/// When a start with this configuration would be refused for its guards.
pub fn check(config: &Config) -> Result<(), GuardError> {
    Guards::build(config, None).map(drop)
}

/// The largest rule file, in bytes.
const MAX_RULE_FILE: u64 = 1024 * 1024;

fn read_rule_files(paths: &[String]) -> Result<Vec<String>, GuardError> {
    let read = |path: &String| {
        let size = std::fs::metadata(PathBuf::from(path))?.len();
        if size > MAX_RULE_FILE {
            let message = format!("it is larger than {MAX_RULE_FILE} bytes");
            return Err(std::io::Error::other(message));
        }
        std::fs::read_to_string(path)
    };
    paths
        .iter()
        .map(|path| {
            read(path).map_err(|source| GuardError::RuleFile {
                path: path.clone(),
                source,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
