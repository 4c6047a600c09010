//! The same document again, with boxes ticked or not and the evidence beneath.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::document::{BEGIN, Document, END, MARK, Mark, WAS_TICKED, said_anew};
use super::encoding::encode;
use super::text::normalise;
use super::{Answer, ItemStatus, Judged, JudgedItem, Likeness, Meaning};

/// The longest line of evidence, in characters for each answer.
const LONGEST: usize = 300;
/// The longest phrasing shown where there are several.
const LONGEST_OF_SEVERAL: usize = 80;

/// The same as bytes, in the encoding of the file that was read.
#[must_use]
pub fn write_back_bytes(judged: &Judged) -> Vec<u8> {
    encode(&write_back(judged), judged.document.form.encoding)
}

/// Renders a judged checklist as Markdown. Rendering what it wrote changes nothing.
#[must_use]
pub fn write_back(judged: &Judged) -> String {
    let Document {
        lines,
        items,
        others,
        form,
    } = &judged.document;
    let mut lines = lines.clone();
    let mut beneath: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (item, result) in items.iter().zip(&judged.items) {
        if let (Some(mark), Some(line)) = (&item.mark, lines.get_mut(item.line - 1)) {
            // What nobody understood keeps the tick that a person gave it.
            let ticked = match result.meaning {
                Meaning::Unknown if result.status == ItemStatus::NotVerified => mark.ticked,
                _ => result.status.is_satisfied(),
            };
            tick(line, mark, ticked);
        }
        let line = lines.get(item.line - 1).filter(|_| !item.row);
        let quoted = line.map_or("", |line| quotation(line));
        let columns = item.indent.saturating_sub(quoted.len());
        let indent = " ".repeat(if item.row { 0 } else { columns });
        let about = if item.row {
            format!("line {}: ", item.line)
        } else {
            String::new()
        };
        let note = evidence(result, judged.document.was_ticked(item));
        beneath
            .entry(item.end)
            .or_default()
            .push(format!("{quoted}{indent}> {about}{note} {MARK}"));
    }
    for other in others.iter().filter(|other| other.boxes.len() == 3) {
        if let Some(line) = lines.get_mut(other.line - 1) {
            choose_verdict(line, &other.boxes, judged);
        }
    }
    let mut out = String::new();
    if form.has_bom {
        out.push('\u{feff}');
    }
    let ending = form.ending();
    for (index, line) in lines.iter().enumerate() {
        out.push_str(line);
        out.push_str(form.endings.get(index).copied().unwrap_or(ending));
        let added = beneath
            .get(&(index + 1))
            .map(Vec::as_slice)
            .unwrap_or_default();
        if added
            .first()
            .is_some_and(|first| first.starts_with("> line"))
        {
            // Something must stand between a table and a quotation.
            let _ = write!(out, "{MARK}{ending}");
        }
        for note in added {
            let _ = write!(out, "{note}{ending}");
        }
    }
    let end = format!("\n{BEGIN}\n{}{END}", summary(judged));
    out.push_str(&end.replace('\n', ending));
    if !form.is_open {
        out.push_str(ending);
    }
    out
}

/// What makes a line part of a quotation: its signs, and the space after them.
fn quotation(line: &str) -> &str {
    let signs = line.find(|c| c != '>' && c != ' ').unwrap_or(line.len());
    let end = line.get(..signs).and_then(|start| start.rfind('>'));
    let Some(end) = end else { return "" };
    let space = line
        .get(end + 1..)
        .is_some_and(|rest| rest.starts_with(' '));
    line.get(..end + 1 + usize::from(space)).unwrap_or_default()
}

fn tick(line: &mut String, mark: &Mark, ticked: bool) {
    let Some(old) = line.get(mark.start..mark.start + mark.len) else {
        return;
    };
    // The column stays as it was when nothing changes.
    if ticked == mark.ticked {
        return;
    }
    let new = said_anew(old, ticked).unwrap_or_else(|| {
        let drawn = match (old.chars().next(), ticked) {
            (Some('['), true) => "[x]",
            (Some('['), false) => "[ ]",
            (Some('('), true) => "(x)",
            (Some('('), false) => "( )",
            (_, true) => "☑",
            (_, false) => "☐",
        };
        drawn.to_owned()
    });
    line.replace_range(mark.start..mark.start + mark.len, &new);
}

/// Three boxes in a line that name the three verdicts: ticks the one that holds.
fn choose_verdict(line: &mut String, boxes: &[Mark], judged: &Judged) {
    let ends = boxes.iter().skip(1).map(|b| b.start).chain([line.len()]);
    let labels: Vec<String> = boxes
        .iter()
        .zip(ends)
        .map(|(b, end)| normalise(line.get(b.start + b.len..end).unwrap_or_default()))
        .collect();
    let verdict = normalise(judged.verdict.words());
    if !labels.contains(&verdict) {
        return;
    }
    for (mark, label) in boxes.iter().zip(&labels).rev() {
        tick(line, mark, *label == verdict);
    }
}

