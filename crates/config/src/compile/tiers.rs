//! Degradation tiers as the state machine wants them, mildest first.

use std::time::Duration;

use seaworthy_core::condition::{Condition, When};
use seaworthy_core::degradation::Rule;

use crate::config::{Config, Tier};
use crate::value::TierAction;

/// The tier in which nothing is given up.
pub const NORMAL: &str = "normal";
/// The worst tier.
pub const MAINTENANCE: &str = "maintenance";
const DEGRADED: &str = "degraded_";
/// How long a trigger has to be over before its tier is left, unless the tier says.
const RECOVER_AFTER: Duration = Duration::from_secs(60);

/// The tiers of a configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiers {
    /// Without `normal`, mildest first.
    pub tiers: Vec<CompiledTier>,
    /// The model whose calls are switched; `None`: all.
    pub normal_model: Option<String>,
}

/// One tier that can be in force.
#[derive(Clone, Debug, PartialEq)]
pub struct CompiledTier {
    /// Its name.
    pub name: String,
    /// When it applies.
    pub rule: Rule,
    /// What it does. Models are names of `models` here, where one fits.
    pub actions: Vec<TierAction>,
}

/// The place of a tier by its name: `normal` is 0, `degraded_2` is 2, `maintenance` comes last.
/// `None`: no tier can have this name.
pub(crate) fn rank(name: &str) -> Option<u64> {
    match name {
        NORMAL => Some(0),
        MAINTENANCE => Some(u64::MAX),
        _ => {
            let number = name.strip_prefix(DEGRADED)?;
            let number: u64 = number.parse().ok()?;
            (1..1000).contains(&number).then_some(number)
        }
    }
}

/// The tiers of a configuration.
pub fn tiers(config: &Config) -> Tiers {
    let mut ranked: Vec<_> = config
        .degradation_tiers
        .iter()
        .filter_map(|(name, tier)| Some((rank(name)?, name, tier)))
        .collect();
    ranked.sort_by_key(|(rank, ..)| *rank);
    let compiled = |name: &String, tier: &Tier| {
        let never = Condition {
            when: When::Manual,
            hold: Duration::ZERO,
        };
        let actions = actions(tier)
            .map(|action| match action {
                TierAction::SwitchModel(wanted) => {
                    TierAction::SwitchModel(known_model(config, &wanted).unwrap_or(wanted))
                }
                other => other,
            })
            .collect();
        CompiledTier {
            name: name.clone(),
            rule: Rule {
                trigger: tier.trigger.map_or(never, |trigger| trigger.meaning()),
                recover_after: tier.recover_after.map_or(RECOVER_AFTER, Into::into),
            },
            actions,
        }
    };
    let normal = config.degradation_tiers.get(NORMAL);
    Tiers {
        tiers: ranked
            .iter()
            .filter(|(_, name, _)| *name != NORMAL)
            .map(|(_, name, tier)| compiled(name, tier))
            .collect(),
        normal_model: normal
            .and_then(|tier| tier.model.as_ref())
            .and_then(|wanted| known_model(config, wanted)),
    }
}

/// What a tier does, its `model` included.
pub(crate) fn actions(tier: &Tier) -> impl Iterator<Item = TierAction> {
    let model = tier.model.clone().map(TierAction::SwitchModel);
    tier.action.0.clone().into_iter().chain(model)
}

/// The model that a word such as `sonnet` means: a model or alias of that name, else the first model
/// whose name, alias or target contains the word.
pub(crate) fn known_model(config: &Config, wanted: &str) -> Option<String> {
    let mut models = config.models.iter();
    let exact = models.find(|(name, model)| {
        name.as_str() == wanted || model.aliases.iter().any(|alias| alias == wanted)
    });
    let word = wanted.to_lowercase();
    let contains = |text: &str| text.to_lowercase().contains(&word);
    let by_word = || {
        let mut models = config.models.iter();
        let by_name = models
            .find(|(name, model)| contains(name) || model.aliases.iter().any(|a| contains(a)));
        by_name.or_else(|| {
            let mut models = config.models.iter();
            models.find(|(_, model)| model.targets.iter().any(|target| contains(&target.model)))
        })
    };
    exact.or_else(by_word).map(|(name, _)| name.clone())
}
