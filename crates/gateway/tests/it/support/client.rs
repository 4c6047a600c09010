//! A client over a connection in memory, which can leave at any moment.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use seaworthy_core::dialect::Family;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A request that is being put together.
pub(crate) struct Call {
    request: Request<Full<Bytes>>,
    io: DuplexStream,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body came to its proper end.
    pub(crate) whole: bool,
    /// On the clock of the runtime.
    pub(crate) took: Duration,
}

/// An answer whose head has come.
pub(crate) struct Open {
    pub(crate) response: Response<Incoming>,
    started: Instant,
    _connection: Connection,
}

/// Closes the connection when dropped.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Call {
    pub(crate) fn new(io: DuplexStream, method: Method, target: &str) -> Self {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "gateway.test")
            .body(Full::default())
            .unwrap();
        Self { request, io }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.request
            .headers_mut()
            .append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self.header("content-type", "application/json")
    }

    /// Waits for the head of the answer.
    pub(crate) async fn open(self) -> Open {
        let started = Instant::now();
        let (mut sender, driver) = http1::handshake(TokioIo::new(self.io)).await.unwrap();
        let connection = Connection(tokio::spawn(async move {
            let _ended = driver.await;
        }));
        let response = within_an_hour(sender.send_request(self.request))
            .await
            .unwrap();
        Open {
            response,
            started,
            _connection: connection,
        }
    }

    /// Waits for the whole answer.
    pub(crate) async fn send(self) -> Answer {
        self.open().await.rest().await
    }
}

/// Time is cheap here, but a test that waits for ever says nothing.
async fn within_an_hour<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), work)
        .await
        .unwrap_or_else(|_| panic!("expected an answer within an hour"))
}

impl Open {
    /// The next piece of the body.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = within_an_hour(self.response.body_mut().frame())
                .await?
                .ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(data);
            }
        }
    }

    /// Everything that is still to come.
    pub(crate) async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        let mut whole = true;
        while let Some(frame) = within_an_hour(self.response.body_mut().frame()).await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        Answer {
            status: self.response.status().as_u16(),
            headers: std::mem::take(self.response.headers_mut()),
            body: body.into(),
            whole,
            took: self.started.elapsed(),
        }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The last event of a stream, as JSON.
    pub(crate) fn last_event(&self) -> Value {
        let text = self.text();
        let data = text.trim_end().rsplit("data: ").next().unwrap();
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    /// The answer is an error of the gateway's own, in the words of this family.
    #[track_caller]
    pub(crate) fn assert_error(&self, family: Family, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(code_of(&self.json(), family), code, "{}", self.text());
        assert!(!self.header("x-request-id").is_empty());
        if family == Family::Anthropic {
            assert_eq!(self.json()["request_id"], self.header("x-request-id"));
        }
    }
}

/// The stable code within an error, whose shape has to be the family's.
#[track_caller]
pub(crate) fn code_of(error: &Value, family: Family) -> String {
    assert!(error["error"]["message"].is_string(), "{error}");
    assert!(error["error"]["type"].is_string(), "{error}");
    let code = match family {
        Family::OpenAi => {
            assert!(error.get("type").is_none(), "{error}");
            &error["error"]["code"]
        }
        _ => {
            assert_eq!(error["type"], "error");
            &error["error"]["details"]["error_code"]
        }
    };
    code.as_str().unwrap_or_default().to_owned()
}
