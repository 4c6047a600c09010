//! Items that name what must not be: a tick beside them would mean the opposite.

use super::super::words::stems;

/// Headings of lists of faults.
const FAULTS: [&str; 8] = [
    "red flag",
    "anti pattern",
    "antipattern",
    "warning sign",
    "pitfall",
    "common mistake",
    "what not to do",
    "bad practice",
];

/// Things that a system ought to have: "no" before one of them names a lack.
const WANTED: &str = "plan monitoring alert alarm tracking test owner staging versioning runbook \
    backup logging id ids documentation strategy process timeout validation review audit encryption \
    authentication authorization metrics dashboard tracing fallback way limit rollback evaluation \
    budget approval isolation policy procedure visibility";

/// How far after "no" the thing may stand.
const NEAR: usize = 4;

/// Whether the item names a fault or a lack, so that it holds when it must not.
pub(super) fn tells_a_lack(text: &str, context: &[&str]) -> bool {
    let heading = context.iter().any(|heading| {
        let heading = heading.to_lowercase().replace(['-', '_'], " ");
        FAULTS.iter().any(|fault| heading.contains(fault))
    });
    heading || begins_with_a_lack(text)
}

fn begins_with_a_lack(text: &str) -> bool {
    let words = stems(text);
    let mut words = words.as_slice();
    if let ["ther", _, rest @ ..] = words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        words = words.get(words.len() - rest.len()..).unwrap_or_default();
    }
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    if !["no", "miss", "lack"].contains(&first.as_str()) || rest.iter().any(|w| w == "without") {
        return false;
    }
    // "No keys in logs" and "no unbounded queues" are wishes.
    let ends =
        |word: &&String| ["in", "into", "unbound", "infinit", "until"].contains(&word.as_str());
    let wanted = stems(WANTED);
    let near = rest.iter().take(NEAR).take_while(|word| !ends(word));
    near.into_iter().any(|word| wanted.contains(word))
}

#[cfg(test)]
mod tests {
    use super::tells_a_lack;

    #[test]
    fn a_fault_is_told_from_a_wish() {
        for text in [
            "No rollback plan exists",
            "No request IDs.",
            "There is no staging environment",
            "Missing alerts for the queue",
        ] {
            assert!(tells_a_lack(text, &[]), "{text}");
        }
        for text in [
            "No secrets in the repository",
            "No unbounded queues",
            "No infinite retries",
            "No release without rollback plan",
            "No single point of failure",
            "No PII in logs",
        ] {
            assert!(!tells_a_lack(text, &[]), "{text}");
        }
        assert!(tells_a_lack("Retries are unbounded", &["8. Red Flags"]));
        assert!(!tells_a_lack("Retries are bounded", &["Reliability"]));
    }
}
