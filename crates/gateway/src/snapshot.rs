//! The configuration as requests use it: compiled once, swapped whole, never changed in place.

mod accounts;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderValue;
use seaworthy_config::{Config, Loaded, SecretSource, Tiers};
use seaworthy_core::clock::{SharedClock, UnixMillis};
use seaworthy_core::limit::policy::Policy;
use seaworthy_core::price::{self, Price, ToolFee};
use seaworthy_core::principal::{Permissions, Role};
use seaworthy_core::resilience::routing::Strategy;
use seaworthy_edge::body;
use seaworthy_edge::client::{Dial, Timeouts};

use crate::features::KnownFeature;
use crate::guards::opinions::{self, Opinion, OpinionError};
use crate::guards::{GuardError, Guards};
use crate::identity::issuer::Issuer;
use crate::identity::password::Users;
use crate::limits::Limits;
use crate::metrics::{CallMetrics, Metrics};
use crate::provider::{self, Backend, Provider};
use crate::resilience::gate::{Gate, Gates, Standing};
use crate::resilience::{Resilience, strategy_of};
use crate::routes::Operation;
use crate::sandbox::Sandbox;
use crate::service::Plane;
use crate::stage::freshness::Freshness;
use crate::stage::recall::cached::Memory;
use crate::stage::signature::{Signing, SigningError};

/// A model name that clients may ask for.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: Arc<str>,
    /// The preferred target first.
    pub(crate) targets: Vec<Arc<Target>>,
    pub(crate) strategy: Strategy,
    /// After how long the next target is asked as well.
    pub(crate) hedge_after: Option<Duration>,
}

/// One model at one provider.
#[derive(Debug)]
pub(crate) struct Target {
    /// `provider/model`
    pub(crate) id: Arc<str>,
    pub(crate) provider: Arc<Provider>,
    /// `id` as a header, to be sent along with answers.
    pub(crate) header: HeaderValue,
    /// The provider's name of the model.
    pub(crate) model: String,
    /// What it costs, if that is known.
    pub(crate) price: Option<Price>,
    /// What its provider charges for the tools that it runs.
    pub(crate) tool_fees: Arc<[ToolFee]>,
    /// When that price was last known to be right, if it is a built-in one.
    price_as_of: Option<String>,
    /// Its share of the model's calls.
    pub(crate) weight: u32,
    pub(crate) timeouts: Timeouts,
    /// Who may pass to it.
    pub(crate) gate: Arc<Gate>,
    model_name: Arc<str>,
    chat: CallMetrics,
    /// Made when first needed: handles stand for dozens of time series each.
    count_tokens: OnceLock<CallMetrics>,
    embeddings: OnceLock<CallMetrics>,
    moderations: OnceLock<CallMetrics>,
}

impl Target {
    /// A target without options: for which operation and model, its name, and who answers.
    pub(crate) fn new(
        tools: &Tools<'_>,
        (operation, model): (&'static str, &str),
        id: &str,
        provider: &Arc<Provider>,
    ) -> Self {
        Self {
            id: id.into(),
            provider: Arc::clone(provider),
            header: HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("")),
            model: String::new(),
            price: None,
            tool_fees: Arc::default(),
            price_as_of: None,
            weight: 1,
            timeouts: provider.timeouts(None),
            gate: tools.gates.of(&id.into()),
            model_name: model.into(),
            chat: CallMetrics::new(tools.metrics, operation, model, id),
            count_tokens: OnceLock::new(),
            embeddings: OnceLock::new(),
            moderations: OnceLock::new(),
        }
    }

    /// The handles for an operation; `None` is what runs without a model.
    pub(crate) fn metrics(&self, operation: Option<Operation>, metrics: &Metrics) -> &CallMetrics {
        let Some(operation) = operation else {
            return &self.chat;
        };
        let handles = match operation {
            Operation::Chat(_) => return &self.chat,
            Operation::CountTokens(_) => &self.count_tokens,
            Operation::Embeddings(_) => &self.embeddings,
            Operation::Moderations => &self.moderations,
        };
        handles.get_or_init(|| {
            CallMetrics::new(metrics, operation.as_str(), &self.model_name, &self.id)
        })
    }
}

