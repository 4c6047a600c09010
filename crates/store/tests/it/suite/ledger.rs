//! What every ledger does.

use std::sync::Arc;

use seaworthy_core::budget::Amount;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{Attribution, Flags, GroupBy, Only, Outcome, Settlement, UsageTotal};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::store::{Fate, Stores, UsageQuery};
use seaworthy_core::usage::Usage;

use crate::fixtures::{BY_USER, settlement};

pub(crate) async fn nothing_settled_sums_to_nothing(stores: &Stores) {
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap(), []);
}

pub(crate) async fn every_class_of_tokens_is_summed_apart(stores: &Stores) {
    let usage = Usage {
        input_tokens: 1,
        cached_read_tokens: 20,
        cache_write_5m_tokens: 300,
        cache_write_1h_tokens: 4_000,
        output_tokens: 50_000,
        reasoning_tokens: 600_000,
        audio_input_tokens: 7_000_000,
        audio_output_tokens: 80_000_000,
        estimated: false,
    };
    settle(
        stores,
        ["a", "b"].map(|id| Settlement {
            usage,
            extras: Extras {
                images: 3,
                tool_calls: 4,
            },
            flags: Flags {
                unpriced: true,
                over_reserved: false,
            },
            ..settlement(id)
        }),
    )
    .await;
    let expected = UsageTotal {
        group: "ada".to_owned(),
        calls: 2,
        unsuccessful_calls: 0,
        estimated_calls: 0,
        unpriced_calls: 2,
        over_reserved_calls: 0,
        input_tokens: 2,
        cached_read_tokens: 40,
        cache_write_tokens: 8_600,
        output_tokens: 100_000,
        reasoning_tokens: 1_200_000,
        images: 6,
        tool_calls: 8,
        cost: Micros(2_500),
    };
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap(), [expected]);
}

pub(crate) async fn unsuccessful_and_estimated_calls_are_counted(stores: &Stores) {
    let with = |id: &str, outcome, estimated| Settlement {
        outcome,
        usage: Usage {
            estimated,
            ..settlement(id).usage
        },
        ..settlement(id)
    };
    settle(
        stores,
        [
            with("a", Outcome::Success, false),
            with("b", Outcome::Failure, false),
            with("c", Outcome::Cancelled, true),
            with("d", Outcome::Success, true),
            with("e", Outcome::Cancelled, true),
        ],
    )
    .await;
    let total = &stores.ledger.usage(BY_USER).await.unwrap()[0];
    assert_eq!(total.calls, 5);
    assert_eq!(total.unsuccessful_calls, 3);
    assert_eq!(total.estimated_calls, 3);
}

pub(crate) async fn a_call_is_settled_once_and_the_first_settlement_stays(stores: &Stores) {
    settle(stores, [settlement("a")]).await;
    let again = Settlement {
        user_id: Arc::from("bob"),
        ..settlement("a")
    };
    settle(stores, [again, settlement("b")]).await;
    assert_eq!(calls(stores, BY_USER).await, [("ada".to_owned(), 2)]);
}

pub(crate) async fn a_call_twice_in_one_batch_counts_once(stores: &Stores) {
    let again = Settlement {
        user_id: Arc::from("bob"),
        ..settlement("a")
    };
    settle(stores, [settlement("a"), again]).await;
    assert_eq!(calls(stores, BY_USER).await, [("ada".to_owned(), 1)]);
}

pub(crate) async fn an_empty_batch_is_settled(stores: &Stores) {
    settle(stores, []).await;
    assert_eq!(stores.ledger.usage(BY_USER).await.unwrap(), []);
}

