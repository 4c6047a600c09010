//! What stands in disguise in a whole text on its way in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::finding::Category;
use crate::pii::Pii;
use crate::secrets::Secrets;

fn engine(action: Action) -> Engine {
    let detectors: Vec<Box<dyn Detector>> = vec![
        Box::new(Secrets::built_in().unwrap()),
        Box::new(Pii::built_in().unwrap()),
    ];
    let policy = Policy::everywhere(action, &[Category::Secret, Category::Pii]);
    Engine::new(detectors, policy, DEFAULT_HOLDBACK_BYTES).unwrap()
}

#[test]
fn encodings_of_secrets_and_of_personal_data_are_matches_on_the_way_in() {
    let key = format!("sk-proj-{}", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7d");
    let each = |text: &str, write: fn(u8) -> String| text.bytes().map(write).collect::<String>();
    let hex = |text: &str| each(text, |b| format!("{b:02x}"));
    let percent = |text: &str| each(text, |b| format!("%{b:02X}"));
    let entities = |text: &str| each(text, |b| format!("&#{b};"));
    let base = |text: &str| STANDARD.encode(text);
    let engine = engine(Action::Redact);
    for value in [
        key.as_str(),
        "ann.teak@example.org",
        "card 4111111111111111",
    ] {
        for written in [
            base(value),
            base(&base(value)),
            percent(&base(value)),
            hex(value),
            percent(value),
            percent(&percent(value)),
            entities(value),
        ] {
            let text = format!("see {written} and more");
            let outcome = engine.apply(Place::Input, &text, None);
            let is_label = outcome.text.starts_with("see [REDACTED:");
            assert!(
                is_label && outcome.text.ends_with("] and more"),
                "{value}: {}",
                outcome.text
            );
            let outbound = engine.apply(Place::OutputText, &text, None).text;
            assert_eq!(outbound, text, "streams agree with whole texts");
        }
    }
    let (calm, quiet) = (base("all is well here"), hex("nothing to see"));
    let honest = format!("see {calm} and 100% of a%20b%20c%20d &amp; {quiet}");
    assert_eq!(engine.apply(Place::Input, &honest, None).text, honest);
}

#[test]
fn digits_of_other_widths_and_spaces_that_hold_lines_hide_nothing() {
    let engine = engine(Action::Redact);
    for (text, label) in [
        (
            "\u{ff14}\u{ff11}\u{ff11}\u{ff11}1111111111\u{ff11}\u{ff11}",
            "credit_card",
        ),
        ("4111\u{a0}1111\u{202f}1111\u{2009}1111", "credit_card"),
        ("\u{1d41a}nn@example.org", "email"),
        ("219\u{2011}09\u{2011}9999", "us_ssn"),
    ] {
        let outcome = engine.apply(Place::Input, text, None);
        assert_eq!(outcome.text, format!("[REDACTED:{label}]"));
    }
    let honest = "\u{ff12}\u{ff10}\u{ff12}\u{ff14}\u{5e74} 10\u{a0}000";
    assert_eq!(engine.apply(Place::Input, honest, None).text, honest);
}