/// Everything a request needs to know of the configuration.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) loaded: Loaded,
    pub(crate) loaded_at: UnixMillis,
    pub(crate) providers: Vec<Arc<Provider>>,
    pub(crate) models: Vec<Arc<Model>>,
    by_name: HashMap<String, Arc<Model>>,
    pub(crate) body_limits: body::Limits,
    pub(crate) max_response_bytes: usize,
    pub(crate) max_concurrent_requests: usize,
    /// Whether calls wait at the door of their worker, and are refused there.
    pub(crate) overload_control: bool,
    pub(crate) max_headers: usize,
    pub(crate) auth_enabled: bool,
    /// The environment that this deployment is.
    pub(crate) environment: Option<Arc<str>>,
    pub(crate) issuers: Vec<Arc<Issuer>>,
    pub(crate) users: Users,
    /// How callers sign, if they may.
    pub(crate) signing: Option<Signing>,
    /// `None` while requests may be repeated everywhere.
    pub(crate) freshness: Option<Freshness>,
    /// What the roles of the configuration allow.
    roles: HashMap<Arc<str>, Permissions>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) guards: Arc<Guards>,
    /// Who else is asked about what users and tools say.
    pub(crate) opinions: Vec<Opinion>,
    /// `None` while nothing is remembered.
    pub(crate) cache: Option<Arc<Memory>>,
    pub(crate) resilience: Arc<Resilience>,
    pub(crate) tiers: Tiers,
    pub(crate) features: Vec<KnownFeature>,
    /// `None` while callers may not run code.
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    /// What browsers are told of TLS at `server.listen`, and at `admin.listen`.
    hsts: [Option<HeaderValue>; 2],
}

/// Why a configuration cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A provider.
    #[error(transparent)]
    Provider(Box<dyn std::error::Error + Send + Sync>),
    /// The guards.
    #[error(transparent)]
    Guards(#[from] GuardError),
    /// Somebody who is to be asked.
    #[error(transparent)]
    Opinion(#[from] OpinionError),
    /// Who may use the gateway.
    #[error("{0}")]
    Auth(String),
    /// The secret that callers' signatures depend on.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A route that is to be protected is none.
    #[error(
        "`replay_protection.routes`: no route with a credential has the path `{0}`: write it as in \
         docs/reference/http.md, such as `/v1/chat/completions` or `/admin/v1/*`"
    )]
    Replay(String),
    /// The limits and budgets contradict each other.
    #[error("{0}")]
    Policy(String),
}

impl From<provider::Error> for CompileError {
    fn from(error: provider::Error) -> Self {
        Self::Provider(Box::new(error))
    }
}

/// What compiling needs besides the configuration.
pub(crate) struct Tools<'a> {
    pub(crate) deployment: &'a str,
    pub(crate) secrets: &'a dyn SecretSource,
    pub(crate) dial: &'a Arc<dyn Dial>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) gates: &'a Gates,
    pub(crate) workers: usize,
    pub(crate) clock: &'a SharedClock,
    pub(crate) now: UnixMillis,
}

