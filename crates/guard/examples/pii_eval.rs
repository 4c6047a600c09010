//! Measures the PII detector on the Presidio synthetic set: `SEAWORTHY_CORPORA=DIR pii_eval`.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::collections::BTreeMap;
use std::path::Path;

use seaworthy_guard::detector::{Detector, Scan, Window};
use seaworthy_guard::pii::Pii;

/// The set's name of a structured kind, and ours.
const KINDS: [(&str, &str); 7] = [
    ("EMAIL_ADDRESS", "email"),
    ("PHONE_NUMBER", "phone_number"),
    ("CREDIT_CARD", "credit_card"),
    ("IBAN_CODE", "iban"),
    ("US_SSN", "us_ssn"),
    ("IP_ADDRESS", "ip_address"),
    ("US_DRIVER_LICENSE", "driver_licence"),
];

#[derive(Debug, Default)]
struct Count {
    wanted: u32,
    hit: u32,
    exact: u32,
    wrong: u32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = std::env::var_os("SEAWORTHY_CORPORA") else {
        println!("not run: SEAWORTHY_CORPORA is not set");
        return Ok(());
    };
    let file = Path::new(&folder).join("test/pii_presidio_synth_v2.json");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let detector = Pii::built_in()?;
    let verbose = std::env::args().any(|argument| argument == "-v");
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for row in &rows {
        let text = row["full_text"].as_str().unwrap_or_default();
        let mut scan = Scan::default();
        detector.scan(Window::whole(text), &mut scan);
        for (theirs, ours) in KINDS {
            let count = counts.entry(ours).or_default();
            let mut found: Vec<_> = scan.findings.iter().filter(|f| *f.rule == *ours).collect();
            for wanted in row["spans"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|s| s["entity_type"] == theirs)
            {
                let begin = byte_offset(text, wanted["start_position"].as_u64());
                let end = byte_offset(text, wanted["end_position"].as_u64());
                count.wanted += 1;
                let hit = found
                    .iter()
                    .position(|f| f.span.start < end && begin < f.span.end);
                match hit {
                    Some(index) => {
                        let finding = found.remove(index);
                        count.hit += 1;
                        count.exact += u32::from(finding.span == (begin..end));
                    }
                    None if verbose => println!("missed {ours} {:?}", &text[begin..end]),
                    None => {}
                }
            }
            count.wrong += u32::try_from(found.len())?;
            for finding in found.iter().filter(|_| verbose) {
                println!("wrong {ours} {:?} in {text:?}", &text[finding.span.clone()]);
            }
        }
    }
    println!(
        "| kind | spans | found | exact | false | precision | recall | F1 |\n|---|---|---|---|---|---|---|---|"
    );
    let mut all = Count::default();
    for (kind, count) in &counts {
        print_row(kind, count);
        all.wanted += count.wanted;
        all.hit += count.hit;
        all.exact += count.exact;
        all.wrong += count.wrong;
    }
    print_row("all structured", &all);
    Ok(())
}

fn print_row(kind: &str, count: &Count) {
    let precision = f64::from(count.hit) / f64::from((count.hit + count.wrong).max(1));
    let recall = f64::from(count.hit) / f64::from(count.wanted.max(1));
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::EPSILON);
    let Count {
        wanted,
        hit,
        exact,
        wrong,
    } = count;
    println!(
        "| {kind} | {wanted} | {hit} | {exact} | {wrong} | {precision:.3} | {recall:.3} | {f1:.3} |"
    );
}

/// The set counts characters.
fn byte_offset(text: &str, characters: Option<u64>) -> usize {
    let characters = usize::try_from(characters.unwrap_or(0)).unwrap_or(usize::MAX);
    text.char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| at)
}
