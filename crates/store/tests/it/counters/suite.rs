//! What all counters do, one statement per function.

use std::sync::Arc;

use seaworthy_core::budget::{self, Account, Amount, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::counters::{
    AccountKey, BudgetClaim, Claim, Close, Counters, Key, Outcome, RateClaim, Reason, Settled,
    SlotClaim,
};
use seaworthy_core::limit::{Period, Quota, Standing, Unit};
use seaworthy_core::money::Micros;
use seaworthy_test_servers::Redis;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const HOUR: Window = Window {
    start: UnixMillis(NOW.0 - 600_000),
    end: UnixMillis(NOW.0 + 3_000_000),
};

macro_rules! statements {
    ($($statement:ident),+ $(,)?) => {
        /// Each statement with fresh counters: Redis keeps them apart by the deployment.
        #[tokio::test]
        async fn memory_keeps_the_contract() {
            $(
                let counters = MemoryCounters::default();
                counters.restore(&[]).await.unwrap();
                $statement(&counters).await;
            )+
        }

        #[tokio::test]
        async fn redis_keeps_the_contract() {
            let redis = Redis::start();
            $(
                let _flushed = redis.command(&["FLUSHALL"]);
                let counters = super::on(&redis, stringify!($statement));
                counters.restore(&[]).await.unwrap();
                $statement(&counters).await;
            )+
        }
    };
}

statements!(
    a_claim_takes_all_or_nothing,
    a_claim_is_made_once,
    a_bucket_refuses_for_as_long_as_it_says,
    tokens_that_were_not_used_come_back,
    slots_are_free_when_their_calls_end,
    a_budget_is_spent_and_never_exceeded,
    of_several_reasons_the_one_that_lasts_longest_is_told,
    what_never_fits_is_said_to_never_fit,
    what_is_held_may_come_back,
    a_claim_is_settled_once,
    an_unknown_claim_is_unknown,
    a_late_settlement_goes_to_the_window_it_was_taken_from,
    claims_that_nobody_renews_are_overdue,
    what_the_ledger_knows_is_restored,
    absurd_amounts_do_not_pass_and_do_no_harm,
    of_two_hundred_at_once_twenty_pass,
);

pub(crate) fn claim(id: &str) -> Claim {
    Claim {
        id: Arc::from(id),
        at: NOW,
        expires_at: UnixMillis(NOW.0 + 60_000),
        rates: Vec::new(),
        slots: Vec::new(),
        budgets: Vec::new(),
    }
}

fn rate(limit: u64, unit: Unit, cost: u64) -> RateClaim {
    RateClaim {
        key: Key::new("sw:{x}:rate:r:all"),
        quota: Quota::new(limit, Period::Minute).unwrap(),
        unit,
        cost,
    }
}

fn slot(max: u64) -> SlotClaim {
    SlotClaim {
        key: Key::new("sw:{x}:slot:s:all"),
        max,
    }
}

pub(crate) fn budget(limit: u64, amount: u64) -> BudgetClaim {
    BudgetClaim {
        key: Key::new("sw:{x}:budget:b:all"),
        window: HOUR,
        limit,
        unit: budget::Unit::Micros,
        amount,
    }
}

pub(crate) fn used(micros: u64) -> Close {
    Close::Used {
        amount: Amount {
            tokens: 0,
            cost: Micros(micros),
        },
        rate_tokens: micros,
    }
}

async fn account(counters: &dyn Counters) -> Account {
    let key = budget(0, 0).key;
    let at = AccountKey { key, window: HOUR };
    counters.snapshot(&[at]).await.unwrap()[0]
}

async fn is_taken(counters: &dyn Counters, claim: Claim) -> bool {
    matches!(counters.take(claim).await.unwrap(), Outcome::Taken(_))
}

async fn reason(counters: &dyn Counters, claim: Claim) -> (Reason, Option<u64>) {
    match counters.take(claim).await.unwrap() {
        Outcome::Refused(refusal, _) => (refusal.reason, refusal.retry_after_ms),
        Outcome::Taken(_) => panic!("expected a refusal"),
    }
}

async fn a_claim_takes_all_or_nothing(counters: &dyn Counters) {
    let full = Claim {
        rates: vec![rate(10, Unit::Requests, 1)],
        slots: vec![slot(10)],
        budgets: vec![budget(100, 101)],
        ..claim("1")
    };
    let (found, _) = reason(counters, full.clone()).await;
    assert!(
        matches!(found, Reason::Budget { index: 0, .. }),
        "{found:?}"
    );
    assert_eq!(account(counters).await.reserved, 0);
    let fits = Claim {
        budgets: vec![budget(100, 100)],
        ..full
    };
    let Outcome::Taken(standings) = counters.take(fits).await.unwrap() else {
        panic!("it fits");
    };
    let expected = Standing {
        remaining: 9,
        reset_ms: 6_000,
    };
    assert_eq!(standings, [expected]);
}

async fn a_claim_is_made_once(counters: &dyn Counters) {
    let claim = Claim {
        slots: vec![slot(1)],
        budgets: vec![budget(100, 60)],
        ..claim("1")
    };
    assert!(is_taken(counters, claim.clone()).await);
    assert!(is_taken(counters, claim).await);
    assert_eq!(account(counters).await.reserved, 60);
}

async fn a_bucket_refuses_for_as_long_as_it_says(counters: &dyn Counters) {
    let at = |id: &str, at: UnixMillis| Claim {
        at,
        rates: vec![rate(2, Unit::Requests, 1)],
        ..claim(id)
    };
    assert!(is_taken(counters, at("1", NOW)).await);
    assert!(is_taken(counters, at("2", NOW)).await);
    let (found, wait) = reason(counters, at("3", NOW)).await;
    assert_eq!((found, wait), (Reason::Rate(0), Some(30_000)));
    let early = UnixMillis(NOW.0 + 29_999);
    assert_eq!(reason(counters, at("3", early)).await.1, Some(1));
    assert!(is_taken(counters, at("3", UnixMillis(NOW.0 + 30_000))).await);
}

async fn tokens_that_were_not_used_come_back(counters: &dyn Counters) {
    let of = |id: &str, cost| Claim {
        rates: vec![rate(100, Unit::Tokens, cost)],
        ..claim(id)
    };
    assert!(is_taken(counters, of("1", 100)).await);
    assert!(!is_taken(counters, of("2", 1)).await);
    counters.settle("1", NOW, used(40)).await.unwrap();
    assert!(!is_taken(counters, of("2", 61)).await);
    assert!(is_taken(counters, of("2", 60)).await);
    counters.settle("2", NOW, Close::Reserved).await.unwrap();
    assert!(!is_taken(counters, of("3", 1)).await);
}

async fn slots_are_free_when_their_calls_end(counters: &dyn Counters) {
    let of = |id: &str| Claim {
        slots: vec![slot(1)],
        ..claim(id)
    };
    assert!(is_taken(counters, of("1")).await);
    assert_eq!(
        reason(counters, of("2")).await,
        (Reason::Slot(0), Some(1_000))
    );
    counters.settle("1", NOW, Close::Unused).await.unwrap();
    assert!(is_taken(counters, of("2")).await);
}

async fn a_budget_is_spent_and_never_exceeded(counters: &dyn Counters) {
    let of = |id: &str, amount| Claim {
        budgets: vec![budget(100, amount)],
        ..claim(id)
    };
    assert!(is_taken(counters, of("1", 70)).await);
    let Settled::Closed(changes) = counters.settle("1", NOW, used(30)).await.unwrap() else {
        panic!("it was open");
    };
    let expected = Account {
        limit: 100,
        spent: 30,
        reserved: 0,
    };
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].key, budget(0, 0).key);
    assert_eq!(changes[0].window, HOUR);
    assert_eq!((changes[0].spent_before, changes[0].account), (0, expected));
    assert!(is_taken(counters, of("2", 70)).await);
    assert!(!is_taken(counters, of("3", 1)).await);
    counters.settle("2", NOW, Close::Reserved).await.unwrap();
    let (found, wait) = reason(counters, of("3", 1)).await;
    let expected = Reason::Budget {
        index: 0,
        refusal: budget::Refusal::Exhausted,
        remaining: 0,
    };
    assert_eq!((found, wait), (expected, Some(3_000_000)));
}

