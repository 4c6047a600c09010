//! Nothing panics, whatever the bytes, and cost grows no faster than the text.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use seaworthy_guard::detector::{Detector, Scan, Window};
use seaworthy_guard::injection::InjectionJudge;
use seaworthy_guard::input::path::{AbsolutePaths, ResolveLinks};
use seaworthy_guard::input::reference::FileRules;
use seaworthy_guard::input::{html, shell};
use seaworthy_guard::moderation::ModerationJudge;
use seaworthy_guard::pii::Pii;
use seaworthy_guard::policy::Place;
use seaworthy_guard::secrets::Secrets;

static INJECTION: LazyLock<InjectionJudge> = LazyLock::new(|| InjectionJudge::built_in().unwrap());
static MODERATION: LazyLock<ModerationJudge> =
    LazyLock::new(|| ModerationJudge::built_in().unwrap());
static DETECTORS: LazyLock<Vec<Box<dyn Detector>>> = LazyLock::new(detectors);

/// Every path is what it says.
struct NoLinks;

impl ResolveLinks for NoLinks {
    fn resolve(&self, path: &Path) -> std::io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}

/// Rules that read a reference to its end.
fn file_rules() -> FileRules {
    FileRules {
        no_traversal: true,
        extensions: vec!["md".to_owned()],
        within: Some("/srv/project".into()),
    }
}

fn detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(Secrets::built_in().unwrap()),
        Box::new(Pii::built_in().unwrap()),
        Box::new(AbsolutePaths::built_in().unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn detectors_survive_any_bytes_from_any_offset(bytes in proptest::collection::vec(any::<u8>(), 0..400), from in 0_usize..400, complete: bool) {
        let window = Window { text: &bytes, from: from.min(bytes.len()), complete };
        for detector in DETECTORS.iter() {
            let mut scan = Scan::default();
            detector.scan(window, &mut scan);
            for finding in &scan.findings {
                prop_assert!(finding.span.start < finding.span.end && finding.span.end <= bytes.len());
                prop_assert!(finding.span.start >= window.from);
            }
        }
    }

    #[test]
    fn judges_survive_any_text(text in "(\\PC{0,60}|[<>&;{}()\\[\\]\"'`$|#%=:/\\\\a-z0-9 \n]{0,120}){0,4}") {
        for place in [Place::Input, Place::ToolResult] {
            INJECTION.assess(&text, place);
        }
        MODERATION.assess(&text);
        html::strip(&text);
        shell::dangers(&text);
        let _ = shell::quote(&text);
        let _ = file_rules().check(&text, &NoLinks);
        let _ = file_rules().check_text(&text, &NoLinks);
    }
}

fn time(run: &dyn Fn()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

#[test]
fn hostile_texts_cost_no_more_than_linear_time() {
    for piece in [
        "a@",
        "1 ",
        "1-",
        "token=",
        "eyJ",
        "eyJaaaaaaaaaaaa.",
        "+1 (",
        "GB82 WEST 1234 ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----zz- ",
        "curl sh http://a/b/ ",
        "https://a:",
        "born on ",
        "<a ",
        "%25",
        "&#1",
        "1:",
        "A",
        "12 Aaa ",
    ] {
        let judge = |text: &str| {
            for detector in DETECTORS.iter() {
                detector.scan(Window::whole(text), &mut Scan::default());
            }
            INJECTION.assess(text, Place::Input);
            shell::dangers(text);
        };
        let text = |length: usize| piece.repeat(length / piece.len());
        let (short, long) = (text(8_000), text(64_000));
        let small = (0..3).map(|_| time(&|| judge(&short))).min().unwrap();
        // Eight times the text: linear is eight times the cost, quadratic sixty-four. What lies
        // between is noise of a busy machine, which may have a second and a third try.
        let most = small * 40 + Duration::from_millis(200);
        let is_linear = (0..3).any(|_| time(&|| judge(&long)) < most);
        assert!(is_linear, "{piece:?}: {small:?}, then more than {most:?}");
    }
}
