//! Drills: faults on purpose, within bounds, with a plan before and evidence after.
//!
//! [`plan`] says what a drill would do, [`run`] does it and returns a [`DrillReport`]. A drill works on
//! a scratch deployment that it starts itself, or, where that is possible from outside, on the one that
//! was named. [`evidence::Record`] is what is kept of it for later checks.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::timeout;

use crate::evidence::{Action, Evidence, Observed};
use crate::facts::Facts;
use crate::files::Files;
use crate::files::settings::Settings;
use crate::http::{Base, Dialer, Request};
use crate::options::Options;
use crate::outcome::{Outcome, Probed};
use crate::profile::Profile;
use crate::secrets::Secrets;
use crate::session::{Context, Session, Started, millis};

mod alert;
mod authority;
mod away;
mod budget;
mod catalogue;
mod certificate;
mod deployment;
mod drain;
pub mod evidence;
mod injection;
mod kill;
mod latency;
mod load;
mod network;
mod outage;
mod plan;
mod prometheus;
mod proxy;
pub mod report;
mod restore;
mod rollback;
mod rotation;
mod servers;
mod state;
mod traffic;

pub use catalogue::DRILLS;
pub use plan::{Plan, plan};

/// One rehearsal.
#[derive(Debug)]
pub struct Drill {
    /// Its name on the command line.
    pub name: &'static str,
    /// What holds when it passes.
    pub title: &'static str,
    /// What goes wrong in production when it does not.
    pub why: &'static str,
    /// On a deployment that the drill starts itself.
    pub(crate) scratch: Way,
    /// On a deployment that is there.
    pub(crate) away: Option<Way>,
}

impl Drill {
    /// The drill with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        DRILLS.iter().find(|drill| drill.name == name)
    }

    /// Whether it answers a requirement in one of its ways.
    #[must_use]
    pub fn can_answer(&self, id: &str) -> bool {
        let mut ways = [Some(&self.scratch), self.away.as_ref()]
            .into_iter()
            .flatten();
        ways.any(|way| way.answers.contains(&id))
    }

    /// How it is carried out, or what is missing for that.
    fn way(&self, options: &DrillOptions) -> Result<&Way, String> {
        match (&options.url, &self.away) {
            (None, _) => Ok(&self.scratch),
            (Some(_), Some(way)) => Ok(way),
            (Some(_), None) => Err(
                "a way to do this to a deployment from outside: there is none; leave --url out to \
                 rehearse it on a scratch deployment"
                    .to_owned(),
            ),
        }
    }
}

/// A way to carry a drill out.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) answers: &'static [&'static str],
    pub(crate) needs: &'static [Need],
    /// What is done, in order; the drill says when it comes to the next.
    pub(crate) steps: &'static [&'static str],
    /// The longest time, beside phases of load.
    pub(crate) seconds: u64,
    /// Phases of load, each as long as the options say.
    pub(crate) phases: u32,
    /// How many calls it makes.
    pub(crate) pace: Pace,
    pub(crate) run: Run,
}

/// How many calls a drill makes at most in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// A few beside what it does, to see what callers see.
    Beside,
    /// Up to twice the stated peak.
    TwicePeak,
    /// So many at the same time.
    AtOnce(u16),
}

/// The function behind a way.
pub(crate) type Run = for<'a> fn(&'a Stage<'a>) -> Pin<Box<dyn Future<Output = Probed> + 'a>>;

/// What has to be there for a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Redis,
    Postgres,
    Key,
    AdminKey,
    /// Commands that begin and end the fault.
    Commands,
    /// The program, on this machine.
    Prometheus,
    /// The server that watches the deployment.
    PrometheusUrl,
}

