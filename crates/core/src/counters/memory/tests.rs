//! What a claim means, statement by statement.

use super::*;
use crate::budget::Amount;
use crate::limit::Period;
use crate::money::Micros;

const START: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn at(ms: i64) -> UnixMillis {
    UnixMillis(START + ms)
}

fn today() -> Window {
    Window {
        start: at(-1_000),
        end: at(-1_000 + DAY_MS),
    }
}

fn rate(name: &str, limit: u64, cost: u64) -> RateClaim {
    RateClaim {
        key: Key::new(name),
        quota: Quota::new(limit, Period::Minute).unwrap(),
        unit: if cost == 1 {
            limit::Unit::Requests
        } else {
            limit::Unit::Tokens
        },
        cost,
    }
}

fn slot(max: u64) -> SlotClaim {
    SlotClaim {
        key: Key::new("slots"),
        max,
    }
}

fn budget(limit: u64, amount: u64) -> BudgetClaim {
    BudgetClaim {
        key: Key::new("budget"),
        window: today(),
        limit,
        unit: budget::Unit::Micros,
        amount,
    }
}

fn claim(id: &str) -> Claim {
    Claim {
        id: id.into(),
        at: at(0),
        expires_at: at(60_000),
        rates: Vec::new(),
        slots: Vec::new(),
        budgets: Vec::new(),
    }
}

fn with_budget(id: &str, limit: u64, amount: u64) -> Claim {
    Claim {
        budgets: vec![budget(limit, amount)],
        ..claim(id)
    }
}

fn used(cost: u64) -> Close {
    Close::Used {
        amount: Amount {
            tokens: 0,
            cost: Micros(cost),
        },
        rate_tokens: 0,
    }
}

fn account(counters: &MemoryCounters) -> Account {
    let key = AccountKey {
        key: Key::new("budget"),
        window: today(),
    };
    counters.snapshot_now(&[key])[0]
}

fn is_taken(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Taken(_))
}

fn reason(outcome: Outcome) -> (Reason, Option<u64>) {
    match outcome {
        Outcome::Refused(refusal, _) => (refusal.reason, refusal.retry_after_ms),
        Outcome::Taken(_) => panic!("expected a refusal"),
    }
}

#[test]
fn a_refused_claim_leaves_everything_as_it_was() {
    let counters = MemoryCounters::default();
    assert!(is_taken(&counters.take_now(with_budget("fills", 100, 100))));
    let refused = counters.take_now(Claim {
        rates: vec![rate("requests", 10, 1), rate("tokens", 1_000, 400)],
        slots: vec![slot(3)],
        budgets: vec![
            BudgetClaim {
                key: Key::new("other"),
                ..budget(100, 50)
            },
            budget(100, 1),
        ],
        ..claim("refused")
    });
    let Outcome::Refused(refusal, standings) = refused else {
        panic!("expected a refusal");
    };
    assert!(matches!(refusal.reason, Reason::Budget { index: 1, .. }));
    let remaining: Vec<_> = standings.iter().map(|s| s.remaining).collect();
    assert_eq!(remaining, [10, 1_000]);
    assert_eq!(counters.running(&Key::new("slots")), 0);
    let other = AccountKey {
        key: Key::new("other"),
        window: today(),
    };
    assert_eq!(counters.snapshot_now(&[other]), [Account::default()]);
    assert_eq!(counters.open_claims(), 1);
}

#[test]
fn the_reason_that_lasts_longest_is_named() {
    let counters = MemoryCounters::default();
    let everything = |id: &str| Claim {
        rates: vec![rate("requests", 1, 1)],
        slots: vec![slot(1)],
        budgets: vec![budget(100, 60)],
        ..claim(id)
    };
    assert!(is_taken(&counters.take_now(everything("first"))));
    let (why, wait) = reason(counters.take_now(everything("second")));
    assert_eq!((why, wait), (Reason::Rate(0), Some(60_000)));
    counters.settle_now("first", at(0), used(60));
    let (why, wait) = reason(counters.take_now(everything("third")));
    assert_eq!(
        why,
        Reason::Budget {
            index: 0,
            refusal: budget::Refusal::Exhausted,
            remaining: 40
        }
    );
    assert_eq!(wait, Some(u64::try_from(DAY_MS - 1_000).unwrap()));
    let never = counters.take_now(with_budget("never", 100, 101));
    assert_eq!(reason(never).1, None);
}

