//! Connections to a provider: used again, replaced, closed, and a request is never sent twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use seaworthy_edge::client::{Error, Network, Origin, Timeouts, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{eventually, within};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nahoy";

/// What the provider does with a request on one connection.
#[derive(Clone, Copy)]
enum Move {
    Answer,
    AnswerAndClose,
    CloseWithoutAnswer,
    BeginAnswer,
    Nothing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    connections: usize,
    requests: usize,
    /// Connections that the client closed.
    closed_by_client: usize,
    closed_by_us: usize,
}

/// A provider that makes the given moves, one a request, whatever connection it comes on.
async fn provider(moves: &[Move]) -> (Arc<Upstream>, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (shared, moves) = (Arc::clone(&seen), moves.to_vec());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            shared.lock().connections += 1;
            tokio::spawn(serve(stream, Arc::clone(&shared), moves.clone()));
        }
    });
    let origin = Origin::parse(&format!("http://{address}/v1")).unwrap();
    (Upstream::new(origin, Arc::new(Network::default()), 8), seen)
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>, moves: Vec<Move>) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"question") {
            if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
                seen.lock().closed_by_client += 1;
                return;
            }
        }
        let number = seen.lock().requests;
        seen.lock().requests += 1;
        match moves[number] {
            Move::Answer => stream.write_all(OK).await.unwrap(),
            Move::AnswerAndClose => {
                stream.write_all(OK).await.unwrap();
                drop(stream);
                seen.lock().closed_by_us += 1;
                return;
            }
            Move::CloseWithoutAnswer => return,
            Move::BeginAnswer => stream.write_all(&OK[..OK.len() - 1]).await.unwrap(),
            Move::Nothing => {}
        }
    }
}

fn request() -> Request<Full<Bytes>> {
    Request::post("/v1/x")
        .header("host", "a")
        .body(Full::from("question"))
        .unwrap()
}

/// Connections and requests so far.
fn counts(seen: &Mutex<Seen>) -> (usize, usize) {
    let seen = *seen.lock();
    (seen.connections, seen.requests)
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(5),
        first_token: None,
        between_chunks: Duration::from_secs(5),
        total: Duration::from_secs(5),
        deadline: None,
    }
}

async fn ask(upstream: &Arc<Upstream>) -> Result<Bytes, Error> {
    let response = upstream.send(request(), timeouts()).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

#[tokio::test]
async fn an_idle_connection_is_used_again() {
    let (upstream, seen) = provider(&[Move::Answer; 5]).await;
    for _ in 0..5 {
        assert_eq!(ask(&upstream).await.unwrap(), "ahoy");
    }
    assert_eq!(counts(&seen), (1, 5));
}

#[tokio::test]
async fn a_connection_that_was_idle_for_about_a_minute_is_not_used_again() {
    let (upstream, seen) = provider(&[Move::Answer; 4]).await;
    ask(&upstream).await.unwrap();
    for (idle, connections) in [(50, 1), (56, 2), (50, 2)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(idle)).await;
        tokio::time::resume();
        assert_eq!(ask(&upstream).await.unwrap(), "ahoy");
        assert_eq!(seen.lock().connections, connections, "idle for {idle} s");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let (upstream, seen) = provider(&[Move::Answer; 6]).await;
    let asking = || ask(&upstream);
    let (one, two, three) = tokio::join!(asking(), asking(), asking());
    for answer in [one, two, three] {
        assert_eq!(answer.unwrap(), "ahoy");
    }
    let connections = seen.lock().connections;
    assert_eq!(connections, 3);
    ask(&upstream).await.unwrap();
    assert_eq!(seen.lock().connections, 3);
}

#[tokio::test]
async fn a_connection_that_the_provider_closed_meanwhile_is_replaced_without_an_error() {
    let (upstream, seen) = provider(&[Move::AnswerAndClose; 4]).await;
    for number in 1..=4 {
        assert_eq!(ask(&upstream).await.unwrap(), "ahoy");
        eventually("the provider closes", || seen.lock().closed_by_us == number).await;
    }
    assert_eq!(counts(&seen), (4, 4));
}

#[tokio::test]
async fn a_request_that_was_written_is_never_sent_again() {
    let (upstream, seen) = provider(&[Move::CloseWithoutAnswer, Move::Answer]).await;
    let error = ask(&upstream).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    assert_eq!(counts(&seen), (1, 1));

    // The same over a connection that has served before.
    let (upstream, seen) = provider(&[Move::Answer, Move::CloseWithoutAnswer, Move::Answer]).await;
    ask(&upstream).await.unwrap();
    let error = ask(&upstream).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    assert_eq!(counts(&seen), (1, 2));
    assert_eq!(ask(&upstream).await.unwrap(), "ahoy");
    assert_eq!(seen.lock().connections, 2);
}

#[tokio::test]
async fn a_body_that_is_dropped_closes_the_connection() {
    let (upstream, seen) = provider(&[Move::BeginAnswer]).await;
    let response = upstream.send(request(), timeouts()).await.unwrap();
    let dropped = Instant::now();
    drop(response);
    eventually("the connection closes", || {
        seen.lock().closed_by_client == 1
    })
    .await;
    assert!(dropped.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_the_connection() {
    let (upstream, seen) = provider(&[Move::Nothing]).await;
    let asking = tokio::spawn(async move { ask(&upstream).await });
    eventually("the provider is asked", || seen.lock().requests == 1).await;
    asking.abort();
    eventually("the connection closes", || {
        seen.lock().closed_by_client == 1
    })
    .await;
}

#[tokio::test]
async fn a_body_that_was_read_to_its_end_gives_the_connection_back_and_keeps_it_open() {
    let (upstream, seen) = provider(&[Move::Answer; 2]).await;
    ask(&upstream).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(seen.lock().closed_by_client, 0);
    drop(upstream);
    eventually("the pool is gone", || seen.lock().closed_by_client == 1).await;
}

#[tokio::test]
async fn nobody_at_the_address_is_told_from_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let origin = Origin::parse(&format!("http://{address}")).unwrap();
    let upstream = Upstream::new(origin, Arc::new(Network::default()), 8);
    let error = within(5, "an answer", ask(&upstream)).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}
