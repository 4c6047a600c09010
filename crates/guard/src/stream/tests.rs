//! Any cut of a text gives the same bytes and the same verdict as no cut.

use proptest::prelude::*;

use super::*;
use crate::engine::DEFAULT_HOLDBACK_BYTES;
use crate::finding::Category;
use crate::pii::Pii;
use crate::policy::{Action, Policy};
use crate::secrets::Secrets;
use crate::testing::Dice;

fn engine(action: Action) -> Arc<Engine> {
    let policy = Policy::everywhere(
        action,
        &[Category::Secret, Category::GenericSecret, Category::Pii],
    );
    let detectors: Vec<Box<dyn crate::Detector>> = vec![
        Box::new(Secrets::built_in().unwrap()),
        Box::new(Pii::built_in().unwrap()),
    ];
    Arc::new(Engine::new(detectors, policy, DEFAULT_HOLDBACK_BYTES).unwrap())
}

static REDACTING: std::sync::LazyLock<Arc<Engine>> =
    std::sync::LazyLock::new(|| engine(Action::Redact));

const PROSE: [&str; 14] = [
    "The quick brown fox ",
    "jumps over 13 lazy dogs. ",
    "In 1977 it was ",
    "my name is Ada Lovelace, ",
    "token = ",
    "call me at ",
    "\n",
    "{\"password\": \"",
    "\"}",
    "ключ ",
    "日本語のテキスト",
    "user ",
    "+",
    "https://a.example/",
];

const PLANTS: [&str; 12] = [
    "ann@example.org",
    "4111 1111 1111 1111",
    "+44 20 7946 0958",
    "GB82 WEST 1234 5698 7654 32",
    "219-09-9999",
    "203.0.113.77",
    "AB 12 34 56 C",
    "221 Baker Street",
    "2001:db8:85a3::8a2e:370:7334",
    "S1234567D",
    concat!("postgres://app:", "q8Zt1mVx0L", "@db/x"),
    "born on 8 February 1935",
];

/// A text of prose and planted matches, and the matches.
fn plant(dice: &mut Dice, secrets: &[crate::secrets::Example]) -> (String, Vec<String>) {
    let (mut text, mut planted) = (String::new(), Vec::new());
    for _ in 0..dice.below(12) + 1 {
        text.push_str(dice.pick(&PROSE));
        let value = match dice.below(3) {
            0 => secrets[dice.below(secrets.len())].text.clone(),
            1 => dice.pick(&PLANTS).to_owned(),
            _ => continue,
        };
        text.push(' ');
        text.push_str(&value);
        text.push_str(dice.pick(&[" ", ", ", "\n", "\" "]));
        planted.push(value);
    }
    (text, planted)
}

fn stream(engine: &Arc<Engine>, text: &str, dice: &mut Dice, most: usize) -> (String, Verdict) {
    let mut guard = engine.stream(Place::OutputText);
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.ceil_char_boundary((1 + dice.below(most)).min(rest.len()));
        let _ = guard.push(&rest[..cut], &mut out);
        assert!(guard.held_bytes() <= DEFAULT_HOLDBACK_BYTES);
        rest = &rest[cut..];
    }
    let _ = guard.finish(&mut out);
    (out, guard.verdict().clone())
}

#[test]
fn planted_matches_never_leak_however_the_text_is_cut() {
    let secrets = Secrets::built_in().unwrap();
    let mut dice = Dice::new(2);
    let engine = engine(Action::Redact);
    let mut planted_count = 0;
    for round in 0..150 {
        let examples = secrets.examples(|count| dice.below(count));
        let (text, planted) = plant(&mut dice, &examples);
        let whole = engine.apply(Place::OutputText, &text, None);
        for value in &planted {
            let kept = value.starts_with("postgres") || value.starts_with("born");
            assert!(
                kept || !whole.text.contains(value.as_str()),
                "{value} in {}",
                whole.text
            );
        }
        for most in [1, 3, 9, 40] {
            let (out, verdict) = stream(&engine, &text, &mut dice, most);
            assert_eq!(
                out, whole.text,
                "round {round}, pieces up to {most}, text {text:?}"
            );
            assert_eq!(
                verdict, whole.verdict,
                "round {round}, pieces up to {most}, text {text:?}"
            );
            planted_count += planted.len();
        }
    }
    assert!(planted_count > 1000, "{planted_count}");
}

/// Longer plants are cut at some places only.
const EVERYWHERE: usize = 200;

