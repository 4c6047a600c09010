//! What both languages become.

use super::*;

/// The tree without positions, as JSON for reading.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::String(value) => value.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, node)| (key.name.clone(), plain(node)))
            .collect(),
    }
}

fn yaml(text: &str) -> String {
    plain(&parse(text, Format::Yaml).unwrap()).to_string()
}

#[test]
fn the_shapes_of_checklists_are_read_as_they_are_meant() {
    for (text, tree) in [
        (
            "checks:\n  - max: 10000\n  - exts: [\".py\", \".js\"]  # two\n",
            r#"{"checks":[{"max":10000},{"exts":[".py",".js"]}]}"#,
        ),
        (
            "/health/ready:\n  time: \"<500ms\"\n",
            r#"{"/health/ready":{"time":"<500ms"}}"#,
        ),
        (
            "condition: error_rate > 5%\nduration: 5m\n",
            r#"{"condition":"error_rate > 5%","duration":"5m"}"#,
        ),
        (
            "cpu: 70%      # early\nwait: 500ms\nok: false\n",
            r#"{"cpu":"70%","wait":"500ms","ok":false}"#,
        ),
        (
            "1_first:\n  - Tell people\n",
            r#"{"1_first":["Tell people"]}"#,
        ),
        (
            "status: success|failure\ncode: text (if failure)\n",
            r#"{"status":"success|failure","code":"text (if failure)"}"#,
        ),
        ("url: https://a/b#c\n", r#"{"url":"https://a/b#c"}"#),
        (
            "level:\n  DEBUG:\n    - Full text (dev only)\n",
            r#"{"level":{"DEBUG":["Full text (dev only)"]}}"#,
        ),
    ] {
        assert_eq!(yaml(text), tree);
    }
}

#[test]
fn toml_dates_are_texts_and_large_numbers_are_refused() {
    let node = parse("a = 2024-01-02\nb = 0x10\nc = 1_000", Format::Toml).unwrap();
    assert_eq!(
        plain(&node).to_string(),
        r#"{"a":"2024-01-02","b":16,"c":1000}"#
    );
    assert!(parse("a = 99999999999999999999", Format::Toml).is_err());
}

#[test]
fn positions_survive_wide_characters_and_comments() {
    let text = "# ünïcödé\na:\n  é: [x, 'y']\n";
    let root = parse(text, Format::Yaml).unwrap();
    let found = root.nearest(&["a", "é"]);
    let (key, node) = (found.key, found.node);
    assert!(found.exact && !root.nearest(&["a", "b"]).exact);
    let at = |needle: &str| text.rfind(needle).unwrap();
    assert_eq!(key.unwrap().span, Span::in_file(at("é:"), at(": [x")));
    assert_eq!(node.span, Span::in_file(at("[x"), at("\n")));
    let Value::List(items) = &node.value else {
        panic!("expected a list")
    };
    assert_eq!(items[1].span, Span::in_file(at("'y'"), at("]")));
}

#[test]
fn what_hides_or_repeats_is_refused() {
    for text in [
        "a: &x 1\nb: *x",
        "a: !!str 1",
        "a: 1\n---\nb: 2",
        "a: 1\na: 2",
        "? [1]\n: 2",
        "- a",
    ] {
        assert!(parse(text, Format::Yaml).is_err(), "{text}");
    }
}