pub(crate) async fn usage_is_grouped_by_each_dimension(stores: &Stores) {
    settle(
        stores,
        [Settlement {
            user_id: Arc::from("a user"),
            model: Arc::from("a model"),
            operation: "an operation".into(),
            key_id: Arc::from("a key"),
            target: Arc::from("a target"),
            settled_at: UnixMillis(1_700_000_000_000),
            attribution: Attribution {
                team: Some(Arc::from("a team")),
                agent: Some(Arc::from("an agent")),
                session: None,
            },
            ..settlement("a")
        }],
    )
    .await;
    for (by, group) in [
        (GroupBy::User, "a user"),
        (GroupBy::Model, "a model"),
        (GroupBy::Operation, "an operation"),
        (GroupBy::Key, "a key"),
        (GroupBy::Team, "a team"),
        (GroupBy::Agent, "an agent"),
        (GroupBy::Session, ""),
        (GroupBy::Target, "a target"),
        (GroupBy::Hour, "2023-11-14T22"),
        (GroupBy::Day, "2023-11-14"),
    ] {
        let found = calls(stores, UsageQuery { by, ..BY_USER }).await;
        assert_eq!(found, [(group.to_owned(), 1)]);
    }
}

pub(crate) async fn only_what_was_asked_for_is_summed(stores: &Stores) {
    let by = |call: &str, user: &str, model: &str, agent: Option<&str>| Settlement {
        user_id: Arc::from(user),
        model: Arc::from(model),
        attribution: Attribution {
            agent: agent.map(Arc::from),
            ..Attribution::default()
        },
        ..settlement(call)
    };
    settle(
        stores,
        [
            by("1", "ada", "large", Some("a\\\0b")),
            by("2", "ada", "small", None),
            by("3", "Ada", "large", Some("x' OR ''='")),
        ],
    )
    .await;
    for (only, expected) in [
        (vec![(GroupBy::User, "ada")], 2),
        (vec![(GroupBy::User, "ada"), (GroupBy::Model, "large")], 1),
        (vec![(GroupBy::User, "ada"), (GroupBy::User, "Ada")], 0),
        (vec![(GroupBy::Agent, "")], 1),
        (vec![(GroupBy::Agent, "a\\\0b")], 1),
        (vec![(GroupBy::Agent, "x' OR ''='")], 1),
        (vec![(GroupBy::Key, "nobody")], 0),
    ] {
        let query = UsageQuery {
            by: GroupBy::Operation,
            only: only
                .iter()
                .map(|(by, name)| Only::new(*by, name).unwrap())
                .collect(),
            ..BY_USER
        };
        let found = calls(stores, query).await;
        let found: u64 = found.iter().map(|(_, calls)| calls).sum();
        assert_eq!(found, expected, "{only:?}");
    }
}

pub(crate) async fn the_largest_group_comes_first_then_by_name(stores: &Stores) {
    let by = |user: &str, call: &str| Settlement {
        user_id: Arc::from(user),
        ..settlement(call)
    };
    settle(
        stores,
        [
            by("carol", "1"),
            by("Bob", "2"),
            by("érica", "3"),
            by("zoe", "4"),
            by("zoe", "5"),
            by("", "6"),
        ],
    )
    .await;
    let groups = calls(stores, BY_USER).await;
    let groups: Vec<&str> = groups.iter().map(|(group, _)| &**group).collect();
    assert_eq!(groups, ["zoe", "", "Bob", "carol", "érica"]);
}

pub(crate) async fn since_is_inclusive_and_until_is_not(stores: &Stores) {
    settle(stores, [10, 20, 30].map(settled_at)).await;
    for (since, until, expected) in [
        (None, None, 3),
        (Some(20), None, 2),
        (Some(21), None, 1),
        (None, Some(20), 1),
        (None, Some(21), 2),
        (Some(10), Some(30), 2),
        (Some(20), Some(20), 0),
        (Some(30), Some(10), 0),
    ] {
        let found = calls_between(stores, since, until).await;
        assert_eq!(found, expected, "since {since:?} until {until:?}");
    }
}

pub(crate) async fn the_ends_of_time_are_ordinary_moments(stores: &Stores) {
    settle(stores, [i64::MIN, 0, i64::MAX].map(settled_at)).await;
    assert_eq!(calls_between(stores, None, None).await, 3);
    assert_eq!(calls_between(stores, Some(i64::MAX), None).await, 1);
    assert_eq!(calls_between(stores, None, Some(i64::MAX)).await, 2);
    assert_eq!(calls_between(stores, None, Some(i64::MIN)).await, 0);
}

