//! Alert rules and dashboards: there, complete, and readable as expressions.

use super::thresholds::{Above, above, duration, is_never_true, parts};
use super::{Looked, by_profile, in_manifests};
use crate::check::{Area, Check, Kind, Need, Severity};
use crate::files::Problem;
use crate::files::manifests::{Manifests, Rule};
use crate::profile::Profile;

pub(super) static CHECKS: &[Check] = &[
    Check {
        id: "alert.critical-defined",
        title: "Critical alerts exist for what stops users",
        why: "Users should not be the alarm.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The severity of every alert rule.",
        remedy: "Write critical rules for errors, latency and absence.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a rule with severity critical", critical),
    },
    Check {
        id: "alert.warning-defined",
        title: "Warnings exist for what will hurt later",
        why: "Early word costs least.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The severity of every alert rule.",
        remedy: "Write warning rules.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a rule with severity warning", warning),
    },
    Check {
        id: "alert.severity-set",
        title: "Every alert has a severity",
        why: "Without it an alarm goes to nobody or to everybody.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The severity label of every alert rule.",
        remedy: "Label each rule with a severity.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a severity on every rule", severities),
    },
    Check {
        id: "alert.runbook-links",
        title: "Each alert links to its runbook",
        why: "Nobody should think up the response at night.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "The annotation runbook_url of every alert rule; the link is not opened.",
        remedy: "Add runbook_url to each rule.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a runbook for every rule", runbooks),
    },
    Check {
        id: "alert.agent-down",
        title: "An alert fires when the service is gone",
        why: "Absence makes no errors.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "An expression with absent() or up == 0.",
        remedy: "Alert on up and on absence.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "a rule on an absent service", down),
    },
    Check {
        id: "alert.high-error-rate",
        title: "An alert fires on a high share of errors",
        why: "It is the clearest sign that users fail.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "An expression that divides errors by requests and compares. Its threshold is judged by the profile.",
        remedy: "Alert on the error ratio.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            by_profile(
                s,
                "a rule on the share of errors, within the profile",
                errors,
            )
        },
    },
    Check {
        id: "alert.high-latency",
        title: "An alert fires on high latency",
        why: "Slow is down for those who wait.",
        severity: Severity::Critical,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "An expression with histogram_quantile that compares. Its threshold is judged by the profile.",
        remedy: "Alert on p95 or p99.",
        kind: Kind::Files,
        standard: true,
        probe: |s| {
            by_profile(
                s,
                "a rule on a latency percentile, within the profile",
                latency,
            )
        },
    },
    Check {
        id: "dash.present",
        title: "Dashboards exist and show something",
        why: "In an incident nobody writes queries.",
        severity: Severity::High,
        areas: &[Area::Observability],
        needs: &[Need::Manifests],
        verified_by: "Every Grafana dashboard.",
        remedy: "Provision dashboards as code.",
        kind: Kind::Files,
        standard: true,
        probe: |s| in_manifests(s, "dashboards with panels and queries", dashboards),
    },
];

/// What is missing where there are no rules: nobody knows who would be told.
const NO_RULES: &str = "alert rules: the manifests hold none";

/// Asks for a rule that fits.
pub(super) fn some_rule(m: &Manifests, what: &str, fits: impl Fn(&Rule) -> bool) -> Looked {
    let Some(first) = m.rules.first() else {
        return Looked::Unknown(NO_RULES.to_owned());
    };
    let found: Vec<&str> = m
        .rules
        .iter()
        .filter(|r| is_alive(r) && fits(r))
        .map(|r| r.name.as_str())
        .collect();
    let problems = if found.is_empty() {
        let text = format!("none of {} rules is {what}", m.rules.len());
        vec![Problem::new(&first.path, first.line, text)]
    } else {
        Vec::new()
    };
    Looked::At(
        format!("{} rules, among them {}", m.rules.len(), found.join(", ")),
        problems,
    )
}

/// Whether a rule can fire at all, within a day of its cause.
fn is_alive(rule: &Rule) -> bool {
    !rule.expression.trim().is_empty()
        && fires_within(rule, 86_400.0)
        && !is_never_true(&rule.expression)
}

