//! Many calls at once over several replicas: a budget is spent to its end and never beyond, as the
//! provider counts.

use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

use seaworthy_test_servers::{Postgres, Redis};

use crate::fleet::{
    CALL_COST, Fleet, TWENTY_CALLS, at_least, at_most, progress, rounds, scattered,
};
use crate::support::Request;

/// A Redis that a busy machine keeps from running is lost like any other, so some replicas are wrong
/// about it: that must not let a single call more pass. A caller that gets 503 asks again, as SDKs do.
#[test]
fn two_hundred_calls_over_three_replicas_spend_a_budget_of_twenty_and_no_more() {
    let wanted = rounds(4);
    spend_over_three_replicas("local", wanted.div_ceil(2));
    spend_over_three_replicas("reject", wanted / 2);
}

fn spend_over_three_replicas(on_loss: &str, wanted: usize) {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    let directives = "output_tokens=7,latency_ms=5";
    let shared = (Some(&redis), on_loss);
    let fleet = Fleet::launch_with(&storage, shared, 3, directives, TWENTY_CALLS);
    let budget = 20 * CALL_COST;
    let (mut most, mut least) = (0, u64::MAX);
    let failed = Mutex::new(Vec::new());
    for round in 0..wanted {
        let before = fleet.seen_by_provider();
        let session = format!("round-{round}");
        std::thread::scope(|scope| {
            for call in 0..200_u64 {
                let (fleet, session, failed) = (&fleet, &session, &failed);
                scope.spawn(move || {
                    let answer = ask_again(fleet, session, call + 1_000 * round as u64);
                    if let Err(said) = answer {
                        failed.lock().unwrap().push(said);
                    }
                });
            }
        });
        let spent = (fleet.seen_by_provider() - before) * CALL_COST;
        (most, least) = (most.max(spent), least.min(spent));
        progress(round + 1, wanted, &format!("rounds, `{on_loss}`"));
    }
    let what =
        format!("200 calls at once over 3 replicas, budget for 20, `{on_loss}`, {wanted} times");
    at_most(&format!("{what}: most spent, micro-dollars"), most, budget);
    at_least(
        &format!("{what}: least spent, micro-dollars"),
        least,
        budget * 99 / 100,
    );
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "answers other than 200 and 429: {failed:#?}"
    );
    for replica in fleet.replicas {
        replica.stop();
    }
}

/// A call at a random moment, to a random replica, as an SDK makes it.
fn ask_again(fleet: &Fleet, session: &str, seed: u64) -> Result<(), String> {
    let chance = scattered(seed);
    std::thread::sleep(Duration::from_micros(chance % 20_000));
    let ask = || fleet.ask((chance % 3) as usize, session).send();
    let mut answer = ask();
    for _ in 0..40 {
        if answer.status != 503 {
            break;
        }
        std::thread::sleep(Duration::from_millis(250));
        answer = ask();
    }
    match answer.status {
        200 | 429 => Ok(()),
        status => Err(format!("{status} {}", answer.text())),
    }
}

/// Whether anything of an answer has come.
fn is_answered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let has_come = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    has_come
}

/// Callers that hang up while their calls hold a budget give it back.
#[test]
fn what_callers_held_who_left_is_there_for_others() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let storage = postgres.create_database();
    // A call reserves 5,000 micro-dollars, and costs what its answer has.
    let money = "[prices.\"o/gpt-real\"]\ninput = 0\noutput = 100\n\
                 [budgets.all]\nscope = \"global\"\nwindow = \"total\"\nbudget_usd = 0.05\n\
                 [cost_controls]\nlast_answers = \"refuse\"\n";
    let fleet = Fleet::launch(&storage, Some(&redis), 2, "output_tokens=1", money);
    let ask = |replica: usize| {
        let body =
            r#"{"model":"gpt","max_tokens":50,"messages":[{"role":"user","content":"Ahoy"}]}"#;
        Request::new(
            fleet.replicas[replica].address,
            "POST",
            "/v1/chat/completions",
        )
        .key(&fleet.key)
        .body(body)
    };
    let hang = Request::new(fleet.provider.address, "POST", "/__control/faults")
        .body("{\"fault\":\"latency_ms=600000\",\"times\":10}");
    assert_eq!(hang.status(), 200);
    for replica in [0, 1] {
        fleet.wait_for_shared_state(replica);
    }
    let mut held: Vec<_> = (0..10).map(|call| ask(call % 2).begin().unwrap()).collect();
    crate::support::eventually("ten calls hold the whole budget", || {
        for (call, stream) in held.iter_mut().enumerate() {
            // One that is answered was refused, because a busy machine kept Redis from answering.
            if is_answered(stream) {
                *stream = ask(call % 2).begin().unwrap();
            }
        }
        (fleet.seen_by_provider() == 10).then_some(())
    });
    drop(held);
    let left = std::time::Instant::now();
    let mut status = ask(0).status();
    while status == 503 && left.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(250));
        status = ask(0).status();
    }
    assert_eq!(status, 200, "it waits until they have given back");
    let waited = u64::try_from(left.elapsed().as_millis()).unwrap();
    at_most(
        "callers left: milliseconds until others could spend",
        waited,
        60_000,
    );
}
