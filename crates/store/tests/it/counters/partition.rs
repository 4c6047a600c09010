//! Replicas that cannot reach a Redis that others reach: whoever is wrong about it, a budget is not
//! exceeded, and what was set aside comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use seaworthy_core::clock::{Clock as _, SystemClock};
use seaworthy_core::counters::Counters as _;
use seaworthy_core::counters::shares::{Left, MemoryRegistry, ShareRegistry, Standing};
use seaworthy_core::store::Result;
use seaworthy_store::redis::OnLoss;
use seaworthy_test_servers::Redis;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::outage::{
    Book, Registry, Replica, account, all_up, eventually, fill, hold_shares, know_each_other,
    replica, takes,
};
use super::suite::used;

/// A way to Redis that can be cut.
struct Way {
    url: String,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_cut: AtomicBool,
    cut: Notify,
}

impl Way {
    async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap());
        let (gate, port) = (Arc::new(Gate::default()), redis.port());
        let at_listener = Arc::clone(&gate);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, port, Arc::clone(&at_listener)));
            }
        });
        Self { url, gate }
    }

    fn cut(&self) {
        self.gate.is_cut.store(true, Ordering::SeqCst);
        self.gate.cut.notify_waiters();
    }

    fn heal(&self) {
        self.gate.is_cut.store(false, Ordering::SeqCst);
    }
}

async fn carry(mut client: TcpStream, port: u16, gate: Arc<Gate>) {
    let cut = gate.cut.notified();
    if gate.is_cut.load(Ordering::SeqCst) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        () = cut => {}
    }
}

async fn three(redis: &Redis, registry: &Registry) -> ([Way; 3], [Replica; 3]) {
    let ways = [
        Way::to(redis).await,
        Way::to(redis).await,
        Way::to(redis).await,
    ];
    let (on_loss, book) = (OnLoss::Local, Book::default());
    let replicas = [
        replica(&ways[0].url, ("a", on_loss), registry, &book).await,
        replica(&ways[1].url, ("b", on_loss), registry, &book).await,
        replica(&ways[2].url, ("c", on_loss), registry, &book).await,
    ];
    know_each_other(&replicas).await;
    hold_shares(redis, &replicas, 1_000).await;
    (ways, replicas)
}

/// Settles calls of ten as having used all of it.
async fn settle(replicas: &[Replica], calls: &[(usize, String)]) {
    for (number, id) in calls {
        let counters = &replicas[*number].counters;
        let settled = counters.settle(id, SystemClock.now(), used(10)).await;
        settled.unwrap();
    }
}

