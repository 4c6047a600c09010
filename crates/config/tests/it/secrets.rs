//! A secret written into the configuration is used, and never shown anywhere.

use std::fmt::Debug;

use proptest::prelude::*;
use seaworthy_config::{Change, Format, Overrides, SecretRef, Severity, diff, load_str, show};

use crate::support::{problems, toml};

const CANARY: &str = "correct-horse";

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.contains(CANARY), "{what} shows the secret:\n{text}");
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

const GOOD: &str = r#"
[providers.a]
kind = "openai"
api_key = "correct-horse"
headers = { Authorization = "Bearer correct-horse", x-trace = "visible" }
[models.m]
targets = ["a/m"]
"#;

#[test]
fn a_literal_secret_is_warned_about_and_hidden_in_every_view() {
    let loaded = toml(GOOD);
    assert_eq!(loaded.warnings.len(), 2, "{}", loaded.warnings);
    assert!(
        loaded
            .warnings
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
    let first = loaded.warnings.iter().next().unwrap().summary();
    let told = "`providers.a.api_key`: a secret is written into the configuration";
    assert_eq!(first, told);
    assert_hidden("Debug", &debug(&loaded));
    assert_hidden("warnings", &loaded.warnings.render(true));
    assert_hidden(
        "warnings as JSON",
        &serde_json::to_string(&loaded.warnings).unwrap(),
    );
    assert_hidden("JSON", &serde_json::to_string(&*loaded.config).unwrap());
    for format in [Format::Toml, Format::Yaml] {
        let shown = show(&loaded.config, format);
        assert_hidden("show", &shown);
        assert!(shown.contains("visible") && shown.contains("[redacted]"));
    }
    let Some(SecretRef::Literal(secret)) = &loaded.config.providers["a"].api_key else {
        panic!()
    };
    assert_eq!(secret.expose(), CANARY);
}

/// The one change, of this key, where the secret in a text is another one: neither of both is shown.
fn changed_secret(text: &str, key: &str) -> Vec<Change> {
    let (old, new) = (
        toml(text),
        toml(&text.replace("correct-horse", "battery-staple")),
    );
    let changes = diff(&old.config, &new.config);
    let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(keys, [key]);
    assert_hidden("diff", &debug(&changes));
    assert!(!debug(&changes).contains("battery-staple"));
    changes
}

#[test]
fn a_changed_literal_is_a_difference_without_its_value_and_does_not_change_the_hash() {
    let (old, new) = (
        toml(GOOD),
        toml(&GOOD.replace("api_key = \"correct", "api_key = \"another")),
    );
    assert_ne!(old.config, new.config);
    assert_eq!(old.hash, new.hash);
    let changes = diff(&old.config, &new.config);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].key, "providers.a.api_key");
    assert_hidden("diff", &debug(&changes));
}

#[test]
fn a_changed_password_in_a_url_is_a_difference_that_shows_neither() {
    for (key, text) in [
        (
            "storage.url",
            "[storage]\nurl = 'postgres://me:correct-horse@host/db'\n",
        ),
        (
            "shared_state.url",
            "[shared_state]\nurl = 'redis://me:correct-horse@host/1'\n",
        ),
        (
            "shared_state.password",
            "[shared_state]\nurl = 'redis://host/1'\npassword = 'correct-horse'\n",
        ),
    ] {
        let old = toml(text);
        changed_secret(text, key);
        assert_eq!(diff(&old.config, &old.config), []);
        // A change that shows is told once.
        let moved = toml(
            &text
                .replace("correct-horse", "battery-staple")
                .replace("host", "other"),
        );
        let urls = diff(&old.config, &moved.config);
        let of_urls = urls.iter().filter(|change| change.key.ends_with("url"));
        assert_eq!(of_urls.count(), 1, "{urls:?}");
    }
}

#[test]
fn a_changed_literal_is_a_difference_wherever_it_stands() {
    for (key, text) in [
        (
            "secret_managers.vault.token",
            "[secret_managers.vault]\naddress = 'https://vault'\ntoken = 'correct-horse'\n",
        ),
        (
            "secret_managers.gcp.credentials",
            "[secret_managers.gcp]\nproject = 'p'\ncredentials = 'correct-horse'\n",
        ),
        (
            "auth.users.ada.password_hash",
            "[auth.users.ada]\npassword_hash = 'correct-horse'\n",
        ),
        (
            "guards.opinions.judge.authorization",
            "[guards.opinions.judge]\nurl = 'https://judge.example'\nauthorization = 'correct-horse'\n",
        ),
    ] {
        let changes = changed_secret(text, key);
        let told = changes[0].old.as_deref().unwrap();
        assert!(
            told.contains("[redacted]\""),
            "nothing but the placeholder: {told}"
        );
        assert_eq!(changes[0].old, changes[0].new);
    }
}

