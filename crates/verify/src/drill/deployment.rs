//! A scratch deployment: an instance of the program between callers and scripted providers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::sleep;

use super::Stage;
use super::plan::BESIDE;
use super::traffic::{Pattern, Target, Traffic};
use crate::evidence::{Action, Observed};
use crate::http::{Answer, Base, Protocol, Request, exchange};
use crate::outcome::{Stop, ensure, fail, not_verified};
use crate::scratch::{Bench, Instance, cannot_start, free_port};
use crate::session::{Session, Started};

/// The model of scratch deployments.
pub(super) const MODEL: &str = "drill";

/// What a scratch deployment is made of, beside what all have.
#[derive(Debug, Default, Clone)]
pub(super) struct Setup<'s> {
    /// `storage.url`; SQLite in the folder without it.
    pub(super) storage: Option<String>,
    /// `shared_state.url`; memory without it.
    pub(super) shared: Option<String>,
    /// Where each provider is: its name and port, in the order in which they are asked.
    pub(super) providers: Vec<(&'s str, u16)>,
    /// Further sections.
    pub(super) more: &'s str,
}

impl Setup<'_> {
    /// Writes the configuration into the folder.
    pub(super) fn write(&self, bench: &Bench<'_>) -> Result<(), Stop> {
        bench.write_config(&self.text(bench))
    }

    pub(super) fn text(&self, bench: &Bench<'_>) -> String {
        let (port, folder) = (bench.session.base().port, bench.folder().display());
        let own = format!("sqlite:{folder}/drill.db");
        let storage = self.storage.as_deref().unwrap_or(&own);
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nworkers = 1\ndrain_delay = \"300ms\"\n\
             drain_timeout = \"20s\"\n\n\
             [storage]\nurl = \"{storage}\"\njournal = \"{folder}/calls\"\n\n\
             [resilience.circuit_breaker]\nopen_for = \"1s\"\nmax_open_for = \"2s\"\n\n"
        );
        // Writing to a string cannot fail.
        if let Some(url) = &self.shared {
            let _ = writeln!(text, "[shared_state]\nurl = \"{url}\"\n");
        }
        let mut targets = Vec::new();
        for (name, port) in &self.providers {
            let _ = writeln!(
                text,
                "[providers.{name}]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
                 api_key = \"secret://file/{folder}/provider.key\"\n\
                 timeouts.connect = \"1s\"\ntimeouts.first_byte = \"2s\"\n\
                 timeouts.between_chunks = \"2s\"\n\n\
                 [prices.\"{name}/{MODEL}\"]\ninput = 1\noutput = 1\nrequest = 0.0001\n"
            );
            targets.push(format!("\"{name}/{MODEL}\""));
        }
        let _ = writeln!(
            text,
            "[models.{MODEL}]\ntargets = [{}]\n",
            targets.join(", ")
        );
        text + self.more
    }
}

/// A scripted provider of the program under rehearsal.
pub(super) struct Provider<'a> {
    child: Option<Child>,
    pub(super) port: u16,
    directives: String,
    session: Session<'a>,
}

impl<'a> Provider<'a> {
    /// Starts one that does as the directives say.
    pub(super) async fn start(bench: &Bench<'a>, directives: &str) -> Result<Self, Stop> {
        let key = bench.folder().join("provider.key");
        std::fs::write(key, "any").map_err(|e| missing(format!("a file: {e}")))?;
        let port = free_port()
            .await
            .map_err(|e| missing(format!("a free port: {e}")))?;
        let base = Base::parse(&format!("http://127.0.0.1:{port}")).map_err(missing)?;
        let mut provider = Self {
            child: None,
            port,
            directives: directives.to_owned(),
            session: bench
                .session
                .of_instance(base, format!("provider at port {port}")),
        };
        provider.start_again(bench).await?;
        Ok(provider)
    }

    /// Starts it again at its port.
    pub(super) async fn start_again(&mut self, bench: &Bench<'_>) -> Result<(), Stop> {
        const START_TIMEOUT: Duration = Duration::from_secs(10);
        let listen = format!("127.0.0.1:{}", self.port);
        let args = [
            "fake-provider",
            "--listen",
            &listen,
            "--defaults",
            &self.directives,
        ];
        let (started, clock) = (Started::now(), Instant::now());
        let mut command = bench.command(&args);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let child = command.spawn();
        self.child = Some(child.map_err(|e| {
            cannot_start(
                &self
                    .session
                    .context
                    .options
                    .local_binary
                    .clone()
                    .unwrap_or_default(),
                &e,
            )
        })?);
        while self.session.quiet_status("/__control/stats").await != Some(200) {
            if clock.elapsed() > START_TIMEOUT {
                return not_verified("a program with a command `fake-provider`");
            }
            sleep(Duration::from_millis(10)).await;
        }
        let argv = bench.argv(&args);
        self.session
            .record(&started, Action::Command { argv }, Observed::default());
        Ok(())
    }

    /// Sends it a signal; a killed one is gone at once.
    pub(super) async fn signal(&mut self, signal: Signal) {
        let started = Started::now();
        let id = self.child.as_ref().and_then(Child::id);
        if let Some(id) = id.and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself.
            let _gone = kill(Pid::from_raw(id), signal);
        }
        if signal == Signal::SIGKILL
            && let Some(mut child) = self.child.take()
        {
            let _ended = child.wait().await;
        }
        let name = signal.to_string();
        self.session
            .record(&started, Action::Signal { name }, Observed::default());
    }

    /// What it has seen.
    pub(super) async fn stats(&self) -> Result<Value, Stop> {
        let answer = quiet(&self.session, Request::get("/__control/stats")).await?;
        Ok(answer.json().unwrap_or(Value::Null))
    }

    /// Whole calls that it has seen.
    pub(super) async fn calls(&self) -> Result<u64, Stop> {
        Ok(self.stats().await?["calls"].as_u64().unwrap_or(0))
    }

    /// Queues a fault for the next calls.
    pub(super) async fn fault(&self, fault: &str, times: u64) -> Result<(), Stop> {
        let body = json!({"fault": fault, "times": times});
        let request = Request::post("/__control/faults").json(&body);
        self.session.send(request).await?;
        Ok(())
    }

    pub(super) async fn reset(&self) -> Result<(), Stop> {
        self.session.send(Request::post("/__control/reset")).await?;
        Ok(())
    }
}