impl Snapshot {
    /// Compiles a configuration. Providers that did not change keep their connections.
    pub(crate) fn compile(
        loaded: Loaded,
        tools: &Tools<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, CompileError> {
        let config = Arc::clone(&loaded.config);
        let policy = policy_of(&config, tools.deployment)?;
        let providers = providers_of(&config, tools, previous)?;
        let prices = seaworthy_config::prices(&config);
        let mut models = Vec::new();
        let mut by_name = HashMap::new();
        for (name, wanted) in &config.models {
            let target = |target: &seaworthy_config::Target| {
                let mut known = providers.iter();
                let provider = known.find(|known| known.name == target.provider)?;
                let id = target.to_string();
                let own = wanted.target_options.get(&id);
                let mut built = Target::new(tools, ("chat", name), &id, provider);
                built.weight = own.and_then(|own| own.weight).unwrap_or(1);
                built.timeouts = provider.timeouts(own.map(|own| &own.timeouts));
                built.price = price_of(&prices, provider, target);
                built.tool_fees = prices.tool_fees(provider.kind(), &target.model);
                built.price_as_of = prices
                    .as_of(&target.provider, provider.kind(), &target.model)
                    .map(str::to_owned);
                built.model = target.model.clone();
                Some(Arc::new(built))
            };
            let targets = wanted.targets.iter().filter_map(target).collect();
            let model = Arc::new(Model {
                name: name.as_str().into(),
                targets,
                strategy: strategy_of(wanted.strategy),
                hedge_after: wanted.hedge_after.map(Into::into),
            });
            for known_as in std::iter::once(name).chain(&wanted.aliases) {
                by_name.insert(known_as.clone(), Arc::clone(&model));
            }
            models.push(model);
        }
        let limits = Limits::new(policy, &config);
        let known_guards = previous.map(|snapshot| &snapshot.guards);
        let guards = Guards::build(&config, known_guards)?;
        let opinions = opinions::build(&config, tools.secrets, tools.dial)?;
        let server = &config.server;
        Ok(Self {
            body_limits: body::Limits {
                max_bytes: server.max_request_size.as_usize(),
                idle_timeout: server.body_timeout.into(),
            },
            max_response_bytes: server.max_response_size.as_usize(),
            max_concurrent_requests: server.max_concurrent_requests.get(),
            overload_control: server.overload_control,
            max_headers: server.max_headers.get(),
            auth_enabled: config.auth.enabled,
            environment: config.auth.environment.as_deref().map(Into::into),
            issuers: accounts::issuers(&config, tools, previous)?,
            users: accounts::users(&config, tools.secrets)?,
            roles: accounts::roles(&config),
            signing: Signing::build(&config, tools.secrets)?,
            freshness: Freshness::build(&config)?,
            limits: Arc::new(limits),
            cache: Memory::new(&config, guards.rule_texts()),
            guards,
            opinions,
            resilience: Arc::new(Resilience::new(&config.resilience)),
            tiers: seaworthy_config::tiers(&config),
            features: KnownFeature::compile(&config),
            sandbox: Sandbox::build(&config, tools, previous)?,
            hsts: [&config.server.tls, &config.admin.tls].map(|tls| {
                let header = tls.as_ref()?.hsts_header()?;
                HeaderValue::try_from(header).ok()
            }),
            loaded,
            loaded_at: tools.now,
            providers,
            models,
            by_name,
        })
    }

    /// What these roles allow together. One that is not configured any more allows nothing.
    pub(crate) fn permissions(&self, roles: &[Role]) -> Permissions {
        roles.iter().fold(Permissions::NONE, |sum, role| {
            let allowed = match role {
                Role::Custom(name) => self.roles.get(name).copied(),
                built_in => built_in.permissions(),
            };
            sum.and(allowed.unwrap_or_default())
        })
    }

    /// What browsers are told of TLS at a listener that speaks it.
    pub(crate) fn hsts(&self, plane: Plane) -> Option<&HeaderValue> {
        let config = &self.loaded.config;
        let has_own = plane == Plane::Control && config.admin.tls.is_some();
        self.hsts[usize::from(has_own)].as_ref()
    }

    /// Whether there is a role of this name.
    pub(crate) fn knows(&self, role: &Role) -> bool {
        match role {
            Role::Custom(name) => self.roles.contains_key(name),
            _ => true,
        }
    }

    /// How the gates of all targets stand that calls leave by.
    pub(crate) fn standings(&self) -> impl Iterator<Item = (&str, Standing)> {
        let targets = self.models.iter().flat_map(|model| &model.targets);
        let remote = targets.filter(|target| matches!(target.provider.backend, Backend::Remote(_)));
        remote.map(|target| (&*target.id, target.gate.standing(&self.resilience)))
    }

    /// Whether the breaker of a target is open.
    pub(crate) fn has_shut_target(&self) -> bool {
        let mut targets = self.models.iter().flat_map(|model| &model.targets);
        targets.any(|target| target.gate.is_shut())
    }

    /// The targets whose calls follow `cost_controls.unknown_price`.
    pub(crate) fn unpriced_targets(&self) -> Vec<&str> {
        let targets = self.models.iter().flat_map(|model| &model.targets);
        let unpriced = targets.filter(|target| target.price.is_none());
        let mut ids: Vec<&str> = unpriced.map(|target| &*target.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The targets whose built-in price is older than the configuration wants, with the day on
    /// which it was last known to be right.
    pub(crate) fn stale_prices(&self, now: UnixMillis) -> BTreeMap<&str, &str> {
        let most = self.loaded.config.cost_controls.max_price_age_days.get();
        let targets = self.models.iter().flat_map(|model| &model.targets);
        let stale = targets.filter_map(|target| {
            let as_of = target.price_as_of.as_deref()?;
            let age = price::days_since(as_of, now)?;
            (age > most).then_some((&*target.id, as_of))
        });
        stale.collect()
    }

    /// Says so, after a configuration has come into force.
    pub(crate) fn warn_of_stale_prices(&self, now: UnixMillis) {
        let stale = self.stale_prices(now);
        if let Some((target, as_of)) = stale.iter().min_by_key(|(_, as_of)| **as_of) {
            tracing::warn!(
                targets = stale.len(),
                target,
                as_of,
                "built-in prices are old: compare them with your contract and set `prices`"
            );
        }
    }

    /// The model of this name or alias.
    pub(crate) fn model(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }
}

/// What a target costs, if that is known.
fn price_of(
    prices: &price::PriceList,
    provider: &Provider,
    target: &seaworthy_config::Target,
) -> Option<Price> {
    let found = prices.find(&target.provider, provider.kind(), &target.model);
    found.cloned()
}

/// The providers of a configuration. Those that did not change keep their connections.
fn providers_of(
    config: &Config,
    tools: &Tools<'_>,
    previous: Option<&Snapshot>,
) -> Result<Vec<Arc<Provider>>, CompileError> {
    let mut providers = Vec::new();
    for (name, wanted) in &config.providers {
        let kept = previous
            .and_then(|snapshot| snapshot.providers.iter().find(|known| known.name == *name))
            .filter(|known| known.is_built_from(wanted));
        let provider = match kept {
            Some(known) => known.with_fresh_secrets(tools)?,
            None => Provider::build(name, wanted, tools)?,
        };
        providers.push(Arc::new(provider));
    }
    Ok(providers)
}

/// The limits and budgets of a configuration, without any that could not be enforced.
fn policy_of(config: &Config, deployment: &str) -> Result<Policy, CompileError> {
    seaworthy_config::policy(config, deployment).map_err(|mistakes| {
        let told = mistakes.iter().map(|mistake| mistake.message.as_str());
        CompileError::Policy(told.collect::<Vec<_>>().join("; "))
    })
}