/// Every plant, cut once and twice: `SEAWORTHY_TEST_CASES` set, at every pair of places.
#[test]
fn a_match_cut_once_or_twice_anywhere_is_found() {
    let thorough = std::env::var_os("SEAWORTHY_TEST_CASES").is_some();
    let mut dice = Dice::new(5);
    let examples = Secrets::built_in()
        .unwrap()
        .examples(|most| dice.below(most));
    let secrets = examples.iter().map(|example| example.text.as_str());
    let mut cuts = 0;
    for plant in secrets.chain(PLANTS) {
        let text = format!("so: {plant}, ok");
        let whole = REDACTING.apply(Place::OutputText, &text, None);
        let places: Vec<usize> = (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .collect();
        let step = places.len().div_ceil(EVERYWHERE);
        let (wide, narrow) = if thorough {
            (step, step)
        } else {
            (4 * step, 31 * step)
        };
        for &first in places.iter().step_by(wide) {
            let seconds = places.iter().filter(|second| **second >= first);
            for &second in seconds.step_by(narrow) {
                let mut guard = REDACTING.stream(Place::OutputText);
                let mut out = String::new();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    let _ = guard.push(piece, &mut out);
                    assert!(
                        whole.text.starts_with(&out),
                        "{out:?} of {text:?} at {first}, {second}"
                    );
                }
                let _ = guard.finish(&mut out);
                assert_eq!(out, whole.text, "{text:?} at {first} and {second}");
                assert_eq!(
                    *guard.verdict(),
                    whole.verdict,
                    "{text:?} at {first} and {second}"
                );
                cuts += 1;
            }
        }
    }
    assert!(cuts > 3000, "{cuts}");
}

#[test]
fn characters_that_nobody_sees_hide_no_match() {
    for mark in ['\u{200B}', '\u{2060}', '\u{AD}', '\u{E0041}'] {
        let hidden: String = "ann@example.org".chars().flat_map(|c| [c, mark]).collect();
        let text = format!("write to {hidden} today");
        let whole = REDACTING.apply(Place::OutputText, &text, None);
        assert!(
            whole.text.starts_with("write to [REDACTED:email]"),
            "{}",
            whole.text
        );
        let inbound = REDACTING.apply(Place::Input, &text, None);
        assert!(
            inbound.text.contains("[REDACTED:email]"),
            "{}",
            inbound.text
        );
        for seed in 0..20 {
            let (out, verdict) = stream(&REDACTING, &text, &mut Dice::new(seed), 5);
            assert_eq!((&*out, &verdict), (&*whole.text, &whole.verdict));
        }
    }
    let calm = "an un\u{AD}seen hy\u{AD}phen";
    assert_eq!(REDACTING.apply(Place::Input, calm, None).text, calm);
    assert_eq!(
        REDACTING.apply(Place::OutputText, calm, None).text,
        "an unseen hyphen"
    );
}

#[test]
fn a_block_ends_the_stream_before_the_match() {
    let engine = engine(Action::Block);
    let mut guard = engine.stream(Place::ToolArguments);
    let mut out = String::new();
    assert_eq!(guard.push("write to ann@exam", &mut out), Flow::Open);
    assert_eq!(guard.push("ple.org now", &mut out), Flow::Blocked);
    assert_eq!(guard.push(" and more", &mut out), Flow::Blocked);
    assert_eq!(out, "write to ");
    assert_eq!(guard.verdict().action, Action::Block);
}

#[test]
fn ordinary_text_flows_word_by_word() {
    let engine = engine(Action::Redact);
    let mut guard = engine.stream(Place::OutputText);
    let mut out = String::new();
    for (piece, released) in [
        ("It is ", "It is "),
        ("a fine", "It is a "),
        (" day. ", "It is a fine day. "),
    ] {
        let _ = guard.push(piece, &mut out);
        assert_eq!(out, released);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_streams_as_it_would_whole(
        text in "([a-zA-Z0-9@.:+(/\\-\\\\\" _=\n]{0,80}|\\PC{0,40}|(sk-|ghp_|eyJ|token=|born on |dr. |\\+1 )){0,6}",
        seed: u64,
    ) {
        let whole = REDACTING.apply(Place::OutputText, &text, None);
        let (out, verdict) = stream(&REDACTING, &text, &mut Dice::new(seed), 7);
        prop_assert_eq!(out, whole.text);
        prop_assert_eq!(verdict, whole.verdict);
    }
}

/// Counts the bytes that it is shown, and is never sure of any.
struct Unsure {
    rules: Vec<crate::detector::Rule>,
    shown: std::sync::atomic::AtomicUsize,
}

impl crate::Detector for Unsure {
    fn rules(&self) -> &[crate::detector::Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let shown = window.text.len();
        self.shown
            .fetch_add(shown, std::sync::atomic::Ordering::Relaxed);
        if !window.complete {
            scan.open(window.from);
        }
    }
}

#[test]
fn what_waits_is_not_read_from_its_beginning_for_each_piece() {
    let unsure = Arc::new(Unsure {
        rules: Vec::new(),
        shown: Default::default(),
    });
    let empty = Engine::new(Vec::new(), Policy::default(), DEFAULT_HOLDBACK_BYTES).unwrap();
    let engine = empty.derive(Policy::default(), vec![unsure.clone()]);
    let text = "tide ".repeat(20_000);
    let mut guard = Arc::new(engine.unwrap()).stream(Place::OutputText);
    let mut out = String::new();
    for at in (0..text.len()).step_by(5) {
        let _ = guard.push(&text[at..at + 5], &mut out);
        // It is looked at again before much more waits than may.
        assert!(guard.held_bytes() <= 2 * DEFAULT_HOLDBACK_BYTES * 17 / 16 + 5);
    }
    let _ = guard.finish(&mut out);
    assert!(out == text, "all of it flows in the end");
    let shown = unsure.shown.load(std::sync::atomic::Ordering::Relaxed);
    assert!(shown < 60 * text.len(), "{shown}");
}
