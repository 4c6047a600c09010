//! Tiers and features over HTTP: what is in force, and what people switch.

use bytes::Bytes;
use seaworthy_config::NORMAL;
use seaworthy_core::code::Code;
use seaworthy_core::store::Switch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::{failed, read};
use crate::degradation::{self, TIER_SWITCH};
use crate::exchange::Exchange;
use crate::features::KnownFeature;
use crate::refusal::Refusal;
use crate::reply::Answer;

/// What `POST /admin/v1/tier` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedTier {
    /// A tier, or `null` to let go of it. To let go by leaving it out would be a slip.
    #[serde(deserialize_with = "Option::deserialize")]
    tier: Option<String>,
}

/// What `POST /admin/v1/features/{name}` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedFeature {
    /// On, off, or `null` to let the configuration decide; not left out either.
    #[serde(deserialize_with = "Option::deserialize")]
    enabled: Option<bool>,
}

/// The tier in force and what it is decided from.
pub(crate) fn tier(exchange: &Exchange) -> Answer {
    let shown = degradation::admin::tier(&exchange.gateway, &exchange.snapshot);
    Answer::json(200, shown.to_string())
}

/// Chooses a tier, whatever the signals say, or lets go of it.
pub(crate) async fn set_tier(exchange: &Exchange, body: &Bytes) -> Result<Answer, Refusal> {
    let wanted: WantedTier = read(body)?;
    if let Some(tier) = &wanted.tier {
        let mut known = exchange.snapshot.tiers.tiers.iter();
        if tier != NORMAL && !known.any(|known| known.name == *tier) {
            let mut names = vec![NORMAL];
            let known = exchange.snapshot.tiers.tiers.iter();
            names.extend(
                known
                    .map(|known| &*known.name)
                    .filter(|name| *name != NORMAL),
            );
            let message = format!(
                "There is no tier `{tier}` in `degradation_tiers`. There are: {}.",
                names.join(", ")
            );
            return Err(Refusal::new(Code::InvalidRequest, message).at("tier".to_owned()));
        }
    }
    switch(exchange, TIER_SWITCH.to_owned(), wanted.tier).await?;
    Ok(tier(exchange))
}

/// All features, and what the configuration, people and tiers say of each.
pub(crate) fn features(exchange: &Exchange) -> Answer {
    let features: Vec<Value> = exchange
        .snapshot
        .features
        .iter()
        .map(|known| feature(exchange, known))
        .collect();
    Answer::json(200, json!({"object": "list", "data": features}).to_string())
}

fn feature(exchange: &Exchange, known: &KnownFeature) -> Value {
    let now = known.now(&exchange.gateway);
    json!({
        "name": known.name,
        "critical": known.feature.is_critical,
        "enabled": known.feature.is_enabled,
        "percentage": known.feature.share as f64 / 100.0,
        "switched": now.switched,
        "given_up": now.is_given_up,
    })
}

/// Switches a feature for everyone, or lets go of it.
pub(crate) async fn set_feature(
    exchange: &Exchange,
    name: &str,
    body: &Bytes,
) -> Result<Answer, Refusal> {
    let mut features = exchange.snapshot.features.iter();
    let Some(known) = features.find(|feature| feature.name == name) else {
        let known = exchange.snapshot.features.iter();
        let names: Vec<&str> = known.map(|known| &*known.name).collect();
        let message = match names.is_empty() {
            true => "There are no `features` in the configuration.".to_owned(),
            false => format!(
                "There is no such feature in `features`. There are: {}.",
                names.join(", ")
            ),
        };
        return Err(Refusal::new(Code::NotFound, message));
    };
    let wanted: WantedFeature = read(body)?;
    let value = wanted
        .enabled
        .map(|on| if on { "on" } else { "off" }.to_owned());
    switch(exchange, format!("feature:{name}"), value).await?;
    Ok(Answer::json(200, feature(exchange, known).to_string()))
}

/// Puts a switch into the store and judges anew, so that the answer shows what is true now. Other
/// replicas notice within a second.
async fn switch(exchange: &Exchange, name: String, value: Option<String>) -> Result<(), Refusal> {
    let gateway = &exchange.gateway;
    let by = exchange
        .principal
        .as_ref()
        .map_or_else(String::new, |caller| caller.key_id.to_string());
    let shown = value.as_deref().unwrap_or("released").to_owned();
    let done = match value {
        None => gateway.stores.switches.release(&name).await,
        Some(value) => {
            let switch = Switch {
                name: name.clone(),
                value,
                by: by.clone(),
                at: gateway.clock.now(),
            };
            gateway.stores.switches.set(switch).await
        }
    };
    done.map_err(|error| failed(&error))?;
    tracing::info!(switch = name, value = shown, by, "a switch was set");
    gateway.degradation.judge(gateway).await;
    Ok(())
}
