//! HTTP/2 with prior knowledge.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use seaworthy_edge::server::serve_io;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::support::{Dock, options, start};

type Sender = http2::SendRequest<Empty<Bytes>>;

async fn handshake(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Sender {
    let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
        .await
        .unwrap();
    tokio::spawn(async move {
        let _ended = driver.await;
    });
    sender
}

async fn get(sender: &mut Sender, path: &str) -> (StatusCode, Bytes) {
    let request = Request::get(format!("http://a{path}"))
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

/// A server on a connection in memory, to be used on paused time.
fn in_memory(dock: &Dock) -> tokio::io::DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    tokio::spawn(serve_io(far, peer, options(), dock.clone()));
    near
}

#[tokio::test]
async fn many_requests_share_a_connection_and_a_panic_costs_one_of_them() {
    let running = start(options());
    let sender = handshake(running.connect().await).await;
    let (mut held, mut panics, mut plain) = (sender.clone(), sender.clone(), sender);
    let held = tokio::spawn(async move { get(&mut held, "/hold").await });
    let (status, body) = get(&mut panics, "/panic").await;
    assert_eq!((status.as_u16(), &body[..]), (500, &b"panicked"[..]));
    for _ in 0..20 {
        assert_eq!(get(&mut plain, "/").await.1, "ahoy");
    }
    running.dock.release.notify_one();
    assert_eq!(held.await.unwrap().1, "held");
    drop((panics, plain));
    running.stop().await;
}

#[tokio::test]
async fn header_floods_are_431() {
    let running = start(options());
    let mut sender = handshake(running.connect().await).await;
    let request = Request::get("http://a/")
        .header("x", "y".repeat(20_000))
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 431);
    assert_eq!(get(&mut sender, "/").await.1, "ahoy");
    drop(sender);
    running.stop().await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs() {
    let running = start(options());
    let mut sender = handshake(running.connect().await).await;
    let held = tokio::spawn(async move { get(&mut sender, "/hold").await });
    let dock = running.dock.clone();
    crate::support::eventually("the request is worked on", || {
        dock.holding.load(Ordering::SeqCst) == 1
    })
    .await;
    let drained = tokio::spawn(running.server.drain(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_millis(50)).await;
    dock.release.notify_one();
    assert_eq!(held.await.unwrap().1, "held");
    assert_eq!(drained.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_next_request_closes_although_its_pings_are_answered() {
    let dock = Dock::default();
    let mut sender = handshake(in_memory(&dock)).await;
    assert_eq!(get(&mut sender, "/").await.1, "ahoy");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!sender.is_closed(), "the limit is 30 s");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_long_keeps_its_connection() {
    let dock = Dock::default();
    let mut sender = handshake(in_memory(&dock)).await;
    let release = std::sync::Arc::clone(&dock.release);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(300)).await;
        release.notify_one();
    });
    assert_eq!(get(&mut sender, "/hold").await.1, "held");
}

/// A client that opens a window of 1,000 bytes for each stream, and no other while nobody reads.
async fn with_a_small_window(dock: &Dock) -> Sender {
    let (sender, driver) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1000)
        .handshake(TokioIo::new(in_memory(dock)))
        .await
        .unwrap();
    tokio::spawn(async move {
        let _ended = driver.await;
    });
    sender
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_ends_alone() {
    let dock = Dock::default();
    let mut sender = with_a_small_window(&dock).await;
    let request = Request::get("http://a/big").body(Empty::new()).unwrap();
    let unread = sender.send_request(request).await.unwrap();
    let (mut slow, release) = (sender.clone(), std::sync::Arc::clone(&dock.release));
    let held = tokio::spawn(async move { get(&mut slow, "/hold").await });
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(get(&mut sender, "/").await.1, "ahoy");
    }
    assert_eq!(dock.holding.load(Ordering::SeqCst), 1, "the limit is 30 s");
    release.notify_one();
    assert_eq!(
        held.await.unwrap().1,
        "held",
        "it was begun with the unread one"
    );
    let error = unread.into_body().collect().await.unwrap_err().to_string();
    assert!(!sender.is_closed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_opens_no_window_is_given_up() {
    let dock = Dock::default();
    let mut sender = with_a_small_window(&dock).await;
    let request = Request::get("http://a/big")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(dock.holding.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(dock.holding.load(Ordering::SeqCst), 0, "the limit is 30 s");
    drop(response);
}
