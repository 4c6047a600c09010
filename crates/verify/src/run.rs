//! Runs the catalogue against one server, within bounds of time and load.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::check::{Check, Kind, Need, catalogue};
use crate::facts::{self, Facts};
use crate::files::Files;
use crate::files::settings::Settings;
use crate::http::{Base, Dialer, Inspection};
use crate::options::{Options, Scope};
use crate::outcome::Outcome;
use crate::report::{CheckResult, FailOn, Report, Subject};
use crate::secrets::Secrets;
use crate::session::{Context, Session, millis};

/// The longest time of one check, beside the patience that the caller asks for.
const CHECK_TIMEOUT: Duration = Duration::from_secs(40);

/// Why there is no report at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The URL cannot be used.
    #[error("cannot use the URL: {0}")]
    Url(String),
    /// TLS could not be set up on this machine.
    #[error("{0}")]
    Setup(String),
    /// Files that should be read are not there.
    #[error("{0}")]
    Files(String),
    /// Nothing that speaks HTTP answered.
    #[error("cannot reach {url}: {cause}; start the server or correct the URL")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened.
        cause: String,
    },
}

/// How far a run is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Checks that have ended, this one included.
    pub done: usize,
    /// Checks in this run.
    pub total: usize,
    /// The check that has just ended.
    pub last: &'a CheckResult,
}

/// The exit code of `check`: 0 ready, 1 not ready, 2 could not run.
#[must_use]
pub fn exit_code(outcome: &Result<Report, RunError>, fail_on: FailOn) -> u8 {
    match outcome {
        Ok(report) if report.meets(fail_on) => 0,
        Ok(_) => 1,
        Err(_) => 2,
    }
}