#[test]
fn money_that_is_held_may_come_back_soon() {
    let counters = MemoryCounters::default();
    counters.take_now(with_budget("holds", 100, 60));
    let (_, wait) = reason(counters.take_now(with_budget("waits", 100, 60)));
    assert_eq!(wait, Some(HELD_RETRY_MS));
    counters.settle_now("holds", at(5), used(10));
    assert!(is_taken(&counters.take_now(with_budget("waits", 100, 60))));
}

#[test]
fn a_first_claim_is_no_exception() {
    let counters = MemoryCounters::default();
    let outcome = counters.take_now(with_budget("first", 10, 11));
    assert!(!is_taken(&outcome));
    assert_eq!(account(&counters), Account::default());
}

#[test]
fn claiming_again_takes_nothing_more() {
    let counters = MemoryCounters::default();
    for _ in 0..3 {
        assert!(is_taken(&counters.take_now(with_budget("same", 100, 60))));
    }
    assert_eq!(account(&counters).reserved, 60);
}

#[test]
fn closing_again_changes_nothing() {
    let counters = MemoryCounters::default();
    counters.take_now(with_budget("call", 100, 60));
    let Settled::Closed(changes) = counters.settle_now("call", at(5), used(20)) else {
        panic!("expected the claim to be closed");
    };
    assert_eq!((changes[0].spent_before, changes[0].account.spent), (0, 20));
    for close in [used(20), Close::Reserved, Close::Unused] {
        let again = counters.settle_now("call", at(9), close);
        assert_eq!(again, Settled::Unknown);
    }
    let expected = Account {
        limit: 100,
        spent: 20,
        reserved: 0,
    };
    assert_eq!(account(&counters), expected);
}

#[test]
fn a_settlement_may_exceed_its_reservation() {
    let counters = MemoryCounters::default();
    counters.take_now(with_budget("call", 100, 60));
    counters.settle_now("call", at(5), used(130));
    assert_eq!(account(&counters).overdraft(), 30);
    assert!(!is_taken(&counters.take_now(with_budget("next", 100, 1))));
}

#[test]
fn unused_comes_back_and_unknown_is_charged() {
    let counters = MemoryCounters::default();
    counters.take_now(with_budget("unused", 100, 30));
    counters.take_now(with_budget("unknown", 100, 40));
    counters.settle_now("unused", at(5), Close::Unused);
    counters.settle_now("unknown", at(5), Close::Reserved);
    assert_eq!(
        (account(&counters).spent, account(&counters).reserved),
        (40, 0)
    );
}

#[test]
fn a_reservation_is_settled_in_the_window_that_it_was_taken_from() {
    let counters = MemoryCounters::default();
    counters.take_now(with_budget("late", 100, 60));
    let Settled::Closed(changes) = counters.settle_now("late", at(2 * DAY_MS), used(50)) else {
        panic!("expected the claim to be closed");
    };
    assert_eq!(changes[0].window, today());
    assert_eq!(account(&counters).spent, 50);
}

#[test]
fn slots_are_free_again_when_a_call_ends_however_it_ends() {
    let counters = MemoryCounters::default();
    let running = |id: &str| Claim {
        slots: vec![slot(2)],
        ..claim(id)
    };
    for close in [used(1), Close::Unused, Close::Reserved] {
        assert!(is_taken(&counters.take_now(running("a"))));
        assert!(is_taken(&counters.take_now(running("b"))));
        let (why, wait) = reason(counters.take_now(running("c")));
        assert_eq!((why, wait), (Reason::Slot(0), Some(HELD_RETRY_MS)));
        counters.settle_now("a", at(1), close);
        counters.settle_now("b", at(1), close);
    }
    assert_eq!(counters.running(&Key::new("slots")), 0);
}

