//! Who is to answer? The model's name becomes the targets that may be tried.

use std::sync::Arc;

use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};

use crate::exchange::Exchange;
use crate::provider::Backend;
use crate::refusal::Refusal;
use crate::snapshot::{Model, Snapshot, Target};
use crate::stage::screen::Screened;

/// What is going to be tried.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) model: Arc<Model>,
    pub(crate) target: Arc<Target>,
}

/// Plans the call: the first target of the model that speaks the caller's dialect.
pub(crate) fn plan(exchange: &mut Exchange, request: &Screened) -> Result<Plan, Refusal> {
    let wanted = &request.head.model;
    let Some(model) = exchange.snapshot.model(wanted).cloned() else {
        return Err(unknown(wanted, &exchange.snapshot));
    };
    exchange.model = Some(Arc::clone(&model));
    let dialect = request.operation.dialect();
    let speaks = |target: &&Arc<Target>| match &target.provider.backend {
        Backend::Echo => true,
        Backend::Remote(remote) => remote.dialect == dialect,
    };
    match model.targets.iter().find(speaks).cloned() {
        Some(target) => Ok(Plan { model, target }),
        None => Err(other_dialect(wanted, dialect)),
    }
}

fn unknown(wanted: &str, snapshot: &Snapshot) -> Refusal {
    /// More names than fit a sentence help nobody.
    const MOST_NAMES: usize = 20;
    let shown: String = wanted.chars().take(100).collect();
    let names: Vec<&str> = snapshot.models.iter().map(|model| &*model.name).collect();
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

fn other_dialect(wanted: &str, dialect: Dialect) -> Refusal {
    let path = match dialect.family() {
        Family::OpenAi => "/v1/messages",
        Family::Anthropic => "/v1/chat/completions",
    };
    Refusal::new(
        Code::DialectMismatch,
        format!("The model `{wanted}` is served by a provider that speaks another API. Call it at {path}."),
    )
    .at("model".to_owned())
}
