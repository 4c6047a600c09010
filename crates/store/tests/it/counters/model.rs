//! Random interleavings of claims, settlements, expiries, renewals, restarts and clocks: Redis
//! answers as memory does, and in every account `limit + overdraft = remaining + reserved + spent`.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use seaworthy_core::budget::{self, Amount, Window};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::counters::{
    AccountKey, BudgetClaim, Claim, Close, Counters, Key, RateClaim, SlotClaim,
};
use seaworthy_core::limit::{Period, Quota, Unit};
use seaworthy_core::money::Micros;
use seaworthy_test_servers::Redis;

const START: i64 = 1_800_000_000_000;
const WINDOW_MS: i64 = 10_000;

/// Few names and small numbers, so that claims meet.
#[derive(Debug, Clone)]
enum Step {
    Take {
        id: u8,
        rates: Vec<(u8, u64)>,
        slots: Vec<u8>,
        budgets: Vec<(u8, u64)>,
        lives_ms: i64,
    },
    Settle(u8, Close),
    Renew(u8, i64),
    /// Settles what is overdue, as a survivor does.
    Reap(Close),
    /// Lets time pass, or sets the clock back.
    Pass(i64),
}

fn window(at: i64) -> Window {
    let start = at - at.rem_euclid(WINDOW_MS);
    Window {
        start: UnixMillis(start),
        end: UnixMillis(start + WINDOW_MS),
    }
}

fn quota(number: u8) -> (Quota, Unit) {
    match number {
        0 => (Quota::new(3, Period::Second).unwrap(), Unit::Requests),
        1 => (
            Quota::with_burst(60, Period::Minute, 7).unwrap(),
            Unit::Tokens,
        ),
        _ => (
            Quota::with_burst(7, Period::Second, 40).unwrap(),
            Unit::Tokens,
        ),
    }
}

fn claim(step: &Step, at: i64) -> Option<Claim> {
    let Step::Take {
        id,
        rates,
        slots,
        budgets,
        lives_ms,
    } = step
    else {
        return None;
    };
    let rate = |(number, cost): &(u8, u64)| {
        let (quota, unit) = quota(*number);
        let cost = if unit == Unit::Requests { 1 } else { *cost };
        RateClaim {
            key: Key::new(&format!("sw:{{m}}:rate:{number}:all")),
            quota,
            unit,
            cost,
        }
    };
    let slot = |number: &u8| SlotClaim {
        key: Key::new(&format!("sw:{{m}}:slot:{number}:all")),
        max: u64::from(*number) * 2,
    };
    let budget = |(number, amount): &(u8, u64)| BudgetClaim {
        key: Key::new(&format!("sw:{{m}}:budget:{number}:all")),
        window: if *number == 2 {
            Window::TOTAL
        } else {
            window(at)
        },
        limit: 50,
        unit: if *number == 0 {
            budget::Unit::Tokens
        } else {
            budget::Unit::Micros
        },
        amount: *amount,
    };
    Some(Claim {
        id: Arc::from(format!("call {id}")),
        at: UnixMillis(at),
        expires_at: UnixMillis(at + lives_ms),
        rates: rates.iter().map(rate).collect(),
        slots: slots.iter().map(slot).collect(),
        budgets: budgets.iter().map(budget).collect(),
    })
}

/// Everything that a caller sees of a step.
async fn observe(counters: &dyn Counters, step: &Step, at: i64) -> String {
    let now = UnixMillis(at);
    match step {
        Step::Take { .. } => match claim(step, at) {
            Some(claim) => format!("{:?}", counters.take(claim).await.unwrap()),
            None => String::new(),
        },
        Step::Settle(id, close) => {
            let id = format!("call {id}");
            format!("{:?}", counters.settle(&id, now, *close).await.unwrap())
        }
        Step::Renew(id, lives_ms) => {
            let ids = [Arc::from(format!("call {id}"))];
            let expires_at = UnixMillis(at + lives_ms);
            counters.renew(&ids, expires_at).await.unwrap();
            String::new()
        }
        Step::Reap(close) => {
            let ids = counters.overdue(now, 3).await.unwrap();
            let mut seen = format!("{ids:?}");
            for id in ids {
                seen += &format!("{:?}", counters.settle(&id, now, *close).await.unwrap());
            }
            seen
        }
        Step::Pass(_) => String::new(),
    }
}

