//! Asking one dependency whether it is well.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use http_body_util::Full;
use seaworthy_config::{BaseUrl, DependencyCheck, Probe};
use seaworthy_core::dialect::Dialect;
use seaworthy_edge::client::{Origin, Timeouts, Upstream};

use serde_json::json;

use crate::gateway::Gateway;
use crate::internal_call;
use crate::routes::Operation;
use crate::snapshot::Snapshot;
use seaworthy_core::error::chain;

/// `Ok(None)`: it is well. `Ok(Some(_))`: there is nothing to ask, and why.
type Answer = Result<Option<String>, Trouble>;

/// What is wrong with a dependency.
pub(super) struct Trouble {
    /// For anyone who may read `/health/deep`: no addresses, no paths, no names of ours.
    pub(super) told: String,
    /// For the log.
    pub(super) cause: String,
}

impl Trouble {
    fn new(told: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            told: told.into(),
            cause: cause.into(),
        }
    }

    fn of(error: &dyn std::error::Error) -> Self {
        Self::new("does not answer", chain(error))
    }
}

pub(super) async fn ask(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    dependency: &DependencyCheck,
) -> Answer {
    match dependency.check {
        Probe::Database => {
            let answered = gateway.stores.keys.generation().await;
            answered.map(|_| None).map_err(|error| Trouble::of(&error))
        }
        Probe::SharedState => {
            let answered = gateway.counters.snapshot(&[]).await;
            answered.map(|_| None).map_err(|error| Trouble::of(&error))
        }
        Probe::Secrets => secrets(gateway, snapshot),
        Probe::Head => heads(gateway, dependency).await,
        Probe::MinimalCall => minimal_calls(gateway, snapshot, dependency).await,
    }
}

fn secrets(gateway: &Gateway, snapshot: &Snapshot) -> Answer {
    let unreadable = gateway.unreadable_secrets(&snapshot.loaded.config);
    let troubles = gateway.secret_troubles();
    if unreadable.is_empty() && !troubles.is_empty() {
        let shown = format!(
            "{} cannot be fetched again; the last values are used",
            troubles.len()
        );
        return Err(Trouble::new(shown, troubles.join(", ")));
    }
    match unreadable.is_empty() {
        true => Ok(None),
        false => Err(Trouble::new(
            format!("{} cannot be read", unreadable.len()),
            unreadable.join(", "),
        )),
    }
}

async fn heads(gateway: &Gateway, dependency: &DependencyCheck) -> Answer {
    if dependency.urls.is_empty() {
        return Ok(Some("no `urls` are configured".to_owned()));
    }
    let within = within(dependency);
    let asked = dependency.urls.iter().map(|url| head(gateway, url, within));
    all_well(join_all(asked).await)
}

/// How long each of several may take that are asked at the same time: a little less than all of them
/// together, so that it can be told which of them has no answer.
fn within(dependency: &DependencyCheck) -> Duration {
    Duration::from(dependency.timeout).mul_f64(0.95)
}

/// One sentence for all that are not well.
fn all_well(answers: Vec<Result<(), Trouble>>) -> Answer {
    let troubles: Vec<Trouble> = answers.into_iter().filter_map(Result::err).collect();
    if troubles.is_empty() {
        return Ok(None);
    }
    let joined = |words: fn(&Trouble) -> &str| {
        let mut words: Vec<&str> = troubles.iter().map(words).collect();
        words.dedup();
        words.join("; ")
    };
    let (told, cause) = (
        joined(|trouble| &trouble.told),
        joined(|trouble| &trouble.cause),
    );
    Err(Trouble::new(told, cause))
}

/// Any answer below 500 says that somebody is there.
async fn head(gateway: &Gateway, url: &BaseUrl, timeout: Duration) -> Result<(), Trouble> {
    let url = url.to_string();
    let origin = Origin::parse(&url).map_err(|error| Trouble::of(&error))?;
    let target = origin.target("").map_err(|error| Trouble::of(&error))?;
    let upstream = Upstream::new(origin, Arc::clone(gateway.dial()), 0);
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.method_mut() = Method::HEAD;
    *request.uri_mut() = target.into();
    request
        .headers_mut()
        .insert(http::header::HOST, upstream.host());
    let timeouts = Timeouts {
        connect: timeout,
        first_byte: timeout,
        first_token: None,
        between_chunks: timeout,
        total: timeout,
        deadline: None,
    };
    let answer = upstream.send(request, timeouts).await;
    match answer.map(|response| response.status().as_u16()) {
        Ok(status) if status < 500 => Ok(()),
        Ok(status) => {
            let told = format!("answers with status {status}");
            Err(Trouble::new(told, url))
        }
        Err(error) => Err(Trouble::new(
            "does not answer",
            format!("{url}: {}", chain(&error)),
        )),
    }
}

async fn minimal_calls(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    dependency: &DependencyCheck,
) -> Answer {
    let models = match dependency.models.is_empty() {
        false => dependency.models.clone(),
        true => one_model_a_provider(snapshot),
    };
    if models.is_empty() {
        return Ok(Some("no model is configured".to_owned()));
    }
    let within = within(dependency);
    let asked = models.iter().map(|model| async move {
        let call = minimal_call(gateway, model);
        let told = match tokio::time::timeout(within, call).await {
            Ok(200) => return Ok(()),
            Ok(status) => format!("a call of `{model}` ends with status {status}"),
            Err(_) => format!("a call of `{model}` has no answer in time"),
        };
        Err(Trouble::new(told.clone(), told))
    });
    all_well(join_all(asked).await)
}

/// Asks a model for a token; the status of the answer.
async fn minimal_call(gateway: &Arc<Gateway>, model: &str) -> u16 {
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": "ping"}],
        "max_tokens": 1,
    });
    let operation = Operation::Chat(Dialect::OpenAiChat);
    let caller = internal_call::principal(USER);
    let body = body.to_string().into();
    internal_call::call(gateway, caller, operation, body)
        .await
        .status
}

/// The user that minimal calls are accounted to.
const USER: &str = "health";

/// The first model whose preferred target is at each provider.
fn one_model_a_provider(snapshot: &Snapshot) -> Vec<String> {
    let model_of = |name: &str| {
        let mut models = snapshot.models.iter();
        models.find(|model| {
            let preferred = model.targets.first();
            preferred.is_some_and(|target| target.provider.name == name)
        })
    };
    let providers = snapshot.providers.iter();
    providers
        .filter_map(|provider| model_of(&provider.name))
        .map(|model| model.name.to_string())
        .collect()
}
