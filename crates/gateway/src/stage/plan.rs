//! Who is to answer? The model's name becomes the target that is asked, and the way to it.

use std::sync::Arc;

use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::price::cost;
use seaworthy_core::resilience;
use seaworthy_core::resilience::routing::{self, Known, Strategy};
use seaworthy_core::usage::Usage;
use seaworthy_llm::embed::Embedding;

use crate::exchange::Exchange;
use crate::provider::Backend;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::snapshot::{Model, Target};
use crate::stage::reserve::DEFAULT_MAX_OUTPUT_TOKENS;
use crate::stage::screen::Screened;
use crate::translate::Translation;

/// Who is going to be asked, one after the other.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) model: Arc<Model>,
    operation: Operation,
    /// Positions of the model's targets; empty for the order of the configuration.
    order: Vec<usize>,
}

/// A target that can be asked.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) model: Arc<Model>,
    pub(crate) target: Arc<Target>,
    pub(crate) way: Way,
    /// Where it stands among the model's targets.
    pub(crate) position: usize,
}

impl Plan {
    /// The targets that can do what is asked for, the preferred one first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (usize, &Arc<Target>, Way)> {
        let targets = &self.model.targets;
        (0..targets.len()).filter_map(move |at| {
            let position = self.order.get(at).copied().unwrap_or(at);
            let target = targets.get(position)?;
            Some((position, target, way_to(target, self.operation)?))
        })
    }

    pub(crate) fn candidate(&self, position: usize, target: &Arc<Target>, way: Way) -> Candidate {
        Candidate {
            model: Arc::clone(&self.model),
            target: Arc::clone(target),
            way,
            position,
        }
    }
}

/// How a call gets from the caller's dialect to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The built-in model answers.
    BuiltIn,
    /// The provider speaks the caller's dialect and gets the caller's own bytes.
    Direct,
    /// The provider speaks another dialect.
    Translated(Translation),
    /// The provider has vectors in another form.
    Embedded {
        caller: Embedding,
        provider: Embedding,
    },
    /// The provider does not count tokens, so they are estimated here and nothing leaves.
    Estimated,
}

/// Plans the call: the model's strategy orders its targets, and only those that cannot do what is
/// asked for are passed over.
pub(crate) fn plan(exchange: &mut Exchange, request: &Screened) -> Result<Plan, Refusal> {
    let wanted = &request.head.model;
    let Some(model) = exchange.snapshot.model(wanted).cloned() else {
        return Err(unknown(wanted, exchange));
    };
    let operation = request.operation;
    let model = instead_of(exchange, operation, model);
    exchange.model = Some(Arc::clone(&model));
    let plan = Plan {
        order: order(&model, request),
        model,
        operation,
    };
    let is_possible = plan.candidates().next().is_some();
    match is_possible {
        true => Ok(plan),
        false => Err(unsupported(wanted, operation)),
    }
}

/// The order in which a model's targets are asked; empty for that of the configuration.
fn order(model: &Model, request: &Screened) -> Vec<usize> {
    if model.strategy == Strategy::Ordered || model.targets.len() < 2 {
        return Vec::new();
    }
    let input = request.head.input_bytes as u64;
    let output = request.head.max_output_tokens;
    let usage = Usage {
        input_tokens: input,
        output_tokens: output.unwrap_or(DEFAULT_MAX_OUTPUT_TOKENS),
        ..Usage::default()
    };
    let known = |target: &Arc<Target>| Known {
        weight: target.weight,
        latency_ms: target.gate.latency_ms(),
        cost: target.price.as_ref().map(|price| cost(&usage, price).0),
    };
    let known: Vec<Known> = model.targets.iter().map(known).collect();
    routing::order(model.strategy, &known, resilience::chance)
}

fn way_to(target: &Target, operation: Operation) -> Option<Way> {
    let provider = match &target.provider.backend {
        Backend::Echo => None,
        Backend::Remote(remote) => Some(remote.dialect),
    };
    way(operation, provider)
}

/// The model that a degradation tier has asked instead, if it knows one. Vectors of two models do not
/// belong together, and few models judge contents: those are asked of the model that was meant.
pub(crate) fn instead_of(
    exchange: &Exchange,
    operation: Operation,
    model: Arc<Model>,
) -> Arc<Model> {
    if !matches!(operation, Operation::Chat(_) | Operation::CountTokens(_)) {
        return model;
    }
    let in_force = exchange.gateway.degradation.in_force();
    let instead = in_force.model_instead_of(&model.name);
    instead
        .and_then(|name| exchange.snapshot.model(name).cloned())
        .unwrap_or(model)
}

