//! What a claim costs: `cargo test -p seaworthy-core --release -- --ignored --nocapture speed`.

use std::sync::Arc;
use std::time::Instant;

use seaworthy_core::budget::{self, Amount, Calendar, WindowKind};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::counters::memory::MemoryCounters;
use seaworthy_core::counters::{Close, Outcome};
use seaworthy_core::limit::caps::Caps;
use seaworthy_core::limit::policy::{
    Attributes, BudgetRule, Demand, Policy, RateRule, Scope, SlotRule, Subjects,
};
use seaworthy_core::limit::{Period, Quota, Unit};
use seaworthy_core::money::Micros;

const CALLS: usize = 200_000;
const USERS: usize = 1_000;

fn policy() -> Arc<Policy> {
    let rate = |name: &str, scope, unit| RateRule {
        name: name.into(),
        subjects: Subjects::all(scope),
        unit,
        quota: Quota::new(100_000_000_000, Period::Minute).unwrap(),
    };
    let budget = |name: &str, scope, window| BudgetRule {
        name: name.into(),
        subjects: Subjects::all(scope),
        unit: budget::Unit::Micros,
        window,
        limit: u64::MAX / 2,
        thresholds: Vec::new(),
    };
    Arc::new(Policy {
        deployment: "main".to_owned(),
        rates: vec![
            rate("per_user.requests_per_minute", Scope::User, Unit::Requests),
            rate("global.tokens_per_minute", Scope::Global, Unit::Tokens),
        ],
        slots: vec![SlotRule {
            name: "per_user".into(),
            subjects: Subjects::all(Scope::User),
            max: 1_000_000,
        }],
        budgets: vec![
            budget("per_user.day", Scope::User, WindowKind::Day),
            budget("global.month", Scope::Global, WindowKind::Month),
        ],
        caps: Caps::default(),
        operation_caps: Vec::new(),
        calendar: Calendar::named("Europe/Berlin").unwrap(),
    })
}

/// The median of the nanoseconds that one item takes, over rounds of many.
fn median_ns(mut round: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..15)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos()
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

#[test]
#[ignore = "a figure, meaningful in release only"]
fn a_claim_of_five_dimensions_is_taken_and_settled_within_a_few_microseconds() {
    let policy = policy();
    let counters = MemoryCounters::default();
    let users: Vec<String> = (0..USERS).map(|user| format!("user-{user}")).collect();
    let attributes = |index: usize| Attributes {
        user: Some(&users[index % USERS]),
        ..Attributes::default()
    };
    let bounds: Vec<_> = (0..USERS).map(|i| policy.bind(&attributes(i))).collect();
    let now = UnixMillis(1_790_000_000_000);
    let demand = Demand {
        amount: Amount {
            tokens: 900,
            cost: Micros(700),
        },
        rate_tokens: 900,
    };
    let ids: Vec<Arc<str>> = (0..CALLS).map(|i| format!("call-{i:08}").into()).collect();
    let batch = 1_000;
    let count = batch as u128;
    let binding = median_ns(|| {
        for index in 0..batch {
            std::hint::black_box(policy.bind(&attributes(index)));
        }
    });
    let building = median_ns(|| {
        for index in 0..batch {
            let id = Arc::clone(&ids[index]);
            std::hint::black_box(bounds[index % USERS].claim(id, now, now, demand));
        }
    });
    let (mut taking, mut settling) = (Vec::new(), Vec::new());
    for chunk in ids.chunks(batch) {
        let claim = |(index, id): (usize, &Arc<str>)| {
            bounds[index % USERS].claim(Arc::clone(id), now, now, demand)
        };
        let claims: Vec<_> = chunk.iter().enumerate().map(claim).collect();
        let start = Instant::now();
        for claim in claims {
            assert!(matches!(counters.take_now(claim), Outcome::Taken(_)));
        }
        taking.push(start.elapsed().as_nanos());
        let close = Close::Used {
            amount: demand.amount,
            rate_tokens: 500,
        };
        let start = Instant::now();
        for id in chunk {
            std::hint::black_box(counters.settle_now(id, now, close));
        }
        settling.push(start.elapsed().as_nanos());
    }
    taking.sort_unstable();
    settling.sort_unstable();
    let (take, settle) = (taking[taking.len() / 2], settling[settling.len() / 2]);
    println!(
        "5 dimensions, 1,000 users: bind {} ns, build {} ns, take {} ns, settle {} ns (limit 5,000 ns each)",
        binding / count,
        building / count,
        take / count,
        settle / count,
    );
    for nanos in [binding, building, take, settle] {
        assert!(nanos / count < 5_000);
    }
}
