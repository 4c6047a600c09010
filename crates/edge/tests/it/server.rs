//! Clients that are slow, wrong, too many or gone, and the end of a server.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::support::{eventually, options, read_answer, read_to_end, start};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn headers_that_do_not_come_to_an_end_are_408_and_the_connection_closes() {
    let mut options = options();
    options.timeouts.header = SHORT;
    let running = start(options);
    let started = Instant::now();
    for beginning in ["", "GET / HTTP/1.1\r\nhost: "] {
        let answer = running.exchange(beginning.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        assert!(answer.ends_with("{\"refused\":408}"), "{answer:?}");
    }
    assert!(started.elapsed() >= SHORT * 2);
    // A byte now and then does not help.
    let mut stream = running.connect().await;
    let started = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut byte = [0];
    tokio::select! {
        () = drip => {}
        _answered = tokio::io::AsyncReadExt::read(&mut reader, &mut byte) => {}
    }
    assert!(started.elapsed() < SHORT * 5, "{:?}", started.elapsed());
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn the_time_for_headers_starts_anew_with_each_request() {
    let mut options = options();
    options.timeouts.header = SHORT;
    let running = start(options);
    let mut stream = running.connect().await;
    for _ in 0..3 {
        tokio::time::sleep(SHORT / 2).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        read_answer(&mut stream, "ahoy").await;
    }
    tokio::time::sleep(SHORT * 2).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_answer(&mut stream, "ahoy").await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_connection_without_a_next_request_closes_without_a_word() {
    let mut options = options();
    options.timeouts.keep_alive = SHORT;
    let running = start(options);
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_answer(&mut stream, "ahoy").await;
    let started = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(started.elapsed() >= SHORT - Duration::from_millis(50));
    running.stop().await;
}

#[tokio::test]
async fn a_long_answer_is_not_cut_by_the_timeouts_of_waiting() {
    let mut options = options();
    options.timeouts.header = SHORT;
    options.timeouts.keep_alive = SHORT;
    let running = start(options);
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(SHORT * 3).await;
    running.dock.release.notify_one();
    read_answer(&mut stream, "held").await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let mut options = options();
    options.timeouts.write = SHORT;
    let running = start(options);
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let holding = &running.dock.holding;
    eventually("the answer begins", || holding.load(Ordering::SeqCst) == 1).await;
    eventually("the answer is dropped", || {
        holding.load(Ordering::SeqCst) == 0
    })
    .await;
    eventually("the connection is closed", || {
        running.server.open_connections() == 0
    })
    .await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_request() {
    let running = start(options());
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let holding = &running.dock.holding;
    eventually("the request is worked on", || {
        holding.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(stream);
    eventually("the request is dropped", || {
        holding.load(Ordering::SeqCst) == 0
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn bodies_that_stall_break_off_or_are_too_large_are_told_apart() {
    let running = start(options());
    let post = |length: usize, body: &str| {
        format!(
            "POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let whole = running.exchange(post(4, "tide").as_bytes()).await;
    assert!(whole.ends_with("tide"), "{whole}");
    let stalled = running.exchange(post(10, "tide").as_bytes()).await;
    assert!(
        stalled.contains("the body came with longer pauses"),
        "{stalled}"
    );
    let announced = running.exchange(post(5000, "").as_bytes()).await;
    assert!(announced.contains("larger than 1000 bytes"), "{announced}");
    let chunked = format!(
        "POST /read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n{}\r\n0\r\n\r\n",
        "x".repeat(2000)
    );
    let chunked = running.exchange(chunked.as_bytes()).await;
    assert!(chunked.contains("larger than 1000 bytes"), "{chunked}");
    running.stop().await;
}

#[tokio::test]
async fn header_floods_are_431_with_a_body_for_programs() {
    let running = start(options());
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "y".repeat(20_000)
    );
    let many = (0..2000).fold("GET / HTTP/1.1\r\nhost: a\r\n".to_owned(), |head, n| {
        head + &format!("x{n}: y\r\n")
    }) + "\r\n";
    for flood in [long, many] {
        let answer = running.exchange(flood.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
        assert!(answer.ends_with("{\"refused\":431}"), "{answer:?}");
        assert!(answer.contains("application/json"), "{answer:?}");
    }
    assert!(running.get("/").await.ends_with("ahoy"));
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_400_with_a_body_for_programs() {
    let running = start(options());
    for wrong in [
        "HELO ship\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    ] {
        let answer = running.exchange(wrong.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{wrong:?}: {answer:?}");
        assert!(
            answer.ends_with("{\"refused\":400}"),
            "{wrong:?}: {answer:?}"
        );
    }
    assert!(running.get("/").await.ends_with("ahoy"));
    running.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_503_until_one_closes() {
    let mut options = options();
    options.max_connections = 2;
    let running = start(options);
    let first = running.connect().await;
    let second = running.connect().await;
    eventually("both are open", || running.server.open_connections() == 2).await;
    let refused = running.exchange(b"").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused:?}");
    drop(first);
    eventually("one is closed", || running.server.open_connections() == 1).await;
    assert!(running.get("/").await.ends_with("ahoy"));
    drop(second);
    running.stop().await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs_closes_what_idles_and_takes_nothing_new() {
    let running = start(options());
    let mut idle = running.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_answer(&mut idle, "ahoy").await;
    let mut busy = running.connect().await;
    busy.write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let dock = running.dock.clone();
    eventually("the request is worked on", || {
        dock.holding.load(Ordering::SeqCst) == 1
    })
    .await;
    let address = running.address;
    let drained = tokio::spawn(running.server.drain(Duration::from_secs(5)));
    assert_eq!(read_to_end(&mut idle).await, "");
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(!drained.is_finished());
    dock.release.notify_one();
    let answer = read_to_end(&mut busy).await;
    assert!(answer.ends_with("held"), "{answer:?}");
    assert_eq!(drained.await.unwrap(), 0);
}

#[tokio::test]
async fn a_drain_cuts_off_what_does_not_end_in_time() {
    let running = start(options());
    let mut busy = running.connect().await;
    busy.write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let dock = running.dock.clone();
    eventually("the request is worked on", || {
        dock.holding.load(Ordering::SeqCst) == 1
    })
    .await;
    let started = Instant::now();
    assert_eq!(running.server.drain(SHORT).await, 1);
    assert!(started.elapsed() < SHORT * 5, "{:?}", started.elapsed());
    assert_eq!(read_to_end(&mut busy).await, "");
    assert_eq!(dock.holding.load(Ordering::SeqCst), 0, "it was dropped");
}

#[tokio::test]
async fn a_panic_costs_one_request_and_the_connection_goes_on() {
    let running = start(options());
    let mut stream = running.connect().await;
    for _ in 0..3 {
        stream
            .write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let answer = read_answer(&mut stream, "panicked").await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    }
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_answer(&mut stream, "ahoy").await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_panic_in_the_middle_of_an_answer_costs_one_connection_and_the_worker_goes_on() {
    let running = start(options());
    let mut bystander = running.connect().await;
    bystander
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let cut = running.get("/panic-late").await;
    assert!(!cut.contains("0\r\n\r\n"), "no proper end: {cut:?}");
    assert!(running.get("/").await.ends_with("ahoy"));
    running.dock.release.notify_one();
    read_answer(&mut bystander, "held").await;
    drop(bystander);
    running.stop().await;
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_one_after_the_other() {
    let running = start(options());
    let two =
        "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = running.exchange(two.as_bytes()).await;
    assert_eq!(answer.matches("ahoy").count(), 2, "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn requests_in_one_packet_leave_no_clock_running() {
    let mut options = options();
    options.timeouts.header = SHORT;
    let running = start(options);
    let mut stream = running.connect().await;
    let two = "GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2);
    stream.write_all(two.as_bytes()).await.unwrap();
    let mut answers = String::new();
    while answers.matches("ahoy").count() < 2 {
        answers += &read_answer(&mut stream, "ahoy").await;
    }
    tokio::time::sleep(SHORT * 2).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_answer(&mut stream, "ahoy").await;
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_waited_for_on_a_connection_that_stays() {
    let running = start(options());
    let head = |path: &str, framing: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n{framing}\r\n\r\n")
    };
    for (framing, body) in [
        ("content-length: 4", "body"),
        ("transfer-encoding: chunked", "4\r\nbody\r\n0\r\n\r\n"),
    ] {
        // Refused without being asked for its body: what comes next could be taken for it.
        let mut stream = running.connect().await;
        let left = head("/leave", framing);
        stream.write_all(left.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "left").await;
        assert!(answer.contains("connection: close"), "{answer}");
        // What came together with the request before is no body of this one.
        let mut stream = running.connect().await;
        let behind = format!("GET / HTTP/1.1\r\nhost: a\r\n\r\n{left}");
        stream.write_all(behind.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "left").await;
        assert!(answer.contains("connection: close"), "{answer}");
        // Asked for, or sent without being asked, it does not cost the connection.
        let mut stream = running.connect().await;
        let read = head("/read", framing);
        stream.write_all(read.as_bytes()).await.unwrap();
        read_answer(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "body").await;
        assert!(!answer.contains("connection: close"), "{answer}");
        let at_once = format!("{}{body}", head("/leave", framing));
        stream.write_all(at_once.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "left").await;
        assert!(!answer.contains("connection: close"), "{answer}");
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        read_answer(&mut stream, "ahoy").await;
    }
    // Who has no body to send, or cannot be asked for it, does not wait.
    let empty = head("/leave", "content-length: 0");
    let older = head("/leave", "connection: keep-alive\r\ncontent-length: 4");
    let older = older.replace("HTTP/1.1", "HTTP/1.0");
    for sent in [empty, older] {
        let mut stream = running.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "left").await;
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    running.stop().await;
}