#[test]
fn tokens_a_minute_are_corrected_and_requests_are_not() {
    let counters = MemoryCounters::default();
    let call = |id: &str| Claim {
        rates: vec![rate("requests", 10, 1), rate("tokens", 1_000, 900)],
        ..claim(id)
    };
    assert!(is_taken(&counters.take_now(call("a"))));
    assert_eq!(reason(counters.take_now(call("b"))).0, Reason::Rate(1));
    let close = Close::Used {
        amount: Amount::default(),
        rate_tokens: 100,
    };
    counters.settle_now("a", at(0), close);
    let Outcome::Taken(standings) = counters.take_now(call("b")) else {
        panic!("expected room for 900 tokens");
    };
    let remaining: Vec<_> = standings.iter().map(|s| s.remaining).collect();
    assert_eq!(remaining, [8, 0]);
}

#[test]
fn expired_claims_hold_what_they_took_until_somebody_settles_them() {
    let counters = MemoryCounters::default();
    for (id, expires) in [("late", 900), ("early", 300), ("renewed", 400)] {
        counters.take_now(Claim {
            expires_at: at(expires),
            ..with_budget(id, 100, 10)
        });
    }
    counters.renew_now(&["renewed".into(), "stranger".into()], at(5_000));
    let ids = |now, max| {
        let ids = counters.overdue_now(at(now), max);
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ids(299, 9), Vec::<String>::new());
    assert_eq!(ids(1_000, 9), ["early", "late"]);
    assert_eq!(ids(1_000, 1), ["early"]);
    assert_eq!(account(&counters).reserved, 30);
    counters.settle_now("early", at(1_000), Close::Unused);
    assert_eq!(ids(1_000, 9), ["late"]);
    assert_eq!(account(&counters).reserved, 20);
    assert_eq!(ids(5_000, 9), ["late", "renewed"]);
}

#[test]
fn the_ledger_raises_what_is_known_and_lowers_nothing() {
    let counters = MemoryCounters::default();
    let here = AccountKey {
        key: Key::new("budget"),
        window: today(),
    };
    for spent in [70, 30, 70] {
        counters.restore_now(&[(here.clone(), spent)]);
        assert_eq!(account(&counters).spent, 70);
    }
    assert!(!is_taken(&counters.take_now(with_budget("x", 100, 31))));
    assert!(is_taken(&counters.take_now(with_budget("y", 100, 30))));
}

#[test]
fn two_hundred_at_once_spend_no_more_than_the_budget_for_twenty() {
    let counters = MemoryCounters::default();
    let taken = std::sync::atomic::AtomicU64::new(0);
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (counters, taken, barrier) = (&counters, &taken, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for call in 0..25 {
                    let id = format!("{thread}-{call}");
                    if is_taken(&counters.take_now(with_budget(&id, 2_000, 100))) {
                        taken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        counters.settle_now(&id, at(1), Close::Reserved);
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 20);
    assert_eq!(account(&counters).spent, 2_000);
}

#[test]
fn what_has_no_influence_any_more_is_forgotten() {
    let counters = MemoryCounters::default();
    let visitor = |number: usize, now: i64| Claim {
        at: at(now),
        rates: vec![rate(&format!("rate-{number}"), 10, 1)],
        budgets: vec![BudgetClaim {
            key: Key::new(&format!("budget-{number}")),
            ..budget(100, 10)
        }],
        ..claim(&format!("call-{number}"))
    };
    for number in 0..2 * FEW {
        counters.take_now(visitor(number, 0));
        counters.settle_now(&format!("call-{number}"), at(0), used(10));
    }
    counters.take_now(visitor(2 * FEW, 0));
    for number in 3 * FEW..3 * FEW + 20 {
        counters.take_now(visitor(number, 3 * DAY_MS));
    }
    let state = counters.0.lock();
    let held = format!("budget-{}", 2 * FEW);
    let is_held = |(key, _): &(Key, UnixMillis)| key.as_str() == held;
    assert!(
        state.accounts.keys().any(is_held),
        "it is still reserved from"
    );
    assert!(state.buckets.len() <= 20 && state.accounts.len() <= 21);
}

#[test]
fn the_trait_and_the_fast_path_are_the_same_counters() {
    let counters: &dyn Counters = &MemoryCounters::default();
    counters
        .local()
        .unwrap()
        .take_now(with_budget("call", 100, 60));
    let settled = counters.settle("call", at(1), used(5));
    let settled = poll_once(settled).unwrap();
    assert!(matches!(settled, Settled::Closed(_)));
}

/// The value of a future that is ready at once.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("expected an answer at once"),
    }
}
