//! Tiers, features, endpoints of health and dependencies.

use super::Check;
use crate::compile::tiers::{NORMAL, actions, known_model, rank};
use crate::config::{DependencyCheck, Feature, HealthCheck, Probe, Tier};
use crate::nearest::suggest;
use crate::value::TierAction;

/// The paths that `health_endpoints` can describe.
const HEALTH_PATHS: [&str; 5] = [
    "/health",
    "/health/live",
    "/health/ready",
    "/ready",
    "/health/deep",
];
/// The classes of work that a feature can hold.
const OPERATIONS: [&str; 4] = ["chat", "embeddings", "moderations", "count_tokens"];

impl Check<'_> {
    pub(super) fn operations(&mut self) {
        let config = self.config;
        for (name, tier) in &config.degradation_tiers {
            self.tier(name, tier);
        }
        for (name, feature) in &config.features {
            self.feature(name, feature);
        }
        for (path, endpoint) in &config.health_endpoints {
            let at = ["health_endpoints", path];
            if !HEALTH_PATHS.contains(&path.as_str()) {
                let message = format!("`{path}` is not a path of health");
                let help = suggest(path, "the paths are", &HEALTH_PATHS);
                self.key_error(&at, message, &help);
            }
            if endpoint.frequency.is_some() && path != "/health/deep" {
                let message = "`frequency` belongs to `/health/deep`: the others ask nobody";
                self.key_error(
                    &["health_endpoints", path, "frequency"],
                    message.to_owned(),
                    "remove it",
                );
            }
            let of_deep = [
                HealthCheck::AllDependenciesHealthy,
                HealthCheck::TokenQuotaRemaining,
            ];
            let asked = endpoint.checks.iter().find(|check| of_deep.contains(check));
            if let Some(check) = asked.filter(|_| path != "/health/deep") {
                let message = format!("`{}` belongs to `/health/deep`", check.as_str());
                let help = "move it there: what all replicas share must not take each of them out of service";
                self.error(&["health_endpoints", path, "checks"], message, help);
            }
        }
        for (name, dependency) in &config.dependency_checks {
            self.dependency(name, dependency);
        }
    }

    fn tier(&mut self, name: &str, tier: &Tier) {
        let at = |key| ["degradation_tiers", name, key];
        if rank(name).is_none() {
            let message = format!("`{name}` cannot be the name of a tier");
            let help =
                "the tiers are `normal`, `degraded_1`, `degraded_2` and so on, and `maintenance`";
            self.key_error(&["degradation_tiers", name], message, help);
            return;
        }
        if name == NORMAL {
            if tier.trigger.is_some() || !tier.action.0.is_empty() {
                let key = if tier.trigger.is_some() {
                    "trigger"
                } else {
                    "action"
                };
                let message = format!("`{key}` has no meaning for `normal`");
                self.key_error(&at(key), message, "normal is when no other tier applies");
            }
        } else {
            if tier.all_features.is_some() {
                let message = "`all_features` belongs to `normal`".to_owned();
                let help = "use `action`, such as \"Disable non-critical features\"";
                self.key_error(&at("all_features"), message, help);
            }
            if tier.trigger.is_none() && self.intact(&at("trigger")) {
                let message = format!("nothing brings `{name}` about");
                let help = "set `trigger`, such as \"error_rate > 10%\" or \"Manual activation\"";
                self.error(&["degradation_tiers", name], message, help);
            }
        }
        for action in actions(tier) {
            self.tier_action(name, &action);
        }
    }

    fn tier_action(&mut self, tier: &str, action: &TierAction) {
        let config = self.config;
        let path = ["degradation_tiers", tier, "action"];
        match action {
            TierAction::SwitchModel(model) if known_model(config, model).is_none() => {
                let path = ["degradation_tiers", tier];
                let message = format!("no model fits `{model}`: this tier switches nothing");
                let known: Vec<&str> = config.models.keys().map(String::as_str).collect();
                let help = suggest(model, "the models are", &known);
                self.warn(&path, message, help);
            }
            TierAction::DisableFeature(feature) if !config.features.contains_key(feature) => {
                let message = format!("there is no feature `{feature}`");
                let known: Vec<&str> = config.features.keys().map(String::as_str).collect();
                let help = match known.as_slice() {
                    [] => format!("add a section `features.{feature}`"),
                    known => suggest(feature, "the features are", known),
                };
                self.error(&path, message, help);
            }
            TierAction::DisableNonCritical
                if config.features.values().all(|feature| feature.critical) =>
            {
                let message = "no feature is declared as not critical: nothing will be disabled";
                let help = "add a section such as `[features.summaries]` with `critical = false`";
                self.warn(&path, message, help);
            }
            _ => {}
        }
    }

    fn feature(&mut self, name: &str, feature: &Feature) {
        let config = self.config;
        self.name("feature", name, &["features", name]);
        for model in &feature.models {
            if !config.models.contains_key(model) && self.intact(&["models"]) {
                let known: Vec<&str> = config.models.keys().map(String::as_str).collect();
                let help = suggest(model, "the models are", &known);
                let message = format!("there is no model `{model}`");
                self.error(&["features", name, "models"], message, help);
            }
        }
        for operation in &feature.operations {
            if !OPERATIONS.contains(&operation.as_str()) {
                let help = suggest(operation, "the operations are", &OPERATIONS);
                let message = format!("there is no operation `{operation}`");
                self.error(&["features", name, "operations"], message, help);
            }
        }
    }

    fn dependency(&mut self, name: &str, dependency: &DependencyCheck) {
        let config = self.config;
        let at = |key| ["dependency_checks", name, key];
        self.name("dependency", name, &["dependency_checks", name]);
        if dependency.check == Probe::Head {
            if dependency.urls.is_empty() {
                let message = "`HEAD request` without `urls` asks nobody";
                let help = "set `urls`, such as [\"https://api.example.com/status\"]";
                self.warn(&["dependency_checks", name], message, help);
            }
        } else if !dependency.urls.is_empty() {
            let message = format!("`urls` has no meaning for `{}`", dependency.check);
            self.key_error(&at("urls"), message, "remove it");
        }
        if dependency.check != Probe::MinimalCall && !dependency.models.is_empty() {
            let message = format!("`models` has no meaning for `{}`", dependency.check);
            self.key_error(&at("models"), message, "remove it");
        }
        for model in &dependency.models {
            if !config.models.contains_key(model) && self.intact(&["models"]) {
                let known: Vec<&str> = config.models.keys().map(String::as_str).collect();
                let help = suggest(model, "the models are", &known);
                let message = format!("there is no model `{model}`");
                self.error(&at("models"), message, help);
            }
        }
    }
}
