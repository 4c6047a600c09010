//! What every store of objects does.

use bytes::Bytes;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::fingerprint::Fingerprint;
use seaworthy_core::idempotency::{KeptAnswer, Known, Marker};
use seaworthy_core::objects::{Finished, Inserted, Kind, Object, Page, Part, Quota};
use seaworthy_core::store::{Error, Stores};

const NOW: UnixMillis = UnixMillis(1_000);

fn object(kind: Kind, id: &str, owner: &str, created_at: i64) -> Object {
    Object {
        kind,
        id: id.to_owned(),
        owner: owner.to_owned(),
        created_at: UnixMillis(created_at),
        expires_at: UnixMillis(9_000),
        is_open: false,
        worker: String::new(),
        lease_until: UnixMillis(0),
        version: 0,
        bytes: 0,
        head: Bytes::from_static(b"{\"a\":\"\\u0000\"}"),
    }
}

fn file(id: &str, created_at: i64) -> Object {
    object(Kind::File, id, "ada \0 \\", created_at)
}

fn part(number: u64, text: &'static str) -> Part {
    (number, Bytes::from_static(text.as_bytes()))
}

async fn insert(stores: &Stores, object: Object, parts: Vec<Part>) {
    let inserted = stores.objects.insert(object, parts, None, None).await;
    assert_eq!(inserted.unwrap(), Inserted::Done);
}

async fn get(stores: &Stores, id: &str) -> Option<Object> {
    stores.objects.get(Kind::File, id, NOW).await.unwrap()
}

pub(crate) async fn an_object_comes_back_with_every_field_and_its_parts(stores: &Stores) {
    let made = Object {
        is_open: true,
        worker: "w".to_owned(),
        lease_until: UnixMillis(5),
        version: 3,
        ..file("file-1", 10)
    };
    let parts = vec![part(7, "second"), part(2, "first")];
    insert(stores, made.clone(), parts).await;
    let found = get(stores, "file-1").await.unwrap();
    assert_eq!(found, Object { bytes: 11, ..made });
    let parts = stores.objects.parts("file-1", 0, 100).await.unwrap();
    assert_eq!(parts, [part(2, "first"), part(7, "second")]);
    assert_eq!(stores.objects.part_numbers("file-1").await.unwrap(), [2, 7]);
    assert_eq!(get(stores, "file-2").await, None);
    let other_kind = stores.objects.get(Kind::Batch, "file-1", NOW).await;
    assert_eq!(other_kind.unwrap(), None);
}

pub(crate) async fn a_name_is_given_once(stores: &Stores) {
    insert(stores, file("file-1", 10), vec![part(0, "kept")]).await;
    let again = object(Kind::Batch, "file-1", "bob", 20);
    let again = stores.objects.insert(again, vec![part(0, "x")], None, None);
    let refused = again.await.unwrap_err();
    assert!(
        matches!(refused, Error::AlreadyExists { .. }),
        "{refused:?}"
    );
    let parts = stores.objects.parts("file-1", 0, 100).await.unwrap();
    assert_eq!(parts, [part(0, "kept")]);
}

pub(crate) async fn what_has_expired_is_not_there_and_is_deleted_in_batches(stores: &Stores) {
    for number in 0..5 {
        insert(
            stores,
            file(&format!("file-{number}"), number),
            vec![part(0, "x")],
        )
        .await;
    }
    let late = UnixMillis(9_000);
    let found = stores.objects.get(Kind::File, "file-0", late).await;
    assert_eq!(found.unwrap(), None);
    assert_eq!(list(stores, None, 10, true, late).await, [""; 0]);
    let delete = |now, most| stores.objects.delete_expired(UnixMillis(now), most);
    assert_eq!(delete(8_999, 3).await.unwrap(), 0);
    assert_eq!(delete(9_000, 3).await.unwrap(), 3);
    assert_eq!(delete(9_000, 3).await.unwrap(), 2);
    assert_eq!(
        stores.objects.part_numbers("file-0").await.unwrap(),
        [0_u64; 0]
    );
}

async fn list(
    stores: &Stores,
    after: Option<&str>,
    limit: usize,
    is_ascending: bool,
    now: UnixMillis,
) -> Vec<String> {
    let page = Page {
        after: after.map(str::to_owned),
        limit,
        is_ascending,
    };
    let listed = stores.objects.list(Kind::File, "ada \0 \\", page, now);
    let listed = listed.await.unwrap();
    listed.into_iter().map(|object| object.id).collect()
}

