//! What goes wrong, and how it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use seaworthy_core::counters::Counters as _;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Condition, LARGEST_CALL, REPLICAS, Weather, World};

const CONDITIONS: [Condition; 4] = [
    Condition::Open,
    Condition::Slow,
    Condition::Silent,
    Condition::Refused,
];

/// Nobody is heard of for thirty seconds before its calls are settled, and then its claims.
const ALL_IS_SETTLED: Duration = Duration::from_secs(45);
/// So long after the last fault all replicas ask the server again: one that died while it spent what was set
/// aside is waited for, and nobody else.
const BACK_WITHIN: Duration = Duration::from_secs(5);
const BACK_WITHOUT_THE_DEAD_WITHIN: Duration = Duration::from_secs(36);
/// By then everybody has noticed it.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);
/// How long calls take that are made meanwhile, and how soon one comes after the other.
const SHORT_CALLS_MS: u64 = 400;
const LONGEST_PAUSE_MS: u64 = 60;

impl World {
    /// Something goes wrong, or is well again.
    pub(super) async fn fault(&mut self) {
        let slot = self.shared.below(REPLICAS as u64) as usize;
        let kind = match self.shared.weather {
            Weather::Replicas => self.shared.below(7),
            Weather::Server => 6 + self.shared.below(4),
            _ => self.shared.below(10),
        };
        match kind {
            0 | 1 => self.turn(slot),
            2 => self.kill_or_start(slot).await,
            3 => self.stand_still_or_go_on(slot),
            4 => self.cut_off_from_the_registry(slot),
            5 => self.set_a_clock(slot),
            6 => self.freeze_or_thaw(),
            7 => self.shared.server.save(),
            8 => {
                self.shared.see("the server was emptied");
                self.shared.note(&"flush");
                self.shared.server.flush();
            }
            _ => self.restart_the_server().await,
        }
    }

    /// The way of one replica gets better or worse.
    fn turn(&self, slot: usize) {
        let condition = CONDITIONS[self.shared.below(4) as usize];
        self.shared.note(&("way", slot, condition));
        self.ways[slot].set(condition);
    }

    async fn kill_or_start(&mut self, slot: usize) {
        let Some(replica) = self.replicas[slot].take() else {
            return self.start(slot).await;
        };
        self.shared.see("a replica died");
        self.shared.note(&("kill", slot));
        let name = replica.name.clone();
        replica.kill();
        if self.shared.percent(50) {
            // It is started again, and has its disk.
            sleep(self.shared.millis(3_000)).await;
            self.shared.ledger.borrow_mut().recover(&name);
            self.start(slot).await;
        }
    }

    fn stand_still_or_go_on(&self, slot: usize) {
        let Some(replica) = &self.replicas[slot] else {
            return;
        };
        if replica.gate.is_still() {
            return;
        }
        self.shared.see("a replica stood still");
        self.shared.note(&("still", slot));
        replica.gate.stand_still();
        let longest = [500, 3_000, 45_000][self.shared.below(3) as usize];
        let (gate, still) = (
            std::sync::Arc::clone(&replica.gate),
            self.shared.millis(longest),
        );
        tokio::task::spawn_local(async move {
            sleep(still).await;
            gate.go_on();
        });
    }

    pub(super) fn cut_off_from_the_registry(&self, slot: usize) {
        if let Some(replica) = &self.replicas[slot] {
            let was_lost = replica.registry.is_lost.fetch_not(Ordering::Relaxed);
            self.shared.note(&("registry", slot, was_lost));
        }
    }

    /// A clock on a wall is set, that of a replica or that of the server.
    fn set_a_clock(&self, slot: usize) {
        let longest = [2_000, 60_000, 7_200_000][self.shared.below(3) as usize];
        let by_ms = self.shared.below(longest) as i64 * [1, -1][self.shared.below(2) as usize];
        self.shared.note(&("clock", slot, by_ms));
        match &self.replicas[slot] {
            Some(replica) => replica.clock.jump(by_ms),
            // The server's does not go by hours: a claim of nobody would live for them.
            None => self.shared.time.shift_server(by_ms % 10_000),
        }
    }

    fn freeze_or_thaw(&mut self) {
        self.is_server_lost = !self.is_server_lost;
        let condition = match self.is_server_lost {
            true => Condition::Silent,
            false => Condition::Open,
        };
        self.shared.note(&("server", condition));
        self.ways.iter().for_each(|way| way.set_server(condition));
    }

    /// It is gone for a while and comes back with nothing, or with what was on its disk.
    async fn restart_the_server(&mut self) {
        let with_old_data = self.shared.percent(40);
        self.shared.see(match with_old_data {
            true => "the server came back with old data",
            false => "the server came back with nothing",
        });
        self.shared.note(&("restart", with_old_data));
        self.ways
            .iter()
            .for_each(|way| way.set_server(Condition::Refused));
        self.shared.server.restart(with_old_data);
        let gone = [200, 2_500][self.shared.below(2) as usize];
        for _ in 0..4 {
            sleep(self.shared.millis(gone) / 4).await;
            self.call();
        }
        self.is_server_lost = false;
        self.ways
            .iter()
            .for_each(|way| way.set_server(Condition::Open));
    }

    /// All is well again, and stays so.
    pub(super) async fn heal(&mut self) {
        self.shared.note(&"heal");
        for way in &self.ways {
            way.set(Condition::Open);
            way.set_server(Condition::Open);
        }
        for slot in 0..REPLICAS {
            match &self.replicas[slot] {
                Some(replica) => {
                    replica.registry.is_lost.store(false, Ordering::Relaxed);
                    replica.gate.go_on();
                }
                None => self.start(slot).await,
            }
        }
        let healed = Instant::now();
        self.come_back_under_load().await;
        sleep_until(healed + ALL_IS_SETTLED).await;
    }

    /// Everybody asks the server again before long, whatever is asked of them.
    async fn come_back_under_load(&mut self) {
        let since = Instant::now();
        let within = match self.shared.weather {
            Weather::Loss | Weather::Server | Weather::Partition | Weather::Flapping => BACK_WITHIN,
            _ => BACK_WITHOUT_THE_DEAD_WITHIN,
        };
        loop {
            let away = self.replicas.iter().flatten().find(|it| !it.is_back());
            match away {
                None if since.elapsed() >= NOTICED_WITHIN => break,
                Some(replica) if since.elapsed() > within => {
                    let (name, status) = (&replica.name, replica.counters.status());
                    return self.shared.violate(format!(
                        "{name} does not ask the server {within:?} after the last fault: {status:?}"
                    ));
                }
                _ => {}
            }
            for slot in 0..REPLICAS {
                self.call_under_limits_at(slot, SHORT_CALLS_MS);
            }
            self.call_at(
                self.shared.below(REPLICAS as u64) as usize,
                SHORT_CALLS_MS,
                LARGEST_CALL,
            );
            sleep(self.shared.millis(LONGEST_PAUSE_MS)).await;
        }
        self.shared.note(&"back");
    }
}
