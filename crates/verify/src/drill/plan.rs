//! What a drill would do, before it does anything.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Drill, DrillOptions, Need, Pace, Way, servers};
use crate::http::Base;

/// A drill as it would be carried out.
#[derive(Debug)]
pub struct Plan {
    /// The drill.
    pub drill: &'static Drill,
    /// What it would be done to.
    pub subject: String,
    /// Why that is production, or looks like it.
    pub production: Option<String>,
    /// What would be done, in order; empty when there is no way.
    pub steps: &'static [&'static str],
    /// What is needed, and where it was found or what is missing.
    pub needs: Vec<Result<String, String>>,
    /// The longest time that it may take.
    pub longest: Duration,
    /// The most calls in a second.
    pub load: f64,
    /// The requirements that it would answer.
    pub answers: &'static [&'static str],
}

/// Calls in a second that drills make beside what they do, to see what callers see.
pub(crate) const BESIDE: f64 = 20.0;

/// Says what a drill would do; does nothing.
#[must_use]
pub fn plan(drill: &'static Drill, options: &DrillOptions) -> Plan {
    let subject = match &options.url {
        Some(url) => url.clone(),
        None => format!("a scratch deployment of {}", options.program.display()),
    };
    let way = drill.way(options);
    let needs = match way {
        Ok(way) => way.needs.iter().map(|need| need.find(options)).collect(),
        Err(ref missing) => vec![Err(missing.clone())],
    };
    let way = way.ok();
    Plan {
        drill,
        subject,
        production: production(options),
        steps: way.map_or(&[], |way| way.steps),
        needs,
        longest: way.map_or(Duration::ZERO, |way| longest(way, options)),
        load: match way.map(|way| way.pace) {
            Some(Pace::TwicePeak) => options.peak * 2.0,
            Some(Pace::AtOnce(calls)) => f64::from(calls),
            Some(Pace::Beside) => BESIDE,
            None => 0.0,
        },
        answers: way.map_or(&[], |way| way.answers),
    }
}

/// Why what the drill is done to counts as production.
pub(super) fn production(options: &DrillOptions) -> Option<String> {
    let url = options.url.as_deref()?;
    let named = options.environment.as_deref();
    if named.is_some_and(|name| name.to_ascii_lowercase().starts_with("prod")) {
        return Some(format!(
            "its environment is {:?}",
            named.unwrap_or_default()
        ));
    }
    match Base::parse(url) {
        Ok(base) if base.is_loopback() => None,
        _ => Some("it is not on this machine".to_owned()),
    }
}

/// The longest time of a way.
pub(super) fn longest(way: &Way, options: &DrillOptions) -> Duration {
    Duration::from_secs(way.seconds) + options.phase * way.phases
}

impl Need {
    /// Where it is, or what is missing.
    pub(super) fn find(self, options: &DrillOptions) -> Result<String, String> {
        let program = |names: &[&str], what: &str| {
            let found: Option<Vec<String>> = names
                .iter()
                .map(|name| servers::find(name).map(|path| path.display().to_string()))
                .collect();
            found
                .map(|paths| paths.join(", "))
                .ok_or_else(|| format!("{what} on this machine ({})", names.join(", ")))
        };
        match self {
            Self::Redis => program(&["redis-server"], "Redis"),
            Self::Postgres => program(&["initdb", "postgres", "pg_isready"], "PostgreSQL"),
            Self::Prometheus => program(&["prometheus"], "Prometheus"),
            Self::PrometheusUrl => given(
                options.prometheus.as_ref(),
                "a Prometheus that watches the deployment (--prometheus)",
            ),
            Self::Key => given(options.key.as_ref(), "an API key (--key)"),
            Self::AdminKey => given(
                options.admin_key.as_ref(),
                "a key of the admin API (--admin-key)",
            ),
            Self::Commands => given(
                options
                    .break_command
                    .as_ref()
                    .and(options.mend_command.as_ref()),
                "the commands that begin and end the fault (--break COMMAND --mend COMMAND)",
            ),
        }
    }
}

fn given<T>(value: Option<&T>, what: &str) -> Result<String, String> {
    value
        .map(|_| format!("{what}, given"))
        .ok_or_else(|| what.to_owned())
}

impl Plan {
    /// The plan for people.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let drill = self.drill;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "Drill {}: {}", drill.name, drill.title);
        let _ = writeln!(out, "  on       {}", self.subject);
        if let Some(reason) = &self.production {
            let _ = writeln!(out, "  careful  this counts as production: {reason}");
        }
        for need in &self.needs {
            let _ = match need {
                Ok(found) => writeln!(out, "  has      {found}"),
                Err(missing) => writeln!(out, "  lacks    {missing}"),
            };
        }
        for (number, step) in self.steps.iter().enumerate() {
            let _ = writeln!(out, "  {:>2}.      {step}", number + 1);
        }
        if !self.steps.is_empty() {
            let _ = writeln!(
                out,
                "  bounds   at most {} s and {} calls a second",
                self.longest.as_secs(),
                self.load
            );
        }
        if !self.answers.is_empty() {
            let _ = writeln!(out, "  answers  {}", self.answers.join(", "));
        }
        out
    }
}
