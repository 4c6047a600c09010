//! `seaworthy check --watch`, as somebody keeps it.

use crate::support::{Ran, Ship};

#[test]
fn a_server_that_is_gone_is_told_once_and_not_in_every_round() {
    let ship = Ship::new();
    // Nobody listens on port 1 of the loopback.
    let arguments = [
        "check",
        "--url",
        "http://127.0.0.1:1",
        "--watch",
        "1",
        "--rounds",
        "3",
        "--watch-metrics",
        "watch.prom",
    ];
    let ran = Ran::of(ship.command(&arguments));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr.matches("drift:").count(), 1, "{}", ran.stderr);
    let metrics = std::fs::read_to_string(ship.path("watch.prom")).unwrap();
    for line in [
        "seaworthy_watch_rounds_total 3",
        "seaworthy_watch_drifts_total 1",
        "seaworthy_watch_up 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}
