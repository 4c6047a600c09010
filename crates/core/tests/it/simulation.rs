//! A seeded simulation: replicas that crash, messages that come late, twice or out of order, clocks
//! that jump, windows that roll over and a store that forgets, beside an oracle that counts
//! everything anew from the history. The same seed gives the same trace.

mod oracle;
mod planted;
mod random;
mod system;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::planted::{Bug, Planted};
use self::system::{Honest, System};
use self::world::{Run, World};

/// A tenth of what a release is held to, so that a slow machine can wait for it;
/// `SEAWORTHY_SIMULATION_SEEDS=10000` runs all.
const SEEDS: u64 = 1_000;
const SEEDS_TO_FIND_A_BUG: u64 = 1_000;

fn run(seed: u64, system: Box<dyn System>) -> Result<Run, String> {
    World::new(seed, system).run()
}

/// Tells how far it is; `cargo xtask bench money` makes a bar of it.
fn progress(seed: u64, seeds: u64) {
    println!("progress: {seed} of {seeds} seeds");
}

/// Runs seeds on all cores until one fails; the first failure and the combined hash.
fn run_all(seeds: u64) -> (Option<String>, u64) {
    let (next, hash, failure) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > 0 && seed % 500 == 0 {
                        progress(seed, seeds);
                    }
                    if seed >= seeds || failure.lock().unwrap().is_some() {
                        return;
                    }
                    match run(seed, Box::new(Honest::default())) {
                        Ok(run) => {
                            hash.fetch_xor(run.trace.rotate_left(seed as u32), Ordering::Relaxed)
                        }
                        Err(violation) => {
                            let message = format!("seed {seed}: {violation}");
                            failure.lock().unwrap().get_or_insert(message);
                            return;
                        }
                    };
                }
            });
        }
    });
    (failure.into_inner().unwrap(), hash.into_inner())
}

#[test]
fn no_seed_violates_anything() {
    let asked = std::env::var("SEAWORTHY_SIMULATION_SEEDS").ok();
    let seeds = asked.map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let start = std::time::Instant::now();
    let (failure, hash) = run_all(seeds);
    assert_eq!(failure, None);
    let seconds = start.elapsed().as_secs_f64();
    println!("figure: simulation of {seeds} seeds: violations | at most 0 | 0 | pass");
    println!("simulation: {seeds} seeds in {seconds:.1} s, trace {hash:016x}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_gives_another() {
    let trace = |seed| run(seed, Box::new(Honest::default())).unwrap().trace;
    let traces: Vec<u64> = (0..50).map(trace).collect();
    let again: Vec<u64> = (0..50).map(trace).collect();
    let different = traces.iter().zip(&again).filter(|(a, b)| a != b).count();
    println!("figure: 50 seeds run twice: traces that differ | at most 0 | {different} | pass");
    assert_eq!(traces, again);
    let distinct: std::collections::HashSet<_> = traces.iter().collect();
    assert_eq!(distinct.len(), traces.len());
}

#[test]
fn everything_that_can_happen_does_happen() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        seen.extend(run(seed, Box::new(Honest::default())).unwrap().seen);
    }
    let all = [
        "abandoned after it left",
        "abandoned after its settlement",
        "abandoned before it left",
        "broke off and tried again",
        "closed again",
        "exhausted",
        "hedged",
        "held",
        "never fits",
        "rate",
        "refused and tried again",
        "slot",
        "taken",
        "threshold",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..SEEDS_TO_FIND_A_BUG)
            .find_map(|seed| Some((seed, run(seed, Box::new(Planted::new(*bug))).err()?)));
        let Some((seed, violation)) = found else {
            panic!("{bug:?} was not found in {SEEDS_TO_FIND_A_BUG} seeds");
        };
        let violation: String = violation.chars().take(100).collect();
        println!(
            "figure: planted bug {bug:?}: seeds until it is found | at most {SEEDS_TO_FIND_A_BUG} | {} | pass",
            seed + 1
        );
        println!("simulation: {bug:?}: {violation}");
    }
}