async fn compare(redis: &Redis, number: u32, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let model = MemoryCounters::default();
    let deployment = format!("m{number}");
    let _flushed = redis.command(&["FLUSHALL"]);
    let mut shared = super::on(redis, &deployment);
    model.restore(&[]).await.unwrap();
    shared.restore(&[]).await.unwrap();
    let mut at = START;
    for (index, step) in steps.iter().enumerate() {
        if let Step::Pass(millis) = step {
            at += millis;
        }
        if index % 7 == 6 {
            // A replica dies and another one goes on.
            shared = super::on(redis, &deployment);
            shared.restore(&[]).await.unwrap();
        }
        let expected = observe(&model, step, at).await;
        let found = observe(&shared, step, at).await;
        prop_assert_eq!(&found, &expected, "at {} after {:?}", at, step);
        let windows = [window(at), window(at - WINDOW_MS), Window::TOTAL];
        let accounts = (0..3_u8).flat_map(|number| {
            let key = Key::new(&format!("sw:{{m}}:budget:{number}:all"));
            windows.map(|window| AccountKey {
                key: key.clone(),
                window,
            })
        });
        let accounts: Vec<_> = accounts.collect();
        let expected = model.snapshot(&accounts).await.unwrap();
        let found = shared.snapshot(&accounts).await.unwrap();
        prop_assert_eq!(&found, &expected, "at {} after {:?}", at, step);
        for account in found {
            prop_assert_eq!(
                account.limit + account.overdraft(),
                account.remaining() + account.reserved + account.spent
            );
        }
    }
    Ok(())
}

/// How many interleavings are tried: `SEAWORTHY_TEST_CASES` for more.
fn cases(default: u32) -> u32 {
    let asked = std::env::var("SEAWORTHY_TEST_CASES").ok();
    asked
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}

#[test]
fn redis_answers_as_memory_does() {
    let redis = Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut config = ProptestConfig::with_cases(cases(150));
    config.failure_persistence = None;
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let number = std::cell::Cell::new(0);
    let ran = runner.run(&vec(step(), 1..60), |steps| {
        number.set(number.get() + 1);
        runtime.block_on(compare(&redis, number.get(), steps))
    });
    ran.unwrap();
}

fn step() -> impl Strategy<Value = Step> {
    let few = |most: u8| {
        proptest::sample::subsequence((0..3_u8).collect::<Vec<_>>(), 0..=usize::from(most))
    };
    let take = (
        0..8_u8,
        few(2),
        few(1),
        few(3),
        vec(0..30_u64, 3),
        0..4_000_i64,
    );
    prop_oneof![
        6 => take.prop_map(|(id, rates, slots, budgets, amounts, lives_ms)| {
            let with = |names: Vec<u8>| {
                let amount = |name: u8| (name, amounts[usize::from(name)]);
                names.into_iter().map(amount).collect()
            };
            Step::Take { id, rates: with(rates), slots, budgets: with(budgets), lives_ms }
        }),
        4 => (0..8_u8, close()).prop_map(|(id, close)| Step::Settle(id, close)),
        1 => (0..8_u8, 0..4_000_i64).prop_map(|(id, lives_ms)| Step::Renew(id, lives_ms)),
        1 => close().prop_map(Step::Reap),
        3 => (0..3_000_i64).prop_map(Step::Pass),
        1 => (-8_000..0_i64).prop_map(Step::Pass),
    ]
}

fn close() -> impl Strategy<Value = Close> {
    prop_oneof![
        4 => (0..40_u64, 0..40_u64).prop_map(|(tokens, micros)| Close::Used {
            amount: Amount { tokens, cost: Micros(micros) },
            rate_tokens: tokens,
        }),
        1 => Just(Close::Unused),
        1 => Just(Close::Reserved),
    ]
}
