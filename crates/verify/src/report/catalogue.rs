//! What there is to check: a list of everything, and all that is known of one.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::check::{Check, catalogue};
use crate::checklist::known::Form;
use crate::checklist::{KnownItem, known_items};
use crate::requirement::{Requirement, Requirements};

/// Every check and every requirement, one a line.
#[must_use]
pub fn list(requirements: &Requirements) -> String {
    let mut out = String::new();
    let checks: Vec<&Check> = catalogue().collect();
    let standard = checks.iter().filter(|check| check.standard).count();
    let _ = writeln!(
        out,
        "{} automatic checks; {standard} run without being asked for (*)",
        checks.len()
    );
    for check in &checks {
        let mark = if check.standard { '*' } else { ' ' };
        let severity = check.severity.name();
        let _ = writeln!(out, "{mark} {:<36} {severity:<8} {}", check.id, check.title);
    }
    let _ = writeln!(out, "\n{} requirements", requirements.iter().count());
    for (id, r) in requirements.iter() {
        let how = if r.probes.is_empty() {
            r.kind.name().to_owned()
        } else {
            "automatic".to_owned()
        };
        let _ = writeln!(
            out,
            "  {id:<36} {:<8} {how:<13} {}",
            r.severity.name(),
            r.title
        );
    }
    out
}

/// The same as JSON.
#[must_use]
pub fn json(requirements: &Requirements) -> String {
    let checks: Vec<Value> = catalogue().map(check_json).collect();
    let requirements: Vec<Value> = requirements
        .iter()
        .map(|(id, r)| {
            json!({
                "id": id, "title": r.title, "why": r.why, "severity": r.severity, "area": r.area,
                "kind": r.kind, "verified_by": r.verified_by, "remedy": r.remedy,
                "checks": r.probes, "answers": items_of(id).map(item_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    let document = json!({
        "schema": "seaworthy.catalogue/1",
        "checks": checks,
        "requirements": requirements,
    });
    format!("{document:#}\n")
}

fn check_json(check: &'static Check) -> Value {
    json!({
        "id": check.id, "title": check.title, "why": check.why, "severity": check.severity,
        "areas": check.areas, "needs": check.needs, "verified_by": check.verified_by,
        "remedy": check.remedy, "standard": check.standard, "how": check.kind.name(),
    })
}

fn item_json(item: KnownItem) -> Value {
    json!({"checklist": item.checklist, "line": item.line, "hash": item.text_hash, "form": form(item.form)})
}

fn form(form: Form) -> &'static str {
    match form {
        Form::Box => "box",
        Form::Row => "row",
        Form::Line => "line",
    }
}

fn items_of(id: &str) -> impl Iterator<Item = KnownItem> {
    known_items().filter(move |item| item.requirements().any(|asked| asked == id))
}

/// All that is known of a check or a requirement; `None` when there is neither.
#[must_use]
pub fn explain(id: &str, requirements: &Requirements) -> Option<String> {
    let check = catalogue().find(|check| check.id == id);
    let requirement = requirements.get(id);
    let mut out = String::new();
    match (check, requirement) {
        (Some(check), _) => of_check(&mut out, check, requirements),
        (None, Some(requirement)) => of_requirement(&mut out, id, requirement),
        (None, None) => return None,
    }
    let answered: Vec<KnownItem> = items_of(id).collect();
    if !answered.is_empty() {
        let _ = writeln!(
            out,
            "  answers     {} lines of well-known checklists:",
            answered.len()
        );
        for item in answered {
            let (list, line, hash) = (item.checklist, item.line, item.text_hash);
            let _ = writeln!(
                out,
                "              {list}:{line} {} {hash}",
                form(item.form)
            );
        }
    }
    Some(out)
}

fn of_check(out: &mut String, check: &Check, requirements: &Requirements) {
    let needs: Vec<String> = check
        .needs
        .iter()
        .map(|need| need.words().to_owned())
        .collect();
    let needs = if needs.is_empty() {
        "a server".to_owned()
    } else {
        needs.join(", ")
    };
    let areas: Vec<&str> = check.areas.iter().map(|area| area.name()).collect();
    let run = if check.standard {
        "always"
    } else {
        "when a checklist, a profile or --all asks for it"
    };
    let _ = writeln!(out, "{}: {}", check.id, check.title);
    for (name, text) in [
        ("severity", check.severity.name()),
        ("areas", &areas.join(", ")),
        ("why", check.why),
        ("needs", &needs),
        ("how", check.kind.name()),
        ("verified by", check.verified_by),
        ("to do", check.remedy),
        ("runs", run),
    ] {
        let _ = writeln!(out, "  {name:<11} {text}");
    }
    let of: Vec<&str> = requirements
        .iter()
        .filter(|(id, r)| *id != check.id && r.probes.iter().any(|probe| probe == check.id))
        .map(|(id, _)| id)
        .collect();
    if !of.is_empty() {
        let _ = writeln!(out, "  part of     {}", of.join(", "));
    }
}

fn of_requirement(out: &mut String, id: &str, r: &Requirement) {
    let checks = if r.probes.is_empty() {
        format!("none: it takes {}", r.kind.evidence())
    } else {
        r.probes.join(", ")
    };
    let _ = writeln!(out, "{id}: {}", r.title);
    for (name, text) in [
        ("severity", r.severity.name()),
        ("area", r.area.name()),
        ("why", &r.why),
        ("kind", r.kind.name()),
        ("verified by", &r.verified_by),
        ("to do", &r.remedy),
        ("checks", &checks),
    ] {
        let _ = writeln!(out, "  {name:<11} {text}");
    }
}
