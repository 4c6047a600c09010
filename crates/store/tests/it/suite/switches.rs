//! What people have switched.

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::store::{Stores, Switch};

fn switch(name: &str, value: &str, at: i64) -> Switch {
    Switch {
        name: name.to_owned(),
        value: value.to_owned(),
        by: "ada".to_owned(),
        at: UnixMillis(at),
    }
}

pub(crate) async fn the_last_one_counts_and_all_are_listed_by_name(stores: &Stores) {
    let switches = &stores.switches;
    assert_eq!(switches.list().await.unwrap(), []);
    for (name, value, at) in [
        ("tier", "degraded_1", 1),
        ("a", "on", 2),
        ("tier", "normal", 3),
    ] {
        switches.set(switch(name, value, at)).await.unwrap();
    }
    let expected = [switch("a", "on", 2), switch("tier", "normal", 3)];
    assert_eq!(switches.list().await.unwrap(), expected);
}

pub(crate) async fn letting_go_leaves_the_others(stores: &Stores) {
    let switches = &stores.switches;
    switches.set(switch("tier", "x", 1)).await.unwrap();
    switches.set(switch("feature:b", "off", 1)).await.unwrap();
    switches.release("tier").await.unwrap();
    switches.release("tier").await.unwrap();
    assert_eq!(
        switches.list().await.unwrap(),
        [switch("feature:b", "off", 1)]
    );
}
