//! Any text at all gets an answer: a configuration or problems, never a panic.

use proptest::prelude::*;
use seaworthy_config::{Format, Overrides, load_default, load_str};

fn answer(text: &str, format: Format) {
    match load_str(text, format, "x", &Overrides::default()) {
        Ok(loaded) => assert_eq!(loaded.hash.len(), 64),
        Err(problems) => assert!(!problems.render(true).is_empty()),
    }
}

/// Pieces that make texts which get further than the parser.
const PIECES: [&str; 44] = [
    "server",
    "providers",
    "models",
    "listen",
    "workers",
    "kind",
    "targets",
    "api_key",
    "headers",
    "rate_limits",
    "echo",
    "é",
    "∞",
    ":",
    ": ",
    "=",
    " = ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "#",
    "&a",
    "*a",
    "!!str ",
    "---\n",
    "...\n",
    "|\n",
    ">\n",
    "? ",
    "5s",
    "10MB",
    "null",
    "1",
    "\"a/b\"",
];

fn pieces() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(PIECES.as_slice()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn arbitrary_text_is_answered(text in any::<String>()) {
        answer(&text, Format::Toml);
        answer(&text, Format::Yaml);
    }

    #[test]
    fn arbitrary_pieces_are_answered(text in pieces()) {
        answer(&text, Format::Toml);
        answer(&text, Format::Yaml);
    }

    #[test]
    fn arbitrary_settings_are_answered(key in "[A-Z_]{0,20}", value in pieces()) {
        let variable = (format!("SEAWORTHY__{key}"), value);
        if let Err(problems) = load_default(&Overrides::from_environment([variable])) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}

#[test]
fn deep_nesting_is_refused_without_deep_recursion() {
    for depth in [100, 300, 100_000] {
        answer(&format!("a: {}", "[".repeat(depth)), Format::Yaml);
        answer(
            &format!("a: {}{}", "[".repeat(depth), "]".repeat(depth)),
            Format::Yaml,
        );
        answer(&format!("{}x", "- ".repeat(depth)), Format::Yaml);
        answer(&format!("a = {}", "[".repeat(depth)), Format::Toml);
        answer(&format!("a{} = 1", ".a".repeat(depth)), Format::Toml);
    }
    let block: String = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    answer(&block, Format::Yaml);
}

#[test]
fn many_mistakes_are_answered_within_a_bound() {
    let many: String = (0..2000)
        .map(|n| format!("[models.m{n}]\ntargets = {n}\n"))
        .collect();
    let found = load_str(&many, Format::Toml, "x", &Overrides::default()).unwrap_err();
    assert_eq!(found.len(), 50);
    let unknown: String = (0..5_000).map(|n| format!("key{n}: {n}\n")).collect();
    let found = load_str(&unknown, Format::Yaml, "x", &Overrides::default()).unwrap_err();
    assert_eq!(found.len(), 50);
    answer(&format!("a: [{}]", "é, ".repeat(20_000)), Format::Yaml);
    answer(
        &format!("a: {{{}}}", "é: é, ".repeat(100_000)),
        Format::Yaml,
    );
}
