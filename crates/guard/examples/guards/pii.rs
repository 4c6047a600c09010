//! Personal data of the structured kinds on the synthetic set of Presidio.

use std::collections::BTreeMap;
use std::path::Path;

use seaworthy_guard::detector::{Detector as _, Scan, Window};
use seaworthy_guard::pii::Pii;

use crate::Outcome;
use crate::report::{Limit, Report, scores};

const SET: &str = "pii_presidio_synth_v2";

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

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    wanted: usize,
    hit: usize,
    wrong: usize,
}

pub(crate) fn measure(folder: &Path, report: &mut Report) -> Outcome {
    let file = folder.join("test").join(format!("{SET}.json"));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let detector = Pii::built_in()?;
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for row in &rows {
        let text = row["full_text"].as_str().unwrap_or_default();
        let mut scan = Scan::default();
        detector.scan(Window::whole(text), &mut scan);
        for (theirs, ours) in KINDS {
            let count = counts.entry(ours).or_default();
            let mut found: Vec<_> = scan.findings.iter().filter(|f| *f.rule == *ours).collect();
            let spans = row["spans"].as_array().into_iter().flatten();
            for wanted in spans.filter(|span| span["entity_type"] == theirs) {
                let begin = byte_offset(text, wanted["start_position"].as_u64());
                let end = byte_offset(text, wanted["end_position"].as_u64());
                count.wanted += 1;
                let overlaps =
                    |f: &&seaworthy_guard::Finding| f.span.start < end && begin < f.span.end;
                if let Some(index) = found.iter().position(overlaps) {
                    found.remove(index);
                    count.hit += 1;
                }
            }
            count.wrong += found.len();
        }
    }
    let mut all = Count::default();
    for (kind, count) in counts {
        let (precision, recall, f1) = scores(count.hit, count.wanted, count.wrong);
        let shown = format!(
            "{f1:.3} (precision {precision:.3}, recall {recall:.3}, {} spans)",
            count.wanted
        );
        report.tell(&format!("PII, {SET}, {kind}: F1"), shown);
        all.wanted += count.wanted;
        all.hit += count.hit;
        all.wrong += count.wrong;
    }
    let (precision, recall, f1) = scores(all.hit, all.wanted, all.wrong);
    let shown = format!("{f1:.3} (precision {precision:.3}, recall {recall:.3})");
    let what = format!("PII, {SET}, structured kinds: F1");
    report.judge(&what, f1, shown, Limit::AtLeast(0.90));
    Ok(())
}

/// The set counts characters.
fn byte_offset(text: &str, characters: Option<u64>) -> usize {
    let characters = usize::try_from(characters.unwrap_or(0)).unwrap_or(usize::MAX);
    text.char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| at)
}
