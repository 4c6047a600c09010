//! What guards the answer to one request beyond what guards all: the words of its own system prompt.

use std::sync::Arc;

use seaworthy_guard::engine::DEFAULT_HOLDBACK_BYTES;
use seaworthy_guard::leak::{Canary, PromptRuns};
use seaworthy_guard::{Action, Category, Detector, Engine, EngineError, Place, Policy};
use seaworthy_guard_code::fence::FenceRules;

use super::Rules;
use super::policy::{OUTBOUND, restrict};
use seaworthy_config::OnFailure;

/// The engine for the answer to a request with these instructions of the operator.
pub(super) fn engine(
    rules: &Rules,
    policy: &Policy,
    prompts: &[&str],
    canary: Option<&str>,
) -> Result<Option<Arc<Engine>>, EngineError> {
    let mut own: Vec<Arc<dyn Detector>> = Vec::new();
    if let Some(words) = rules.overlap_words
        && let Some(runs) = PromptRuns::new(prompts.iter().copied(), words)
    {
        own.push(Arc::new(runs));
    }
    if let Some(canary) = canary
        && let Ok(canary) = Canary::new(canary)
    {
        own.push(Arc::new(canary));
    }
    let sided = rules.outbound.as_ref();
    if own.is_empty() && (rules.shared.is_some() || sided.is_none()) {
        return Ok(sided.map(|sided| Arc::clone(&sided.engine)));
    }
    let mut known = sided.map(|sided| sided.rules.clone()).unwrap_or_default();
    for detector in &own {
        known.extend(detector.rules().iter().map(|rule| rule.id.to_string()));
    }
    let policy = restrict(policy, &OUTBOUND, &known);
    let engine = match sided {
        Some(sided) => sided.engine.derive(policy, own)?,
        None => Engine::new(Vec::new(), Policy::default(), DEFAULT_HOLDBACK_BYTES)?
            .derive(policy, own)?,
    };
    Ok(Some(Arc::new(engine)))
}

/// What is done to code of an answer, if anything is.
pub(super) fn fences(rules: &Rules, policy: &Policy) -> Option<FenceRules> {
    let action = |category: Category| {
        OUTBOUND
            .into_iter()
            .filter(|place| *place != Place::ToolArguments)
            .map(|place| policy.action(place, category, category.as_str()))
            .max()
            .unwrap_or(Action::Allow)
    };
    let (invalid, shell) = (action(Category::Code), action(Category::Shell));
    let fences = FenceRules {
        invalid,
        policy: rules.code.clone(),
        shell,
        unjudged: match rules.on_failure {
            // What is only reported on is not stopped because it could not be judged.
            OnFailure::Block => invalid,
            OnFailure::Allow => invalid.min(Action::Flag),
        },
        unjudged_shell: match rules.on_failure {
            OnFailure::Block => shell,
            OnFailure::Allow => shell.min(Action::Flag),
        },
    };
    (!fences.are_off()).then_some(fences)
}
