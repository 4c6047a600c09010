//! What a selector of labels selects.

use crate::files::yaml::Node;

/// Whether every label that a selector asks for is there; an empty selector selects everything.
pub(crate) fn selects(selector: &Node, labels: &[(String, Node)]) -> bool {
    selector.entries().iter().all(|(key, value)| {
        labels
            .iter()
            .any(|(k, v)| k == key && v.text() == value.text())
    })
}

/// Whether a selector with `matchLabels` and `matchExpressions` fits; an empty one fits everything,
/// and one that says anything else nothing.
pub(crate) fn fits(selector: &Node, labels: &[(String, Node)]) -> bool {
    let known = ["matchLabels", "matchExpressions"];
    let mut keys = selector.entries().iter().map(|(key, _)| key.as_str());
    if keys.any(|key| !known.contains(&key)) {
        return false;
    }
    let by_label = selector.get("matchLabels");
    by_label.is_none_or(|wanted| selects(wanted, labels))
        && selector
            .items_at("matchExpressions")
            .iter()
            .all(|expression| holds(expression, labels))
}

fn holds(expression: &Node, labels: &[(String, Node)]) -> bool {
    let key = expression.text_at("key").unwrap_or_default();
    let label = labels.iter().find(|(own, _)| own == key);
    let values = expression.items_at("values");
    let is_listed = label.is_some_and(|(_, label)| values.iter().any(|v| v.text() == label.text()));
    match expression.text_at("operator") {
        Some("In") => is_listed,
        Some("NotIn") => !is_listed,
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;
    use crate::files::yaml::parse;

    #[test]
    fn a_selector_fits_when_all_of_it_holds() {
        let labels = parse("{app: a, tier: web}").expect("valid").remove(0);
        for (selector, expected) in [
            ("{}", true),
            ("{app: a}", false),
            ("{matchLabels: {app: a}}", true),
            ("{matchLabels: {app: b}}", false),
            (
                "{matchExpressions: [{key: tier, operator: In, values: [web, db]}]}",
                true,
            ),
            (
                "{matchLabels: {app: a}, matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}",
                false,
            ),
            ("{matchExpressions: [{key: zone, operator: Exists}]}", false),
            (
                "{matchExpressions: [{key: zone, operator: DoesNotExist}]}",
                true,
            ),
        ] {
            let node = parse(selector).expect("valid").remove(0);
            assert_eq!(fits(&node, labels.entries()), expected, "{selector}");
        }
    }
}