/// Runs every check and calls `progress` after each of them.
///
/// # Errors
/// When the URL is not usable or nothing answers there: no verdict is possible.
pub async fn run(
    options: Options,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Report, RunError> {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    let base = Base::parse(&options.url).map_err(RunError::Url)?;
    let mut options = options;
    let mut dialer = Dialer::new(options.authorities.as_deref()).map_err(RunError::Setup)?;
    let tls = shake_hands(&mut options, &base, &mut dialer).await?;
    let mut facts = match options.scope {
        Scope::Files => Facts::unknown(),
        Scope::Everything => facts::gather(&options, &base, &dialer)
            .await
            .map_err(|error| RunError::Unreachable {
                url: base.url(),
                cause: error.to_string(),
            })?,
    };
    facts.tls = tls;
    let known = [&options.key, &options.admin_key];
    let secrets = Secrets::new(known.into_iter().flatten().cloned());
    let files = Files::read(&options).map_err(|error| RunError::Files(error.to_string()))?;
    let mut settings = Settings::default();
    if let Some(manifests) = &files.manifests {
        settings.clone_from(&manifests.settings);
    }
    if let Some(in_force) = &facts.configuration {
        settings.add_json("configuration in force", in_force);
        settings.complete = facts.seaworthy;
    }
    let context = Context {
        options,
        base,
        dialer,
        facts,
        secrets,
        files,
        settings,
    };
    let deadline = started + context.options.total_timeout;

    let checks: Vec<&'static Check> = catalogue()
        .filter(|check| is_asked(check, &context))
        .collect();
    let total = checks.len();
    let mut results: Vec<(usize, CheckResult)> = Vec::with_capacity(total);
    // First what may run side by side, then one by one what other load would blur.
    for (kind, at_once) in [
        (Kind::Live, context.options.concurrency.max(1)),
        (Kind::LiveAlone, 1),
        (Kind::Scratch, 1),
        (Kind::Files, 1),
    ] {
        let of_kind = checks
            .iter()
            .enumerate()
            .filter(|(_, check)| check.kind == kind);
        let mut ended = stream::iter(of_kind.map(|(index, check)| {
            let one = judge(&context, check, deadline);
            async move { (index, one.await) }
        }))
        .buffer_unordered(at_once);
        while let Some((index, result)) = ended.next().await {
            progress(Progress {
                done: results.len() + 1,
                total,
                last: &result,
            });
            results.push((index, result));
        }
    }
    results.sort_by_key(|(index, _)| *index);
    let subject = subject_of(&context);
    let results = results.into_iter().map(|(_, result)| result).collect();
    let mut report = Report::new(subject, started_at, started.elapsed(), results);
    report.profile = context.options.profile.name;
    Ok(report)
}

/// Looks at the server's certificate; a wrong one keeps every key from it.
async fn shake_hands(
    options: &mut Options,
    base: &Base,
    dialer: &mut Dialer,
) -> Result<Option<Inspection>, RunError> {
    if options.scope == Scope::Files || !base.https {
        return Ok(None);
    }
    let seen = timeout(options.request_timeout, dialer.inspect(base)).await;
    let unreachable = |cause: String| RunError::Unreachable {
        url: base.url(),
        cause,
    };
    let seen = seen
        .map_err(|_| unreachable("no TLS handshake in time".to_owned()))?
        .map_err(|error| unreachable(error.to_string()))?;
    if seen.trusted.is_err() {
        *dialer = dialer.trusting(&seen.leaf).map_err(RunError::Setup)?;
        (options.key, options.admin_key) = (None, None);
    }
    Ok(Some(seen))
}

/// Checks of files belong to a run that was given files; the others always do.
fn is_asked(check: &Check, context: &Context) -> bool {
    let Context { options, base, .. } = context;
    let in_scope = options.scope == Scope::Everything || check.kind == Kind::Files;
    let given = check.needs.iter().all(|need| match need {
        Need::Repository => options.repository.is_some(),
        Need::Manifests => options.manifests.is_some(),
        Need::Cloud => !options.cloud.is_empty(),
        Need::Settings => options.manifests.is_some() || context.facts.configuration.is_some(),
        Need::Prometheus => options.prometheus.is_some(),
        Need::Network => base.https || !base.is_loopback(),
        _ => true,
    });
    in_scope && given && options.asked.includes(check.id, check.standard)
}

/// Runs one check to its outcome, whatever happens.
async fn judge(context: &Context, check: &'static Check, deadline: Instant) -> CheckResult {
    let started = Instant::now();
    let session = Session::new(context);
    let left = deadline.saturating_duration_since(started);
    let outcome = if let Some(missing) = missing_need(check, context) {
        Outcome::NotVerified { missing }
    } else if left.is_zero() {
        let bound = context.options.total_timeout.as_secs();
        Outcome::NotVerified {
            missing: format!("time: the run's {bound} s were used up"),
        }
    } else {
        let limit = left.min(CHECK_TIMEOUT + context.options.patience);
        match timeout(limit, (check.probe)(&session)).await {
            Ok(probed) => Outcome::from(probed),
            Err(_) => Outcome::NotVerified {
                missing: format!("time: the check did not end within {} s", limit.as_secs()),
            },
        }
    };
    let outcome = outcome.map_text(|text| session.clean(text));
    let duration_ms = millis(started.elapsed());
    CheckResult {
        check,
        outcome,
        duration_ms,
        evidence: session.into_evidence(),
    }
}

/// What must be given for this check and was not.
fn missing_need(check: &Check, context: &Context) -> Option<String> {
    let Context { options, facts, .. } = context;
    check.needs.iter().find_map(|need| match need {
        Need::Key if options.key.is_none() => Some("an API key of the data plane".to_owned()),
        Need::AdminKey if options.admin_key.is_none() => Some("a key of the admin API".to_owned()),
        Need::LocalBinary if options.local_binary.is_none() => {
            Some("the server's program on this machine, to start a scratch instance".to_owned())
        }
        // What this program does says nothing about another one that happens to run here.
        Need::LocalBinary if !facts.seaworthy => Some(
            "a server of this program: a scratch instance of it says nothing about another server"
                .to_owned(),
        ),
        Need::Model => missing_model(facts),
        _ => None,
    })
}

/// A server without a model API needs no model: its probes say that themselves.
fn missing_model(facts: &Facts) -> Option<String> {
    use crate::facts::Surface;
    let serves_models = facts.chat == Surface::Served || facts.messages == Surface::Served;
    facts
        .model
        .as_ref()
        .err()
        .filter(|_| serves_models)
        .cloned()
}

fn subject_of(context: &Context) -> Subject {
    let options = &context.options;
    let folders = [&options.repository, &options.manifests];
    let folders = folders.into_iter().flatten();
    let folders: Vec<String> = folders.map(|path| path.display().to_string()).collect();
    Subject {
        url: match options.scope {
            Scope::Everything => context.base.url(),
            Scope::Files => folders.join(" and "),
        },
        seaworthy: context.facts.seaworthy,
        version: context.facts.version.clone(),
        config_hash: context.facts.config_hash.clone(),
    }
}