/// Judges every rule.
fn every_rule(m: &Manifests, wrong: impl Fn(&Rule) -> Option<String>) -> Looked {
    if m.rules.is_empty() {
        return Looked::Unknown(NO_RULES.to_owned());
    }
    let problems = m
        .rules
        .iter()
        .filter_map(|r| {
            Some(Problem::new(
                &r.path,
                r.line,
                format!("{} {}", r.name, wrong(r)?),
            ))
        })
        .collect();
    Looked::At(format!("{} rules", m.rules.len()), problems)
}

pub(super) fn severity_is(rule: &Rule, severity: &str) -> bool {
    rule.severity.as_deref() == Some(severity)
}

fn critical(m: &Manifests) -> Looked {
    some_rule(m, "critical", |r| {
        severity_is(r, "critical") || severity_is(r, "page")
    })
}

fn warning(m: &Manifests) -> Looked {
    some_rule(m, "a warning", |r| severity_is(r, "warning"))
}

fn severities(m: &Manifests) -> Looked {
    every_rule(m, |r| {
        let Some(severity) = r.severity.as_deref() else {
            return Some("has no severity".to_owned());
        };
        // A template may say one; a label of the series says what it likes.
        let mut parts = severity.split("{{");
        let first = parts.next().unwrap_or_default().trim();
        let mut others = parts.filter_map(|part| part.split_once("}}"));
        let says = !first.is_empty() || others.any(|(_, said)| !said.trim().is_empty());
        (!says).then(|| format!("has only `{severity}` for a severity"))
    })
}

fn runbooks(m: &Manifests) -> Looked {
    every_rule(m, |r| {
        let drafts = ["todo", "tbd", "none", "n/a", "-"];
        let runbook = r.runbook.as_deref().map(str::to_lowercase);
        // A link or a path, or else what to do in words.
        let leads = |text: &str| match text.trim().split_once("://") {
            // The front page of a site is no runbook.
            Some((_, place)) => place
                .split_once(['/', '?', '#'])
                .is_some_and(|(_, path)| !path.trim_matches('/').is_empty()),
            None => text.contains(['/', '#', '.']) || text.split_whitespace().count() > 5,
        };
        let is_linked = runbook.is_some_and(|text| !drafts.contains(&text.trim()) && leads(&text));
        (!is_linked).then(|| "links no runbook".to_owned())
    })
}

fn down(m: &Manifests) -> Looked {
    some_rule(m, "about an absent service, within an hour", |r| {
        let fires = |part: &str| {
            let never = part.contains("== 0") || part.contains("< 1");
            part.contains("absent(") && !never || is_up_zero(part)
        };
        parts(&r.expression).into_iter().any(fires) && is_prompt(r)
    })
}

fn is_up_zero(expression: &str) -> bool {
    let names = series_in(expression);
    names.iter().any(|name| name == "up")
        && (expression.contains("== 0") || expression.contains("< 1"))
}

pub(super) fn mentions(expression: &str, words: &[&str]) -> bool {
    let expression = expression.to_lowercase();
    words.iter().any(|word| expression.contains(word))
}

/// The share of errors above which a rule fires: it divides errors by requests, or names a series
/// that does. None where it is about something else, or can never be reached.
pub(super) fn error_share(rule: &Rule) -> Option<Above<'_>> {
    let words = [
        "error",
        "5..",
        "status=~\"5",
        "code=~\"5",
        "outcome",
        "failed",
    ];
    let shares = ["ratio", "percent", "share", "burn"];
    above(&rule.expression).into_iter().find(|c| {
        let is_share = c.left.contains('/') || mentions(c.left, &shares);
        let is_reached = c.share().is_none_or(|share| share < 1.0);
        is_share && mentions(c.left, &words) && is_reached
    })
}

fn errors(m: &Manifests, profile: &Profile) -> Looked {
    let bound = profile.error_ratio;
    some_rule(m, &within("about the share of errors", bound), |r| {
        is_prompt(r) && error_share(r).is_some_and(|c| is_within(c.share(), bound))
    })
}

