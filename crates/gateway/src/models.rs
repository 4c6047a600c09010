//! The models that clients may ask for, in the words of each family.

mod page;

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::snapshot::{Model, Snapshot};

/// All models that the caller may call, or the page of them that the query asks for.
pub(crate) fn list(exchange: &Exchange, query: Option<&str>) -> Result<Answer, Refusal> {
    let (snapshot, family) = (&exchange.snapshot, exchange.family);
    let allowed: Vec<_> = snapshot
        .models
        .iter()
        .filter(|model| exchange.may_call(model))
        .collect();
    let names: Vec<&str> = allowed.iter().map(|model| &*model.name).collect();
    let page = page::of(&names, family, query)?;
    let names = names.get(page.range.clone()).unwrap_or_default();
    let models: Vec<Value> = allowed
        .get(page.range)
        .unwrap_or_default()
        .iter()
        .map(|model| describe(snapshot, model, family))
        .collect();
    let next = names.last().filter(|_| page.has_more);
    let body = match family {
        Family::OpenAi => json!({"object": "list", "data": models}),
        Family::Anthropic => json!({
            "first_id": names.first(),
            "last_id": names.last(),
            "has_more": page.has_more,
            "data": models,
        }),
        Family::Gemini => match next {
            Some(next) => json!({"models": models, "nextPageToken": next}),
            None => json!({"models": models}),
        },
        Family::Cohere => match next {
            Some(next) => json!({"models": models, "next_page_token": next}),
            None => json!({"models": models}),
        },
        Family::Bedrock => json!({"modelSummaries": models}),
    };
    Ok(Answer::json(200, body.to_string()))
}

/// One model. One that the caller may not call does not exist for it.
pub(crate) fn get(exchange: &Exchange, name: &str) -> Result<Answer, Refusal> {
    let (snapshot, family) = (&exchange.snapshot, exchange.family);
    match snapshot
        .model(name)
        .filter(|model| exchange.may_call(model))
    {
        Some(model) => Ok(Answer::json(
            200,
            describe(snapshot, model, family).to_string(),
        )),
        None => Err(Refusal::new(
            Code::ModelNotFound,
            format!(
                "The model `{}` does not exist. GET /v1/models lists those that do.",
                name.chars().take(100).collect::<String>()
            ),
        )
        .at("model".to_owned())),
    }
}

fn describe(snapshot: &Snapshot, model: &Model, family: Family) -> Value {
    let since = snapshot.loaded_at;
    match family {
        Family::OpenAi => json!({
            "id": &*model.name,
            "object": "model",
            "created": since.seconds(),
            "owned_by": model.targets.first().map_or("", |target| &target.provider.name),
        }),
        Family::Anthropic => json!({
            "type": "model",
            "id": &*model.name,
            "display_name": &*model.name,
            "created_at": since.to_string(),
        }),
        Family::Bedrock => json!({"modelId": &*model.name, "modelName": &*model.name}),
        Family::Cohere => json!({
            "name": &*model.name,
            "endpoints": ["chat"],
            "finetuned": false,
            "is_deprecated": false,
            "default_endpoints": [],
        }),
        Family::Gemini => json!({
            "name": format!("models/{}", model.name),
            "displayName": &*model.name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        }),
    }
}
