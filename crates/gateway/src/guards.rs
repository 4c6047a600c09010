//! Guards of the content: built from `input_validation` and `output_handling`, and only from them.
//!
//! [`input`] screens requests before they leave, [`output`] answers before the caller sees them.
//! Without these sections there are no guards and no text is looked at.

use std::sync::Arc;

use seaworthy_config::{Config, Filter, InputValidation, OutputHandling};
use seaworthy_guard::engine::DEFAULT_HOLDBACK_BYTES;
use seaworthy_guard::injection::{InjectionError, InjectionJudge};
use seaworthy_guard::input::Lengths;
use seaworthy_guard::input::path::AbsolutePaths;
use seaworthy_guard::pii::Pii;
use seaworthy_guard::policy::{PolicyLine, Selector};
use seaworthy_guard::secrets::{Secrets, ShapeError};
use seaworthy_guard::trigger::TriggerError;
use seaworthy_guard::{Action, Category, Detector, Engine, EngineError, Place, Policy};

pub(crate) mod arguments;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod texts;
pub(crate) mod verdicts;

use input::InputGuard;

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
    /// Detectors and policy do not fit.
    #[error("the detectors do not fit the policy")]
    Engine(#[from] EngineError),
}

/// The guards of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    built_from: (InputValidation, OutputHandling),
    pub(crate) input: Option<InputGuard>,
    pub(crate) output: Option<Arc<Engine>>,
}

impl Guards {
    /// Whether there is nothing to look for.
    pub(crate) fn are_off(&self) -> bool {
        self.input.is_none() && self.output.is_none()
    }

    /// Builds what the configuration asks for; what did not change is kept.
    pub(crate) fn build(
        config: &Config,
        known: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, GuardError> {
        let (input, output) = (&config.input_validation, &config.output_handling);
        let is_same =
            |known: &&Arc<Self>| known.built_from.0 == *input && known.built_from.1 == *output;
        if let Some(known) = known.filter(is_same) {
            return Ok(Arc::clone(known));
        }
        Ok(Arc::new(Self {
            built_from: (input.clone(), output.clone()),
            input: input_guard(input)?,
            output: engine(&[
                (Kind::Secrets, output.filter_secrets),
                (Kind::Pii, output.redact_pii),
                (Kind::Paths, output.sanitize_paths),
            ])?
            .map(Arc::new),
        }))
    }
}

fn input_guard(config: &InputValidation) -> Result<Option<InputGuard>, GuardError> {
    if *config == InputValidation::default() {
        return Ok(None);
    }
    let injection = match config.reject_known_injection_patterns {
        true => Some(InjectionJudge::built_in()?),
        false => None,
    };
    Ok(Some(InputGuard {
        lengths: Lengths {
            max_input_length: config.max_input_length.map(Into::into),
            max_question_length: config.max_question_length.map(Into::into),
            max_tool_param_length: None,
        },
        strip_html_tags: config.strip_html_tags,
        injection,
        engine: engine(&[
            (Kind::Secrets, config.filter_secrets),
            (Kind::Pii, config.redact_pii),
        ])?,
    }))
}

/// What an engine can look for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Secrets,
    Pii,
    Paths,
}

impl Kind {
    fn categories(self) -> &'static [Category] {
        match self {
            Self::Secrets => &[Category::Secret, Category::GenericSecret],
            Self::Pii => &[Category::Pii],
            Self::Paths => &[Category::Path],
        }
    }

    fn detector(self) -> Result<Box<dyn Detector>, GuardError> {
        Ok(match self {
            Self::Secrets => Box::new(Secrets::built_in()?),
            Self::Pii => Box::new(Pii::built_in()?),
            Self::Paths => Box::new(AbsolutePaths::built_in()?),
        })
    }
}

/// An engine for the kinds that are on, if any is.
fn engine(wanted: &[(Kind, Filter)]) -> Result<Option<Engine>, GuardError> {
    let (mut detectors, mut lines) = (Vec::new(), Vec::new());
    for (kind, filter) in wanted {
        let action = match filter {
            Filter::Off => continue,
            Filter::Redact => Action::Redact,
            Filter::Block => Action::Block,
        };
        detectors.push(kind.detector()?);
        lines.extend(kind.categories().iter().map(|category| PolicyLine {
            selector: Selector::Category(*category),
            places: Place::ALL.to_vec(),
            action,
        }));
    }
    if detectors.is_empty() {
        return Ok(None);
    }
    let engine = Engine::new(detectors, Policy { lines }, DEFAULT_HOLDBACK_BYTES)?;
    Ok(Some(engine))
}