fn latency(m: &Manifests, profile: &Profile) -> Looked {
    let bound = profile.latency_alert_seconds;
    some_rule(m, &within("about a latency percentile", bound), |r| {
        // Nobody waits an hour for an answer.
        const LONGEST: f64 = 3600.0;
        let fits = |c: &Above<'_>| {
            mentions(c.left, &["quantile", "p95", "p99"])
                && !is_low_quantile(c.left)
                && !(c.left.contains("second") && c.seconds().is_some_and(|s| s > LONGEST))
                && is_within(c.seconds(), bound)
        };
        is_prompt(r) && above(&r.expression).iter().any(fits)
    })
}

/// A quantile of the fast half says nothing of those who wait.
fn is_low_quantile(expression: &str) -> bool {
    let (_, rest) = expression
        .split_once("histogram_quantile(")
        .unwrap_or_default();
    let share = rest
        .split(',')
        .next()
        .unwrap_or_default()
        .trim()
        .parse::<f64>();
    share.is_ok_and(|share| share < 0.5)
}

fn within(what: &str, bound: Option<f64>) -> String {
    match bound {
        Some(bound) => format!("{what}, at {bound} or earlier, within an hour"),
        None => format!("{what}, within an hour"),
    }
}

/// Whether a threshold is this at the most; without a bound, whatever it is.
pub(super) fn is_within(threshold: Option<f64>, bound: Option<f64>) -> bool {
    bound.is_none_or(|bound| threshold.is_some_and(|at| at <= bound))
}

/// Whether a rule fires within an hour of its cause.
fn is_prompt(rule: &Rule) -> bool {
    fires_within(rule, 3600.0)
}

fn fires_within(rule: &Rule, longest: f64) -> bool {
    let wait = rule.wait.as_deref().map(duration);
    wait.is_none_or(|seconds| seconds.is_some_and(|s| s <= longest))
}

fn dashboards(m: &Manifests) -> Looked {
    if m.dashboards.is_empty() {
        return Looked::Unknown("a dashboard: the manifests hold none".to_owned());
    }
    let empty = m.dashboards.iter().filter(|d| d.asking == 0);
    let problems = empty
        .map(|d| Problem::new(&d.path, 1, format!("dashboard `{}` shows nothing", d.title)))
        .collect();
    Looked::At(format!("{} dashboards", m.dashboards.len()), problems)
}

/// Functions, operators and keywords of PromQL that look like names of series.
const WORDS: [&str; 14] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "inf",
    "nan",
    "e",
];

/// The names of series in an expression: identifiers that are no function, label or keyword.
pub(super) fn series_in(expression: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = expression.char_indices().peekable();
    let (mut braces, mut grouping, mut after_grouping) = (0_usize, false, false);
    while let Some((start, c)) = chars.next() {
        match c {
            '"' | '\'' => {
                while let Some((_, next)) = chars.next() {
                    match next {
                        '\\' => drop(chars.next()),
                        end if end == c => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => braces += 1,
            '}' | ']' => braces = braces.saturating_sub(1),
            '(' if after_grouping => (grouping, after_grouping) = (true, false),
            ')' => grouping = false,
            _ if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let rest = expression.get(start..).unwrap_or_default();
                let length = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
                    .unwrap_or(rest.len());
                let (name, after) = rest.split_at(length);
                while chars.next_if(|(at, _)| *at < start + length).is_some() {}
                let word = name.to_ascii_lowercase();
                let called = after.trim_start().starts_with('(');
                if WORDS.contains(&word.as_str()) {
                    after_grouping = called && word != "and" && word != "or" && word != "unless";
                } else if braces == 0 && !grouping && !called && !grouped_function(after) {
                    names.push(name.to_owned());
                }
            }
            // Numbers with a unit, such as 5m.
            _ if c.is_ascii_digit() => {
                while chars
                    .next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '.')
                    .is_some()
                {}
            }
            _ => {}
        }
    }
    names.sort();
    names.dedup();
    names
}

/// `sum by (x) (...)`: the word before `by` is a function.
fn grouped_function(after: &str) -> bool {
    let next = after.trim_start();
    ["by ", "by(", "without ", "without("]
        .iter()
        .any(|word| next.starts_with(word))
}
