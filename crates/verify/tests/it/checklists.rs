//! Checklists: the known ones item by item, other people's by similarity, and the way back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::civil::date;
use seaworthy_verify::checklist::known::Form;
use seaworthy_verify::checklist::{
    Basis, Document, ItemStatus, Judge, Meaning, known_items, write_back, write_back_bytes,
};
use seaworthy_verify::decisions::{Attestation, Decisions, Waiver};
use seaworthy_verify::{Asked, CheckResult, Outcome, Report, Requirements};

use super::support::{check, options, start};

fn requirements() -> Requirements {
    Requirements::builtin().expect("the data parses")
}

#[test]
fn each_of_the_566_boxes_and_259_lines_asks_for_defined_requirements() {
    let requirements = requirements();
    let (mut forms, mut kinds, mut probed) = ([0; 3], BTreeMap::new(), 0);
    for item in known_items() {
        let ids: Vec<_> = item.requirements().collect();
        assert!(!ids.is_empty(), "{} line {}", item.checklist, item.line);
        forms[item.form as usize] += 1;
        let all_probed = ids.iter().all(|id| {
            let requirement = requirements.get(id).expect(id);
            *kinds.entry(requirement.kind.name()).or_insert(0) += 1;
            !requirement.probes.is_empty()
        });
        probed += usize::from(all_probed && item.form == Form::Box);
    }
    assert_eq!(forms, [566, 11, 248], "boxes, rows and other lines");
    println!("requirements asked for by kind: {kinds:?}");
    println!("boxes answered by automatic checks: {probed} of 566");
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checklists")
}

/// What the items of a folder's checklists mean, by file and line.
type Meanings = BTreeMap<String, BTreeMap<usize, BTreeSet<String>>>;

fn meanings(table: &Path) -> Meanings {
    let text = std::fs::read_to_string(table).expect("the table");
    let mut files = Meanings::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, line, ids, ..] = fields.as_slice() else {
            continue;
        };
        let ids = ids.split(',').map(|id| id.trim().to_owned()).collect();
        let line = line.parse().expect("a line number");
        files
            .entry((*file).to_owned())
            .or_default()
            .insert(line, ids);
    }
    files
}

/// How well the matcher does on some checklists.
#[derive(Default)]
struct Score {
    items: usize,
    matched: usize,
    /// To more than one requirement.
    several: usize,
    /// To requirements that are all right.
    whole: usize,
    /// To requirements none of which is right.
    wrong: Vec<String>,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.items += other.items;
        self.matched += other.matched;
        self.several += other.several;
        self.whole += other.whole;
        self.wrong.extend(other.wrong);
    }
}

/// Matches one checklist and compares with what its items mean; lines that the table does not name
/// are not counted.
fn score(judge: &Judge<'_>, path: &Path, meanings: &BTreeMap<usize, BTreeSet<String>>) -> Score {
    let text = std::fs::read_to_string(path).expect("the checklist");
    let document = Document::read(&text);
    let file = path.file_name().expect("a name").to_string_lossy();
    let lines: BTreeSet<usize> = document.items.iter().map(|item| item.line).collect();
    let missed = meanings.keys().filter(|line| !lines.contains(line));
    for line in missed.clone() {
        println!("{file}:{line}: not read as an item");
    }
    let mut score = Score {
        items: missed.count(),
        ..Score::default()
    };
    let understood = judge.understand(document);
    let items = understood.document.items.iter();
    for (item, meaning) in items.zip(understood.meanings) {
        let Some(accepted) = meanings.get(&item.line) else {
            continue;
        };
        score.items += 1;
        let (ids, sure) = match meaning {
            Meaning::Similar { readings, score } => {
                (readings.into_iter().map(|r| r.id).collect(), score)
            }
            Meaning::Exact { ids } => (ids, 1.0),
            Meaning::Unknown => (Vec::new(), 0.0),
        };
        let place = format!("{file}:{}: {}", item.line, item.text);
        if !ids.is_empty() {
            score.matched += 1;
            score.several += usize::from(ids.len() > 1);
            score.whole += usize::from(ids.iter().all(|id| accepted.contains(id)));
            if !ids.iter().any(|id| accepted.contains(id)) {
                score
                    .wrong
                    .push(format!("{place} → {} {sure:.2}", ids.join(" / ")));
            }
        } else if std::env::var_os("SEAWORTHY_SHOW_UNMATCHED").is_some() {
            println!("{place} ({accepted:?})");
        }
    }
    let (matched, wrong) = (score.matched, score.wrong.len());
    println!(
        "{file}: {} items, {matched} matched, {wrong} wrong",
        score.items
    );
    score
}

