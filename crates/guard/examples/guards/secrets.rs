//! Credentials that are made here, what only looks like them, and ordinary code.

use std::path::{Path, PathBuf};

use seaworthy_guard::detector::{Detector as _, Scan, Window};
use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::testing::Dice;

use crate::Outcome;
use crate::report::{Limit, Report};

const ROUNDS: usize = 40;
const SOURCES: [&str; 12] = [
    "rs", "c", "h", "py", "toml", "md", "js", "ts", "sh", "json", "go", "java",
];
/// The most lines of code that are read.
const MOST_LINES: usize = 1_000_000;

const CARRIERS: [&str; 10] = [
    "KEY",
    "my key is KEY, keep it safe.",
    "{\"key\": \"KEY\"}",
    "export THING=KEY\n",
    "Authorization: Bearer KEY\r\n",
    "https://example.org/?k=KEY&x=1",
    "```\nclient = Client('KEY')\n```",
    "- KEY\n- other",
    "(KEY)",
    "ключ:KEY.",
];

pub(crate) fn measure(code: &[PathBuf], corpora: Option<&Path>, report: &mut Report) -> Outcome {
    let detector = Secrets::built_in()?;
    known_shapes(&detector, report);
    passwords(&detector, report);
    ordinary_code(&detector, code, corpora, report)
}

/// What the detector reports, without generic assignments unless asked for.
fn reported(detector: &Secrets, text: &str, generic: bool) -> Vec<String> {
    let mut scan = Scan::default();
    detector.scan(Window::whole(text), &mut scan);
    let found = scan.findings.iter();
    let wanted = found.filter(|finding| generic || !finding.rule.starts_with("generic"));
    wanted
        .map(|finding| text[finding.span.clone()].to_owned())
        .collect()
}

fn known_shapes(detector: &Secrets, report: &mut Report) {
    let mut dice = Dice::new(17);
    let (mut planted, mut found, mut right, mut all) = (0, 0, 0, 0);
    for _ in 0..ROUNDS {
        let shaped = detector.examples(|count| dice.below(count));
        let shaped: Vec<String> = shaped.into_iter().map(|example| example.text).collect();
        for key in shaped.into_iter().chain(written_down(&mut dice)) {
            for carrier in CARRIERS {
                let hits = reported(detector, &carrier.replace("KEY", &key), false);
                planted += 1;
                found += usize::from(hits.contains(&key));
                right += hits.iter().filter(|hit| key.contains(hit.as_str())).count();
                all += hits.len();
            }
        }
        for decoy in decoys(&mut dice) {
            for carrier in CARRIERS {
                all += reported(detector, &carrier.replace("KEY", &decoy), false).len();
            }
        }
    }
    report.share(
        "secrets of known shape, made here: recall",
        found,
        planted,
        Some(Limit::AtLeast(98.0)),
    );
    report.share(
        "secrets of known shape and decoys, made here: precision",
        right,
        all,
        Some(Limit::AtLeast(99.0)),
    );
}

/// Formats of providers as their pages describe them, apart from the shape file.
fn written_down(dice: &mut Dice) -> Vec<String> {
    vec![
        format!("gh{}_{}", "p", dice.alnum(36)),
        format!("gh{}_{}", "s", dice.alnum(36)),
        format!("sk-{}api03-{}AA", "ant-", dice.alnum(93)),
        format!("AK{}{}", "IA", dice.base32(16)),
        format!("sk_{}_{}", "live", dice.alnum(24)),
        format!(
            "xo{}-{}-{}-{}",
            "xb",
            dice.digits(12),
            dice.digits(12),
            dice.alnum(24)
        ),
        format!("S{}.{}.{}", "G", dice.alnum(22), dice.alnum(43)),
        format!("AI{}{}", "za", dice.alnum(35)),
        format!("h{}_{}", "f", dice.alnum(34)),
        format!("gl{}-{}", "pat", dice.alnum(20)),
        format!("np{}_{}", "m", dice.alnum(36)),
        format!(
            "ey{}{}.eyJ{}.{}",
            "J",
            dice.alnum(33),
            dice.alnum(80),
            dice.alnum(43)
        ),
    ]
}

