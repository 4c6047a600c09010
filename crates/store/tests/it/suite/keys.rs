//! What every key store does.

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord, TokenSecret};
use seaworthy_core::principal::{Role, Scopes};
use seaworthy_core::store::{Error, Stores};

use crate::fixtures::key;

pub(crate) async fn a_key_is_found_by_its_digest_with_every_field(stores: &Stores) {
    let full = KeyRecord {
        role: Role::Custom("night-shift".into()),
        team_id: Some("blue".to_owned()),
        scopes: Scopes {
            models: vec!["gpt-*".to_owned(), "“odd”".to_owned()],
            agents: vec!["planner".to_owned()],
            tools: vec!["search".to_owned()],
            operations: vec!["chat".to_owned()],
        },
        environment: Some("production".to_owned()),
        service: Some("billing".to_owned()),
        expires_at: Some(UnixMillis(i64::MAX)),
        revoked_at: Some(UnixMillis(-1)),
        rotated_from: Some("key_before".to_owned()),
        ..key("ada")
    };
    let plain = key("bob");
    stores.keys.insert(full.clone()).await.unwrap();
    stores.keys.insert(plain.clone()).await.unwrap();
    for record in [full, plain] {
        let found = stores.keys.find(&record.digest).await.unwrap();
        assert_eq!(found, Some(record));
    }
}

pub(crate) async fn a_key_is_found_by_its_id_and_no_other_is(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    let found = stores.keys.get("key_ada").await.unwrap();
    assert_eq!(found, Some(key("ada")));
    assert_eq!(stores.keys.get("key_bob").await.unwrap(), None);
    assert_eq!(stores.keys.get("KEY_ADA").await.unwrap(), None);
}

pub(crate) async fn the_first_secret_of_tokens_stays(stores: &Stores) {
    let first = TokenSecret::from_bytes([7; 32]);
    for proposal in [first, TokenSecret::from_bytes([9; 32])] {
        let secret = stores.keys.token_secret(proposal).await.unwrap();
        assert_eq!(secret, first);
    }
}

pub(crate) async fn a_credential_keeps_the_moment_it_was_first_seen(stores: &Stores) {
    let seen = async |name: &str, value: &str, now| {
        let value = KeyDigest::of(value);
        let seen = stores.keys.first_seen(name, &value, UnixMillis(now)).await;
        seen.unwrap().0
    };
    assert_eq!(seen("openai", "one", 5).await, 5);
    assert_eq!(seen("openai", "one", 9).await, 5);
    assert_eq!(seen("openai", "two", 9).await, 9);
    assert_eq!(seen("other", "one", 11).await, 11);
    assert_eq!(seen("openai", "one", 12).await, 5);
}

pub(crate) async fn an_unknown_digest_finds_nothing(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    let found = stores.keys.find(&KeyDigest::of("bob")).await.unwrap();
    assert_eq!(found, None);
}

pub(crate) async fn an_expired_or_revoked_key_is_still_found(stores: &Stores) {
    let expired = KeyRecord {
        expires_at: Some(UnixMillis(0)),
        ..key("expired")
    };
    stores.keys.insert(expired.clone()).await.unwrap();
    stores.keys.insert(key("revoked")).await.unwrap();
    stores
        .keys
        .revoke("key_revoked", UnixMillis(0))
        .await
        .unwrap();
    for digest in [expired.digest, key("revoked").digest] {
        assert!(stores.keys.find(&digest).await.unwrap().is_some());
    }
}

pub(crate) async fn an_id_is_given_once(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    let same_id = KeyRecord {
        digest: KeyDigest::of("other"),
        ..key("ada")
    };
    let error = stores.keys.insert(same_id).await.unwrap_err();
    assert_exists(&error, "key_ada");
}

pub(crate) async fn a_digest_is_given_once(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    let same_digest = KeyRecord {
        id: "key_other".to_owned(),
        ..key("ada")
    };
    let error = stores.keys.insert(same_digest).await.unwrap_err();
    assert_exists(&error, "key_other");
}

pub(crate) async fn a_refused_key_leaves_no_trace(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    let refused = KeyRecord {
        name: "another name".to_owned(),
        ..key("ada")
    };
    stores.keys.insert(refused).await.unwrap_err();
    assert_eq!(stores.keys.list().await.unwrap(), [key("ada")]);
}