/// Asks, as a caller whose call is held does, until it passes or is refused for good: for two
/// seconds after `enough` have passed, and for a minute until then.
async fn spend_to_the_end(
    replicas: &[Replica],
    label: &str,
    enough: usize,
) -> Vec<(usize, String)> {
    let mut passed = Vec::new();
    let mut refused = 0;
    for call in 0.. {
        let number = call % replicas.len();
        let id = format!("{label}-{call}");
        if takes(&replicas[number], &id, 1_000, 10).await == Some(true) {
            passed.push((number, id));
            refused = 0;
            continue;
        }
        refused += 1;
        let patience = if passed.len() < enough { 1_200 } else { 40 };
        if refused >= patience {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    passed
}

#[tokio::test]
async fn a_replica_that_is_wrong_about_the_loss_exceeds_nothing_and_all_of_it_can_be_spent() {
    let redis = Redis::start();
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let (ways, replicas) = three(&redis, &registry).await;
    ways[0].cut();
    // It spends what was set aside for it, the others what is there for them.
    let alone = fill(&replicas[..1], "alone", 1_000).await;
    assert!((20..=25).contains(&alone.len()), "{}", alone.len());
    assert_eq!(replicas[0].counters.status().unwrap().mode, "local");
    let others = spend_to_the_end(&replicas[1..], "others", 99 - alone.len()).await;
    assert!(alone.len() + others.len() <= 100);
    assert!(alone.len() + others.len() >= 99, "{}", others.len());
    settle(&replicas, &alone).await;
    ways[0].heal();
    all_up(&replicas).await;
    let rest = 100 - alone.len() - others.len();
    let more = spend_to_the_end(&replicas, "more", rest).await;
    assert_eq!(alone.len() + others.len() + more.len(), 100);
    let account = account(&replicas[1]).await;
    assert_eq!(account.spent + account.reserved, 1_000);
}

#[tokio::test]
async fn what_was_set_aside_for_a_dead_replica_comes_back() {
    let redis = Redis::start();
    let registry: Registry = Arc::new(MemoryRegistry::default());
    let (_ways, replicas) = three(&redis, &registry).await;
    let [dead, left @ ..] = replicas;
    drop(dead);
    let _silent = redis.command(&["ZADD", "sw:{x}:holders", "1", "a.1"]);
    let passed = spend_to_the_end(&left, "left", 100).await;
    assert_eq!(passed.len(), 100);
}

/// Says of every share that it can be given back.
#[derive(Debug, Default)]
struct Liar(MemoryRegistry);

#[async_trait]
impl ShareRegistry for Liar {
    async fn register(&self, holder: &str) -> Result<()> {
        self.0.register(holder).await
    }

    async fn beat(&self, holder: &str, wants_alone: bool) -> Result<Standing> {
        self.0.beat(holder, wants_alone).await
    }

    async fn finish(&self, holder: &str) -> Result<()> {
        self.0.finish(holder).await
    }

    async fn release(&self, _holder: &str, _unheard_for: Duration) -> Result<Left> {
        Ok(Left::Unspent)
    }

    async fn recall(&self, _unheard_for: Duration) -> Result<usize> {
        Ok(0)
    }
}

/// Cuts one replica off, has it forgotten by the others, and spends on both sides.
async fn spent_on_both_sides(registry: Registry, enough: usize) -> usize {
    let redis = Redis::start();
    let (ways, replicas) = three(&redis, &registry).await;
    ways[0].cut();
    let alone = fill(&replicas[..1], "alone", 1_000).await;
    let _silent = redis.command(&["ZADD", "sw:{x}:holders", "1", "a.1"]);
    let enough = enough.saturating_sub(alone.len());
    let others = spend_to_the_end(&replicas[1..], "others", enough).await;
    alone.len() + others.len()
}

#[tokio::test]
async fn a_share_that_is_being_spent_is_not_given_back_and_the_test_would_notice() {
    let honest = spent_on_both_sides(Arc::new(MemoryRegistry::default()), 0).await;
    assert!(honest <= 100, "{honest}");
    let planted = spent_on_both_sides(Arc::new(Liar::default()), 101).await;
    assert!(planted > 100, "a planted bug is found: {planted}");
}

/// The server forgets while one replica is cut off and spends.
async fn spent_over_a_loss_of_memory(registry: Registry, enough: usize) -> usize {
    let redis = Redis::start();
    let (ways, replicas) = three(&redis, &registry).await;
    ways[0].cut();
    assert_eq!(takes(&replicas[0], "first", 1_000, 10).await, Some(true));
    assert_eq!(redis.command(&["FLUSHALL"]), "+OK\r\n");
    eventually("the others have noticed and are back", || {
        replicas[1..].iter().all(|replica| {
            let status = replica.counters.status().unwrap();
            status.is_up && redis.command(&["EXISTS", "sw:{x}:epoch"]) == ":1\r\n"
        })
    })
    .await;
    let others = spend_to_the_end(&replicas[1..], "others", enough).await;
    let alone = fill(&replicas[..1], "alone", 1_000).await;
    1 + alone.len() + others.len()
}

#[tokio::test]
async fn a_server_that_forgets_waits_until_nobody_spends_alone() {
    // The ledger of these tests knows nothing: what the first call held is not restored.
    let honest = spent_over_a_loss_of_memory(Arc::new(MemoryRegistry::default()), 0).await;
    assert!(honest <= 101, "{honest}");
    let planted = spent_over_a_loss_of_memory(Arc::new(Liar::default()), 100).await;
    assert!(planted > 101, "a planted bug is found: {planted}");
}
