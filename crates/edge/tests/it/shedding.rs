//! Requests that are refused before they are parsed: their connections stay, and nothing else on
//! them is lost.

use std::sync::atomic::Ordering;
use std::time::Duration;

use seaworthy_edge::server::Listener;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{options, read_answer, read_to_end, start};

/// A request in pieces: what is sent at once, and what comes later.
fn post(can_wait: bool, length: usize) -> (String, String) {
    let can_wait = if can_wait { "yes" } else { "no" };
    let head = format!(
        "POST /read HTTP/1.1\r\nhost: a\r\ncan-wait: {can_wait}\r\ncontent-length: {length}\r\n\r\n"
    );
    (head, "b".repeat(length))
}

async fn send(stream: &mut TcpStream, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn who_is_refused_keeps_the_connection_and_its_body_is_forgotten() {
    let running = start(options());
    running.dock.sheds.store(true, Ordering::SeqCst);
    let mut stream = running.connect().await;
    for length in [0, 4, 100_000] {
        let (head, body) = post(true, length);
        send(&mut stream, &head).await;
        let answer = read_answer(&mut stream, "later").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        send(&mut stream, &body).await;
        // What follows on the same connection begins where the body ended.
        let (head, body) = post(false, 4);
        send(&mut stream, &head).await;
        send(&mut stream, &body).await;
        let answer = read_answer(&mut stream, "bbbb").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
    running.dock.sheds.store(false, Ordering::SeqCst);
    let (head, body) = post(true, 4);
    send(&mut stream, &(head + &body)).await;
    read_answer(&mut stream, "bbbb").await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn who_is_refused_may_have_sent_everything_at_once() {
    let running = start(options());
    running.dock.sheds.store(true, Ordering::SeqCst);
    let mut stream = running.connect().await;
    for whole in [4_095, 4_096, 4_097, 8_192, 8_193, 70_000] {
        let head = post(true, whole).0;
        let (head, body) = post(true, whole - head.len());
        send(&mut stream, &(head + &body)).await;
        let answer = read_answer(&mut stream, "later").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{whole}: {answer:?}");
        let (head, body) = post(false, 4);
        send(&mut stream, &(head + &body)).await;
        let answer = read_answer(&mut stream, "bbbb").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{whole}: {answer:?}");
    }
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_refused_reaches_its_handler_whole_in_pieces_of_any_size() {
    let running = start(options());
    running.dock.sheds.store(true, Ordering::SeqCst);
    let (head, body) = post(false, 600);
    let whole = head + &body;
    for cut in [1, 20, 24, 25, 90, whole.len() - 1] {
        let mut stream = running.connect().await;
        send(&mut stream, &whole[..cut]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        send(&mut stream, &whole[cut..]).await;
        read_answer(&mut stream, &body).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let running = start(options());
    running.dock.sheds.store(true, Ordering::SeqCst);
    let mut stream = running.connect().await;
    let (mut head, body) = post(false, 4);
    let first = head.replace("/read", "/hold") + &body;
    head = post(true, 4).0;
    // The second one comes while the first one is being answered: hyper has it.
    send(&mut stream, &first).await;
    send(&mut stream, &(head + "cccc")).await;
    running.dock.release.notify_one();
    let answers = read_answer(&mut stream, "cccc").await;
    let (held, read) = answers.split_once("held").unwrap();
    assert!(held.starts_with("HTTP/1.1 200 "), "{held:?}");
    assert!(read.starts_with("HTTP/1.1 200 "), "{read:?}");
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_never_comes_closes_the_connection() {
    let mut options = options();
    options.timeouts.header = Duration::from_millis(200);
    let running = start(options);
    running.dock.sheds.store(true, Ordering::SeqCst);
    let mut stream = running.connect().await;
    send(&mut stream, &post(true, 100).0).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert!(answer.ends_with("later"), "a second answer: {answer:?}");
    running.stop().await;
}

/// A request that is answered before its body comes.
fn leave(length: usize) -> (String, String) {
    let (head, body) = post(false, length);
    (head.replace("/read", "/leave"), body)
}

#[tokio::test]
async fn a_connection_whose_body_came_after_the_answer_is_as_good_as_any_other() {
    let running = start(options());
    let mut stream = running.connect().await;
    let (head, body) = leave(100_000);
    send(&mut stream, &head).await;
    read_answer(&mut stream, "left").await;
    send(&mut stream, &body).await;
    // It is over when the next one is answered.
    let (head, body) = post(true, 4);
    send(&mut stream, &(head + &body)).await;
    read_answer(&mut stream, "bbbb").await;
    let (head, body) = leave(100_000);
    send(&mut stream, &head).await;
    read_answer(&mut stream, "left").await;
    running.dock.sheds.store(true, Ordering::SeqCst);
    send(&mut stream, &body).await;
    send(&mut stream, &post(true, 0).0).await;
    let answer = read_answer(&mut stream, "later").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_body_is_never_taken_for_a_request() {
    let running = start(options());
    running.dock.sheds.store(true, Ordering::SeqCst);
    let inner = post(true, 0).0;
    let length = inner.len();
    let chunked = format!(
        "POST /leave HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n"
    );
    for (head, end) in [(leave(length).0, ""), (chunked, "\r\n0\r\n\r\n")] {
        let mut stream = running.connect().await;
        send(&mut stream, &head).await;
        read_answer(&mut stream, "left").await;
        send(&mut stream, &inner).await;
        send(&mut stream, end).await;
        let (head, body) = post(false, 4);
        send(&mut stream, &(head + &body)).await;
        let answer = read_answer(&mut stream, "bbbb").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_idle_after_such_a_body_closes_without_a_word() {
    let mut options = options();
    options.timeouts.header = Duration::from_millis(200);
    options.timeouts.keep_alive = Duration::from_millis(600);
    let running = start(options);
    let mut stream = running.connect().await;
    let (head, body) = leave(100_000);
    send(&mut stream, &head).await;
    read_answer(&mut stream, "left").await;
    send(&mut stream, &body).await;
    assert_eq!(read_to_end(&mut stream).await, "");
    running.stop().await;
}

#[tokio::test]
async fn a_crowd_that_comes_at_once_is_waited_for() {
    // Nothing is accepted yet: this is what happens while a worker is busy.
    let listener = Listener::bind(options()).unwrap();
    let address = listener.local_addr().unwrap();
    let crowd = futures_util::future::try_join_all((0..600).map(|_| TcpStream::connect(address)));
    let came = tokio::time::timeout(Duration::from_secs(20), crowd).await;
    assert_eq!(came.expect("room for all").unwrap().len(), 600);
}