/// The bounds between which a share lies with 95 % confidence, after Wilson, in percent.
fn wilson(part: usize, all: usize) -> (f64, f64) {
    let (n, z) = (all as f64, 1.96_f64);
    let share = part as f64 / n;
    let middle = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + z * z / n);
    ((middle - half) * scale, (middle + half) * scale)
}

/// These lists are our own words in the style of many others; no phrasing was taken from them, but
/// the bar of sureness was set by them, so this finds what gets worse and says little about lists
/// that nobody here has seen.
#[test]
fn other_peoples_checklists_match_to_70_percent_with_under_2_percent_wrong() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let mut all = Score::default();
    for (file, meanings) in meanings(&fixtures().join("meaning.tsv")) {
        all.add(score(&judge, &fixtures().join(file), &meanings));
    }
    let (items, matched, wrong) = (all.items, all.matched, all.wrong.len());
    println!("{}", all.wrong.join("\n"));
    println!("seen: matched {matched} of {items}, {wrong} wrong");
    assert!(matched * 100 >= items * 70, "{matched} of {items}");
    assert!(wrong * 100 < items * 2, "{wrong} of {items}");
}

/// Lists of others are not in this repository; whoever has some names their folder, which holds
/// `gold.tsv` with file, line, and the requirements of which any is right (or `none`).
#[test]
fn lists_of_a_folder_are_scored_when_one_is_named() {
    let Some(folder) = std::env::var_os("SEAWORTHY_LISTS").map(PathBuf::from) else {
        println!("nothing scored: SEAWORTHY_LISTS names no folder");
        return;
    };
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let mut all = Score::default();
    for (file, meanings) in meanings(&folder.join("gold.tsv")) {
        all.add(score(&judge, &folder.join(file), &meanings));
    }
    println!("{}", all.wrong.join("\n"));
    let (items, wrong) = (all.items, all.wrong.len());
    let parts = [
        ("matched", all.matched),
        ("to several", all.several),
        ("one of them right", all.matched - wrong),
        ("wrong", wrong),
        ("one that is shown not meant", all.matched - all.whole),
    ];
    for (name, part) in parts {
        let share = part as f64 * 100.0 / items as f64;
        let (low, high) = wilson(part, items);
        println!("{name}: {part} of {items}, {share:.1} % ({low:.1} to {high:.1} %)");
    }
}

/// The originals are other people's text and not in this repository; whoever has them names their
/// folder, and this says so when nobody did.
#[test]
fn the_five_known_checklists_match_completely() {
    let Ok(folder) = std::env::var("SEAWORTHY_CHECKLISTS") else {
        println!("not compared with the originals: SEAWORTHY_CHECKLISTS names no folder");
        return;
    };
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let mut boxes = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let document = Document::read(&text);
        let understood = judge.understand(document);
        let items = understood.document.items.iter();
        for (item, meaning) in items.zip(understood.meanings) {
            boxes += usize::from(!item.row);
            assert!(
                matches!(meaning, Meaning::Exact { .. }),
                "{}:{} {meaning:?}",
                path.display(),
                item.line
            );
        }
    }
    assert_eq!(boxes, 566);
}

