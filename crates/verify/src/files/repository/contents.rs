//! Whether a file holds what its name promises.

/// The text of a file, also of UTF-16 with its mark; none when it is binary.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let pairs = bytes.get(2..).unwrap_or_default().chunks_exact(2);
        let units = pairs.filter_map(|pair| Some(order(pair.try_into().ok()?)));
        String::from_utf16_lossy(&units.collect::<Vec<u16>>())
    };
    match bytes {
        [0xff, 0xfe, ..] => return Some(wide(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => return Some(wide(u16::from_be_bytes)),
        _ => {}
    }
    // Binary files hold a zero early.
    let is_binary = bytes.iter().take(8_000).any(|byte| *byte == 0);
    (!is_binary).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// A lock file and what it says of each package.
const LOCKS: [(&str, &[&str]); 9] = [
    ("Cargo.lock", &["[[package]]"]),
    ("uv.lock", &["[[package]]"]),
    ("poetry.lock", &["[[package]]"]),
    ("pdm.lock", &["[[package]]"]),
    (
        "package-lock.json",
        &[
            "\"resolved\"",
            "\"integrity\"",
            "\"node_modules/",
            "\"dependencies\"",
        ],
    ),
    ("yarn.lock", &["resolved ", "resolution:"]),
    ("pnpm-lock.yaml", &["resolution:"]),
    ("bun.lock", &["\"packages\""]),
    ("go.sum", &[" h1:"]),
];

/// Whether a file is empty, a lock that locks no package, a licence that waits to be chosen, or the
/// configuration of a service that it switches off.
pub(super) fn is_hollow(path: &str, text: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let lock = LOCKS.iter().find(|(name, _)| *name == file);
    let locks_nothing = lock.is_some_and(|(_, signs)| !signs.iter().any(|s| text.contains(s)));
    let first = text
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| !word.is_empty());
    let upper = file.to_uppercase();
    let is_licence = upper.starts_with("LICEN") || upper.starts_with("COPYING");
    let waits = first.is_some_and(|word| {
        ["TBD", concat!("TO", "DO")]
            .iter()
            .any(|mark| word.eq_ignore_ascii_case(mark))
    });
    let tight = || text.split_whitespace().collect::<String>();
    let is_off = match file {
        "renovate.json" | "renovate.json5" | ".renovaterc" => tight().contains("\"enabled\":false"),
        "dependabot.yml" | "dependabot.yaml" => {
            let (lists, off) = (text.matches("package-ecosystem"), tight());
            lists.count() <= off.matches("open-pull-requests-limit:0").count()
        }
        _ => false,
    };
    text.trim().is_empty() || locks_nothing || is_licence && waits || is_off
}

/// Assertions that hold whatever the code does.
const EMPTY_WORDS: [&str; 7] = [
    "assert True",
    "assert!(true)",
    "assert_eq!(1, 1)",
    "assert.ok(true)",
    "assertTrue(True)",
    "assertTrue(true)",
    "expect(true).toBe(true)",
];

/// Whether a file of tests asserts anything, in the words of the usual libraries.
pub(super) fn asserts(text: &str) -> bool {
    let signs = [
        "assert",
        "Assert",
        "expect(",
        "expect!",
        "expect_",
        "is_expected",
        ".should",
        "should.",
        "shouldBe",
        "Should(",
        "raises(",
        "t.Error",
        "t.Fatal",
        "t.Fail",
        "require.",
        "verify(",
        "Verify(",
        "must_",
        "panic!",
        "fail(",
        "throw ",
    ];
    let empty = EMPTY_WORDS.iter().filter(|words| text.contains(**words));
    let said = empty.fold(text.to_owned(), |text, words| text.replace(words, ""));
    signs.iter().any(|sign| said.contains(sign))
}

/// Whether a file of tests uses stand-ins, in the words of the usual libraries.
pub(super) fn stands_in(text: &str) -> bool {
    let signs = [
        "mock",
        "Mock",
        "monkeypatch",
        "fakeredis",
        "respx",
        "responses.",
        "vcr",
        "nock(",
        "msw",
        "vi.stub",
        "vi.fn",
        "jest.fn",
        "sinon",
        "httptest",
        "stub",
        "Stub",
        "moto",
        "pytest_httpx",
        "Fake",
        "fake_",
    ];
    signs.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::{asserts, is_hollow, text};

    #[test]
    fn reads_text_of_every_encoding_and_nothing_binary() {
        assert_eq!(text(b"a\xc3\xa9").as_deref(), Some("a\u{e9}"));
        assert_eq!(text(b"\xff\xfea\0b\0").as_deref(), Some("ab"));
        assert_eq!(text(b"\xfe\xff\0a\0b").as_deref(), Some("ab"));
        assert_eq!(text(b"\x7fELF\0"), None);
    }

    #[test]
    fn what_is_empty_or_locks_nothing_is_hollow() {
        for (path, text, expected) in [
            ("LICENSE", " \n", true),
            ("LICENSE", "MIT", false),
            ("a/Cargo.lock", "version = 4\n", true),
            ("a/Cargo.lock", "[[package]]\nname = \"a\"\n", false),
            ("package-lock.json", "{\"packages\": {}}", true),
            (
                "package-lock.json",
                "{\"packages\": {\"node_modules/a\": {}}}",
                false,
            ),
            ("go.sum", "a v1 h1:abc=\n", false),
        ] {
            assert_eq!(is_hollow(path, text), expected, "{path} {text}");
        }
        assert!(asserts("assert 1 == 1") && asserts("expect(x).toBe(1)"));
        assert!(!asserts("def test_nothing():\n    pass\n"));
        assert!(!asserts(
            "def test_should_hold_as_expected():\n    assert True\n"
        ));
    }
}
