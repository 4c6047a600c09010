//! How directives are written, ranked and refused.

use super::*;

#[test]
fn later_directives_win_and_values_are_percent_decoded() {
    let mut directives: Directives = "status=429, retry_after=2".parse().unwrap();
    directives.apply("status=503,text=a%2Cb,hang").unwrap();
    assert_eq!(directives.status, Some(503));
    assert_eq!(directives.retry_after, Some(2));
    assert_eq!(directives.text.as_deref(), Some("a,b"));
    assert!(directives.hang);
}

#[test]
fn markers_are_found_anywhere_in_a_text_and_can_be_taken_out() {
    let text = "hello [[fake:chunks=3]] there [[fake:chunks=5,latency_ms=1]]";
    let mut directives = Directives::default();
    directives.apply_text(text).unwrap();
    assert_eq!((directives.chunks, directives.latency_ms), (Some(5), 1));
    assert_eq!(without_markers(text), "hello  there");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let error = Directives::default().apply("stall_after=1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown directive `stall_after`; did you mean `stall_after_tokens`?"
    );
}

#[test]
fn a_value_that_does_not_fit_says_what_was_expected() {
    let error = Directives::default()
        .apply("usage=sometimes")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`late`") && error.contains("`sometimes`"),
        "{error}"
    );
    let error = Directives::default()
        .apply("status=200")
        .unwrap_err()
        .to_string();
    assert!(error.contains("400 to 599"), "{error}");
}

#[test]
fn every_listed_key_can_be_set() {
    for (key, _) in KEYS {
        let fits = ["1", "true", "429", "reset", "text", "exact"];
        let taken = fits
            .iter()
            .any(|value| Directives::default().set(key, value).is_ok());
        assert!(taken, "{key} takes none of {fits:?}");
    }
}
