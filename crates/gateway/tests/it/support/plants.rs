//! What tests plant and guards have to find.

use seaworthy_guard::secrets::Secrets;
use seaworthy_guard::testing::Dice;

/// A credential that exists only while the test runs.
pub(crate) fn secret() -> String {
    let mut dice = Dice::new(7);
    let secrets = Secrets::built_in().unwrap();
    let examples = secrets.examples(|count| dice.below(count));
    let found = examples
        .into_iter()
        .find(|example| example.rule.starts_with("github"));
    found.unwrap().text
}