pub(crate) async fn keys_are_listed_oldest_first_then_by_id(stores: &Stores) {
    assert_eq!(stores.keys.list().await.unwrap(), []);
    let at = |created_at, name| KeyRecord {
        created_at: UnixMillis(created_at),
        ..key(name)
    };
    for record in [at(2, "b"), at(3, "a"), at(2, "a2"), at(-1, "z"), at(2, "Z")] {
        stores.keys.insert(record).await.unwrap();
    }
    let listed = stores.keys.list().await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|record| &*record.id).collect();
    assert_eq!(ids, ["key_z", "key_Z", "key_a2", "key_b", "key_a"]);
}

pub(crate) async fn revoking_returns_the_key_and_keeps_the_first_moment(stores: &Stores) {
    stores.keys.insert(key("ada")).await.unwrap();
    stores.keys.insert(key("bob")).await.unwrap();
    let expected = KeyRecord {
        revoked_at: Some(UnixMillis(50)),
        ..key("ada")
    };
    for at in [50, 40, 60] {
        let revoked = stores.keys.revoke("key_ada", UnixMillis(at)).await;
        assert_eq!(revoked.unwrap(), expected);
    }
    assert_eq!(stores.keys.list().await.unwrap(), [expected, key("bob")]);
}

pub(crate) async fn revoking_an_unknown_key_is_not_found(stores: &Stores) {
    let result = stores.keys.revoke("key_nobody", UnixMillis(0)).await;
    assert_not_found(&result.unwrap_err(), "key_nobody");
}

pub(crate) async fn rotating_adds_the_replacement_and_lets_the_old_key_expire(stores: &Stores) {
    stores.keys.insert(key("old")).await.unwrap();
    let replacement = KeyRecord {
        created_at: UnixMillis(2_000),
        rotated_from: Some("key_old".to_owned()),
        ..key("new")
    };
    rotate(stores, "key_old", &replacement, 500).await.unwrap();
    let old = KeyRecord {
        expires_at: Some(UnixMillis(500)),
        ..key("old")
    };
    assert_eq!(stores.keys.list().await.unwrap(), [old, replacement]);
}

pub(crate) async fn rotating_keeps_an_earlier_expiry(stores: &Stores) {
    let soon = KeyRecord {
        expires_at: Some(UnixMillis(400)),
        ..key("old")
    };
    stores.keys.insert(soon.clone()).await.unwrap();
    rotate(stores, "key_old", &key("new"), 500).await.unwrap();
    let found = stores.keys.find(&soon.digest).await.unwrap();
    assert_eq!(found, Some(soon));
}

pub(crate) async fn rotating_brings_a_later_expiry_forward(stores: &Stores) {
    let late = KeyRecord {
        expires_at: Some(UnixMillis(600)),
        ..key("old")
    };
    stores.keys.insert(late.clone()).await.unwrap();
    rotate(stores, "key_old", &key("new"), 500).await.unwrap();
    let found = stores.keys.find(&late.digest).await.unwrap();
    assert_eq!(found.unwrap().expires_at, Some(UnixMillis(500)));
}

pub(crate) async fn rotating_an_unknown_key_is_not_found(stores: &Stores) {
    let result = rotate(stores, "key_nobody", &key("new"), 500).await;
    assert_not_found(&result.unwrap_err(), "key_nobody");
    assert_eq!(stores.keys.list().await.unwrap(), []);
}