async fn of_several_reasons_the_one_that_lasts_longest_is_told(counters: &dyn Counters) {
    let all = |id: &str, amount| Claim {
        rates: vec![rate(1, Unit::Requests, 1)],
        slots: vec![slot(1)],
        budgets: vec![budget(100, amount)],
        ..claim(id)
    };
    assert!(is_taken(counters, all("1", 50)).await);
    assert_eq!(
        reason(counters, all("2", 10)).await,
        (Reason::Rate(0), Some(60_000))
    );
    counters.settle("1", NOW, used(95)).await.unwrap();
    let (found, _) = reason(counters, all("2", 10)).await;
    assert!(
        matches!(found, Reason::Budget { remaining: 5, .. }),
        "{found:?}"
    );
}

async fn what_never_fits_is_said_to_never_fit(counters: &dyn Counters) {
    let much = Claim {
        budgets: vec![budget(100, 101)],
        ..claim("1")
    };
    let (found, wait) = reason(counters, much).await;
    let expected = Reason::Budget {
        index: 0,
        refusal: budget::Refusal::NeverFits,
        remaining: 100,
    };
    assert_eq!((found, wait), (expected, None));
    let much = Claim {
        rates: vec![rate(100, Unit::Tokens, 101)],
        ..claim("1")
    };
    assert_eq!(reason(counters, much).await, (Reason::Rate(0), None));
}

async fn what_is_held_may_come_back(counters: &dyn Counters) {
    let of = |id: &str, amount| Claim {
        budgets: vec![budget(100, amount)],
        ..claim(id)
    };
    assert!(is_taken(counters, of("1", 90)).await);
    let (found, wait) = reason(counters, of("2", 20)).await;
    let expected = Reason::Budget {
        index: 0,
        refusal: budget::Refusal::Held,
        remaining: 10,
    };
    assert_eq!((found, wait), (expected, Some(1_000)));
}

