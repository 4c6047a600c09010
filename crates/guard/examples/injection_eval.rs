//! Measures the injection judge on the test sets: `SEAWORTHY_CORPORA=DIR injection_eval [-v SET]`.
#![expect(clippy::print_stdout, reason = "a report for a person")]

use std::path::Path;

use seaworthy_guard::injection::{InjectionJudge, Level};

/// Name, and whether label 1 is an attack that the judge should see.
const SETS: [(&str, bool); 10] = [
    ("deepset_test", true),
    ("notinject", false),
    ("xstest_v2", false),
    ("gsm8k_test", false),
    ("mt_bench", false),
    ("oasst_en_100", false),
    ("bipia_ctx_code_test", false),
    ("bipia_ctx_email_test", false),
    ("bipia_text_attack_test", true),
    ("bipia_code_attack_test", true),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(folder) = std::env::var_os("SEAWORTHY_CORPORA") else {
        println!("not run: SEAWORTHY_CORPORA is not set");
        return Ok(());
    };
    let verbose = std::env::args().nth(2);
    let judge = InjectionJudge::built_in()?;
    println!(
        "| set | point | attacks found | false alarms (Wilson 95 %) | precision | F1 |\n|---|---|---|---|---|---|"
    );
    let mut plain = [[0_usize; 2]; 2];
    for (name, has_attacks) in SETS {
        let file = Path::new(&folder)
            .join("test")
            .join(format!("{name}.jsonl"));
        let mut rows = Vec::new();
        for line in std::fs::read_to_string(file)?.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let text = row["text"].as_str().unwrap_or_default().to_owned();
            let label = row["label"] == 1;
            // The unsafe half of XSTest is harmful, not hijacking: it is not counted.
            if has_attacks || !label {
                let level = judge.assess(&text).level;
                if verbose.as_deref() == Some(name) && (level >= Level::Flag) != label {
                    println!(
                        "label {label}: {}",
                        text.chars()
                            .take(200)
                            .collect::<String>()
                            .replace('\n', " ")
                    );
                }
                rows.push((level, label));
            }
        }
        for (index, point) in [Level::Flag, Level::Block].into_iter().enumerate() {
            let count = |fired: bool, attack: bool| {
                rows.iter()
                    .filter(|(level, label)| (*level >= point) == fired && *label == attack)
                    .count()
            };
            let (hits, misses) = (count(true, true), count(false, true));
            let (wrong, right) = (count(true, false), count(false, false));
            if matches!(name, "gsm8k_test" | "mt_bench" | "oasst_en_100") {
                plain[index][0] += wrong;
                plain[index][1] += wrong + right;
            }
            print_row(name, point, (hits, hits + misses), (wrong, wrong + right));
        }
    }
    for (index, point) in [Level::Flag, Level::Block].into_iter().enumerate() {
        print_row(
            "plain instruction sets",
            point,
            (0, 0),
            (plain[index][0], plain[index][1]),
        );
    }
    Ok(())
}

fn print_row(
    name: &str,
    point: Level,
    (hits, attacks): (usize, usize),
    (wrong, honest): (usize, usize),
) {
    let precision = hits as f64 / (hits + wrong).max(1) as f64;
    let recall = hits as f64 / attacks.max(1) as f64;
    let f1 = 2.0 * precision * recall / (precision + recall).max(f64::EPSILON);
    let (low, high) = wilson(wrong, honest);
    let rate = 100.0 * wrong as f64 / honest.max(1) as f64;
    println!(
        "| {name} | {point:?} | {hits} of {attacks} | {wrong} of {honest}: {rate:.2} % ({low:.2} to {high:.2}) | {precision:.3} | {f1:.3} |"
    );
}

/// The Wilson interval of a share, in percent.
fn wilson(hits: usize, count: usize) -> (f64, f64) {
    if count == 0 {
        return (0.0, 0.0);
    }
    let (n, z) = (count as f64, 1.96_f64);
    let share = hits as f64 / n;
    let middle = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    (
        100.0 * ((middle - spread) / whole).max(0.0),
        100.0 * (middle + spread) / whole,
    )
}