/// Which of two requirements is meant is not clear, so that neither may be left out.
#[test]
fn a_title_with_items_beneath_is_no_item_of_its_own() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let lines = |text: &str| {
        let list = judge.understand(Document::read(text));
        assert_eq!(list.document.items.len(), list.meanings.len());
        let lines = list.document.items.iter().map(|item| item.line);
        lines.collect::<Vec<_>>()
    };
    let nested = "1. Epsilon and so on\n   - Logs are rotated\n   - Backups are tested\n";
    assert_eq!(lines(nested), [2, 3]);
    // One that asks for something, one with a single item beneath, and one with a box stay.
    let asks = "1. Logs are rotated\n   - every night\n   - after 100 MB at most\n";
    assert_eq!(lines(asks)[0], 1);
    let single = "1. Epsilon and so on\n   - Logs are rotated\n2. Backups are tested\n";
    assert_eq!(lines(single), [1, 2, 3]);
    let boxed = "- [ ] Epsilon and so on\n  - [ ] Logs are rotated\n  - [ ] Backups are tested\n";
    assert_eq!(lines(boxed), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_reads_like_several_requirements_shows_each_and_holds_when_all_do() {
    const TEXT: &str =
        "# Mine\n\n## Security\n\n- [ ] Requests without a valid API key are rejected\n";
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let decisions = Decisions::default();
    let mut report = report().await;
    let judged = |report: &Report| {
        let list = judge.understand(Document::read(TEXT));
        judge.judge("mine.md", list, basis(report, &decisions))
    };
    let all = judged(&report);
    let item = &all.items[0];
    let Meaning::Similar { readings, .. } = &item.meaning else {
        panic!("{:?}", item.meaning);
    };
    assert!((2..=3).contains(&readings.len()), "{readings:?}");
    assert_eq!(item.status, ItemStatus::Pass, "{:?}", item.answers);
    let written = write_back(&all);
    assert!(written.contains("matched to several, of which one is meant"));
    for reading in readings {
        assert!(
            written.contains(&format!("`{}` pass", reading.id)),
            "{written}"
        );
    }
    // One that fails, or says nothing, may be the one that is meant, and may not: it does not decide.
    let last = readings.last().expect("several");
    let probes = &requirements.get(&last.id).expect("defined").probes;
    let is_its = |result: &CheckResult| probes.iter().any(|probe| *probe == result.check.id);
    for outcome in [
        Outcome::Fail {
            expected: "this".to_owned(),
            found: "that".to_owned(),
        },
        Outcome::NotApplicable {
            why: "nothing there".to_owned(),
        },
    ] {
        for result in report.results.iter_mut().filter(|result| is_its(result)) {
            result.outcome = outcome.clone();
        }
        let judged = judged(&report);
        assert_eq!(judged.items[0].status, ItemStatus::NotVerified);
        let failed = judged.answers().any(|a| a.status == ItemStatus::Fail);
        assert!(!failed, "what may not be meant fails no gate");
        let written = write_back(&judged);
        assert!(written.contains("### Needs a person"), "{written}");
    }
}

async fn report() -> Report {
    let server = start(None).await;
    check(options(server.address)).await
}

fn basis<'a>(report: &'a Report, decisions: &'a Decisions) -> Basis<'a> {
    Basis {
        report,
        decisions,
        today: date(2030, 3, 1),
    }
}

const MINE: &str = "# Mine\n\n- [ ] Prometheus metrics are exported\n- [x] Disaster recovery plan exists\n\
    - [x] The soup is hot\n- [ ] Penetration test done\n- [ ] HSTS header is sent\n\n\
    | Check | Done |\n|---|---|\n| All API endpoints require authentication | ☐ |\n\n\
    **We are:** [ ] not ready | [ ] ready with risks | [ ] ready for production\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_document_comes_back_ticked_with_evidence_and_stays_the_same_the_second_time() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let report = report().await;
    let decisions = Decisions {
        attestation: vec![Attestation {
            item: "security.penetration-test".to_owned(),
            by: "Ada".to_owned(),
            made: date(2030, 1, 1),
            until: date(2030, 6, 1),
            evidence: Some("report 7".to_owned()),
        }],
        waiver: vec![Waiver {
            item: "tls.hsts".to_owned(),
            reason: "the proxy adds it".to_owned(),
            by: "Grace".to_owned(),
            made: date(2030, 2, 1),
            until: date(2030, 4, 1),
        }],
        signature: vec![],
        ..Decisions::default()
    };
    let judged = judge.judge(
        "mine.md",
        judge.understand(Document::read(MINE)),
        basis(&report, &decisions),
    );
    let statuses: Vec<ItemStatus> = judged.items.iter().map(|item| item.status).collect();
    assert_eq!(
        statuses,
        [
            ItemStatus::Pass,
            ItemStatus::NotVerified,
            ItemStatus::NotVerified,
            ItemStatus::Attested,
            ItemStatus::Waived,
            ItemStatus::Pass,
        ]
    );
    let written = write_back(&judged);
    for expected in [
        "- [x] Prometheus metrics are exported\n  > **pass**",
        "- [ ] Disaster recovery plan exists\n  > **not verified**",
        "- [x] The soup is hot\n  > **not verified** (not matched)",
        "- [x] Penetration test done\n  > **attested**",
        "attested by Ada until 2030-06-01 (report 7)",
        "- [ ] HSTS header is sent\n  > **waived**",
        "| All API endpoints require authentication | ☑ |",
        "[x] not ready | [ ] ready with risks",
        "- line 5: The soup is hot",
    ] {
        assert!(written.contains(expected), "{expected}\n{written}");
    }
    let again = judge.judge(
        "mine.md",
        judge.understand(Document::read(&written)),
        basis(&report, &decisions),
    );
    assert_eq!(write_back(&again), written, "a second run changes nothing");
    // As another system wrote it: byte for byte the same but for boxes and what was added.
    let elsewhere = format!("\u{feff}{}", MINE.replace('\n', "\r\n"));
    let judged = judge.judge(
        "mine.md",
        judge.understand(Document::read(&elsewhere)),
        basis(&report, &decisions),
    );
    assert_eq!(
        write_back(&judged),
        format!("\u{feff}{}", written.replace('\n', "\r\n"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_back_in_its_own_encoding_and_the_second_run_changes_nothing() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let (report, decisions) = (report().await, Decisions::default());
    let text = "# Pr\u{fc}fliste\r\n\r\n- [x] Die Suppe ist hei\u{df}\r\n";
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let classic = text.replace("\r\n", "\r").into_bytes();
    let open = text.trim_end().as_bytes().to_vec();
    for bytes in [text.as_bytes().to_vec(), utf16, latin1, classic, open] {
        let written = |bytes: &[u8]| {
            let document = Document::read_bytes(bytes);
            write_back_bytes(&judge.judge(
                "mine.md",
                judge.understand(document),
                basis(&report, &decisions),
            ))
        };
        let once = written(&bytes);
        assert!(once.starts_with(&bytes), "{bytes:?} {once:?}");
        assert_eq!(written(&once), once);
        let ends_a_line = |bytes: &[u8]| matches!(bytes, [.., b'\r' | b'\n'] | [.., 0]);
        assert_eq!(
            ends_a_line(&once),
            ends_a_line(&bytes),
            "{bytes:?} {once:?}"
        );
        let has = |bytes: &[u8], end| bytes.contains(&end);
        assert_eq!(has(&once, b'\n'), has(&bytes, b'\n'), "{bytes:?} {once:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boxes_that_are_drawn_anyhow_change_only_when_their_tick_does() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let server = start(None).await;
    let mut options = options(server.address);
    options.asked = Asked::Only(
        ["metrics.exposed", "metrics.well-formed"]
            .map(str::to_owned)
            .into(),
    );
    let (report, decisions) = (check(options).await, Decisions::default());
    let (holds, open) = (
        "Prometheus metrics are exported",
        "Disaster recovery plan exists",
    );
    for (before, after) in [
        (format!("-  [] {holds}  "), format!("-  [x] {holds}  ")),
        (format!("-[ ] {holds}"), format!("-[x] {holds}")),
        (format!("*\t[~]\t{holds}"), format!("*\t[x]\t{holds}")),
        (format!("- [ X] {holds}"), format!("- [ X] {holds}")),
        (format!("- [X ] {open}"), format!("- [ ] {open}")),
        (format!("- [/] {open}"), format!("- [/] {open}")),
        (format!("1. [] {open}"), format!("1. [] {open}")),
    ] {
        let text = format!("# Mine\n\n{before}\n\n- [x](plan.md) is the plan\n\n \n\n");
        let written = |text: &str| {
            let document = Document::read(text);
            assert_eq!(document.items.len(), 1, "{text}");
            write_back(&judge.judge(
                "mine.md",
                judge.understand(document),
                basis(&report, &decisions),
            ))
        };
        let once = written(&text);
        let theirs = |line: &&str| !line.ends_with("<!-- seaworthy -->\n");
        let kept: String = once.split_inclusive('\n').filter(theirs).collect();
        let kept = kept.split("\n<!-- seaworthy:begin -->").next();
        assert_eq!(kept, Some(text.replace(&before, &after).as_str()), "{once}");
        assert_eq!(written(&once), once);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_word_counts_for_nothing_and_a_failed_check_outweighs_one() {
    let requirements = requirements();
    let judge = Judge::new(&requirements);
    let broken = start(Some("metrics.exposed")).await;
    let report = check(options(broken.address)).await;
    let says = |item: &str, until| Attestation {
        item: item.to_owned(),
        by: "Ada".to_owned(),
        made: date(2030, 1, 1),
        until,
        evidence: None,
    };
    let decisions = Decisions {
        attestation: vec![
            says("metrics.exposed", date(2030, 6, 1)),
            says("security.penetration-test", date(2030, 2, 28)),
        ],
        ..Decisions::default()
    };
    let judged = judge.judge(
        "mine.md",
        judge.understand(Document::read(MINE)),
        basis(&report, &decisions),
    );
    let status = |index: usize| judged.items.get(index).map(|item| item.status);
    assert_eq!(status(0), Some(ItemStatus::Fail));
    assert_eq!(status(3), Some(ItemStatus::NotVerified));
}
