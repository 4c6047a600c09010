//! Runs code that a caller sends, apart from everything: `POST /v1/sandbox/execute`.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use seaworthy_config::{Config, Provider as ProviderConfig, ProviderKind, Sandbox as Settings};
use seaworthy_core::code::Code;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::principal::{Permission, Principal, scope};
use seaworthy_core::resilience::routing::Strategy;
use seaworthy_core::usage::Usage;
use seaworthy_edge::body::RequestBody;
use seaworthy_sandbox::{Job, Language, LaunchError, Limits, Outcome as Ended};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::exchange::Exchange;
use crate::once::{self, Once};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::routes::Action;
use crate::snapshot::{CompileError, Model, Snapshot, Target, Tools};
use crate::stage::admit::enter;
use crate::stage::authenticate::authenticate;
use crate::stage::decode::read;
use crate::stage::reserve::{Flat, reserve_flat};

/// The class of work in limits, budgets, scopes and the ledger, and what stands for the model.
const OPERATION: &str = "sandbox";

/// The sandbox as it is configured.
#[derive(Debug)]
pub(crate) struct Sandbox {
    settings: Settings,
    /// The most that a run may use.
    most: Limits,
    model: Arc<Model>,
    target: Arc<Target>,
    /// How many runs there may be at a time.
    room: Semaphore,
}

impl Sandbox {
    /// `None` while callers may not run code. One that did not change keeps its count of runs.
    pub(crate) fn build(
        config: &Config,
        tools: &Tools<'_>,
        previous: Option<&Snapshot>,
    ) -> Result<Option<Arc<Self>>, CompileError> {
        let settings = &config.sandbox;
        if !settings.enabled {
            return Ok(None);
        }
        let known = previous.and_then(|snapshot| snapshot.sandbox.as_ref());
        if let Some(known) = known.filter(|known| known.settings == *settings) {
            return Ok(Some(Arc::clone(known)));
        }
        // The built-in kind: nobody is asked over a network.
        let own = ProviderConfig::new(ProviderKind::Echo);
        let provider = Arc::new(Provider::build(OPERATION, &own, tools)?);
        let id = format!("{OPERATION}/{}", Language::JavaScript.as_str());
        let target = Arc::new(Target::new(tools, (OPERATION, OPERATION), &id, &provider));
        let model = Model {
            name: OPERATION.into(),
            targets: vec![Arc::clone(&target)],
            strategy: Strategy::default(),
            hedge_after: None,
        };
        Ok(Some(Arc::new(Self {
            most: Limits {
                cpu_ms: millis(settings.max_cpu_time.into()),
                wall_ms: millis(settings.max_time.into()),
                memory_bytes: settings.max_memory.bytes(),
                output_bytes: settings.max_output.bytes(),
            },
            room: Semaphore::new(settings.max_concurrent.get()),
            model: Arc::new(model),
            target,
            settings: settings.clone(),
        })))
    }

    fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.room.try_acquire().map_err(|_full| {
            let most = self.settings.max_concurrent;
            let message = format!(
                "The sandbox runs {most} pieces of code already, as many as it may. Try again shortly."
            );
            Refusal::new(Code::Overloaded, message).retry_after(Duration::from_secs(1))
        })
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// What a caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    language: Language,
    code: String,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    limits: AskedLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AskedLimits {
    cpu_ms: Option<u64>,
    wall_ms: Option<u64>,
    memory_bytes: Option<u64>,
    output_bytes: Option<u64>,
}

impl AskedLimits {
    /// The limits of the run: what is asked for, within what may be.
    fn within(&self, most: Limits) -> Result<Limits, Refusal> {
        let pick = |name: &str, asked: Option<u64>, most: u64| match asked {
            None => Ok(most),
            Some(asked) if (1..=most).contains(&asked) => Ok(asked),
            Some(asked) => {
                let message = format!("`limits.{name}`: expected 1 to {most}, found {asked}");
                Err(Refusal::new(Code::InvalidRequest, message).at(format!("limits.{name}")))
            }
        };
        Ok(Limits {
            cpu_ms: pick("cpu_ms", self.cpu_ms, most.cpu_ms)?,
            wall_ms: pick("wall_ms", self.wall_ms, most.wall_ms)?,
            memory_bytes: pick("memory_bytes", self.memory_bytes, most.memory_bytes)?,
            output_bytes: pick("output_bytes", self.output_bytes, most.output_bytes)?,
        })
    }
}

/// Runs a piece of code and says what came of it.
pub(crate) async fn execute(
    exchange: &mut Exchange,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Answer, Refusal> {
    let caller = authenticate(exchange, headers, Permission::RunCode).await?;
    let Some(sandbox) = exchange.snapshot.sandbox.clone() else {
        let message = "No code is run here: the operator has to set `sandbox.enabled`.";
        return Err(Refusal::new(Code::NotFound, message));
    };
    authorize(&caller)?;
    let body = read(body).await?;
    let job = understand(&body, sandbox.most)?;
    let request = once::of_request(OPERATION, None, &body);
    let mut held = match once::begin(exchange, headers, request).await? {
        Once::Known(answer) => return Ok(answer),
        Once::Held(held) => Some(held),
        Once::Pass => None,
    };
    exchange.model = Some(Arc::clone(&sandbox.model));
    let _admission = enter(exchange)?;
    let _place = sandbox.enter()?;
    let work = Flat {
        operation: OPERATION,
        model: &sandbox.model.name,
        target: &sandbox.target,
        price: sandbox.settings.price_per_run.micros(),
    };
    reserve_flat(exchange, &caller, &work).await?;
    if let Some(held) = &mut held {
        held.set_off();
    }
    let result = run(exchange, &job).await;
    once::end(held, Action::RunCode, headers, result).await
}

fn authorize(caller: &Principal) -> Result<(), Refusal> {
    if scope::allows(&caller.scopes.operations, OPERATION) {
        return Ok(());
    }
    let message = format!("The credential is not for the operation `{OPERATION}`.");
    Err(Refusal::new(Code::PermissionDenied, message))
}

fn understand(body: &[u8], most: Limits) -> Result<Job, Refusal> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not what the sandbox takes: {error}.");
        Refusal::new(Code::InvalidRequest, message)
    })?;
    Ok(Job {
        limits: asked.limits.within(most)?,
        language: asked.language,
        code: asked.code,
        stdin: asked.stdin,
        arguments: asked.arguments,
    })
}

/// A run that did not start is not charged; one that did is, however it ends.
async fn run(exchange: &mut Exchange, job: &Job) -> Result<Answer, Refusal> {
    if let Some(call) = &mut exchange.call {
        call.mark_dispatched();
    }
    let launcher = exchange.gateway.launcher.clone();
    let metrics = &exchange.gateway.metrics;
    let ended = launcher.run(job).await;
    match &ended {
        Ok(ended) => metrics.count_run(job.language.as_str(), ended.exit.as_str(), ended.cpu_ms),
        Err(_) => metrics.count_run(job.language.as_str(), "unavailable", None),
    }
    match ended {
        Ok(ended) => {
            exchange.note_complete(Usage::default());
            exchange.outcome = Outcome::Success;
            Ok(Answer::json(200, shown(exchange, job.language, &ended)))
        }
        Err(error) => {
            if let Some(call) = &mut exchange.call {
                call.mark_undispatched();
            }
            Err(unavailable(&error))
        }
    }
}

fn unavailable(error: &LaunchError) -> Refusal {
    let message = match error {
        LaunchError::Lacking(what) => format!(
            "Code cannot be run here, because the system lacks what the sandbox needs ({what})."
        ),
        _ => {
            "Code cannot be run here, because the worker of the sandbox does not start.".to_owned()
        }
    };
    Refusal::new(Code::SandboxUnavailable, message).because(error)
}

fn shown(exchange: &Exchange, language: Language, ended: &Ended) -> String {
    json!({
        "id": format!("run-{}", exchange.request_id.as_str()),
        "object": "sandbox.run",
        "language": language.as_str(),
        "exit": ended.exit.as_str(),
        "result": &ended.result,
        "error": &ended.error,
        "stdout": ended.stdout,
        "stderr": ended.stderr,
        "usage": {
            "cpu_ms": ended.cpu_ms,
            "memory_bytes": ended.memory_bytes,
            "wall_ms": ended.wall_ms,
        },
    })
    .to_string()
}