/// The way to a provider of this dialect (`None`: the built-in model), if it can do this at all.
fn way(operation: Operation, provider: Option<Dialect>) -> Option<Way> {
    let caller = operation.dialect();
    match (operation, provider) {
        (Operation::Chat(_) | Operation::CountTokens(_), None) => Some(Way::BuiltIn),
        (Operation::Moderations, None) => Some(Way::BuiltIn),
        (Operation::Embeddings(_), None) => None,
        (Operation::Chat(_) | Operation::CountTokens(_), Some(dialect)) if dialect == caller => {
            Some(Way::Direct)
        }
        (Operation::Chat(_), Some(provider)) => {
            Some(Way::Translated(Translation { provider, caller }))
        }
        (Operation::CountTokens(_), Some(_)) => Some(Way::Estimated),
        (Operation::Embeddings(caller), Some(dialect)) => {
            let provider = Embedding::of(dialect)?;
            Some(match provider.dialect() == caller.dialect() {
                true => Way::Direct,
                false => Way::Embedded { caller, provider },
            })
        }
        (Operation::Moderations, Some(dialect)) => {
            (dialect.family() == Family::OpenAi).then_some(Way::Direct)
        }
    }
}

fn unknown(wanted: &str, exchange: &Exchange) -> Refusal {
    /// More names than fit a sentence help nobody.
    const MOST_NAMES: usize = 20;
    let shown: String = wanted.chars().take(100).collect();
    let models = exchange.snapshot.models.iter();
    let allowed = models.filter(|model| exchange.may_call(model));
    let names: Vec<&str> = allowed.map(|model| &*model.name).collect();
    let listed = names
        .iter()
        .take(MOST_NAMES)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let rest = names.len().saturating_sub(MOST_NAMES);
    let more = if rest > 0 {
        format!(" and {rest} more (GET /v1/models)")
    } else {
        String::new()
    };
    let available = match names.is_empty() {
        true => "No model is configured".to_owned(),
        false => format!("Available: {listed}{more}"),
    };
    Refusal::new(
        Code::ModelNotFound,
        format!("The model `{shown}` does not exist. {available}."),
    )
    .at("model".to_owned())
}

fn unsupported(wanted: &str, operation: Operation) -> Refusal {
    Refusal::new(
        Code::UnsupportedOperation,
        format!(
            "The model `{wanted}` is served by a provider that does not offer {}. Ask for a model \
             of a provider that does.",
            operation.as_str()
        ),
    )
    .at("model".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_reaches_every_provider_and_only_other_dialects_are_translated() {
        for caller in Dialect::ALL {
            let operation = Operation::Chat(caller);
            assert_eq!(way(operation, None), Some(Way::BuiltIn));
            for provider in Dialect::ALL {
                let expected = match caller == provider {
                    true => Way::Direct,
                    false => Way::Translated(Translation { provider, caller }),
                };
                assert_eq!(way(operation, Some(provider)), Some(expected));
            }
        }
    }

    #[test]
    fn what_a_provider_cannot_do_is_estimated_or_not_offered() {
        let (openai, anthropic) = (Dialect::OpenAiChat, Dialect::AnthropicMessages);
        let count = |provider| way(Operation::CountTokens(anthropic), provider);
        assert_eq!(count(Some(anthropic)), Some(Way::Direct));
        assert_eq!(count(Some(openai)), Some(Way::Estimated));
        assert_eq!(count(None), Some(Way::BuiltIn));
        let embeddings = Operation::Embeddings;
        for operation in [embeddings(Embedding::OpenAi), Operation::Moderations] {
            assert_eq!(way(operation, Some(openai)), Some(Way::Direct));
            assert_eq!(way(operation, Some(anthropic)), None);
        }
        assert_eq!(way(embeddings(Embedding::OpenAi), None), None);
        for caller in [Embedding::Gemini, Embedding::GeminiBatch] {
            let found = |provider| way(embeddings(caller), Some(provider));
            assert_eq!(found(Dialect::Gemini), Some(Way::Direct));
            let provider = Embedding::Cohere;
            let expected = Way::Embedded { caller, provider };
            assert_eq!(found(Dialect::CohereChat), Some(expected));
        }
        assert_eq!(way(Operation::Moderations, None), Some(Way::BuiltIn));
    }
}
