//! Who may spend a share: one contract for memory and PostgreSQL.

use std::time::Duration;

use seaworthy_core::counters::shares::{Left, MemoryRegistry, ShareRegistry, Standing};
use seaworthy_test_servers::Postgres;

const LONG: Duration = Duration::from_secs(3_600);

async fn the_first_word_counts(registry: &dyn ShareRegistry) {
    for holder in ["a", "b", "c"] {
        registry.register(holder).await.unwrap();
        let standing = registry.beat(holder, false).await.unwrap();
        assert_eq!(standing, Standing::Asking);
    }
    // Who spends keeps its share, who is released may not spend.
    assert_eq!(registry.beat("a", true).await.unwrap(), Standing::Alone);
    assert_eq!(registry.release("a", LONG).await.unwrap(), Left::InUse);
    assert_eq!(registry.release("b", LONG).await.unwrap(), Left::Unspent);
    assert_eq!(registry.beat("b", true).await.unwrap(), Standing::Ended);
    assert_eq!(
        registry.beat("nobody", true).await.unwrap(),
        Standing::Ended
    );
    assert_eq!(
        registry.release("nobody", LONG).await.unwrap(),
        Left::Unspent
    );
    // Who died while it spent has spent nobody knows how much, whoever asks.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let at_once = Duration::from_millis(1);
    assert_eq!(registry.release("a", at_once).await.unwrap(), Left::Unknown);
    assert_eq!(registry.beat("a", true).await.unwrap(), Standing::Ended);
    registry.finish("a").await.unwrap();
    assert_eq!(registry.release("a", LONG).await.unwrap(), Left::Unknown);
}

async fn a_recall_waits_for_those_who_spend(registry: &dyn ShareRegistry) {
    for holder in ["d", "e"] {
        registry.register(holder).await.unwrap();
    }
    assert_eq!(registry.beat("d", true).await.unwrap(), Standing::Alone);
    assert_eq!(registry.recall(LONG).await.unwrap(), 1);
    for holder in ["d", "e"] {
        let standing = registry.beat(holder, true).await.unwrap();
        assert_eq!(standing, Standing::Ended);
    }
    assert_eq!(registry.recall(LONG).await.unwrap(), 1);
    assert_eq!(registry.release("d", LONG).await.unwrap(), Left::InUse);
    registry.finish("d").await.unwrap();
    assert_eq!(registry.recall(LONG).await.unwrap(), 0);
    // One that died before it said that it had stopped has spent nobody knows how much.
    registry.register("f").await.unwrap();
    assert_eq!(registry.beat("f", true).await.unwrap(), Standing::Alone);
    assert_eq!(registry.recall(LONG).await.unwrap(), 1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let at_once = Duration::from_millis(1);
    assert_eq!(registry.release("f", at_once).await.unwrap(), Left::Unknown);
    assert_eq!(registry.recall(LONG).await.unwrap(), 0);
}

#[tokio::test]
async fn memory_and_postgres_decide_alike() {
    let memory = MemoryRegistry::default();
    the_first_word_counts(&memory).await;
    a_recall_waits_for_those_who_spend(&memory).await;
    let server = Postgres::start();
    let stores = seaworthy_store::open(&server.create_database()).unwrap();
    let postgres = stores.shares.clone().unwrap();
    the_first_word_counts(&*postgres).await;
    a_recall_waits_for_those_who_spend(&*postgres).await;
}