async fn a_claim_is_settled_once(counters: &dyn Counters) {
    let one = Claim {
        budgets: vec![budget(100, 50)],
        ..claim("1")
    };
    assert!(is_taken(counters, one).await);
    counters.settle("1", NOW, used(20)).await.unwrap();
    let again = counters.settle("1", NOW, used(50)).await.unwrap();
    assert_eq!(again, Settled::Unknown);
    assert_eq!(account(counters).await.spent, 20);
}

async fn an_unknown_claim_is_unknown(counters: &dyn Counters) {
    let settled = counters.settle("1", NOW, used(20)).await.unwrap();
    assert_eq!(settled, Settled::Unknown);
    assert_eq!(account(counters).await, Account::default());
}

async fn a_late_settlement_goes_to_the_window_it_was_taken_from(counters: &dyn Counters) {
    let one = Claim {
        budgets: vec![budget(100, 50)],
        ..claim("1")
    };
    assert!(is_taken(counters, one).await);
    let late = UnixMillis(HOUR.end.0 + 1);
    counters.settle("1", late, used(20)).await.unwrap();
    assert_eq!(account(counters).await.spent, 20);
}

async fn claims_that_nobody_renews_are_overdue(counters: &dyn Counters) {
    for (id, lives_ms) in [("b", 20), ("a", 10), ("c", 30)] {
        let expires_at = UnixMillis(NOW.0 + lives_ms);
        let slots = vec![slot(10)];
        let claim = Claim {
            expires_at,
            slots,
            ..claim(id)
        };
        assert!(is_taken(counters, claim).await);
    }
    let overdue = |at: i64, max| counters.overdue(UnixMillis(NOW.0 + at), max);
    assert!(overdue(9, 9).await.unwrap().is_empty());
    assert_eq!(
        overdue(20, 9).await.unwrap(),
        [Arc::from("a"), Arc::from("b")]
    );
    assert_eq!(overdue(20, 1).await.unwrap(), [Arc::from("a")]);
    let (a, nobody): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("nobody"));
    // The second one was told first and arrives late.
    for lives_ms in [40, 25] {
        let ends = UnixMillis(NOW.0 + lives_ms);
        let ids = [Arc::clone(&a), Arc::clone(&nobody)];
        counters.renew(&ids, ends).await.unwrap();
    }
    counters.settle("b", NOW, Close::Unused).await.unwrap();
    assert_eq!(
        overdue(50, 9).await.unwrap(),
        [Arc::from("c"), Arc::from("a")]
    );
}

async fn what_the_ledger_knows_is_restored(counters: &dyn Counters) {
    let key = budget(0, 0).key;
    let at = AccountKey { key, window: HOUR };
    counters.restore(&[(at.clone(), 60)]).await.unwrap();
    counters.restore(&[(at, 60)]).await.unwrap();
    assert_eq!(account(counters).await.spent, 60);
    let of = |amount| Claim {
        budgets: vec![budget(100, amount)],
        ..claim("1")
    };
    assert!(!is_taken(counters, of(41)).await);
    assert!(is_taken(counters, of(40)).await);
}

async fn absurd_amounts_do_not_pass_and_do_no_harm(counters: &dyn Counters) {
    let absurd = |id: &str| Claim {
        rates: vec![rate(Quota::largest(Period::Minute), Unit::Tokens, u64::MAX)],
        ..claim(id)
    };
    assert!(!is_taken(counters, absurd("1")).await);
    let absurd = |id: &str| Claim {
        budgets: vec![budget(100, u64::MAX)],
        ..claim(id)
    };
    assert!(!is_taken(counters, absurd("1")).await);
    let one = Claim {
        budgets: vec![budget(100, 50)],
        ..claim("1")
    };
    assert!(is_taken(counters, one.clone()).await);
    counters.settle("1", NOW, used(u64::MAX)).await.unwrap();
    let more = Claim {
        id: Arc::from("2"),
        ..one
    };
    assert!(!is_taken(counters, more).await);
}

async fn of_two_hundred_at_once_twenty_pass(counters: &dyn Counters) {
    let calls = (0..200).map(|call| {
        let claim = Claim {
            budgets: vec![budget(200, 10)],
            ..claim(&call.to_string())
        };
        is_taken(counters, claim)
    });
    let mut taken = 0;
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    for passed in join_all(&mut calls).await {
        taken += usize::from(passed);
    }
    assert_eq!(taken, 20);
    assert_eq!(account(counters).await.reserved, 200);
}

/// Polls all of them until all are done.
async fn join_all<F: Future + Unpin>(futures: &mut [F]) -> Vec<F::Output> {
    let mut answers: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in futures.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(found) = std::pin::Pin::new(future).poll(context)
            {
                *answer = Some(found);
            }
        }
        match answers.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
