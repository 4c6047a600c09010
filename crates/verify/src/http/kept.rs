//! A caller that keeps its connection for the next request, as the clients of a service do.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::client::{Driver, Protocol, broken, build, read_all, take_head};
use super::connect::Dial;
use super::{Answer, Base, Dialer, HttpError, Request};

/// One caller of a service: a call at a time, over a connection that is kept.
pub(crate) struct Caller {
    dialer: Dialer,
    base: Base,
    limit: Duration,
    kept: Option<Kept>,
    connections: u32,
}

struct Kept {
    sender: SendRequest<Full<Bytes>>,
    _driver: Driver,
}

impl Caller {
    pub(crate) fn new(dialer: Dialer, base: Base, limit: Duration) -> Self {
        Self {
            dialer,
            base,
            limit,
            kept: None,
            connections: 0,
        }
    }

    /// Sends a request and reads the whole answer. What could not be sent over the kept connection,
    /// because it had been closed, is sent over a new one.
    pub(crate) async fn call(&mut self, request: &Request) -> Result<Answer, HttpError> {
        // A call that fails or runs out of time takes its connection with it.
        let kept = self.kept.take();
        let talk = talk(&self.dialer, &self.base, kept, request);
        let (answer, kept, is_new) = timeout(self.limit, talk)
            .await
            .unwrap_or(Err(HttpError::Timeout(self.limit)))?;
        self.connections += u32::from(is_new);
        let closes = answer.header("connection") == Some("close");
        self.kept = (!closes).then_some(kept);
        Ok(answer)
    }

    /// How many connections its answers came over.
    pub(crate) fn connections(&self) -> u32 {
        self.connections
    }
}

async fn talk(
    dialer: &Dialer,
    base: &Base,
    kept: Option<Kept>,
    request: &Request,
) -> Result<(Answer, Kept, bool), HttpError> {
    let started = Instant::now();
    let mut built = build(base, request, Protocol::Http1)?;
    if let Some(mut kept) = kept
        && kept.sender.ready().await.is_ok()
    {
        match kept.sender.try_send_request(built).await {
            Ok(response) => {
                let (head, mut incoming) = take_head(response);
                let body = read_all(&mut incoming).await?;
                let elapsed = started.elapsed();
                return Ok((
                    Answer {
                        head,
                        body,
                        elapsed,
                    },
                    kept,
                    false,
                ));
            }
            Err(mut error) => match error.take_message() {
                Some(unsent) => built = unsent,
                None => return Err(broken(error.into_error())),
            },
        }
    }
    let io = TokioIo::new(dialer.dial(base, Dial::default()).await?);
    let (mut sender, driver) = handshake(io).await.map_err(broken)?;
    let driver = Driver::spawn(async move { drop(driver.await) });
    let (head, mut incoming) = take_head(sender.send_request(built).await.map_err(broken)?);
    let body = read_all(&mut incoming).await?;
    let elapsed = started.elapsed();
    let kept = Kept {
        sender,
        _driver: driver,
    };
    Ok((
        Answer {
            head,
            body,
            elapsed,
        },
        kept,
        true,
    ))
}
