//! The checks that start a program: on a good one, and on one that is broken.

use seaworthy_verify::{Kind, Status, catalogue};

use super::support::process::Program;
use super::support::{asked_of_a_server, check, complaints, ids, options, start};

async fn judge(broken: Option<&'static str>) -> (Vec<&'static str>, String, usize) {
    let server = start(None).await;
    let program = Program::new(broken);
    let mut options = options(server.address);
    options.local_binary = Some(program.path());
    let report = check(options).await;
    (
        ids(&report, Status::Fail),
        complaints(&report),
        report.counts().pass,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_program_passes_everything() {
    let (red, complaints, passed) = judge(None).await;
    assert!(red.is_empty(), "{complaints}");
    let asked = asked_of_a_server().count();
    assert_eq!(passed, asked, "{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_program_turns_exactly_its_own_check_red() {
    let scratch: Vec<_> = catalogue().filter(|c| c.kind == Kind::Scratch).collect();
    for broken in &scratch {
        let (red, complaints, _) = judge(Some(broken.id)).await;
        assert_eq!(red, [broken.id], "{complaints}");
    }
    println!("sabotaged {} of {} programs", scratch.len(), scratch.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_not_verified() {
    let server = start(None).await;
    let mut options = options(server.address);
    options.local_binary = Some("/no/such/program".into());
    let report = check(options).await;
    let unknown = ids(&report, Status::NotVerified);
    let scratch: Vec<_> = catalogue()
        .filter(|c| c.kind == Kind::Scratch)
        .map(|c| c.id)
        .collect();
    assert_eq!(unknown, scratch, "{}", complaints(&report));
}
