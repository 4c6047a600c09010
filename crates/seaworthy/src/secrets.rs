//! Values of secrets that change while the program runs: in files, and at their managers.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_config::{Secret, SecretRef, SecretSource as _, secret_refs};
use seaworthy_gateway::Gateway;
use seaworthy_secrets::Secrets;

use crate::app;
use crate::exit::{self, Failure};

/// Fetches again and again what managers have. Runs until it is dropped.
pub(crate) async fn keep_fetching(secrets: Arc<Secrets>, gateway: Arc<Gateway>) {
    let metrics = gateway.metrics.secrets();
    let mut away = Vec::new();
    loop {
        let interval = gateway.config().secret_managers.refresh_interval;
        tokio::time::sleep(jittered(interval.into(), app::clock().now().0)).await;
        for told in secrets.refresh(&gateway.config()).await {
            let manager = told.manager.as_str();
            metrics.note(manager, told.fetched, told.failed.len());
            let was_away = away.contains(&told.manager);
            if told.failed.is_empty() && was_away {
                away.retain(|other| *other != told.manager);
                tracing::info!(manager, "secrets can be fetched again");
            } else if !told.failed.is_empty() && !was_away {
                away.push(told.manager);
                let error = told.failed.join("; ");
                tracing::error!(
                    manager,
                    error,
                    "secrets cannot be fetched again; the last values are used"
                );
            }
        }
    }
}

/// Up to a tenth more or less, so that replicas that start together do not ask together.
fn jittered(interval: Duration, now_ms: i64) -> Duration {
    let percent = u32::try_from(now_ms.rem_euclid(21)).unwrap_or(10) + 90;
    interval.saturating_mul(percent) / 100
}

/// Notices that values have changed, and lets requests use them.
#[derive(Default)]
pub(crate) struct Keeper {
    /// The configuration whose references are known.
    hash: String,
    references: Vec<SecretRef>,
    in_force: Option<Vec<Secret>>,
    /// What was found the last time. A file is written in steps: only what is found twice counts.
    found: Option<Result<Vec<Secret>, String>>,
    /// What was told already.
    told: Option<String>,
}

impl Keeper {
    pub(crate) fn look(&mut self, gateway: &Gateway, secrets: &Secrets) {
        let hash = gateway.config_hash();
        if self.hash != hash {
            self.references = secret_refs(&gateway.config());
            self.in_force = None;
            self.hash = hash;
        }
        if self.references.is_empty() {
            return;
        }
        let values = self.references.iter().map(|one| secrets.resolve(one));
        let found: Result<Vec<Secret>, _> = values.collect();
        let found = found.map_err(|error| Failure::of(exit::CONFIG, &error).message);
        let is_settled = self.found.as_ref() == Some(&found);
        if is_settled && self.in_force.as_ref() != found.as_ref().ok() {
            match &found {
                Ok(values) => self.apply(gateway, values.clone()),
                Err(why) => self.keep(why.clone()),
            }
        }
        self.found = Some(found);
    }

    fn apply(&mut self, gateway: &Gateway, values: Vec<Secret>) {
        match gateway.renew_secrets() {
            Ok(()) => {
                let is_change = self.in_force.is_some();
                self.in_force = Some(values);
                self.told = None;
                if is_change {
                    tracing::info!("secrets have changed; requests use the new values");
                }
            }
            Err(error) => self.keep(Failure::of(exit::CONFIG, &error).message),
        }
    }

    fn keep(&mut self, why: String) {
        if self.told.as_ref() != Some(&why) {
            tracing::error!(
                error = why,
                "secrets have changed and cannot be used; the old values stay"
            );
            self.told = Some(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_do_not_ask_together() {
        let minute = Duration::from_secs(60);
        assert_eq!(jittered(minute, 0), Duration::from_secs(54));
        assert_eq!(jittered(minute, 41), Duration::from_secs(66));
    }
}
