//! Planted matches in streams that are cut at random, by the engine alone. The same through the whole
//! gateway, in every dialect, is a test of the gateway.

use std::sync::Arc;

use seaworthy_guard::engine::DEFAULT_HOLDBACK_BYTES;
use seaworthy_guard::pii::Pii;
use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::testing::Dice;
use seaworthy_guard::{Action, Category, Detector, Engine, Place, Policy};

use crate::Outcome;
use crate::report::{Limit, Report};

const PLANTS: usize = 10_000;
const PROSE: [&str; 8] = [
    "The quick brown fox ",
    "jumps over 13 lazy dogs. ",
    "In 1977 it was ",
    "token = ",
    "\n",
    "{\"password\": \"",
    "日本語のテキスト",
    "https://a.example/",
];
const PERSONAL: [&str; 6] = [
    "ann@example.org",
    "4111 1111 1111 1111",
    "+44 20 7946 0958",
    "GB82 WEST 1234 5698 7654 32",
    "219-09-9999",
    "203.0.113.77",
];

pub(crate) fn measure(report: &mut Report) -> Outcome {
    let secrets = Secrets::built_in()?;
    let detectors: Vec<Box<dyn Detector>> =
        vec![Box::new(Secrets::built_in()?), Box::new(Pii::built_in()?)];
    let categories = [Category::Secret, Category::GenericSecret, Category::Pii];
    let policy = Policy::everywhere(Action::Redact, &categories);
    let engine = Arc::new(Engine::new(detectors, policy, DEFAULT_HOLDBACK_BYTES)?);
    let mut dice = Dice::new(3);
    let (mut planted, mut leaked, mut different) = (0, 0, 0_usize);
    while planted < PLANTS {
        let examples = secrets.examples(|count| dice.below(count));
        let (mut text, mut values) = (String::new(), Vec::new());
        for _ in 0..8 {
            text.push_str(dice.pick(&PROSE));
            let value = match dice.below(2) {
                0 => examples[dice.below(examples.len())].text.clone(),
                _ => dice.pick(&PERSONAL).to_owned(),
            };
            text.push(' ');
            text.push_str(&value);
            text.push_str(dice.pick(&[" ", ", ", "\n", "\" "]));
            values.push(value);
        }
        let whole = engine
            .apply(Place::OutputText, &text, None)
            .text
            .into_owned();
        let most = [1, 3, 9, 40][dice.below(4)];
        let mut guard = engine.stream(Place::OutputText);
        let (mut out, mut rest) = (String::new(), text.as_str());
        while !rest.is_empty() {
            let cut = rest.ceil_char_boundary((1 + dice.below(most)).min(rest.len()));
            let _flow = guard.push(&rest[..cut], &mut out);
            rest = &rest[cut..];
        }
        let _flow = guard.finish(&mut out);
        different += usize::from(out != whole);
        planted += values.len();
        let seen = values.iter().filter(|value| out.contains(value.as_str()));
        leaked += seen.map(String::len).sum::<usize>();
    }
    let what = format!("{planted} plants in streams cut at random");
    report.judge(
        &format!("{what}: bytes leaked"),
        leaked as f64,
        leaked.to_string(),
        Limit::AtMost(0.0),
    );
    report.judge(
        &format!("{what}: streams unlike the whole"),
        different as f64,
        different.to_string(),
        Limit::AtMost(0.0),
    );
    Ok(())
}