pub(crate) async fn an_owners_objects_are_listed_in_pages_in_both_directions(stores: &Stores) {
    for (id, at) in [("c", 1), ("b", 2), ("a", 2), ("d", 3)] {
        insert(stores, file(id, at), Vec::new()).await;
    }
    insert(stores, object(Kind::File, "e", "bob", 2), Vec::new()).await;
    insert(stores, object(Kind::Batch, "f", "ada \0 \\", 2), Vec::new()).await;
    assert_eq!(list(stores, None, 3, true, NOW).await, ["c", "a", "b"]);
    assert_eq!(list(stores, Some("b"), 3, true, NOW).await, ["d"]);
    assert_eq!(list(stores, None, 3, false, NOW).await, ["d", "b", "a"]);
    assert_eq!(list(stores, Some("a"), 3, false, NOW).await, ["c"]);
    assert_eq!(list(stores, Some("?"), 3, false, NOW).await, [""; 0]);
}

pub(crate) async fn a_change_counts_only_for_the_version_that_was_read(stores: &Stores) {
    insert(stores, file("file-1", 10), vec![part(0, "before")]).await;
    let read = get(stores, "file-1").await.unwrap();
    let change = |head: &'static str| Object {
        head: Bytes::from_static(head.as_bytes()),
        is_open: true,
        worker: "w".to_owned(),
        lease_until: UnixMillis(77),
        expires_at: UnixMillis(8_000),
        ..read.clone()
    };
    let parts = vec![part(0, "after"), part(1, "more")];
    assert!(stores.objects.update(change("one"), parts).await.unwrap());
    let late = stores.objects.update(change("two"), vec![part(0, "late")]);
    assert!(!late.await.unwrap());
    let unknown = stores.objects.update(file("?", 1), Vec::new());
    assert!(!unknown.await.unwrap());
    let expected = Object {
        version: read.version + 1,
        bytes: 9,
        ..change("one")
    };
    assert_eq!(get(stores, "file-1").await, Some(expected));
    let parts = stores.objects.parts("file-1", 0, 100).await.unwrap();
    assert_eq!(parts, [part(0, "after"), part(1, "more")]);
}

pub(crate) async fn a_part_is_added_once(stores: &Stores) {
    insert(stores, file("file-1", 10), Vec::new()).await;
    let add = |id: &'static str, text| stores.objects.add_part(id, part(4, text));
    assert!(add("file-1", "first").await.unwrap());
    assert!(!add("file-1", "second").await.unwrap());
    assert!(!add("file-2", "nowhere").await.unwrap());
    let parts = stores.objects.parts("file-1", 4, 100).await.unwrap();
    assert_eq!(parts, [part(4, "first")]);
    assert_eq!(stores.objects.parts("file-2", 0, 100).await.unwrap(), []);
}

pub(crate) async fn parts_come_in_pages_of_a_size(stores: &Stores) {
    let parts = vec![part(0, "12345"), part(1, "123"), part(5, "12")];
    insert(stores, file("file-1", 10), parts.clone()).await;
    let page = async |from, most| stores.objects.parts("file-1", from, most).await.unwrap();
    assert_eq!(page(0, 1).await, parts[..1]);
    assert_eq!(page(0, 8).await, parts[..2]);
    assert_eq!(page(2, 2).await, parts[2..]);
    assert_eq!(page(6, 2).await, []);
}

pub(crate) async fn only_the_owner_deletes_and_all_of_it_goes(stores: &Stores) {
    insert(stores, file("file-1", 10), vec![part(0, "x")]).await;
    let delete = |kind, owner: &'static str| stores.objects.delete(kind, owner, "file-1");
    assert!(!delete(Kind::File, "bob").await.unwrap());
    assert!(!delete(Kind::Batch, "ada \0 \\").await.unwrap());
    assert!(delete(Kind::File, "ada \0 \\").await.unwrap());
    assert!(!delete(Kind::File, "ada \0 \\").await.unwrap());
    assert_eq!(get(stores, "file-1").await, None);
    assert_eq!(
        stores.objects.part_numbers("file-1").await.unwrap(),
        [0_u64; 0]
    );
}

pub(crate) async fn work_is_claimed_by_one_and_by_another_when_the_lease_is_over(stores: &Stores) {
    let open = |id, at| Object {
        is_open: true,
        ..object(Kind::Batch, id, "ada", at)
    };
    insert(stores, open("b", 2), Vec::new()).await;
    insert(stores, open("a", 1), Vec::new()).await;
    insert(stores, object(Kind::Batch, "done", "ada", 0), Vec::new()).await;
    let claim = async |worker: &str, now, until| {
        let (now, until) = (UnixMillis(now), UnixMillis(until));
        let claimed = stores.objects.claim(Kind::Batch, worker, now, until).await;
        claimed.unwrap().map(|object| (object.id, object.worker))
    };
    let claimed = |id: &str, worker: &str| Some((id.to_owned(), worker.to_owned()));
    assert_eq!(claim("w1", 10, 50).await, claimed("a", "w1"));
    assert_eq!(claim("w2", 10, 50).await, claimed("b", "w2"));
    assert_eq!(claim("w3", 49, 90).await, None);
    assert_eq!(claim("w3", 50, 90).await, claimed("a", "w3"));
    let taken = stores.objects.get(Kind::Batch, "a", NOW).await.unwrap();
    let taken = taken.unwrap();
    assert_eq!((taken.version, taken.lease_until), (2, UnixMillis(90)));
}