/// What was found about an item, on one line.
fn evidence(item: &JudgedItem, was_ticked: bool) -> String {
    let mut words = match &item.meaning {
        Meaning::Exact { .. } => format!("**{}** (known item)", item.status.name()),
        Meaning::Similar { readings, score } => {
            format!(
                "**{}** ({}, {:.0} % sure, {})",
                item.status.name(),
                matched(readings),
                confidence(*score),
                reads_like(readings).replace(['*', '`'], "")
            )
        }
        Meaning::Unknown => format!("**{}** (not matched)", item.status.name()),
    };
    for answer in &item.answers {
        let _ = write!(words, " · {}", about(answer));
    }
    if was_ticked && !item.status.is_satisfied() {
        let _ = write!(words, " · {WAS_TICKED}");
    }
    one_line(&words, LONGEST * item.answers.len().max(1))
}

/// Whether one requirement is meant or one of several.
fn matched(readings: &[Likeness]) -> &'static str {
    match readings {
        [_] => "matched",
        _ => "matched to several, of which one is meant",
    }
}

/// The phrasings that an item reads like.
pub(crate) fn reads_like(readings: &[Likeness]) -> String {
    let longest = match readings {
        [_] => LONGEST,
        _ => LONGEST_OF_SEVERAL,
    };
    let likes = readings.iter().map(|r| shortened(r.like, longest));
    format!("reads like: {}", likes.collect::<Vec<_>>().join(" / "))
}

/// How sure a match is, in percent; words alone never make it certain.
pub(crate) fn confidence(score: f64) -> f64 {
    (score * 100.0).min(99.0)
}

fn about(answer: &Answer) -> String {
    if answer.id.is_empty() {
        return answer.words.clone();
    }
    format!("`{}` {}: {}", answer.id, answer.status.name(), answer.words)
}

/// Evidence comes from outside: it must not break the document it is written into.
fn one_line(text: &str, longest: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let clean = clean.replace("<!--", "<! --");
    shortened(&clean, longest)
}

fn shortened(text: &str, longest: usize) -> String {
    let mut out: String = text.chars().take(longest).collect();
    if text.chars().count() > longest {
        out.push('…');
    }
    out
}

fn summary(judged: &Judged) -> String {
    let mut out = String::from("\n## What was verified\n\n");
    let _ = writeln!(
        out,
        "**{}**: {} of {} items understood.\n",
        judged.verdict.words(),
        judged.matched(),
        judged.items.len()
    );
    out.push_str("| status | items |\n|---|---|\n");
    for (status, n) in judged.counts() {
        let _ = writeln!(out, "| {} | {n} |", status.name());
    }
    let people: Vec<&JudgedItem> = judged.items.iter().filter(|i| needs_person(i)).collect();
    if !people.is_empty() {
        out.push_str("\n### Needs a person\n\n");
        for item in people {
            // Where one of several is meant, a word about the item settles all of them.
            let name = match item.answers.as_slice() {
                [answer] if !answer.id.is_empty() => &answer.id,
                [answer, ..] if matches!(item.meaning, Meaning::Exact { .. }) => &answer.id,
                _ => &item.hash,
            };
            let _ = writeln!(
                out,
                "- line {}: {} (`{name}`)",
                item.line,
                one_line(&item.text, LONGEST)
            );
        }
    }
    if !judged.lines.is_empty() {
        out.push_str("\n### Requirements in other lines\n\n| line | status | requirements |\n|---|---|---|\n");
        for line in &judged.lines {
            let ids: Vec<String> = line.answers.iter().map(|a| format!("`{}`", a.id)).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} |",
                line.line,
                line.status.name(),
                ids.join(" ")
            );
        }
    }
    out.push('\n');
    out
}

/// Whether only a person can settle an item.
pub(crate) fn needs_person(item: &JudgedItem) -> bool {
    use crate::requirement::EvidenceKind;
    let asks = item.answers.iter().any(|answer| {
        answer.status == ItemStatus::NotVerified && answer.kind == EvidenceKind::Person
    });
    item.status == ItemStatus::NotVerified && (asks || item.is_undecided())
}

#[cfg(test)]
mod tests {
    use super::quotation;

    #[test]
    fn evidence_stays_in_the_quotation_of_its_item() {
        for (line, expected) in [
            ("> - [ ] one", "> "),
            (">- [ ] one", ">"),
            ("> > - [ ] one", "> > "),
            ("  - [ ] one > two", ""),
            ("", ""),
        ] {
            assert_eq!(quotation(line), expected, "{line}");
        }
    }
}
