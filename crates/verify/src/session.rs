//! What a probe may do: talk to the server, with every exchange kept as evidence.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::evidence::{Action, Evidence, Observed};
use crate::facts::Facts;
use crate::files::Files;
use crate::files::cloud::Cloud;
use crate::files::manifests::Manifests;
use crate::files::repository::Repository;
use crate::files::settings::Settings;
use crate::http::{
    Answer, Base, Dialer, HttpError, OpenStream, Protocol, RawAnswer, RawExchange, Request,
    exchange, open, send_raw,
};
use crate::options::Options;
use crate::outcome::Stop;
use crate::secrets::{self, Secrets};

/// What all probes of a run share.
pub(crate) struct Context {
    pub(crate) options: Options,
    pub(crate) base: Base,
    pub(crate) dialer: Dialer,
    pub(crate) facts: Facts,
    pub(crate) secrets: Secrets,
    pub(crate) files: Files,
    pub(crate) settings: Settings,
}

/// One check's view of the server.
pub(crate) struct Session<'a> {
    pub(crate) context: &'a Context,
    dialer: Dialer,
    base: Base,
    subject: String,
    secrets: Arc<Mutex<Secrets>>,
    evidence: Arc<Mutex<Vec<Evidence>>>,
}

/// Evidence is bounded: a check that repeats itself keeps its first and last exchanges.
const MAX_EVIDENCE: usize = 24;

/// The answer headers that reports show.
const SHOWN_HEADERS: [&str; 16] = [
    "strict-transport-security",
    "content-encoding",
    "x-content-type-options",
    "x-seaworthy-cache",
    "content-type",
    "x-request-id",
    "request-id",
    "traceparent",
    "www-authenticate",
    "allow",
    "server",
    "x-powered-by",
    "retry-after",
    "location",
    "connection",
    "content-length",
];