/// What looks random and is no credential.
fn decoys(dice: &mut Dice) -> Vec<String> {
    let hex = "0123456789abcdef";
    let mut uuid = || {
        let part = |dice: &mut Dice, length| dice.string(hex, length);
        let [a, b, c, d, e] = [8, 4, 4, 4, 12].map(|length| part(dice, length));
        format!("{a}-{b}-{c}-{d}-{e}")
    };
    let ids = uuid();
    vec![
        ids,
        dice.string(hex, 40),
        dice.string(hex, 64),
        format!("sha512-{}==", dice.alnum(86)),
        format!("data:image/png;base64,{}", dice.alnum(400)),
        format!("AK{}IOSFODNN7EXAMPLE", "IA"),
        format!("gh{}_{}", "p", "x".repeat(36)),
        format!("sk-{}-your-key-here", "proj"),
        dice.digits(19),
        dice.alnum(32),
        format!("/var/lib/{}/{}", dice.alnum(12), dice.alnum(20)),
        format!("arn:aws:s3:::{}", dice.string("abcdefghijklmnop", 20)),
    ]
}

fn passwords(detector: &Secrets, report: &mut Report) {
    let mut dice = Dice::new(18);
    let (mut planted, mut found) = (0, 0);
    for _ in 0..ROUNDS {
        for name in ["password", "api_key", "secret", "DB_PASSWORD", "auth_token"] {
            for (before, after) in [(" = \"", "\""), (": '", "'"), ("=", "\n"), ("\": \"", "\"")] {
                let value = dice.alnum(16);
                let hits = reported(detector, &format!("{name}{before}{value}{after}"), true);
                planted += 1;
                found += usize::from(hits.contains(&value));
            }
        }
    }
    report.share(
        "generic passwords, random, assigned to a name, made here: recall",
        found,
        planted,
        None,
    );
}

fn ordinary_code(
    detector: &Secrets,
    folders: &[PathBuf],
    corpora: Option<&Path>,
    report: &mut Report,
) -> Outcome {
    let mut files = Vec::new();
    for folder in folders {
        collect(folder, &mut files, 0)?;
    }
    files.sort();
    let mut texts: Vec<String> = Vec::new();
    if let Some(corpora) = corpora {
        let set = corpora.join("train").join("gpteacher_codegen.jsonl");
        for line in std::fs::read_to_string(set)?.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            texts.push(row["text"].as_str().unwrap_or_default().to_owned());
        }
    }
    let (mut lines, mut shaped, mut generic) = (0, 0, 0);
    let read = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    for text in texts.into_iter().chain(read) {
        if lines >= MOST_LINES {
            break;
        }
        lines += text.lines().count();
        let known = reported(detector, &text, false).len();
        shaped += known;
        generic += reported(detector, &text, true).len() - known;
    }
    if lines == 0 {
        report.tell(
            "false alarms in ordinary code",
            "not measured: no folder of code was named".to_owned(),
        );
        return Ok(());
    }
    let a_ten_thousand = |count: usize| count as f64 * 10_000.0 / lines as f64;
    for (what, count) in [("known shapes", shaped), ("generic assignments", generic)] {
        let figure = a_ten_thousand(count);
        let shown = format!("{count} in {lines} lines: {figure:.3}");
        let what = format!("secrets, {what}, false alarms in 10,000 lines of other people's code");
        match what.contains("known") {
            true => report.judge(&what, figure, shown, Limit::AtMost(1.0)),
            false => report.tell(&what, shown),
        }
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_source = |kind: &std::ffi::OsStr| SOURCES.iter().any(|source| kind == *source);
        if path.is_dir() && !path.is_symlink() && depth < 12 {
            collect(&path, files, depth + 1)?;
        } else if path.extension().is_some_and(is_source) {
            files.push(path);
        }
    }
    Ok(())
}
