//! Prints what the guards cost, as Markdown: `cargo run --profile quick-release --example bench_guards`.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use seaworthy_guard::detector::{Detector, Scan, Window};
use seaworthy_guard::engine::DEFAULT_HOLDBACK_BYTES;
use seaworthy_guard::injection::InjectionJudge;
use seaworthy_guard::moderation::ModerationJudge;
use seaworthy_guard::pii::Pii;
use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::trigger::Triggers;
use seaworthy_guard::{Action, Category, Engine, Place, Policy};

const PROSE: &str = "The harbour was quiet when the first boats came back, and the gulls that had followed them from \
    the bank settled along the wall. Nobody spoke much; there were 14 crates of mackerel to land, and in 1987 that \
    was a good day's work. \"You should have seen the water,\" said the old man, \"it was as clear as glass, all \
    the way down.\" He lit his pipe (the third that morning), looked at the sky, and went to fetch the cart. ";

const CODE: &str = "    fn settle(&mut self, start: usize, cursor: &Cursor<'_>, found: Option<Finding>) {\n        if \
    cursor.starved() {\n            self.open(start); // ask again when more is there\n        } else if let \
    Some(found) = found {\n            self.findings.push(found);\n        }\n    }\n    let token = self.tokens.next();\n";

/// The time of one run, in nanoseconds: the best of nine rounds, so that other work on the machine
/// does not count.
fn nanoseconds(runs: u32, mut run: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..runs).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.first().copied().unwrap_or(0.0)
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    prompt()?;
    throughput()?;
    stream()
}

fn scan(detector: &dyn Detector, text: &str) {
    let mut scan = Scan::default();
    detector.scan(Window::whole(text), &mut scan);
    black_box(scan);
}

/// What a whole prompt costs.
fn prompt() -> Outcome {
    let prompt: String = PROSE.repeat(12).chars().take(4096).collect();
    let (secrets, pii) = (Secrets::built_in()?, Pii::built_in()?);
    let (injection, moderation) = (InjectionJudge::built_in()?, ModerationJudge::built_in()?);
    println!("| what, on a prompt of 4 KB | microseconds |\n|---|---|");
    let row = |name: &str, time: f64| println!("| {name} | {:.1} |", time / 1000.0);
    row("secrets", nanoseconds(200, || scan(&secrets, &prompt)));
    row("personal data", nanoseconds(200, || scan(&pii, &prompt)));
    row(
        "injection",
        nanoseconds(200, || {
            black_box(injection.assess(&prompt));
        }),
    );
    row(
        "moderation",
        nanoseconds(200, || {
            black_box(moderation.assess(&prompt));
        }),
    );
    let all = || {
        scan(&secrets, &prompt);
        scan(&pii, &prompt);
        black_box(injection.assess(&prompt));
        black_box(moderation.assess(&prompt));
    };
    row("all", nanoseconds(200, all));

    Ok(())
}

/// How fast long texts are scanned.
fn throughput() -> Outcome {
    let (secrets, pii) = (Secrets::built_in()?, Pii::built_in()?);
    println!("\n| scan of 1 MB | MB/s |\n|---|---|");
    for (name, text) in [("prose", PROSE), ("code", CODE)] {
        let long = text.repeat(1_000_000 / text.len());
        let speed = |time: f64| long.len() as f64 * 1000.0 / time;
        println!(
            "| {name}, secrets | {:.0} |",
            speed(nanoseconds(2, || scan(&secrets, &long)))
        );
        println!(
            "| {name}, personal data | {:.0} |",
            speed(nanoseconds(2, || scan(&pii, &long)))
        );
        let literals = Triggers::new([
            "sk-",
            "ghp_",
            "glpat-",
            "AKIA",
            "xoxb-",
            "eyJ",
            "-----BEGIN ",
            "password",
        ])?;
        let window = Window::whole(&long);
        let time = nanoseconds(2, || {
            literals.scan(&window, |literal, start| {
                black_box((literal, start));
            });
        });
        println!("| {name}, multi-pattern scan alone | {:.0} |", speed(time));
    }

    Ok(())
}

/// What the pieces of a stream cost and how long they wait.
fn stream() -> Outcome {
    println!(
        "\n| stream of 20-byte pieces | microseconds a piece | bytes held, mean | bytes held, most |\n|---|---|---|---|"
    );
    let categories = [Category::Secret, Category::GenericSecret, Category::Pii];
    let secrets_only = vec![Box::new(Secrets::built_in()?) as Box<dyn Detector>];
    let both = vec![
        Box::new(Secrets::built_in()?) as Box<dyn Detector>,
        Box::new(Pii::built_in()?),
    ];
    for (detectors, name) in [
        (secrets_only, "secrets"),
        (both, "secrets and personal data"),
    ] {
        let policy = Policy::everywhere(Action::Redact, &categories);
        let engine = Arc::new(Engine::new(detectors, policy, DEFAULT_HOLDBACK_BYTES)?);
        for (kind, text) in [("prose", PROSE), ("code", CODE)] {
            let long = text.repeat(40);
            let pieces: Vec<&str> = (0..long.len() / 20)
                .map(|at| &long[at * 20..at * 20 + 20])
                .collect();
            let (mut held, mut most) = (0, 0);
            let mut out = String::new();
            let mut guard = engine.stream(Place::OutputText);
            for piece in &pieces {
                let _ = guard.push(piece, &mut out);
                held += guard.held_bytes();
                most = most.max(guard.held_bytes());
            }
            let time = nanoseconds(3, || {
                let mut guard = engine.stream(Place::OutputText);
                out.clear();
                for piece in &pieces {
                    let _ = guard.push(piece, &mut out);
                }
                black_box(&out);
            });
            let count = pieces.len() as f64;
            println!(
                "| {kind}, {name} | {:.3} | {:.1} | {most} |",
                time / count / 1000.0,
                held as f64 / count
            );
        }
    }
    Ok(())
}
