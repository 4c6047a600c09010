//! An answer that several callers read while it is made.
//!
//! One task makes it and records what it makes; everyone who waits reads the record, each at its own
//! pace. A reader that is slow holds up nobody. The record is bounded by `server.max_response_size`.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::Fingerprint;

/// The flights that can be joined, by what they answer.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<Fingerprint, Weak<Flight>>>);

/// What became of an attempt to join.
pub(crate) enum Boarding {
    /// Somebody makes the answer.
    Joined(Reader),
    /// Nobody did; now it is the caller's to make.
    Leads(Producer, Reader),
}

/// One answer in the making.
#[derive(Debug)]
pub(crate) struct Flight {
    /// What is asked for, where the key does not say it.
    request: Fingerprint,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the answer has to wait for its turn.
    is_waiting: bool,
    head: Option<Head>,
    chunks: Vec<Bytes>,
    size: usize,
    end: Option<End>,
    readers: usize,
    waiting: Vec<Waker>,
    /// Whoever wants to know that nobody reads any more.
    producer: Option<Waker>,
}

/// The head of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

/// How the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was said.
    Complete,
    /// It is an error or ended with one.
    Failed(Option<Code>),
    /// Whoever made it is gone.
    Lost,
}

impl Flights {
    /// Joins the flight of this key, or begins one.
    pub(crate) fn board(self: &Arc<Self>, key: Fingerprint, request: Fingerprint) -> Boarding {
        let mut flights = self.0.lock();
        let known = flights.get(&key).and_then(Weak::upgrade);
        if let Some(reader) = known.and_then(|flight| Reader::new(&flight)) {
            return Boarding::Joined(reader);
        }
        let (producer, reader) = Flight::begin(request, Some((Arc::clone(self), key)));
        flights.insert(key, Arc::downgrade(&producer.flight));
        Boarding::Leads(producer, reader)
    }

    /// Joins the flight of this key, if there is one.
    pub(crate) fn join(&self, key: &Fingerprint) -> Option<Reader> {
        let flight = self.0.lock().get(key).and_then(Weak::upgrade)?;
        Reader::new(&flight)
    }

    fn remove(&self, key: &Fingerprint, flight: &Arc<Flight>) {
        let mut flights = self.0.lock();
        let is_ours = |known: &Weak<Flight>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(flight));
        if flights.get(key).is_some_and(is_ours) {
            flights.remove(key);
        }
    }
}

impl Flight {
    /// A flight that nobody else can join.
    pub(crate) fn alone() -> (Producer, Reader) {
        Self::begin(Fingerprint([0; 32]), None)
    }

    fn begin(
        request: Fingerprint,
        listed: Option<(Arc<Flights>, Fingerprint)>,
    ) -> (Producer, Reader) {
        let state = State {
            readers: 1,
            ..State::default()
        };
        let flight = Arc::new(Self {
            request,
            state: Mutex::new(state),
        });
        let reader = Reader {
            flight: Arc::clone(&flight),
            next: 0,
        };
        (Producer { flight, listed }, reader)
    }

