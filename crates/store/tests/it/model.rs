//! Random sequences of operations give the same answers as the memory store.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord};
use seaworthy_core::ledger::{Attribution, Flags, GroupBy, Only, Outcome, Settlement};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::principal::Role;
use seaworthy_core::store::{Error, Stores, UsageQuery};
use seaworthy_core::usage::Usage;
use seaworthy_store::open;

use crate::fixtures::{key, settlement};

/// Few names, keys and moments, so that operations meet.
#[derive(Debug, Clone)]
enum Operation {
    Insert(KeyRecord),
    Find(KeyDigest),
    Revoke(String, UnixMillis),
    Rotate(String, KeyRecord, UnixMillis, UnixMillis),
    Settle(Vec<Settlement>),
    Usage(UsageQuery),
    /// Close the back end and open it again.
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_memory_does(operations in vec(operation(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(operations))?;
    }
}

async fn compare(operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("s.db").display());
    let model = open("memory:").unwrap();
    let mut sqlite = open(&url).unwrap();
    for operation in operations {
        if let Operation::Reopen = operation {
            sqlite.lifecycle.close().await;
            sqlite = open(&url).unwrap();
        }
        let expected = observe(&model, &operation).await;
        let found = observe(&sqlite, &operation).await;
        prop_assert_eq!(&found, &expected, "after {:?}", operation);
    }
    Ok(())
}

/// Everything that a caller sees of an operation: its answer, then the keys, and whether the
/// generation has moved.
async fn observe(stores: &Stores, operation: &Operation) -> String {
    let before = stores.keys.generation().await.unwrap();
    let answer = match operation.clone() {
        Operation::Insert(record) => answer(stores.keys.insert(record).await),
        Operation::Find(digest) => answer(stores.keys.find(&digest).await),
        Operation::Revoke(id, at) => answer(stores.keys.revoke(&id, at).await),
        Operation::Rotate(id, replacement, old_expires_at, now) => {
            let rotation = stores.keys.rotate(&id, replacement, old_expires_at, now);
            answer(rotation.await)
        }
        Operation::Settle(batch) => answer(stores.ledger.settle(Arc::new(batch)).await),
        Operation::Usage(query) => answer(stores.ledger.usage(query).await),
        Operation::Reopen => String::new(),
    };
    let keys = stores.keys.list().await.unwrap();
    let moved = stores.keys.generation().await.unwrap() != before;
    format!("{answer}\n{keys:?}\ngeneration moved: {moved}")
}

fn answer<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    assert!(
        !matches!(result, Err(Error::Unavailable { .. })),
        "{result:?}"
    );
    format!("{result:?}")
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => record().prop_map(Operation::Insert),
        1 => digest().prop_map(Operation::Find),
        2 => (id(), moment()).prop_map(|(id, at)| Operation::Revoke(id, at)),
        3 => (id(), record(), moment(), moment())
            .prop_map(|(id, new, expires_at, now)| Operation::Rotate(id, new, expires_at, now)),
        4 => vec(settled(), 0..6).prop_map(Operation::Settle),
        3 => usage_query().prop_map(Operation::Usage),
        1 => Just(Operation::Reopen),
    ]
}

fn id() -> impl Strategy<Value = String> {
    (0..5).prop_map(|n| format!("key_{n}"))
}

fn digest() -> impl Strategy<Value = KeyDigest> {
    (0..6).prop_map(|n| KeyDigest::of(&format!("{n}")))
}

fn moment() -> impl Strategy<Value = UnixMillis> {
    (-3..4_i64).prop_map(UnixMillis)
}

prop_compose! {
    fn record()(
        id in id(),
        digest in digest(),
        name in any::<String>(),
        admin in any::<bool>(),
        (created_at, expires_at, revoked_at) in (moment(), option::of(moment()), option::of(moment())),
        rotated_from in option::of(id()),
    ) -> KeyRecord {
        KeyRecord {
            id,
            digest,
            name,
            role: if admin { Role::Admin } else { Role::User },
            created_at,
            expires_at,
            revoked_at,
            rotated_from,
            ..key("any")
        }
    }
}

fn group() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just(""), Just("a"), Just("B"), Just("é\0"), Just("é")].prop_map(Arc::from)
}

prop_compose! {
    fn settled()(
        call in 0..12,
        settled_at in moment(),
        (user_id, model, key_id) in (group(), group(), group()),
        operation in prop_oneof![Just("chat"), Just("embeddings")],
        outcome in prop_oneof![
            Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Cancelled)
        ],
        counts in prop::array::uniform8(0..5_u64),
        (estimated, unpriced, over_reserved) in any::<(bool, bool, bool)>(),
        (team, agent, session) in (option::of(group()), option::of(group()), option::of(group())),
    ) -> Settlement {
        Settlement {
            settled_at,
            user_id,
            model,
            key_id,
            operation: operation.into(),
            outcome,
            attribution: Attribution { team, agent, session },
            extras: Extras { images: counts[0], tool_calls: counts[1] },
            cost: Micros(counts[7]),
            flags: Flags { unpriced, over_reserved },
            usage: Usage {
                input_tokens: counts[0],
                cached_read_tokens: counts[1],
                cache_write_5m_tokens: counts[2],
                cache_write_1h_tokens: counts[3],
                output_tokens: counts[4],
                reasoning_tokens: counts[5],
                audio_input_tokens: counts[6],
                audio_output_tokens: counts[7],
                estimated,
            },
            ..settlement(&format!("call {call}"))
        }
    }
}

fn usage_query() -> impl Strategy<Value = UsageQuery> {
    let by = prop::sample::select(&GroupBy::ALL[..]);
    let only = vec((by.clone(), group()), 0..3);
    let only = only.prop_map(|only| {
        let only = only.iter().filter_map(|(by, name)| Only::new(*by, name));
        only.collect()
    });
    (by, option::of(moment()), option::of(moment()), only).prop_map(|(by, since, until, only)| {
        UsageQuery {
            by,
            since,
            until,
            only,
        }
    })
}
