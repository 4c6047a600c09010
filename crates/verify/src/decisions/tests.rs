//! When a person's word counts, and when it does not.

use jiff::civil::{Date, date};

use super::{Attestation, DecisionError, Decisions, Signature, Waiver};
use crate::check::Severity;
use crate::requirement::Requirements;

const TODAY: Date = date(2030, 3, 1);

fn waiver(item: &str, until: Date) -> Waiver {
    Waiver {
        item: item.to_owned(),
        reason: "replaced next month".to_owned(),
        by: "Ada".to_owned(),
        made: TODAY,
        until,
    }
}

fn attestation(item: &str, until: Date) -> Attestation {
    Attestation {
        item: item.to_owned(),
        by: "Ada".to_owned(),
        made: TODAY,
        until,
        evidence: Some("minutes of 1 March".to_owned()),
    }
}

fn known() -> Requirements {
    Requirements::builtin().expect("the data parses")
}

#[test]
fn comes_back_from_its_file_as_it_was() {
    let known = known();
    let mut decisions = Decisions::default();
    decisions
        .attest(attestation("team.trained", date(2030, 6, 1)), &known)
        .expect("accepted");
    decisions
        .waive(waiver("cache.ttl", date(2030, 6, 1)), &known)
        .expect("accepted");
    let signature = Signature {
        role: "security".to_owned(),
        name: "Grace".to_owned(),
        made: TODAY,
        until: date(2030, 6, 1),
    };
    decisions.sign(signature, &known).expect("accepted");
    let text = decisions.render().expect("text");
    assert_eq!(Decisions::parse(&text), Ok(decisions.clone()));
    let word = decisions.word_for("signoff.security-lead", TODAY);
    assert_eq!(word.map(|(name, _, _)| name).as_deref(), Some("Grace"));
}

#[test]
fn counts_on_its_last_day_and_not_after() {
    let known = known();
    let mut decisions = Decisions::default();
    let last = date(2030, 3, 31);
    decisions
        .waive(waiver("tls.hsts", last), &known)
        .expect("accepted");
    let after = last.tomorrow().expect("a day");
    assert!(
        decisions
            .waiver_of("tls.hsts", Severity::High, last)
            .is_some()
    );
    assert!(
        decisions
            .waiver_of("tls.hsts", Severity::High, after)
            .is_none()
    );
    assert!(decisions.idle(&known, last).is_empty());
    assert_eq!(
        decisions.idle(&known, after),
        ["the waiver for tls.hsts ended on 2030-03-31"]
    );
}

#[test]
fn a_waiver_covers_the_check_of_its_name_while_it_lasts() {
    let (mut decisions, known) = (Decisions::default(), known());
    let last = date(2030, 3, 31);
    decisions
        .waive(waiver("tls.hsts", last), &known)
        .expect("accepted");
    let waived = decisions.waived_checks(&known, last);
    assert_eq!(waived.keys().collect::<Vec<_>>(), ["tls.hsts"]);
    assert!(
        waived.values().all(|words| words.contains("2030-03-31")),
        "{waived:?}"
    );
    let after = last.tomorrow().expect("a day");
    assert!(decisions.waived_checks(&known, after).is_empty());
}

#[test]
fn refuses_what_is_unknown_empty_past_or_too_long() {
    let known = known();
    let mut decisions = Decisions::default();
    let mut refuse = |w: Waiver| decisions.waive(w, &known).expect_err("refused");
    let soon = date(2030, 4, 1);
    assert!(matches!(
        refuse(waiver("no.such-thing", soon)),
        DecisionError::UnknownItem(_)
    ));
    let empty = Waiver {
        reason: " ".to_owned(),
        ..waiver("cache.ttl", soon)
    };
    assert_eq!(refuse(empty), DecisionError::Empty("the reason"));
    assert!(matches!(
        refuse(waiver("cache.ttl", date(2030, 2, 1))),
        DecisionError::Past { .. }
    ));
    let far = waiver("auth.required", date(2030, 6, 1));
    assert!(matches!(
        refuse(far),
        DecisionError::TooLong { days: 90, .. }
    ));
    assert!(decisions.waiver.is_empty());
}

#[test]
fn a_file_edited_to_hold_longer_does_not() {
    let known = known();
    let decisions = Decisions {
        waiver: vec![waiver("auth.required", date(2031, 3, 1))],
        ..Decisions::default()
    };
    assert!(
        decisions
            .waiver_of("auth.required", Severity::Critical, TODAY)
            .is_none()
    );
    assert_eq!(decisions.idle(&known, TODAY).len(), 1);
}

#[test]
fn a_malformed_file_is_an_error_and_no_pass() {
    for text in [
        "[[waiver]]\nitem = \"x\"\n",
        "[[waiver]]\nuntil = \"soon\"\n",
        "surprise = 1\n",
    ] {
        assert!(
            matches!(Decisions::parse(text), Err(DecisionError::Unreadable(_))),
            "{text}"
        );
    }
}

/// The key of Ada, for these tests alone.
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIM0vlnPBn3gVgsov7AAHnwCwXdM7M6bx6WbzHgwr0IBO
-----END PRIVATE KEY-----
";
/// Another one.
const OTHER_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOdCPksFejOQH2leS+u7cfms//9dOKU+rVGRgcfCdjgg
-----END PRIVATE KEY-----
";

#[test]
fn whoever_has_a_key_decides_with_it_or_not_at_all() {
    let known = known();
    let mut decisions = Decisions::default();
    let made = attestation("team.trained", date(2030, 6, 1));
    decisions.attest(made.clone(), &known).expect("accepted");
    decisions
        .seal("Ada", &made.statement(), KEY)
        .expect("signed");
    let text = decisions.render().expect("text");
    let read = Decisions::parse(&text).expect("the same");
    assert_eq!(read, decisions);
    assert!(read.word_for("team.trained", TODAY).is_some());
    assert_eq!(read.idle(&known, TODAY), Vec::<String>::new());
    // A day more by hand, and the word does not count.
    let changed = text.replace("until = \"2030-06-01\"", "until = \"2030-12-01\"");
    assert_ne!(changed, text);
    let changed = Decisions::parse(&changed).expect("readable");
    assert!(changed.word_for("team.trained", TODAY).is_none());
    assert!(changed.idle(&known, TODAY)[0].contains("not signed with the key of Ada"));
    // Nor does what somebody else writes in her name, without her key or with another one.
    let forged = waiver("tls.hsts", date(2030, 4, 1));
    decisions.waive(forged.clone(), &known).expect("accepted");
    assert!(
        decisions
            .waiver_of("tls.hsts", Severity::Medium, TODAY)
            .is_none()
    );
    let refused = decisions.seal("Ada", &forged.statement(), OTHER_KEY);
    assert_eq!(refused, Err(DecisionError::OtherKey("Ada".to_owned())));
    decisions
        .seal("Ada", &forged.statement(), KEY)
        .expect("signed");
    assert!(
        decisions
            .waiver_of("tls.hsts", Severity::Medium, TODAY)
            .is_some()
    );
    // Other capitals and spaces make nobody else, and who forgets the key is told.
    let disguised = Attestation {
        by: "ada ".to_owned(),
        ..made
    };
    let unsigned = Err(DecisionError::Unsigned("ada ".to_owned()));
    assert_eq!(
        decisions.must_count("ada ", &disguised.statement()),
        unsigned
    );
    assert_eq!(decisions.must_count("Bob", "x"), Ok(()));
    let sealed = decisions.seal("Ada", "x", b"no key");
    assert!(matches!(sealed, Err(DecisionError::Key(_))), "{sealed:?}");
}
