//! Ordinary requests, each on a connection of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connect::Dial;
use super::{Answer, Base, Dialer, Head, HttpError, MAX_ANSWER_BYTES, Request, stamp};

/// Which version of HTTP to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    /// HTTP/2: negotiated over TLS, with prior knowledge without it.
    Http2,
}

/// Sends a request and reads the whole answer.
pub(crate) async fn exchange(
    dialer: &Dialer,
    base: &Base,
    request: &Request,
    protocol: Protocol,
    limit: Duration,
) -> Result<Answer, HttpError> {
    let talk = async {
        let dial = Dial {
            h2: protocol == Protocol::Http2,
            small_buffer: false,
        };
        let connection = dialer.dial(base, dial).await?;
        let started = Instant::now();
        let io = TokioIo::new(connection);
        let built = build(base, request, protocol)?;
        let (response, _guard) = match protocol {
            Protocol::Http1 => {
                let (mut sender, driver) = hyper::client::conn::http1::handshake(io)
                    .await
                    .map_err(broken)?;
                let guard = Driver::spawn(async move { drop(driver.await) });
                (sender.send_request(built).await.map_err(broken)?, guard)
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, io)
                    .await
                    .map_err(broken)?;
                let guard = Driver::spawn(async move { drop(driver.await) });
                (sender.send_request(built).await.map_err(broken)?, guard)
            }
        };
        let (head, mut incoming) = take_head(response);
        let body = read_all(&mut incoming).await?;
        Ok(Answer {
            head,
            body,
            elapsed: started.elapsed(),
        })
    };
    timeout(limit, talk)
        .await
        .unwrap_or(Err(HttpError::Timeout(limit)))
}

/// An answer whose body is read piece by piece; dropping it closes the connection.
pub(crate) struct OpenStream {
    pub(crate) head: Head,
    body: Incoming,
    limit: Duration,
    _driver: Driver,
}

/// Sends a request and returns as soon as the answer's head is there.
///
/// The kernel's buffer for it is small: while the caller does not read, the server has to wait.
pub(crate) async fn open(
    dialer: &Dialer,
    base: &Base,
    request: &Request,
    limit: Duration,
) -> Result<OpenStream, HttpError> {
    let talk = async {
        let dial = Dial {
            h2: false,
            small_buffer: true,
        };
        let io = TokioIo::new(dialer.dial(base, dial).await?);
        let (mut sender, driver) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(16 * 1024)
            .handshake(io)
            .await
            .map_err(broken)?;
        let driver = Driver::spawn(async move { drop(driver.await) });
        let built = build(base, request, Protocol::Http1)?;
        let (head, body) = take_head(sender.send_request(built).await.map_err(broken)?);
        Ok(OpenStream {
            head,
            body,
            limit,
            _driver: driver,
        })
    };
    timeout(limit, talk)
        .await
        .unwrap_or(Err(HttpError::Timeout(limit)))
}

impl OpenStream {
    /// The next piece of the body; `None` at its proper end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        let limit = self.limit;
        timeout(limit, next_bytes(&mut self.body))
            .await
            .unwrap_or(Err(HttpError::Timeout(limit)))
    }
}

/// The task that moves a connection's bytes; it ends with its owner.
pub(super) struct Driver(JoinHandle<()>);

impl Driver {
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn build(
    base: &Base,
    request: &Request,
    protocol: Protocol,
) -> Result<http::Request<Full<Bytes>>, HttpError> {
    let path = base.path(&request.path);
    let mut builder = http::Request::builder().method(request.method);
    builder = match protocol {
        Protocol::Http1 => builder.uri(path).header("host", base.authority()),
        Protocol::Http2 => {
            let scheme = if base.https { "https" } else { "http" };
            builder.uri(format!("{scheme}://{}{path}", base.authority()))
        }
    };
    builder = builder.header(
        "user-agent",
        concat!("seaworthy-check/", env!("CARGO_PKG_VERSION")),
    );
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if request.is_stamped {
        for (name, value) in stamp() {
            builder = builder.header(name, value);
        }
    }
    builder
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|e| HttpError::Invalid(e.to_string()))
}

pub(super) fn take_head(response: http::Response<Incoming>) -> (Head, Incoming) {
    let (parts, body) = response.into_parts();
    let headers = parts
        .headers
        .iter()
        .map(|(n, v)| {
            (
                n.as_str().to_owned(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        })
        .collect();
    (
        Head {
            status: parts.status.as_u16(),
            headers,
        },
        body,
    )
}

/// Reads a body to its end, within the bound.
pub(super) async fn read_all(incoming: &mut Incoming) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(bytes) = next_bytes(incoming).await? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(HttpError::Broken(format!(
                "longer than {MAX_ANSWER_BYTES} bytes"
            )));
        }
    }
    Ok(body)
}

pub(super) async fn next_bytes(body: &mut Incoming) -> Result<Option<Bytes>, HttpError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(e)) => return Err(broken(e)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

pub(super) fn broken(error: hyper::Error) -> HttpError {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    HttpError::Broken(words)
}
