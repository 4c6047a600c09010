//! The servers do what tests rely on.

use seaworthy_test_servers::{Postgres, Redis};

#[test]
fn redis_is_killed_and_comes_back_empty() {
    let mut redis = Redis::start();
    assert_eq!(redis.command(&["SET", "a", "1"]), "+OK\r\n");
    redis.restart();
    assert_eq!(redis.command(&["GET", "a"]), "$-1\r\n");
}

#[test]
fn postgres_is_killed_and_comes_back_with_its_data() {
    let mut postgres = Postgres::start();
    let url = postgres.create_database();
    let made = postgres.query(&url, "SELECT 1 AS n INTO kept");
    assert_eq!(made, "");
    postgres.restart();
    assert_eq!(postgres.query(&url, "TABLE kept"), "1");
}