/// What the caller decides about a drill.
#[derive(Debug, Clone)]
pub struct DrillOptions {
    /// The program to rehearse with.
    pub program: PathBuf,
    /// The deployment to do it to; without it, a scratch one.
    pub url: Option<String>,
    /// An API key of the deployment.
    pub key: Option<String>,
    /// A key of its admin API.
    pub admin_key: Option<String>,
    /// The model to call; `echo` if it is served.
    pub model: Option<String>,
    /// Certificate authorities to trust beside those of this machine, as PEM.
    pub authorities: Option<PathBuf>,
    /// The deployment may be production.
    pub production_agreed: bool,
    /// The environment that the deployment says it is, as far as its configuration is known.
    pub environment: Option<String>,
    /// Begins the fault of a deployment, in a shell.
    pub break_command: Option<String>,
    /// Ends it.
    pub mend_command: Option<String>,
    /// The Prometheus that watches the deployment.
    pub prometheus: Option<String>,
    /// Rules to judge a scratch deployment by, instead of our own.
    pub rules: Option<PathBuf>,
    /// A backup to restore, instead of one that the drill makes.
    pub backup: Option<PathBuf>,
    /// The stated peak, in calls a second; the load test goes to twice that.
    pub peak: f64,
    /// How long each phase of load lasts.
    pub phase: Duration,
    /// The longest time until the service is back.
    pub recovery: Duration,
    /// The most memory that a scratch instance may take under load, in MiB.
    pub memory_mib: u64,
    /// The thresholds to judge by.
    pub profile: Profile,
}

impl DrillOptions {
    /// Options for a scratch deployment of a program.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            url: None,
            key: None,
            admin_key: None,
            model: None,
            authorities: None,
            production_agreed: false,
            environment: None,
            break_command: None,
            mend_command: None,
            prometheus: None,
            rules: None,
            backup: None,
            peak: 50.0,
            phase: Duration::from_secs(5),
            recovery: Duration::from_secs(15),
            memory_mib: 512,
            profile: Profile::default(),
        }
    }

    /// The share of calls that may fail where none should.
    pub(crate) fn error_share(&self) -> f64 {
        self.profile.error_ratio.unwrap_or(0.01).min(0.01)
    }
}

/// Something that was measured, and the bound that it was held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// The most that it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// What came of a drill.
#[derive(Debug)]
pub struct DrillReport {
    /// The drill.
    pub drill: &'static Drill,
    /// What it was done to.
    pub subject: Subject,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// What was planned, step by step.
    pub steps: &'static [&'static str],
    /// The requirements that it answers.
    pub answers: &'static [&'static str],
    /// What was measured.
    pub measures: Vec<Measure>,
    /// What was done and seen.
    pub evidence: Vec<Evidence>,
}

/// What a drill was done to.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Started by the drill itself.
    pub scratch: bool,
    /// The base URL; of a scratch deployment, the program.
    pub name: String,
    /// The version that it says it is.
    pub version: Option<String>,
    /// The environment of its configuration.
    pub environment: Option<String>,
}

/// What a drill works with.
pub(crate) struct Stage<'a> {
    pub(crate) session: Session<'a>,
    pub(crate) options: &'a DrillOptions,
    measures: RefCell<Vec<Measure>>,
    version: RefCell<Option<String>>,
    step: Cell<usize>,
    tell: &'a dyn Fn(usize),
}

impl Stage<'_> {
    /// Goes on to the next step of the plan.
    pub(crate) fn next_step(&self) {
        self.step.set(self.step.get() + 1);
        (self.tell)(self.step.get());
    }

    pub(crate) fn measure(&self, name: &str, value: f64, unit: &'static str, limit: Option<f64>) {
        self.measures.borrow_mut().push(Measure {
            name: name.to_owned(),
            value: (value * 1000.0).round() / 1000.0,
            unit,
            limit,
        });
    }

    /// Keeps how long the service took to be back, held against the bound.
    pub(crate) fn measure_recovery(&self, back: Duration) {
        let limit = self.options.recovery.as_secs_f64();
        self.measure("recovery", back.as_secs_f64(), "s", Some(limit));
    }

    /// Keeps the version that the subject says it is.
    pub(crate) fn learn_version(&self, version: Option<String>) {
        *self.version.borrow_mut() = version;
    }

    /// Keeps as evidence that calls were made, and how they ended.
    pub(crate) fn saw_calls(&self, what: &str, words: &str) {
        self.session.record(
            &Started::now(),
            Action::Load {
                what: what.to_owned(),
            },
            Observed {
                excerpt: self.session.clean(words),
                ..Observed::default()
            },
        );
    }
}