pub(crate) async fn an_absurd_count_does_not_take_the_report_down(stores: &Stores) {
    let usage = Usage {
        input_tokens: u64::MAX,
        cached_read_tokens: u64::MAX,
        cache_write_5m_tokens: u64::MAX,
        cache_write_1h_tokens: u64::MAX,
        output_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
        audio_input_tokens: u64::MAX,
        audio_output_tokens: u64::MAX,
        estimated: false,
    };
    let absurd = ["a", "b", "c"].map(|id| Settlement {
        usage,
        duration_ms: u64::MAX,
        ..settlement(id)
    });
    settle(stores, absurd).await;
    let total = &stores.ledger.usage(BY_USER).await.unwrap()[0];
    assert_eq!(total.calls, 3);
    assert_eq!(total.output_tokens, u64::MAX);
    assert_eq!(total.tokens(), u64::MAX);
}

pub(crate) async fn what_is_settled_is_in_the_next_report(stores: &Stores) {
    for count in 1..=20 {
        settle(stores, [settlement(&format!("call {count}"))]).await;
        assert_eq!(calls(stores, BY_USER).await, [("ada".to_owned(), count)]);
    }
}

pub(crate) async fn sixty_four_writers_at_once_lose_nothing(stores: &Stores) {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..64 {
        let ledger = stores.ledger.clone();
        tasks.spawn(async move {
            for batch in 0..10 {
                let batch = (0..5)
                    // The neighbour settles the last two as well.
                    .map(|row| settlement(&format!("{}", (writer * 10 + batch) * 3 + row)))
                    .collect();
                ledger.settle(Arc::new(batch)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(
        calls(stores, BY_USER).await,
        [("ada".to_owned(), 64 * 10 * 3 + 2)]
    );
}

fn settled_at(moment: i64) -> Settlement {
    Settlement {
        settled_at: UnixMillis(moment),
        ..settlement(&format!("at {moment}"))
    }
}

async fn settle(stores: &Stores, batch: impl Into<Vec<Settlement>>) {
    stores.ledger.settle(Arc::new(batch.into())).await.unwrap();
}

async fn calls(stores: &Stores, query: UsageQuery) -> Vec<(String, u64)> {
    let totals = stores.ledger.usage(query).await.unwrap();
    let calls = totals.into_iter().map(|total| (total.group, total.calls));
    calls.collect()
}

async fn calls_between(stores: &Stores, since: Option<i64>, until: Option<i64>) -> u64 {
    let query = UsageQuery {
        since: since.map(UnixMillis),
        until: until.map(UnixMillis),
        ..BY_USER
    };
    let groups = calls(stores, query).await;
    groups.iter().map(|(_, calls)| calls).sum()
}

pub(crate) async fn the_fate_of_a_call_is_what_it_was_settled_with(stores: &Stores) {
    settle(stores, [settlement("a")]).await;
    let ids = ["b", "a", ""].map(Arc::from).to_vec();
    let fates = stores.ledger.fates(Arc::new(ids)).await.unwrap();
    let amount = Amount {
        tokens: 11,
        cost: Micros(1_250),
    };
    assert_eq!(fates, [Fate::Unknown, Fate::Settled(amount), Fate::Unknown]);
}

pub(crate) async fn the_real_end_of_a_call_replaces_that_it_was_given_up(stores: &Stores) {
    let given_up = |id: &str| Settlement {
        outcome: Outcome::Interrupted,
        cost: Micros(9_000),
        ..settlement(id)
    };
    settle(stores, [given_up("a"), settlement("b")]).await;
    settle(stores, [settlement("a"), given_up("b")]).await;
    let total = &stores.ledger.usage(BY_USER).await.unwrap()[0];
    assert_eq!((total.calls, total.unsuccessful_calls), (2, 0));
    assert_eq!(total.cost, Micros(2_500));
}