/// A call of the model, as OpenAI's clients send it.
pub(super) fn call(model: &str, prompt: &str, key: &str, stream: bool) -> Request {
    let body = json!({
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 32,
        "stream": stream,
    });
    Request::post("/v1/chat/completions")
        .json(&body)
        .bearer(key)
}

/// Makes one call, which must be answered.
pub(super) async fn ensure_call(s: &Session<'_>, key: &str, when: &str) -> Result<(), Stop> {
    let answer = s.send(call(MODEL, when, key, false)).await?;
    let expected = format!("200 {when}");
    ensure(
        answer.status() == 200,
        expected,
        answer.status().to_string(),
    )
}

/// Where the calls of a key go.
pub(super) fn target(session: &Session<'_>, key: &str) -> Target {
    let key = key.to_owned();
    Target {
        dialer: session.dialer().clone(),
        base: session.base().clone(),
        // Every call is another one, so that no cache answers for the provider.
        request: Arc::new(move |n| call(MODEL, &format!("call {n}"), &key, n % 4 == 3)),
    }
}

/// Calls beside a drill: enough to see what callers see.
pub(super) const CALLERS: Pattern = Pattern {
    rate: Some(BESIDE),
    callers: 16,
    lasts: None,
    limit: Duration::from_secs(10),
};

/// Makes calls beside a drill.
pub(super) fn callers(session: &Session<'_>, key: &str) -> Traffic {
    Traffic::start(&target(session, key), CALLERS)
}

/// An exchange that is not evidence of its own: for polling.
pub(super) async fn quiet(session: &Session<'_>, request: Request) -> Result<Answer, Stop> {
    let limit = Duration::from_secs(5);
    Ok(exchange(
        session.dialer(),
        session.base(),
        &request,
        Protocol::Http1,
        limit,
    )
    .await?)
}

/// Asks again and again until the answer is there; the time that took.
pub(super) async fn until(
    what: &str,
    at_most: Duration,
    mut is_so: impl AsyncFnMut() -> Result<bool, Stop>,
) -> Result<Duration, Stop> {
    let clock = Instant::now();
    while !is_so().await? {
        if clock.elapsed() > at_most {
            return fail(
                format!("{what} within {:.0} s", at_most.as_secs_f64()),
                "not by then",
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(clock.elapsed())
}

/// What the ledger has of all models together, once nothing is outstanding.
pub(super) async fn ledger(session: &Session<'_>, admin_key: &str) -> Result<Ledger, Stop> {
    let status = || Request::get("/admin/v1/status").bearer(admin_key);
    until(
        "a ledger that has everything written",
        Duration::from_secs(15),
        async || {
            let answer = quiet(session, status()).await?;
            let outstanding = answer
                .json()
                .and_then(|j| j["ledger"]["outstanding"].as_u64());
            Ok(outstanding == Some(0))
        },
    )
    .await?;
    let usage = Request::get("/admin/v1/usage").bearer(admin_key);
    let answer = session.send(usage).await?;
    let json = answer.json().unwrap_or(Value::Null);
    let Some(rows) = json["data"].as_array() else {
        return fail(
            "a report of usage",
            format!("{} without one", answer.status()),
        );
    };
    let sum = |name: &str| rows.iter().filter_map(|row| row[name].as_u64()).sum();
    Ok(Ledger {
        calls: sum("calls"),
        estimated: sum("estimated_calls"),
        tokens: sum("total_tokens"),
        cost: sum("cost"),
    })
}

/// Sums of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) calls: u64,
    pub(super) estimated: u64,
    pub(super) tokens: u64,
    pub(super) cost: u64,
}

/// An instance with callers' and administrators' keys.
pub(super) struct Running<'a, 'b> {
    pub(super) instance: Instance<'a, 'b>,
    pub(super) key: String,
    pub(super) admin_key: String,
}

/// Starts a provider and writes a configuration in which there is no other; `more` is further sections.
pub(super) async fn one_provider<'a>(
    bench: &Bench<'a>,
    directives: &str,
    more: &str,
) -> Result<Provider<'a>, Stop> {
    let provider = Provider::start(bench, directives).await?;
    let setup = Setup {
        providers: vec![("first", provider.port)],
        more,
        ..Setup::default()
    };
    setup.write(bench)?;
    Ok(provider)
}

/// Makes keys and starts the instance that the configuration in the folder describes.
pub(super) async fn launch<'a, 'b>(
    stage: &Stage<'_>,
    bench: &'b Bench<'a>,
) -> Result<Running<'a, 'b>, Stop> {
    let key = bench.create_key(None).await?;
    let admin_key = bench.create_key(Some("admin")).await?;
    let instance = bench.serve().await?;
    let health = quiet(&bench.session, Request::get("/health")).await?;
    let version = health
        .json()
        .and_then(|j| j["version"].as_str().map(ToOwned::to_owned));
    stage.learn_version(version);
    Ok(Running {
        instance,
        key,
        admin_key,
    })
}

fn missing(what: impl Into<String>) -> Stop {
    Stop::NotVerified {
        missing: what.into(),
    }
}