#[test]
fn a_hidden_secret_cannot_be_loaded_as_if_it_were_one() {
    let shown = show(&toml(GOOD).config, Format::Toml);
    let answer = problems(&shown, Format::Toml).to_string();
    assert!(
        answer.contains("found the placeholder of a hidden secret"),
        "{answer}"
    );
}

#[test]
fn no_mistake_on_or_around_its_line_shows_a_secret() {
    for text in [
        "[providers.a]\nkind = 'openai'\napi_key = ['correct-horse']",
        "[providers.a]\nkind = 'openai'\napi_kye = 'correct-horse'",
        "[providers.a]\nkind = 'openai'\nfoo = 'correct-horse'",
        "[providers.a]\nkind = 'openai'\nfoo = { bar = 'correct-horse' }",
        "[providers.a]\nkind = 'openai'\napi_key = { value = 'correct-horse' }",
        "[providers.a]\nkind = 'openai'\napi_key = 'correct-horse",
        "[providers.a]\nkind = 'openai'\napi_key = correct-horse",
        "[providers.a]\nkind = 'openai'\napi_key = '''\ncorrect-horse",
        "[providers.a]\nkind = 'openai'\napi_key = [\n'correct-horse' 'x'",
        "[providers.a]\nkind = 'openai'\napi_key: correct-horse",
        "[providers.a]\nkind = 'opnai' # password: correct-horse",
        "providers = { a = { kind = 'opnai', api_key = 'correct-horse' } }",
        "providers = { a = { kind = 'openai', api_key = 'correct-horse' }",
        "[providers.a]\nkind='echo'\nheaders = { host = 'correct-horse', 'x y' = 'correct-horse' }",
        "[providers.a]\nkind='openai'\nheaders = { x-thing = \"correct-horse\\u0000\" }",
        "[providers.a]\nkind='openai'\nbase_url = 'https://me:correct-horse@host/v1'",
        "[storage]\nurl = 'postgres://me:correct-horse@host:x/db'",
        "[storage]\nurl = 'mysql://me:correct-horse@host/db'",
        "[a]\nheaders = { Authorization = \"B\nearer correct-horse\", x = \"visible\" }",
        "[a]\nheaders = { Authorization = \"B\"\nearer correct-horse\", x = \"visible\" }",
        "api_key = 'correct-horse'\napi_key = 'correct-horse'",
    ] {
        check(text, Format::Toml);
    }
    for text in [
        "providers:\n  a:\n    kind: openai\n    api_key: [correct-horse]",
        "providers:\n  a:\n    kind: openai\n    api_key: &k correct-horse",
        "providers:\n  a:\n    kind: openai\n    api_key: !!str correct-horse",
        "providers:\n  a:\n    kind: openai\n    api_key: {correct-horse: x}",
        "providers:\n  a:\n    kind: openai\n    api_key: 'correct-horse",
        "providers:\n  a:\n    kind: openai\n    api_key:\n      correct-horse: : [",
        "providers:\n  a: {kind: opnai, api_key: correct-horse, foo: correct-horse}",
        "providers:\n  a:\n    kind: openai\n   api_key: correct-horse",
        "providers:\n  a:\n    kind: openai\n    api_key: |\n      correct-horse\n     x\n",
        "a: 1\na: correct-horse",
        "api_key: correct-horse\n---\nb: 1",
    ] {
        check(text, Format::Yaml);
    }
}

fn check(text: &str, format: Format) {
    let found = problems(text, format);
    assert_hidden(text, &found.render(true));
    assert_hidden(text, &debug(&found));
    assert_hidden(text, &serde_json::to_string(&found).unwrap());
}

#[test]
fn settings_from_outside_are_hidden_as_well() {
    let overrides = Overrides::from_environment(
        [
            ("SEAWORTHY__PROVIDERS__A__API_KEY", "[correct-horse]"),
            ("SEAWORTHY__PROVIDERS__A__HEADERS__X_Y", "[correct-horse"),
            ("SEAWORTHY__PROVIDERS__A__API_KYE", "correct-horse"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_hidden("Debug", &debug(&overrides));
    let found = load_str(GOOD, Format::Toml, "x", &overrides).unwrap_err();
    assert_eq!(
        found
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .count(),
        3,
        "{found}"
    );
    assert_hidden("problems", &found.render(false));
}

proptest! {
    #[test]
    fn cutting_and_breaking_a_file_anywhere_shows_no_secret(
        at in 0..GOOD.len(),
        broken in "[\\[\\]{}=\"':\n#x ,]{0,3}",
        keep_rest in any::<bool>(),
    ) {
        let rest = if keep_rest { &GOOD[at..] } else { "" };
        let text = format!("{}{broken}{rest}", &GOOD[..at]);
        // A name broken in two is not the name of a secret any more.
        let names_intact = text.matches("api_key = ").count() == 1 && text.contains("Authorization = ");
        if let Err(found) = load_str(&text, Format::Toml, "x", &Overrides::default()) {
            let shown = found.render(false);
            prop_assert!(!names_intact || !shown.contains(CANARY), "{}\n{}", text, shown);
        }
    }
}