pub(crate) async fn of_many_that_claim_at_once_each_gets_another(stores: &Stores) {
    for number in 0..8 {
        let open = Object {
            is_open: true,
            ..object(Kind::Batch, &format!("batch_{number}"), "ada", 1)
        };
        insert(stores, open, Vec::new()).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let objects = stores.objects.clone();
        tasks.spawn(async move {
            let worker = format!("w{number}");
            loop {
                let claim = objects.claim(Kind::Batch, &worker, NOW, UnixMillis(5_000));
                if let Some(claimed) = claim.await.unwrap() {
                    return claimed.id;
                }
            }
        });
    }
    let mut claimed = tasks.join_all().await;
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), 8);
}

pub(crate) async fn a_quota_of_objects_and_of_bytes_is_kept(stores: &Stores) {
    let quota = |objects, bytes| Some(Quota { objects, bytes });
    let add = async |id: &str, owner: &str, quota| {
        let object = object(Kind::File, id, owner, 1);
        let inserted = stores
            .objects
            .insert(object, vec![part(0, "1234")], quota, None);
        inserted.await.unwrap()
    };
    assert_eq!(add("a", "ada", quota(2, 8)).await, Inserted::Done);
    assert_eq!(add("b", "ada", quota(2, 7)).await, Inserted::Full);
    assert_eq!(add("b", "ada", quota(1, 80)).await, Inserted::Full);
    assert_eq!(get(stores, "b").await, None);
    assert_eq!(add("b", "bob", quota(1, 4)).await, Inserted::Done);
    assert_eq!(add("c", "ada", quota(2, 8)).await, Inserted::Done);
    assert_eq!(add("d", "ada", quota(2, 80)).await, Inserted::Full);
}

pub(crate) async fn of_many_at_once_no_more_than_the_quota_get_in(stores: &Stores) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let objects = stores.objects.clone();
        tasks.spawn(async move {
            let object = object(Kind::File, &format!("file-{number}"), "ada", 1);
            let quota = Quota {
                objects: 5,
                bytes: 1_000,
            };
            let inserted = objects.insert(object, Vec::new(), Some(quota), None);
            inserted.await.unwrap()
        });
    }
    let inserted = tasks.join_all().await;
    let done = inserted.iter().filter(|one| **one == Inserted::Done);
    assert_eq!(done.count(), 5);
}

pub(crate) async fn an_idempotency_key_ends_with_the_insertion_or_neither_happens(stores: &Stores) {
    let key = Fingerprint::of(b"k");
    let marker = Marker {
        key,
        request: Fingerprint::of(b"r"),
        owner: "a".to_owned(),
        lease_until: UnixMillis(2_000),
        expires_at: UnixMillis(9_000),
    };
    let begin = || stores.idempotency.begin(marker.clone(), NOW);
    assert_eq!(begin().await.unwrap(), Known::New);
    let answer = KeptAnswer {
        status: 200,
        headers: Vec::new(),
        body: Bytes::from_static(b"Aye."),
    };
    let finished = |owner: &str| Finished {
        key,
        owner: owner.to_owned(),
        answer: answer.clone(),
    };
    let insert = |id, owner| {
        let finished = Some(finished(owner));
        stores
            .objects
            .insert(file(id, 1), vec![part(0, "x")], None, finished)
    };
    let refused = insert("file-1", "b").await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused:?}");
    assert_eq!(get(stores, "file-1").await, None);
    assert_eq!(insert("file-1", "a").await.unwrap(), Inserted::Done);
    let request = marker.request;
    let answer = answer.clone();
    assert_eq!(begin().await.unwrap(), Known::Done { request, answer });
    insert("file-2", "a").await.unwrap_err();
    assert_eq!(get(stores, "file-2").await, None);
}

pub(crate) async fn the_oldest_go_when_an_owner_has_too_many(stores: &Stores) {
    for number in 0..4 {
        insert(
            stores,
            file(&format!("file-{number}"), number),
            vec![part(0, "x")],
        )
        .await;
    }
    let open = Object {
        is_open: true,
        ..file("open", 0)
    };
    insert(stores, open, Vec::new()).await;
    insert(stores, object(Kind::File, "other", "bob", 0), Vec::new()).await;
    let trim = |keep, most| stores.objects.trim(Kind::File, keep, most);
    assert_eq!(trim(4, 10).await.unwrap(), 0);
    assert_eq!(trim(1, 2).await.unwrap(), 2);
    assert_eq!(trim(1, 2).await.unwrap(), 1);
    assert_eq!(list(stores, None, 10, true, NOW).await, ["open", "file-3"]);
    assert!(get(stores, "other").await.is_some());
    assert_eq!(
        stores.objects.part_numbers("file-0").await.unwrap(),
        [0_u64; 0]
    );
}
