//! The ways between replicas and the Redis server: quick, slow, silent or cut. What was sent arrives,
//! late if need be, even if who sent it waits no longer.

use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use seaworthy_store::redis::{Dial, Stream};
use tokio::io::{AsyncWriteExt as _, BufReader, DuplexStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::random::Random;
use super::resp;
use super::server::Server;

/// Bytes that a connection holds which nobody has read.
const BUFFER: usize = 1 << 20;

/// How it stands with a way, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Condition {
    Open,
    /// Slower than others, and no slower than a replica waits for.
    Far,
    Slow,
    /// Nothing comes through, and nobody says so.
    Silent,
    /// Connections break, and new ones are refused.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct State {
    own: Condition,
    /// That of the server at its end.
    server: Condition,
    /// Connections of an earlier generation are broken.
    generation: u64,
}

impl State {
    fn condition(&self) -> Condition {
        self.own.max(self.server)
    }
}

/// A state that is waited for. Who came first is woken first: `tokio::sync::watch` leaves that to a chance
/// that no seed decides.
struct Changing {
    state: Mutex<State>,
    changed: Notify,
}

impl Changing {
    fn now(&self) -> State {
        *self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_waiters();
    }

    async fn wait_for(&self, is_met: impl Fn(&State) -> bool) -> State {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let state = self.now();
            if is_met(&state) {
                return state;
            }
            changed.await;
        }
    }
}

/// The way of one replica.
pub(super) struct Way {
    state: Arc<Changing>,
    arrivals: mpsc::UnboundedSender<(DuplexStream, Arc<Way>)>,
    random: Arc<Mutex<Random>>,
}

pub(super) type Arrivals = mpsc::UnboundedReceiver<(DuplexStream, Arc<Way>)>;

impl Way {
    pub(super) fn new(
        arrivals: &mpsc::UnboundedSender<(DuplexStream, Arc<Way>)>,
        random: &Arc<Mutex<Random>>,
    ) -> Arc<Self> {
        let state = State {
            own: Condition::Open,
            server: Condition::Open,
            generation: 0,
        };
        Arc::new(Self {
            state: Arc::new(Changing {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
            arrivals: arrivals.clone(),
            random: Arc::clone(random),
        })
    }

    pub(super) fn condition(&self) -> Condition {
        self.state.now().condition()
    }

    pub(super) fn set(&self, own: Condition) {
        self.change(|state| state.own = own);
    }

    pub(super) fn set_server(&self, server: Condition) {
        self.change(|state| state.server = server);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.change(|state| {
            change(state);
            if state.condition() == Condition::Refused {
                state.generation += 1;
            }
        });
    }

    fn delay(&self) -> Duration {
        let mut random = self.random.lock().unwrap();
        let micros = match self.condition() {
            Condition::Far => 4_000 + random.below(16_000),
            Condition::Slow => 5_000 + random.below(90_000),
            _ if random.percent(3) => random.below(20_000),
            _ => random.below(1_000),
        };
        Duration::from_micros(micros)
    }

    /// Waits until something comes through; `false` for a connection that is broken by then. What was
    /// sent in silence is sent again after pauses that double, so it is at most as late again as the
    /// silence was long, while a new connection is made at once.
    async fn pass(&self, generation: u64) -> bool {
        let is_decided =
            |state: &State| state.generation != generation || state.condition() < Condition::Silent;
        sleep(self.delay()).await;
        loop {
            let since = Instant::now();
            if self.state.wait_for(is_decided).await.generation != generation {
                return false;
            }
            let silent_ms = since.elapsed().as_millis() as u64;
            if silent_ms == 0 {
                return true;
            }
            let late_ms = self.random.lock().unwrap().below(silent_ms);
            sleep(Duration::from_millis(late_ms)).await;
        }
    }

    async fn breaks(&self, generation: u64) {
        let is_broken = |state: &State| state.generation != generation;
        self.state.wait_for(is_broken).await;
    }
}

#[async_trait]
impl Dial for Way {
    async fn dial(&self, _: &str, _: u16) -> std::io::Result<Box<dyn Stream>> {
        sleep(self.delay()).await;
        let answers = |state: &State| state.condition() != Condition::Silent;
        if self.state.wait_for(answers).await.condition() == Condition::Refused {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (mine, theirs) = tokio::io::duplex(BUFFER);
        let way = Arc::new(Self {
            state: Arc::clone(&self.state),
            arrivals: self.arrivals.clone(),
            random: Arc::clone(&self.random),
        });
        self.arrivals.send((theirs, way)).unwrap();
        Ok(Box::new(mine))
    }
}

/// Answers everybody who connects.
pub(super) async fn serve(server: Rc<Server>, mut arrivals: Arrivals) {
    while let Some((stream, way)) = arrivals.recv().await {
        tokio::task::spawn_local(answer(Rc::clone(&server), stream, way));
    }
}

async fn answer(server: Rc<Server>, stream: DuplexStream, way: Arc<Way>) {
    let generation = way.state.now().generation;
    let (from, mut to) = tokio::io::split(stream);
    let mut from = BufReader::new(from);
    loop {
        let command = tokio::select! {
            biased;
            () = way.breaks(generation) => return,
            command = resp::command(&mut from) => command,
        };
        let Some(command) = command else { return };
        if !way.pass(generation).await {
            return;
        }
        let mut bytes = Vec::new();
        server.answer(&command).encode(&mut bytes);
        if !way.pass(generation).await {
            return;
        }
        // Who is gone has no use for it, and what it has sent counts all the same.
        let _gone = to.write_all(&bytes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_woken_first() {
    let silent = State {
        own: Condition::Silent,
        server: Condition::Open,
        generation: 0,
    };
    let changing = Rc::new(Changing {
        state: Mutex::new(silent),
        changed: Notify::new(),
    });
    let woken = Rc::new(Mutex::new(Vec::new()));
    let local = tokio::task::LocalSet::new();
    for number in 0..32 {
        let (changing, woken) = (Rc::clone(&changing), Rc::clone(&woken));
        local.spawn_local(async move {
            changing
                .wait_for(|state| state.own == Condition::Open)
                .await;
            woken.lock().unwrap().push(number);
        });
    }
    local.spawn_local(async move {
        sleep(Duration::from_millis(1)).await;
        changing.change(|state| state.own = Condition::Open);
    });
    local.await;
    assert_eq!(*woken.lock().unwrap(), Vec::from_iter(0..32));
}
