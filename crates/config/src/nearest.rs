//! Finds the name that somebody most likely meant.

/// The candidate nearest to `name`, if one is near enough to be worth naming.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = fold(name);
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The candidate that differs from `name` in so little that one of the two is a slip: in case, in
/// hyphens, or in one letter of at least four. Numbered names are meant to differ.
pub(crate) fn slip<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let unnumbered = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
    let folded = fold(name);
    candidates.into_iter().find(|candidate| {
        let other = fold(candidate);
        let is_alike = folded == other
            || folded.len() >= 4
                && unnumbered(&folded) != unnumbered(&other)
                && strsim::osa_distance(&folded, &other) <= 1;
        *candidate != name && is_alike
    })
}

/// A help text with the nearest candidate and all of them.
pub(crate) fn suggest(name: &str, kind: &str, candidates: &[&str]) -> String {
    let all = candidates.join(", ");
    match nearest(name, candidates.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`? {kind}: {all}"),
        None => format!("{kind}: {all}"),
    }
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let keys = ["listen", "workers", "max_request_size"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("MAX-REQUEST-SIZE", keys), Some("max_request_size"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("x", keys), None);
        let classes = ["research", "step_2", "b"];
        assert_eq!(slip("reserch", classes), Some("research"));
        assert_eq!(slip("Research", classes), Some("research"));
        for meant in ["research", "search", "step_1", "a"] {
            assert_eq!(slip(meant, classes), None, "{meant}");
        }
    }
}
