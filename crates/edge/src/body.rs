//! Request bodies: read whole, within a size and a pace, and unpacked.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crate::coding::{self, Coding, Unpackable};

/// How much may be read and how slowly it may come.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest accepted body in bytes.
    pub max_bytes: usize,
    /// Longest accepted pause between two pieces of the body, and how long it may come slowly.
    pub idle_timeout: Duration,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than the limit was announced or sent.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// Nothing came for too long, or too little after that time.
    #[error(
        "the body came with longer pauses than {0:?}, or slower than {least} bytes a second",
        least = LEAST_BYTES_A_SECOND
    )]
    TooSlow(Duration),
    /// The body is packed in a way that is not understood.
    #[error("the body has a content coding that is not understood")]
    UnknownCoding,
    /// The body is not what its coding says.
    #[error("the body is not what its content coding says")]
    BrokenCoding,
    /// The connection broke or the framing was wrong.
    #[error("the body ended early")]
    Broken(#[source] hyper::Error),
}

/// The body of a request that was not read yet. Dropped unread, it is read and forgotten in the
/// background: a client that is still sending would otherwise see a broken connection instead of the
/// answer.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Option<Incoming>,
    /// What was read already.
    whole: Bytes,
    limits: Limits,
    /// How it is packed.
    codings: Result<Vec<Coding>, Unpackable>,
}

impl RequestBody {
    /// A body that was read already.
    #[must_use]
    pub fn whole(bytes: Bytes, limits: Limits) -> Self {
        Self {
            incoming: None,
            whole: bytes,
            limits,
            codings: Ok(Vec::new()),
        }
    }

    /// A body to be read within `limits`.
    #[must_use]
    pub fn new(incoming: Incoming, limits: Limits) -> Self {
        Self {
            incoming: Some(incoming),
            whole: Bytes::new(),
            limits,
            codings: Ok(Vec::new()),
        }
    }

    /// The same body, packed as the headers of its request say. What is taken out of it is within the
    /// limits as well.
    #[must_use]
    pub fn packed_as(mut self, headers: &http::HeaderMap) -> Self {
        self.codings = coding::codings_of(headers);
        self
    }

    /// Reads the whole body and unpacks it. A body that announces too much is refused before any of it is read.
    ///
    /// # Errors
    /// When the body is too large, too slow, or breaks off.
    pub async fn read(mut self) -> Result<Bytes, Error> {
        let Some(incoming) = &mut self.incoming else {
            return Ok(std::mem::take(&mut self.whole));
        };
        let codings = std::mem::replace(&mut self.codings, Ok(Vec::new()));
        let codings = codings.map_err(|_| Error::UnknownCoding)?;
        let result = read_whole(incoming, self.limits).await;
        if !matches!(result, Err(Error::TooLarge { .. })) {
            self.incoming = None;
        }
        let body = result?;
        if codings.is_empty() {
            return Ok(body);
        }
        let max_bytes = self.limits.max_bytes;
        let unpacked = coding::unpack(body, &codings, max_bytes).await;
        unpacked.map_err(|why| match why {
            Unpackable::Unknown => Error::UnknownCoding,
            Unpackable::TooLarge => Error::TooLarge { max_bytes },
            Unpackable::Broken => Error::BrokenCoding,
        })
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::spawn(discard(incoming, self.limits));
        }
    }
}

/// Reads and forgets the rest of a body, up to four times what would have been accepted.
async fn discard(mut body: Incoming, limits: Limits) {
    let mut seen = 0;
    let rest = async {
        while seen <= limits.max_bytes.saturating_mul(4) {
            match next_data(&mut body, limits.idle_timeout).await {
                Ok(Some(data)) => seen += data.len(),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _finished = tokio::time::timeout(limits.idle_timeout, rest).await;
}

/// Room is made for so many times what has arrived, where a body announces as much.
const GROWTH: usize = 8;

async fn read_whole(body: &mut Incoming, limits: Limits) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge {
        max_bytes: limits.max_bytes,
    };
    let mut pace = Pace::new(limits.idle_timeout);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits.max_bytes {
        return Err(too_large());
    }
    let Some(first) = pace.next(body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limits.max_bytes {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    pace.note(whole.len());
    while let Some(data) = pace.next(body).await? {
        pace.note(data.len());
        let length = whole.len() + data.len();
        if length > limits.max_bytes {
            return Err(too_large());
        }
        // Grows with what really arrives: an announced length alone reserves no memory.
        if length > whole.capacity() && announced / GROWTH <= length {
            whole.reserve(announced.saturating_sub(whole.len()));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// How long the next piece of a body may take. A client that sends a byte now and then keeps to every
/// limit of pauses, and holds its connection for ever: what has taken as long as one pause may last
/// comes at a pace, or not at all.
struct Pace {
    began: Instant,
    pause: Duration,
    received: usize,
}

/// The slowest pace, far below that of any network that people work with.
const LEAST_BYTES_A_SECOND: u32 = 1024;

impl Pace {
    fn new(pause: Duration) -> Self {
        Self {
            began: Instant::now(),
            pause,
            received: 0,
        }
    }

    fn note(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// The next piece, if it comes in time.
    async fn next(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        let next = next_data(body, self.left()).await;
        next.map_err(|error| match error {
            Error::TooSlow(_) => Error::TooSlow(self.pause),
            error => error,
        })
    }

    fn left(&self) -> Duration {
        let received = u32::try_from(self.received).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * received / LEAST_BYTES_A_SECOND;
        let until_too_slow = (self.pause + earned).saturating_sub(self.began.elapsed());
        until_too_slow.min(self.pause)
    }
}

async fn next_data(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, Error> {
    loop {
        let frame = tokio::time::timeout(patience, body.frame())
            .await
            .map_err(|_| Error::TooSlow(patience))?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(Error::Broken(error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
