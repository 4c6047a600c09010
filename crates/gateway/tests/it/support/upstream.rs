//! A provider that follows a script, one for each request, over connections in memory.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use seaworthy_edge::client::{Dial, Dialing, Io, Network, Origin};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::Notify;

/// One step of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Bytes),
    Pause(Duration),
    /// Waits until the test says so.
    Until(Arc<Notify>),
    /// Says nothing more and keeps the connection open.
    Silence,
    HangUp,
}

/// What becomes of the next attempt to connect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DialFault {
    Refuse,
    Hang,
    Panic,
}

/// A request as the provider saw it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
}

/// The provider. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    scripts: VecDeque<Vec<Step>>,
    /// Answers to every request for a target, with the number of those that came.
    standing: HashMap<String, (Vec<Step>, usize)>,
    dial_faults: VecDeque<DialFault>,
    received: Vec<Received>,
    unexpected: usize,
    dialled: usize,
    open: usize,
    left_early: usize,
}

impl Upstream {
    /// Adds the answer to the next request that has none yet.
    pub(crate) fn will(&self, script: impl IntoIterator<Item = Step>) {
        self.0
            .lock()
            .scripts
            .push_back(script.into_iter().collect());
    }

    /// Sends one answer in a piece.
    pub(crate) fn will_send(&self, response: impl Into<Bytes>) {
        self.will([Step::Send(response.into())]);
    }

    /// Answers every request for this target from now on in the same way.
    pub(crate) fn always(&self, target: &str, script: impl IntoIterator<Item = Step>) {
        let script = script.into_iter().collect();
        let mut state = self.0.lock();
        let standing = state.standing.entry(target.to_owned()).or_default();
        standing.0 = script;
    }

    /// How many requests for a target of [`Self::always`] came.
    pub(crate) fn asked(&self, target: &str) -> usize {
        let state = self.0.lock();
        state.standing.get(target).map_or(0, |(_, asked)| *asked)
    }

    /// Takes back an answer that nobody is going to ask for.
    pub(crate) fn forget_one(&self) {
        self.0.lock().scripts.pop_back();
    }

    pub(crate) fn dial_will(&self, fault: DialFault) {
        self.0.lock().dial_faults.push_back(fault);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.0.lock().received.clone()
    }

    /// The only request that came.
    pub(crate) fn only_request(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.0.lock().received.len()
    }

    pub(crate) fn dialled(&self) -> usize {
        self.0.lock().dialled
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.0.lock().open
    }

    /// Connections that were closed by the gateway in the middle of an answer.
    pub(crate) fn left_early(&self) -> usize {
        self.0.lock().left_early
    }

    /// What a test must not leave behind.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let state = self.0.lock();
        let mut found = Vec::new();
        if state.unexpected > 0 {
            found.push(format!("{} unexpected calls upstream", state.unexpected));
        }
        if !state.scripts.is_empty() || !state.dial_faults.is_empty() {
            found.push(format!("{} answers nobody asked for", state.scripts.len()));
        }
        found
    }

    fn accept(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.0.lock().open += 1;
        let upstream = self.clone();
        tokio::spawn(async move {
            upstream.serve(far).await;
            upstream.0.lock().open -= 1;
        });
        near
    }

    async fn serve(&self, mut io: DuplexStream) {
        let mut buffer = BytesMut::new();
        while let Some(request) = read_request(&mut io, &mut buffer).await {
            for step in self.take_script(request) {
                match perform(&mut io, step).await {
                    Performed::Done => {}
                    Performed::PeerLeft => {
                        self.0.lock().left_early += 1;
                        return;
                    }
                    Performed::HungUp => return,
                }
            }
        }
    }

    fn take_script(&self, request: Received) -> Vec<Step> {
        let mut state = self.0.lock();
        if let Some((script, asked)) = state.standing.get_mut(&request.target) {
            *asked += 1;
            return script.clone();
        }
        state.received.push(request);
        if let Some(script) = state.scripts.pop_front() {
            return script;
        }
        state.unexpected += 1;
        vec![Step::HangUp]
    }
}

enum Performed {
    Done,
    PeerLeft,
    HungUp,
}

async fn perform(io: &mut DuplexStream, step: Step) -> Performed {
    let mut byte = [0];
    match step {
        Step::Send(bytes) => match io.write_all(&bytes).await {
            Ok(()) => Performed::Done,
            Err(_) => Performed::PeerLeft,
        },
        Step::Pause(pause) => tokio::select! {
            () = tokio::time::sleep(pause) => Performed::Done,
            _ = io.read(&mut byte) => Performed::PeerLeft,
        },
        Step::Until(told) => tokio::select! {
            () = told.notified() => Performed::Done,
            _ = io.read(&mut byte) => Performed::PeerLeft,
        },
        Step::Silence => {
            let _closed = io.read(&mut byte).await;
            Performed::PeerLeft
        }
        Step::HangUp => Performed::HungUp,
    }
}

async fn read_request(io: &mut DuplexStream, buffer: &mut BytesMut) -> Option<Received> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if io.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = buffer.split_to(head_end);
    let head = std::str::from_utf8(&head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            let value: HeaderValue = value.trim().parse().unwrap();
            (name, value)
        })
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.to_str().unwrap().parse().unwrap());
    while buffer.len() < length {
        if io.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = Bytes::copy_from_slice(&buffer[..length]);
    buffer.advance(length);
    let host = headers["host"].to_str().unwrap().to_owned();
    Some(Received {
        host,
        target,
        headers,
        body,
    })
}

impl Dial for Upstream {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        // Names are scripted; an address is a real server.
        if origin.to_string().contains("127.0.0.1") {
            return Box::pin(async { Network::default().dial(origin).await });
        }
        let mut state = self.0.lock();
        state.dialled += 1;
        let fault = state.dial_faults.pop_front();
        drop(state);
        Box::pin(async move {
            match fault {
                None => Ok(Box::new(self.accept()) as Box<dyn Io>),
                Some(DialFault::Refuse) => Err(io::ErrorKind::ConnectionRefused.into()),
                Some(DialFault::Hang) => std::future::pending().await,
                Some(DialFault::Panic) => panic!("a panic on purpose"),
            }
        })
    }
}
