//! The reference documentation describes the directives that exist.

use seaworthy_fake_provider::directive::KEYS;

#[test]
fn the_reference_lists_every_directive_and_no_other() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/fake-provider.md"
    );
    let reference = std::fs::read_to_string(path).unwrap();
    let after = reference
        .split("| directive | meaning |\n|---|---|\n")
        .nth(1)
        .unwrap();
    let table = after.split("\n\n").next().unwrap();
    let expected: Vec<String> = KEYS
        .iter()
        .map(|(key, meaning)| format!("| `{key}` | {meaning} |"))
        .collect();
    assert_eq!(table, expected.join("\n"));
}
