//! `seaworthy tier` and `seaworthy features`: what people switch while the gateway runs, in the
//! store of the configuration, for every replica.

use std::time::Duration;

use seaworthy_config::{Config, NORMAL, tiers};
use seaworthy_core::store::{Stores, Switch};
use serde_json::json;

use super::ConfigArgument;
use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

/// A running server notices a change within a second; when the command returns, it has.
const TAKES_EFFECT_WITHIN: Duration = Duration::from_millis(1200);
const TIER: &str = "tier";
const FEATURE: &str = "feature:";

#[derive(Debug, clap::Args)]
pub(super) struct TierArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The form to print.
    #[arg(long, value_enum, global = true, default_value_t = Format::Pretty)]
    format: Format,
    #[command(subcommand)]
    command: TierCommand,
}

#[derive(Debug, clap::Subcommand)]
enum TierCommand {
    /// Show which tier people have chosen. `/admin/v1/tier` shows the one in force.
    Show,
    /// Choose a tier, whatever the signals say.
    Set {
        /// Its name, such as `maintenance`, or `normal`.
        tier: String,
    },
    /// Let the signals decide again.
    Release,
}

#[derive(Debug, clap::Args)]
pub(super) struct FeatureArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The form to print.
    #[arg(long, value_enum, global = true, default_value_t = Format::Pretty)]
    format: Format,
    #[command(subcommand)]
    command: FeatureCommand,
}

#[derive(Debug, clap::Subcommand)]
enum FeatureCommand {
    /// List the features and what people have switched.
    List,
    /// Switch a feature on for everyone whom no tenant rule excludes.
    On {
        /// Its name.
        feature: String,
    },
    /// Switch a feature off for everyone.
    Off {
        /// Its name.
        feature: String,
    },
    /// Let the configuration decide again.
    Release {
        /// Its name.
        feature: String,
    },
}

pub(super) fn run_tier(arguments: TierArguments) -> Result<(), Failure> {
    let TierArguments {
        config,
        format,
        command,
    } = arguments;
    with_stores(&config, async |config, stores| {
        match command {
            TierCommand::Show => {}
            TierCommand::Set { tier } => {
                let mut known = tiers(config).tiers.into_iter();
                if tier != NORMAL && !known.any(|known| known.name == tier) {
                    let message = format!("there is no tier {tier:?} in `degradation_tiers`");
                    return Err(Failure::new(exit::USAGE, message));
                }
                set(stores, TIER, Some(tier)).await?;
            }
            TierCommand::Release => set(stores, TIER, None).await?,
        }
        let chosen = switches(stores).await?;
        let chosen = chosen.iter().find(|switch| switch.name == TIER);
        match (format, chosen) {
            (Format::Json, _) => {
                let tier = chosen.map(|chosen| &chosen.value);
                let by = chosen.map(|chosen| &chosen.by);
                let at = chosen.map(|chosen| chosen.at.to_string());
                output::json(&json!({"tier": tier, "by": by, "at": at}))
            }
            (Format::Pretty, None) => output::line("Nobody has chosen a tier: the signals decide."),
            (Format::Pretty, Some(chosen)) => {
                let Switch { value, by, at, .. } = chosen;
                output::line(format_args!("Tier {value}, chosen by {by} at {at}."))
            }
        }
    })
}

pub(super) fn run_features(arguments: FeatureArguments) -> Result<(), Failure> {
    let FeatureArguments {
        config,
        format,
        command,
    } = arguments;
    with_stores(&config, async |config, stores| {
        let (feature, value) = match command {
            FeatureCommand::List => (None, None),
            FeatureCommand::On { feature } => (Some(feature), Some("on")),
            FeatureCommand::Off { feature } => (Some(feature), Some("off")),
            FeatureCommand::Release { feature } => (Some(feature), None),
        };
        if let Some(feature) = feature {
            if !config.features.contains_key(&feature) {
                let message = format!("there is no feature {feature:?} in `features`");
                return Err(Failure::new(exit::USAGE, message));
            }
            let name = format!("{FEATURE}{feature}");
            set(stores, &name, value.map(str::to_owned)).await?;
        }
        show_features(config, &switches(stores).await?, format)
    })
}

fn show_features(config: &Config, switches: &[Switch], format: Format) -> Result<(), Failure> {
    let switched = |name: &str| {
        let mut switches = switches.iter();
        switches
            .find(|switch| switch.name.strip_prefix(FEATURE) == Some(name))
            .map(|switch| switch.value.as_str())
    };
    match format {
        Format::Json => {
            let features: Vec<_> = config
                .features
                .iter()
                .map(|(name, feature)| {
                    json!({
                        "name": name,
                        "critical": feature.critical,
                        "enabled": feature.enabled,
                        "switched": switched(name),
                    })
                })
                .collect();
            output::json(&features)
        }
        Format::Pretty => {
            let yes = |yes| if yes { "yes" } else { "no" }.to_owned();
            let rows: Vec<Vec<String>> = config
                .features
                .iter()
                .map(|(name, feature)| {
                    vec![
                        name.clone(),
                        yes(feature.critical),
                        yes(feature.enabled),
                        switched(name).unwrap_or("-").to_owned(),
                    ]
                })
                .collect();
            output::table(&["feature", "critical", "enabled", "switched"], &rows)
        }
    }
}

fn with_stores(
    config: &ConfigArgument,
    work: impl AsyncFnOnce(&Config, &Stores) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let loaded = app::load(config.config.as_deref(), &app::environment())?;
    let stores = app::open_stores(&loaded)?;
    super::block_on(async {
        let result = work(&loaded.config, &stores).await;
        stores.lifecycle.close().await;
        result
    })
}

async fn switches(stores: &Stores) -> Result<Vec<Switch>, Failure> {
    let listed = stores.switches.list().await;
    listed.map_err(|error| Failure::of(exit::FAILED, &error))
}

async fn set(stores: &Stores, name: &str, value: Option<String>) -> Result<(), Failure> {
    let done = match value {
        None => stores.switches.release(name).await,
        Some(value) => {
            let switch = Switch {
                name: name.to_owned(),
                value,
                by: "cli".to_owned(),
                at: app::clock().now(),
            };
            stores.switches.set(switch).await
        }
    };
    done.map_err(|error| Failure::of(exit::FAILED, &error))?;
    tokio::time::sleep(TAKES_EFFECT_WITHIN).await;
    Ok(())
}
