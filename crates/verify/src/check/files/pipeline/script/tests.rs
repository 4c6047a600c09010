//! What counts of a script, and what does not.

use super::{Shell, deeds};

fn of(run: &str) -> String {
    deeds(run, Shell::default())
}

#[test]
fn only_commands_whose_failure_counts_are_deeds() {
    for (run, expected) in [
        ("pytest -q", "pytest -q"),
        ("true", ""),
        ("# pytest\necho pytest passed", ""),
        ("pytest || true", ""),
        ("pytest || echo failed", ""),
        ("pip install pytest && pytest", "pytest"),
        (
            "python -m pip install -r requirements.txt; ruff check . # all",
            "ruff check .",
        ),
        ("uv run pytest \\\n  -q", "uv run pytest    -q"),
        ("npm ci\nnpm test", "npm test"),
        ("[ -d dist ] || npm run build", "npm run build"),
        ("pytest || { echo failed; exit 1; }", "pytest"),
        ("pytest || (echo failed && exit 1)", "pytest"),
        (
            "if [ -n \"$A\" ]; then pytest; else ruff check; fi",
            "pytest\nruff check",
        ),
        ("if true; then pytest; else mypy; fi", "pytest"),
        ("for a in 1 2; do\n  pytest\ndone", "pytest"),
        ("run() {\n  pytest -q\n}\nrun", "pytest -q"),
        ("bash -euc 'ruff check && pytest'", "ruff check\npytest"),
        ("pytest 2>&1", "pytest 2>&1"),
        (
            "pytest -m 'not slow; or quick'",
            "pytest -m 'not slow; or quick'",
        ),
        ("(cd a && pytest)", "pytest"),
        ("pytest || true && mypy", "mypy"),
    ] {
        assert_eq!(of(run), expected, "{run}");
    }
}

#[test]
fn what_cannot_stop_a_pipeline_is_no_deed() {
    for run in [
        "pytest || exit 0",
        "(pytest -q) || (echo failed)",
        "pytest || { echo failed; true; }",
        "ruff check && pytest && echo ok || true",
        "pytest || ls || true",
        "set +e\npytest\nexit 0",
        "pytest | tee out.txt",
        "pytest &",
        "! pytest",
        "which pytest",
        "pytest --version",
        "pytest --collect-only",
        "cargo test --no-run",
        "mvn verify -DskipTests; docker buildx version",
        "kubectl apply --dry-run=server -f .",
        "git commit -m 'run pytest'",
        "cat <<EOF\npytest\nEOF",
        "cat <<'EOF'>file\npytest\nEOF",
        "false && pytest",
        "true || pytest",
        "if false; then pytest; fi",
        "if true; then echo ok; else pytest; fi",
        "while false; do pytest; done",
        "if [ 1 -eq 2 ]; then\n  pytest\nfi",
        "[[ \"a\" == \"b\" ]] && pytest",
        "if pytest; then echo passed; else echo failed; fi",
        "exit 0\npytest",
        "trap 'exit 0' EXIT\npytest",
        "bash -c 'pytest || true'",
        "bash -c 'pytest; exit 0'",
        "run() { pytest; }\necho done",
        "npm set-script test pytest",
        "npm pkg set scripts.test=pytest",
    ] {
        let left = of(run);
        let deeds = ["pytest", "cargo", "apply", "mvn", "buildx"];
        let found = deeds.iter().find(|deed| left.contains(**deed));
        assert_eq!(found, None, "{run}: {left}");
    }
    for run in [
        "set -o pipefail\npytest | tee out",
        "find . -name x | xargs pytest",
        "set +e\npytest\ncode=$?\nexit $code",
        "set +e\nls\nset -e\npytest\necho ok",
        "if ! pytest; then\n  echo failed\n  exit 1\nfi",
    ] {
        assert!(of(run).contains("pytest"), "{run}");
    }
    let pipes = Shell {
        pipes: true,
        ..Shell::default()
    };
    assert!(deeds("pytest | tee out", pipes).contains("pytest"));
    let goes_on = Shell {
        goes_on: true,
        ..Shell::default()
    };
    assert_eq!(deeds("pytest\necho done", goes_on), "");
    assert_eq!(deeds("echo start\npytest", goes_on), "pytest");
}

#[test]
fn scripts_of_any_depth_and_length_are_read_in_time() {
    for text in [
        "(".repeat(100_000),
        "if a\n".repeat(50_000),
        "bash -c ".repeat(20_000),
        "a && ".repeat(50_000),
        "f() { f; f; f; f; }\nf\n".repeat(10_000),
        "{ ".repeat(20_000) + &" }".repeat(20_000),
    ] {
        assert!(of(&text).len() <= text.len());
    }
}
