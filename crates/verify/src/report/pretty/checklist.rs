//! A checklist for a terminal: one line an item under its heading, then the counts.

use super::{Style, line, paint};
use crate::checklist::{ItemStatus, Judged, JudgedItem, Meaning, confidence, reads_like};
use crate::report::Verdict;

/// The checklist as text.
pub(super) fn render(judged: &Judged, style: Style) -> String {
    let mut out = String::new();
    line(&mut out, "");
    line(&mut out, &paint(&judged.name, "1", style));
    let mut heading = None;
    for item in &judged.items {
        if heading != Some(&item.section) {
            line(&mut out, &format!("  {}", paint(&item.section, "1", style)));
            heading = Some(&item.section);
        }
        out.push_str(&one(item, style));
    }
    line(&mut out, "");
    let counts = judged.counts().into_iter().filter(|(_, n)| *n > 0);
    let counts: Vec<String> = counts
        .map(|(status, n)| format!("{n} {}", status.name()))
        .collect();
    line(
        &mut out,
        &format!(
            "  {} items, {} understood: {}",
            judged.items.len(),
            judged.matched(),
            counts.join(", ")
        ),
    );
    if !judged.lines.is_empty() {
        line(
            &mut out,
            &format!("  {} requirements in other lines", judged.lines.len()),
        );
    }
    let colour = match judged.verdict {
        Verdict::Ready => "1;32",
        Verdict::ReadyWithRisks => "1;33",
        Verdict::NotReady => "1;31",
    };
    line(
        &mut out,
        &format!("  {}", paint(judged.verdict.words(), colour, style)),
    );
    out
}

fn one(item: &JudgedItem, style: Style) -> String {
    let (symbol, colour) = match item.status {
        ItemStatus::Pass => ("✓", "32"),
        ItemStatus::Fail => ("✗", "31"),
        ItemStatus::Attested => ("a", "32"),
        ItemStatus::Waived => ("w", "33"),
        ItemStatus::NotApplicable => ("-", "2"),
        ItemStatus::NotVerified => ("?", "33"),
    };
    let sure = match &item.meaning {
        Meaning::Exact { .. } => String::new(),
        Meaning::Similar { readings, score } => {
            let several = match readings.as_slice() {
                [_] => String::new(),
                several => format!(", one of {}", several.len()),
            };
            let like = if style.details {
                format!(", {}", reads_like(readings))
            } else {
                String::new()
            };
            format!(" ({:.0} % sure{several}{like})", confidence(*score))
        }
        Meaning::Unknown => format!(" (not matched: {})", item.hash),
    };
    let mut out = String::new();
    let text: String = item.text.chars().filter(|c| !c.is_control()).collect();
    let symbol = paint(symbol, colour, style);
    line(
        &mut out,
        &format!(
            "    {symbol} {:>4} {text}{}",
            item.line,
            paint(&sure, "2", style)
        ),
    );
    let explain = style.details || item.status == ItemStatus::Fail;
    for answer in item.answers.iter().filter(|_| explain) {
        let name = if answer.id.is_empty() {
            "item"
        } else {
            &answer.id
        };
        let words = format!("{}: {}", answer.status.name(), answer.words);
        line(&mut out, &format!("           {name}: {words}"));
    }
    out
}
