//! The bookkeeping of shares, without a server.

use super::super::testing::{self, holding, touched, used};
use super::*;

fn claim(amount: u64) -> Claim {
    testing::claim("1", ("b", amount))
}

#[test]
fn no_more_is_spent_than_was_set_aside() {
    let mut shares = holding(25);
    assert!(shares.take(&claim(10)));
    assert!(shares.take(&claim(10)));
    assert!(!shares.take(&claim(10)));
    shares.put_back(&claim(10), used(4));
    assert!(shares.take(&claim(11)));
    assert!(!shares.take(&claim(1)));
}

#[test]
fn what_is_too_much_is_let_go_before_the_server_hears_of_it() {
    let mut shares = holding(250);
    // A fourth of what is left is less by now.
    let question = shares.question(&touched(600, false), 3).unwrap();
    assert_eq!(question.accounts[0].held, 100);
    assert!(!shares.take(&claim(101)));
    // An answer that comes late gives nothing that was spent in the meantime.
    assert!(shares.take(&claim(60)));
    shares.granted(&question, &[100]);
    assert!(!shares.take(&claim(41)));
}

#[test]
fn what_somebody_needs_or_is_of_no_use_is_given_back() {
    let mut shares = holding(250);
    let question = shares.question(&touched(0, true), 3).unwrap();
    assert_eq!(question.accounts[0].held, 0);
    let mut shares = holding(250);
    // A fourth of 36 is less than a call.
    let question = shares.question(&touched(964, false), 3).unwrap();
    assert_eq!(question.accounts[0].held, 0);
}

#[test]
fn nothing_is_left_once_it_has_ended() {
    let mut shares = holding(250);
    shares.allow(Some(Instant::now() + Duration::from_secs(60)));
    assert!(shares.may_be_spent());
    let late = shares.question(&touched(0, false), 3).unwrap();
    assert!(shares.take(&claim(10)));
    assert_eq!(shares.end().as_deref(), Some("me"));
    assert!(!shares.may_be_spent());
    shares.put_back(&claim(10), Close::Unused);
    shares.granted(&late, &[250]);
    shares.begin("me again".to_owned());
    shares.granted(&late, &[250]);
    assert!(!shares.take(&claim(1)));
}

#[test]
fn an_account_that_is_named_twice_is_asked_about_once() {
    let mut shares = holding(0);
    let [one] = touched(0, false);
    let [other] = touched(0, false);
    let question = shares.question(&[one, other], 3).unwrap();
    assert_eq!(question.accounts.len(), 1);
}

#[test]
fn a_name_is_given_up_once_the_server_knows_what_was_spent_under_it() {
    let mut shares = holding(100);
    shares.allow(Some(Instant::now() + Duration::from_secs(60)));
    assert!(shares.may_be_spent() && shares.take(&claim(40)));
    // A call is on its way that the server has not heard of.
    assert_eq!(shares.let_go(false), None);
    assert_eq!(shares.holder(), Some("me"), "it is told of under this name");
    assert!(!shares.may_be_spent() && !shares.take(&claim(1)));
    shares.allow(Some(Instant::now() + Duration::from_secs(60)));
    assert!(!shares.may_be_spent(), "whatever the registry says");
    shares.put_back(&claim(40), used(10));
    assert!(!shares.take(&claim(1)), "nothing comes back to it");
    assert!(shares.question(&touched(0, false), 3).is_none());
    assert_eq!(shares.go_on_letting_go(false), None);
    assert_eq!(shares.go_on_letting_go(true).as_deref(), Some("me"));
    assert_eq!(shares.go_on_letting_go(true), None);
    shares.begin("me again".to_owned());
    assert!(shares.question(&touched(0, false), 3).is_some());
}

#[test]
fn what_nothing_was_spent_of_is_let_go_of_at_once() {
    let mut shares = holding(100);
    assert_eq!(
        shares.go_on_letting_go(true),
        None,
        "nobody wants it to end"
    );
    assert_eq!(shares.let_go(true).as_deref(), Some("me"));
    assert_eq!(shares.let_go(false), None);
}
