//! A seeded simulation of replicas that share budgets: the very counters and scripts of a gateway, over a
//! network that is slow, silent or cut, before a Redis that forgets, with replicas that die and stand
//! still, and clocks that are set. Time moves by itself when nobody has anything to do, so that a run
//! takes milliseconds, and the same seed gives the same trace.

mod clock;
mod ledger;
mod memory;
mod network;
mod planted;
mod process;
#[path = "../../../core/tests/it/simulation/random.rs"]
mod random;
mod registry;
mod resp;
mod server;
mod world;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::planted::Mistake;
use self::world::{Run, can_show, run};

/// A small part of what a release is held to; `SEAWORTHY_SIMULATION_SEEDS=10000` runs all.
const SEEDS: u64 = 8;
const SEEDS_TO_FIND_A_MISTAKE: u64 = 1_000;

fn seeds() -> u64 {
    let asked = std::env::var("SEAWORTHY_SIMULATION_SEEDS").ok();
    asked.map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

/// The first seed, to look at a single one: `SEAWORTHY_SIMULATION_FROM=452 SEAWORTHY_SIMULATION_SEEDS=453`.
fn first_seed() -> u64 {
    let asked = std::env::var("SEAWORTHY_SIMULATION_FROM").ok();
    asked.map_or(0, |seed| seed.parse().unwrap())
}

/// The mistakes to look for, all unless some are named: `SEAWORTHY_SIMULATION_MISTAKES=SharesOverlap`.
fn is_asked_for(mistake: Mistake) -> bool {
    let asked = std::env::var("SEAWORTHY_SIMULATION_MISTAKES").ok();
    asked.is_none_or(|asked| asked.split(',').any(|name| name == format!("{mistake:?}")))
}

/// Tells how far it is; `cargo xtask bench money` makes a bar of it.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn progress(seed: u64, seeds: u64) {
    println!("progress: {seed} of {seeds} seeds of replicas");
}

/// Runs seeds on all cores until one fails.
fn run_all(seeds: u64, mistake: Option<Mistake>) -> Result<Vec<Run>, (u64, String)> {
    let (next, runs, failure) = (
        AtomicU64::new(first_seed()),
        Mutex::default(),
        Mutex::new(None),
    );
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failure.lock().unwrap().is_some() {
                        return;
                    }
                    if mistake.is_none() && seed > 0 && seed % 200 == 0 {
                        progress(seed, seeds);
                    }
                    if mistake.is_some_and(|mistake| !can_show(seed, mistake)) {
                        continue;
                    }
                    match run(seed, mistake) {
                        Ok(run) => Vec::push(&mut runs.lock().unwrap(), run),
                        Err(violation) => {
                            let mut failure = failure.lock().unwrap();
                            failure.get_or_insert((seed, violation));
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap() {
        Some(failure) => Err(failure),
        None => Ok(runs.into_inner().unwrap()),
    }
}

#[test]
fn no_seed_exceeds_a_budget_keeps_anybody_waiting_or_sets_anything_aside_for_ever() {
    let seeds = seeds();
    let runs = run_all(seeds, None);
    let runs = runs.unwrap_or_else(|(seed, violation)| panic!("seed {seed}: {violation}"));
    println!(
        "figure: {seeds} seeds of replicas that share budgets: violations | at most 0 | 0 | pass"
    );
    let seen: BTreeSet<_> = runs.into_iter().flat_map(|run| run.seen).collect();
    let all = [
        "a claim was settled for somebody who is gone",
        "a replica died",
        "a replica stood still",
        "exhausted",
        "held",
        "nobody could say",
        "not certain to be held before it left",
        "taken",
        "taken without the server",
        "the server came back with nothing",
        "the server came back with old data",
        "the server was emptied",
    ];
    let missing: Vec<_> = all.iter().filter(|what| !seen.contains(*what)).collect();
    // A few seeds do not have everything in them.
    assert!(
        missing.is_empty() || seeds - first_seed() < 100,
        "{missing:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_gives_another() {
    let trace = |seed| run(seed, None).unwrap().trace;
    let (from, most) = (first_seed(), 200);
    let seeds = from..from + ((seeds() - from) / 4).clamp(1, most);
    let traces: Vec<u64> = seeds.clone().map(trace).collect();
    let again: Vec<u64> = seeds.clone().map(trace).collect();
    for ((seed, one), other) in seeds.zip(&traces).zip(&again) {
        if one != other {
            println!("simulation: seed {seed} gave two traces");
        }
    }
    let different = traces.iter().zip(&again).filter(|(a, b)| a != b).count();
    let verdict = if different == 0 { "pass" } else { "**FAIL**" };
    println!(
        "figure: seeds of replicas run twice: traces that differ | at most 0 | {different} | {verdict}"
    );
    assert_eq!(traces, again);
    let distinct: BTreeSet<_> = traces.iter().collect();
    assert_eq!(distinct.len(), traces.len());
}

/// All of them where many seeds are asked for; otherwise those that show at once.
#[test]
fn every_planted_mistake_is_found() {
    let is_quick = seeds() <= SEEDS;
    let mut missed = Vec::new();
    for mistake in Mistake::ALL {
        if !is_asked_for(mistake) || (is_quick && !Mistake::AT_ONCE.contains(&mistake)) {
            continue;
        }
        let found = run_all(SEEDS_TO_FIND_A_MISTAKE, Some(mistake)).err();
        let Some((seed, violation)) = found else {
            println!(
                "figure: planted mistake {mistake:?}: seeds until it is found | at most {SEEDS_TO_FIND_A_MISTAKE} | none | **FAIL**"
            );
            missed.push(mistake);
            continue;
        };
        println!(
            "figure: planted mistake {mistake:?}: seeds until it is found | at most {SEEDS_TO_FIND_A_MISTAKE} | {} | pass",
            seed + 1
        );
        println!("simulation: {mistake:?}: {violation:.120}");
    }
    assert!(
        missed.is_empty(),
        "not found in {SEEDS_TO_FIND_A_MISTAKE} seeds: {missed:?}"
    );
}