    /// Tells those who read that the answer has to wait for its turn.
    pub(crate) fn note_waiting(&self) {
        self.change(|state| state.is_waiting = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waiting = {
            let mut state = self.state.lock();
            change(&mut state);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The side that makes the answer. Dropped before the end, it tells the readers that there is none.
#[derive(Debug)]
pub(crate) struct Producer {
    flight: Arc<Flight>,
    listed: Option<(Arc<Flights>, Fingerprint)>,
}

impl Producer {
    pub(crate) fn begin(&self, head: Head) {
        self.flight.change(|state| state.head = Some(head));
    }

    /// The flight that it makes the answer of.
    pub(crate) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    /// Adds a piece, and says how large the answer is now.
    pub(crate) fn push(&self, chunk: Bytes) -> usize {
        let mut size = 0;
        self.flight.change(|state| {
            state.size += chunk.len();
            size = state.size;
            state.chunks.push(chunk);
        });
        size
    }

    /// What was recorded so far.
    pub(crate) fn chunks(&self) -> Vec<Bytes> {
        self.flight.state.lock().chunks.clone()
    }

    /// Ends the answer. Nobody joins it any more.
    pub(crate) fn end(mut self, end: End) {
        self.close(end);
    }

    /// Waits until nobody reads any more. From then on nobody joins either.
    pub(crate) async fn deserted(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.flight.state.lock();
            if state.readers == 0 {
                return Poll::Ready(());
            }
            state.producer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn close(&mut self, end: End) {
        if let Some((flights, key)) = self.listed.take() {
            flights.remove(&key, &self.flight);
        }
        self.flight.change(|state| {
            state.end.get_or_insert(end);
        });
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close(End::Lost);
    }
}

/// A side that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    flight: Arc<Flight>,
    next: usize,
}

impl Reader {
    /// `None` if everybody has left, so that the answer may be given up.
    fn new(flight: &Arc<Flight>) -> Option<Self> {
        let mut state = flight.state.lock();
        if state.readers == 0 {
            return None;
        }
        state.readers += 1;
        drop(state);
        Some(Self {
            flight: Arc::clone(flight),
            next: 0,
        })
    }

    /// What is asked for.
    pub(crate) fn request(&self) -> Fingerprint {
        self.flight.request
    }

    /// The head of the answer, once it is known; `None` if there is not going to be one.
    pub(crate) async fn head(&self) -> Option<Head> {
        std::future::poll_fn(|cx| {
            let mut state = self.flight.state.lock();
            if let Some(head) = &state.head {
                return Poll::Ready(Some(head.clone()));
            }
            if state.end.is_some() {
                return Poll::Ready(None);
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until the answer has to wait for its turn.
    pub(crate) async fn waits(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.flight.state.lock();
            if state.is_waiting {
                return Poll::Ready(());
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The next piece, or how it ended.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        let mut state = self.flight.state.lock();
        if let Some(chunk) = state.chunks.get(self.next) {
            self.next += 1;
            return Poll::Ready(Ok(chunk.clone()));
        }
        if let Some(end) = state.end {
            return Poll::Ready(Err(end));
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    /// All that is still to come, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<Bytes>, End) {
        let mut chunks = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await;
            match next {
                Ok(chunk) => chunks.push(chunk),
                Err(end) => return (chunks, end),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.flight.state.lock();
        state.readers -= 1;
        let producer = match state.readers {
            0 => state.producer.take(),
            _ => None,
        };
        drop(state);
        if let Some(producer) = producer {
            producer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes())
    }

    fn leads(flights: &Arc<Flights>, name: &str) -> (Producer, Reader) {
        match flights.board(key(name), key("request")) {
            Boarding::Leads(producer, reader) => (producer, reader),
            Boarding::Joined(_) => panic!("somebody else leads {name}"),
        }
    }

    #[tokio::test]
    async fn everyone_reads_all_of_it_however_late_they_join() {
        let flights = Arc::default();
        let (producer, mut first) = leads(&flights, "a");
        producer.push(Bytes::from_static(b"Aye, "));
        let mut second = flights.join(&key("a")).unwrap();
        assert!(flights.join(&key("b")).is_none());
        producer.push(Bytes::from_static(b"aye."));
        producer.end(End::Complete);
        for reader in [&mut first, &mut second] {
            let (chunks, end) = reader.rest().await;
            assert_eq!(chunks.concat(), b"Aye, aye.");
            assert_eq!(end, End::Complete);
        }
        assert!(flights.join(&key("a")).is_none());
    }

    #[tokio::test]
    async fn a_flight_goes_on_while_anyone_reads_and_is_deserted_for_good() {
        let flights = Arc::default();
        let (producer, first) = leads(&flights, "a");
        let second = flights.join(&key("a")).unwrap();
        drop(first);
        {
            let deserted = producer.deserted();
            tokio::pin!(deserted);
            let poll = |cx: &mut Context<'_>| Poll::Ready(deserted.as_mut().poll(cx).is_pending());
            assert!(std::future::poll_fn(poll).await);
        }
        drop(second);
        producer.deserted().await;
        assert!(flights.join(&key("a")).is_none());
        // A new one begins; the end of the old one does not end it.
        let (_producer, _reader) = leads(&flights, "a");
        drop(producer);
        assert!(flights.join(&key("a")).is_some());
    }

    #[tokio::test]
    async fn readers_learn_that_nobody_makes_the_answer_any_more() {
        let (producer, mut reader) = Flight::alone();
        drop(producer);
        assert!(reader.head().await.is_none());
        assert_eq!(reader.rest().await.1, End::Lost);
    }
}