impl<'a> Session<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self {
            context,
            dialer: context.dialer.clone(),
            base: context.base.clone(),
            subject: context.base.url(),
            secrets: Arc::new(Mutex::new(context.secrets.clone())),
            evidence: Arc::default(),
        }
    }

    /// A view of another server, whose evidence goes to the same check.
    pub(crate) fn of_instance(&self, base: Base, subject: String) -> Session<'a> {
        Session {
            context: self.context,
            dialer: self.dialer.clone(),
            base,
            subject,
            secrets: Arc::clone(&self.secrets),
            evidence: Arc::clone(&self.evidence),
        }
    }

    /// The same view, over connections that trust somebody else.
    pub(crate) fn with_dialer(self, dialer: Dialer) -> Self {
        Self { dialer, ..self }
    }

    /// Opens its connections.
    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Keeps one more key out of everything that this check says.
    pub(crate) fn hide(&self, key: &str) {
        self.secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(key);
    }

    pub(crate) fn options(&self) -> &'a Options {
        &self.context.options
    }

    pub(crate) fn facts(&self) -> &'a Facts {
        &self.context.facts
    }

    /// The repository, if one was given.
    pub(crate) fn repository(&self) -> Option<&'a Repository> {
        self.context.files.repository.as_ref()
    }

    /// The manifests, if a folder of them was given.
    pub(crate) fn manifests(&self) -> Option<&'a Manifests> {
        self.context.files.manifests.as_ref()
    }

    /// The exports of a cloud, if any were given.
    pub(crate) fn cloud(&self) -> Option<&'a Cloud> {
        self.context.files.cloud.as_ref()
    }

    /// The settings of the manifests and of the server.
    pub(crate) fn settings(&self) -> &'a Settings {
        &self.context.settings
    }

    /// Keeps a line of a file as evidence.
    pub(crate) fn found_at(&self, path: &str, line: usize, found: &str) {
        let observed = Observed {
            excerpt: found.to_owned(),
            ..Observed::default()
        };
        let (path, line) = (path.to_owned(), line);
        self.record(&Started::now(), Action::Read { path, line }, observed);
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// The API key; the runner has made sure that checks which need it only run with it.
    pub(crate) fn key(&self) -> Result<&'a str, Stop> {
        self.options()
            .key
            .as_deref()
            .ok_or_else(|| Stop::NotVerified {
                missing: "an API key of the data plane".to_owned(),
            })
    }

    /// The key of the admin API.
    pub(crate) fn admin_key(&self) -> Result<&'a str, Stop> {
        self.options()
            .admin_key
            .as_deref()
            .ok_or_else(|| Stop::NotVerified {
                missing: "a key of the admin API".to_owned(),
            })
    }

    /// The model that probes may call, or why there is none.
    pub(crate) fn model(&self) -> Result<&'a str, Stop> {
        let facts = self.facts();
        facts.model.as_deref().map_err(|missing| Stop::NotVerified {
            missing: missing.clone(),
        })
    }

    /// Adds the API key when there is one.
    pub(crate) fn with_key(&self, request: Request) -> Request {
        match &self.options().key {
            Some(key) => request.bearer(key),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        self.send_over(request, Protocol::Http1).await
    }

    pub(crate) async fn send_over(
        &self,
        request: Request,
        protocol: Protocol,
    ) -> Result<Answer, HttpError> {
        let started = Started::now();
        let limit = self.options().request_timeout;
        let answer = exchange(&self.dialer, &self.base, &request, protocol, limit).await;
        let observed = match &answer {
            Ok(answer) => self.observed(answer.status(), &answer.head.headers, &answer.body),
            Err(e) => Observed {
                error: Some(e.to_string()),
                ..Observed::default()
            },
        };
        self.record(&started, self.action(&request), observed);
        answer
    }

    /// Sends a request and returns at the answer's head; the caller reads the body as it likes.
    pub(crate) async fn open(&self, request: Request) -> Result<OpenStream, HttpError> {
        let started = Started::now();
        let limit = self.options().request_timeout;
        let stream = open(&self.dialer, &self.base, &request, limit).await;
        let observed = match &stream {
            Ok(stream) => self.observed(stream.head.status, &stream.head.headers, b""),
            Err(e) => Observed {
                error: Some(e.to_string()),
                ..Observed::default()
            },
        };
        self.record(&started, self.action(&request), observed);
        stream
    }

    /// Sends raw bytes; `sent` describes them in the evidence.
    pub(crate) async fn raw(
        &self,
        sent: &str,
        exchange: &RawExchange,
    ) -> Result<RawAnswer, HttpError> {
        let started = Started::now();
        let answer = send_raw(&self.dialer, &self.base, exchange).await;
        let observed = match &answer {
            Ok(answer) => {
                let mut observed = match answer.answers.first() {
                    Some((head, body)) => self.observed(head.status, &head.headers, body),
                    None => Observed {
                        error: Some("no answer".to_owned()),
                        ..Observed::default()
                    },
                };
                if answer.closed {
                    observed
                        .headers
                        .push(("(connection)".to_owned(), "closed by it".to_owned()));
                }
                observed
            }
            Err(e) => Observed {
                error: Some(e.to_string()),
                ..Observed::default()
            },
        };
        self.record(
            &started,
            Action::Raw {
                sent: sent.to_owned(),
            },
            observed,
        );
        answer
    }

    /// Keeps evidence of something that was not HTTP.
    pub(crate) fn record(&self, started: &Started, action: Action, observed: Observed) {
        let evidence = Evidence {
            time: started.time,
            duration_ms: millis(started.instant.elapsed()),
            subject: self.subject.clone(),
            action,
            observed,
        };
        let mut kept = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == MAX_EVIDENCE {
            kept.remove(MAX_EVIDENCE / 2);
        }
        kept.push(evidence);
    }

    /// A text with known secrets masked and control characters visible.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clean(text)
    }

    /// The start of a body or output, fit for a report.
    pub(crate) fn excerpt(&self, body: &[u8]) -> String {
        self.secrets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .excerpt(body)
    }

    /// Everything that was kept, in order.
    pub(crate) fn into_evidence(self) -> Vec<Evidence> {
        std::mem::take(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn action(&self, request: &Request) -> Action {
        Action::Request {
            method: request.method.to_owned(),
            path: secrets::cut(&self.clean(&self.base.path(&request.path)), 200),
            headers: request
                .headers
                .iter()
                .map(|(n, v)| (n.clone(), secrets::cut(&secrets::header_value(n, v), 200)))
                .collect(),
            body: self.excerpt(&request.body),
        }
    }

    fn observed(&self, status: u16, headers: &[(String, String)], body: &[u8]) -> Observed {
        let headers = headers
            .iter()
            .filter(|(name, _)| SHOWN_HEADERS.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), secrets::cut(&self.clean(v), 200)))
            .collect();
        Observed {
            status: Some(i32::from(status)),
            headers,
            excerpt: self.excerpt(body),
            error: None,
        }
    }
}

/// When something began, on the calendar and on the stopwatch.
pub(crate) struct Started {
    time: Timestamp,
    instant: Instant,
}

impl Started {
    pub(crate) fn now() -> Self {
        Self {
            time: Timestamp::now(),
            instant: Instant::now(),
        }
    }
}

/// A duration in milliseconds, to the microsecond.
pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A word that no server can know: for keys, ids and paths that must not come back.
pub(crate) fn canary(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::now_v7().simple())
}

/// Silence and broken connections are the server's failures; not reaching it says nothing.
impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        let found = error.to_string();
        match error {
            HttpError::Connect(_) | HttpError::Tls(_) | HttpError::Invalid(_) => {
                Self::NotVerified {
                    missing: format!("an answer from the server: {found}"),
                }
            }
            HttpError::Timeout(_) | HttpError::Broken(_) => Self::Fail {
                expected: "an HTTP answer".to_owned(),
                found,
            },
        }
    }
}
