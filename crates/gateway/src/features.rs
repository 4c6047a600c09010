//! Features that applications declare and people switch: which ones a request belongs to, and
//! whether they are on for its caller.

use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_core::feature::{Feature, Now, Off, Tenant};
use seaworthy_core::principal::Principal;
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::headers::name::FEATURE;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::stage::decode::Request;

/// When to ask again for what a tier gives up.
const DEGRADED_RETRY: Duration = Duration::from_secs(30);

/// A feature of the configuration.
#[derive(Debug)]
pub(crate) struct KnownFeature {
    pub(crate) name: String,
    pub(crate) feature: Feature,
    models: Vec<String>,
    operations: Vec<String>,
}

impl KnownFeature {
    pub(crate) fn compile(config: &seaworthy_config::Config) -> Vec<Self> {
        let compiled = |(name, wanted): (&String, &seaworthy_config::Feature)| Self {
            name: name.clone(),
            feature: Feature {
                is_critical: wanted.critical,
                is_enabled: wanted.enabled,
                share: wanted
                    .percentage
                    .map_or(10_000, |share| u64::from(share.get().ten_thousandths())),
                tenants: wanted.tenants.clone(),
            },
            models: wanted.models.clone(),
            operations: wanted.operations.clone(),
        };
        config.features.iter().map(compiled).collect()
    }

    fn check(&self, gateway: &Gateway, caller: &Principal) -> Result<(), Off> {
        let tenant = Tenant {
            key: &caller.key_id,
            earlier_keys: &caller.earlier_keys,
            user: &caller.user_id,
            team: caller.team_id.as_deref(),
        };
        self.feature.check(&self.name, tenant, self.now(gateway))
    }

    /// What people and tiers say of it.
    pub(crate) fn now(&self, gateway: &Gateway) -> Now {
        let degradation = &gateway.degradation;
        Now {
            switched: degradation.switched(&self.name),
            is_given_up: degradation
                .in_force()
                .gives_up(&self.name, self.feature.is_critical),
        }
    }
}

/// Refuses a request that belongs to a feature that is off for its caller.
pub(crate) fn require(
    exchange: &Exchange,
    caller: &Principal,
    request: &Request,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let known = &exchange.snapshot.features;
    let named = match headers.get(&FEATURE) {
        Some(value) => Some(named(known, value.as_bytes())?),
        None => None,
    };
    if known.is_empty() {
        return Ok(());
    }
    let model = exchange.snapshot.model(&request.head.model);
    let operation = request.operation.as_str();
    let belongs = |feature: &&KnownFeature| {
        let is_named = named.is_some_and(|named| named.name == feature.name);
        let by_model = model.is_some_and(|model| feature.models.iter().any(|m| **m == *model.name));
        is_named || by_model || feature.operations.iter().any(|name| name == operation)
    };
    for feature in known.iter().filter(belongs) {
        if let Err(off) = feature.check(&exchange.gateway, caller) {
            return Err(refused(&feature.name, off));
        }
    }
    Ok(())
}

fn named<'a>(known: &'a [KnownFeature], value: &[u8]) -> Result<&'a KnownFeature, Refusal> {
    let found = known
        .iter()
        .find(|feature| feature.name.as_bytes() == value.trim_ascii());
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|feature| &*feature.name).collect();
        let message = match names.is_empty() {
            true => format!("`{FEATURE}` names a feature, and none is configured."),
            false => format!(
                "`{FEATURE}` names no feature of the configuration. There are: {}.",
                names.join(", ")
            ),
        };
        Refusal::new(Code::InvalidRequest, message)
    })
}

fn refused(name: &str, off: Off) -> Refusal {
    match off {
        Off::GivenUp => {
            let message = format!(
                "The feature `{name}` is switched off for now so that what is more important goes \
                 on. It comes back by itself: try again later."
            );
            let mut refusal =
                Refusal::new(Code::FeatureDisabled, message).retry_after(DEGRADED_RETRY);
            refusal.status = Some(503);
            refusal
        }
        Off::Switched | Off::Disabled => Refusal::new(
            Code::FeatureDisabled,
            format!("The feature `{name}` is switched off."),
        ),
        Off::Tenant | Off::Share => Refusal::new(
            Code::FeatureDisabled,
            format!("The feature `{name}` is switched off for you."),
        ),
    }
}

/// The features and whether they are on for the caller, so that applications can ask before they
/// offer something.
pub(crate) fn list(exchange: &Exchange) -> Result<Answer, Refusal> {
    let gateway = &exchange.gateway;
    let Some(caller) = &exchange.principal else {
        let message = "The caller is not known where it has to be.";
        return Err(Refusal::new(Code::Internal, message));
    };
    let shown = |feature: &KnownFeature| {
        let off = feature.check(gateway, caller).err();
        json!({
            "name": feature.name,
            "enabled": off.is_none(),
            "critical": feature.feature.is_critical,
            "reason": off.map(Off::as_str),
        })
    };
    let features: Vec<Value> = exchange.snapshot.features.iter().map(shown).collect();
    let tier = &gateway.degradation.in_force().name;
    let body = json!({"object": "list", "tier": &**tier, "data": features});
    Ok(Answer::json(200, body.to_string()))
}