pub(crate) async fn only_a_live_key_can_be_rotated(stores: &Stores) {
    let expired = KeyRecord {
        expires_at: Some(NOW),
        ..key("expired")
    };
    stores.keys.insert(expired.clone()).await.unwrap();
    stores.keys.insert(key("revoked")).await.unwrap();
    let revoked = stores.keys.revoke("key_revoked", NOW).await.unwrap();
    for (id, word) in [("key_expired", "is expired"), ("key_revoked", "is revoked")] {
        let error = rotate(stores, id, &key("new"), 500).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(stores.keys.list().await.unwrap(), [expired, revoked]);
}

pub(crate) async fn a_key_that_is_revoked_in_the_future_can_be_rotated(stores: &Stores) {
    stores.keys.insert(key("old")).await.unwrap();
    let later = UnixMillis(NOW.0 + 1);
    stores.keys.revoke("key_old", later).await.unwrap();
    rotate(stores, "key_old", &key("new"), 500).await.unwrap();
}

pub(crate) async fn a_rotation_whose_replacement_exists_changes_nothing(stores: &Stores) {
    stores.keys.insert(key("old")).await.unwrap();
    for (taken, id) in [
        (key("old"), "key_old"),
        (
            KeyRecord {
                id: "key_x".to_owned(),
                ..key("old")
            },
            "key_x",
        ),
    ] {
        let error = rotate(stores, "key_old", &taken, 500).await.unwrap_err();
        assert_exists(&error, id);
    }
    assert_eq!(stores.keys.list().await.unwrap(), [key("old")]);
}

pub(crate) async fn the_keys_before_a_key_are_known_latest_first(stores: &Stores) {
    stores.keys.insert(key("a")).await.unwrap();
    for (old, new) in [("a", "b"), ("b", "c"), ("b", "d"), ("c", "e")] {
        let old = format!("key_{old}");
        let replacement = KeyRecord {
            rotated_from: Some(old.clone()),
            ..key(new)
        };
        rotate(stores, &old, &replacement, 500).await.unwrap();
    }
    // Its predecessor is not here any more, and known by name.
    let orphan = KeyRecord {
        rotated_from: Some("key_lost".to_owned()),
        ..key("orphan")
    };
    stores.keys.insert(orphan).await.unwrap();
    let successions = stores.keys.successions().await.unwrap();
    for (id, expected) in [
        ("key_e", &["key_c", "key_b", "key_a"][..]),
        ("key_d", &["key_b", "key_a"]),
        ("key_b", &["key_a"]),
        ("key_a", &[]),
        ("key_orphan", &["key_lost"]),
        ("key_nobody", &[]),
    ] {
        let found = stores.keys.predecessors(id).await.unwrap();
        assert_eq!(found, expected, "{id}");
        let known: Vec<_> = successions.before(id).collect();
        assert!(
            known.iter().map(|key| &**key).eq(expected.iter().copied()),
            "{id}: {known:?}"
        );
    }
}

pub(crate) async fn any_change_of_a_key_changes_the_generation(stores: &Stores) {
    let mut seen = vec![stores.keys.generation().await.unwrap()];
    let mut expect_new = |generation: u64| {
        assert!(!seen.contains(&generation), "{generation} in {seen:?}");
        seen.push(generation);
    };
    stores.keys.insert(key("a")).await.unwrap();
    expect_new(stores.keys.generation().await.unwrap());
    rotate(stores, "key_a", &key("b"), 500).await.unwrap();
    expect_new(stores.keys.generation().await.unwrap());
    stores.keys.revoke("key_b", NOW).await.unwrap();
    expect_new(stores.keys.generation().await.unwrap());
}

pub(crate) async fn the_generation_rests_while_no_key_changes(stores: &Stores) {
    stores.keys.insert(key("a")).await.unwrap();
    let before = stores.keys.generation().await.unwrap();
    stores.keys.insert(key("a")).await.unwrap_err();
    stores.keys.revoke("key_nobody", NOW).await.unwrap_err();
    rotate(stores, "key_a", &key("a"), 500).await.unwrap_err();
    stores.keys.list().await.unwrap();
    assert_eq!(stores.keys.generation().await.unwrap(), before);
}

pub(crate) async fn of_many_that_add_the_same_key_at_once_one_succeeds(stores: &Stores) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let keys = stores.keys.clone();
        tasks.spawn(async move { keys.insert(key("ada")).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        assert_exists(&error, "key_ada");
    }
}

const NOW: UnixMillis = UnixMillis(100);

async fn rotate(
    stores: &Stores,
    id: &str,
    replacement: &KeyRecord,
    old_expires_at: i64,
) -> Result<(), Error> {
    let old_expires_at = UnixMillis(old_expires_at);
    let rotation = stores
        .keys
        .rotate(id, replacement.clone(), old_expires_at, NOW);
    rotation.await
}

fn assert_exists(error: &Error, expected: &str) {
    assert!(
        matches!(error, Error::AlreadyExists { what: "key", id } if id == expected),
        "{error:?}"
    );
}

fn assert_not_found(error: &Error, expected: &str) {
    assert!(
        matches!(error, Error::NotFound { what: "key", id } if id == expected),
        "{error:?}"
    );
}