/// Carries a drill out, calling `tell` with the number of each step as it begins.
///
/// # Errors
/// When TLS cannot be set up or the URL cannot be used: then nothing was done.
pub async fn run(
    drill: &'static Drill,
    options: &DrillOptions,
    tell: &dyn Fn(usize),
) -> Result<DrillReport, String> {
    let (started_at, started) = (Timestamp::now(), Instant::now());
    let context = context(options)?;
    let stage = Stage {
        session: Session::new(&context),
        options,
        measures: RefCell::default(),
        version: RefCell::default(),
        step: Cell::new(0),
        tell,
    };
    let (outcome, steps, answers) = match ready(drill, options) {
        Err(missing) => (Outcome::NotVerified { missing }, &[][..], &[][..]),
        Ok(way) => {
            let limit = plan::longest(way, options);
            let outcome = match timeout(limit, (way.run)(&stage)).await {
                Ok(probed) => Outcome::from(probed),
                Err(_) => Outcome::Fail {
                    expected: format!("an end within {} s", limit.as_secs()),
                    found: format!(
                        "none; it was at: {}",
                        way.steps
                            .get(stage.step.get().saturating_sub(1))
                            .copied()
                            .unwrap_or("the beginning")
                    ),
                },
            };
            (outcome, way.steps, way.answers)
        }
    };
    let subject = Subject {
        scratch: options.url.is_none(),
        name: options.url.clone().unwrap_or_else(|| {
            let name = options.program.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }),
        version: stage.version.take(),
        environment: options.environment.clone(),
    };
    let outcome = outcome.map_text(|text| stage.session.clean(text));
    Ok(DrillReport {
        drill,
        subject,
        started_at,
        duration_ms: millis(started.elapsed()),
        outcome,
        steps,
        answers,
        measures: stage.measures.take(),
        evidence: stage.session.into_evidence(),
    })
}

/// The way to carry a drill out, if everything is there and agreed to.
fn ready<'a>(drill: &'a Drill, options: &DrillOptions) -> Result<&'a Way, String> {
    let way = drill.way(options)?;
    if let Some(reason) = plan::production(options)
        && !options.production_agreed
    {
        return Err(format!("--yes-production, because {reason}"));
    }
    for need in way.needs {
        need.find(options)?;
    }
    Ok(way)
}

/// Asks a deployment which environment it is; whoever does not say so is judged by its address.
pub async fn learn_environment(options: &mut DrillOptions) {
    let (Ok(context), Some(key)) = (context(options), options.admin_key.clone()) else {
        return;
    };
    if options.url.is_none() {
        return;
    }
    let session = Session::new(&context);
    let request = Request::get("/admin/v1/config").bearer(&key);
    let answer = deployment::quiet(&session, request).await;
    let json = answer.ok().and_then(|answer| answer.json());
    let said = json.and_then(|j| {
        j["config"]["auth"]["environment"]
            .as_str()
            .map(ToOwned::to_owned)
    });
    options.environment = said.or(options.environment.take());
}

fn context(options: &DrillOptions) -> Result<Context, String> {
    // A scratch deployment has addresses of its own; this one is never asked.
    let url = options.url.as_deref().unwrap_or("http://127.0.0.1:9");
    let base = Base::parse(url)?;
    let mut run = Options::new(base.url());
    (run.key, run.admin_key) = (options.key.clone(), options.admin_key.clone());
    run.local_binary = Some(options.program.clone());
    run.profile = options.profile;
    let known = [&options.key, &options.admin_key];
    Ok(Context {
        secrets: Secrets::new(known.into_iter().flatten().cloned()),
        dialer: Dialer::new(options.authorities.as_deref())?,
        options: run,
        base,
        facts: Facts::unknown(),
        files: Files::default(),
        settings: Settings::default(),
    })
}
