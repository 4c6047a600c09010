//! The scripted server's routes, one request at a time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answers::{self, Body, Dialect, full};
use super::promises::{self, Promises};
use super::{ADMIN_KEY, KEY};

const BODY_LIMIT: usize = 512 * 1024;

/// The scripted server's state.
pub(crate) struct Server {
    broken: Option<&'static str>,
    pub(crate) in_flight: Arc<AtomicI64>,
    next_id: AtomicU64,
    /// Requests by route and status.
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub(crate) promises: Promises,
    /// What a failed reload would have been reported as.
    pub(crate) reload_failed: AtomicBool,
}

/// [`Server`] as hyper wants it.
pub(crate) struct Service(pub(crate) Arc<Server>);

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let server = Arc::clone(&self.0);
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}

impl Server {
    pub(crate) fn new(broken: Option<&'static str>) -> Self {
        Self {
            broken,
            in_flight: Arc::default(),
            next_id: AtomicU64::new(1),
            counts: Mutex::default(),
            promises: Promises::default(),
            reload_failed: AtomicBool::new(false),
        }
    }

    /// Whether what this check looks for is broken.
    pub(crate) fn breaks(&self, id: &str) -> bool {
        self.broken == Some(id)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let sent = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(ToOwned::to_owned)
        };
        let (sent_id, sent_trace) = (sent("x-request-id"), sent("traceparent"));
        let mut response = self.route(request).await;
        let n = self.next_id.fetch_add(1, Ordering::Relaxed);
        let n = if self.breaks("trace.request-ids-distinct") {
            0
        } else {
            n
        };
        let own = format!("req_{n}");
        let id = sent_id
            .filter(|_| !self.breaks("trace.request-id-echoed"))
            .unwrap_or(own);
        let unnamed = self.breaks("trace.request-id-generated") && response.status() == 404;
        let headers = response.headers_mut();
        if !unnamed {
            headers.insert("x-request-id", id.parse().expect("a header value"));
        }
        if let Some(trace) = sent_trace {
            let kept = &trace[..36];
            let zeros = "0".repeat(32);
            let trace = if self.breaks("trace.traceparent-continued") {
                format!("00-{zeros}-00000000000000ab-01")
            } else {
                format!("{kept}00000000000000ab-01")
            };
            headers.insert("traceparent", trace.parse().expect("a header value"));
        }
        if self.breaks("errors.no-version-banner") {
            headers.insert("server", "scripted/1.2.3".parse().expect("a header value"));
        }
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let (route, response) = match path.as_str() {
            "/health" if request.method() != Method::GET => {
                ("health", answers::wrong_method("GET"))
            }
            "/health/deep" if self.breaks("health.deep") => (
                "none",
                answers::json(404, &json!({"detail": "nothing is here"})),
            ),
            "/health" | "/health/live" | "/health/ready" | "/ready" | "/health/deep" => {
                ("health", self.health(&path).await)
            }
            "/openapi.json" if self.breaks("auth.declared-in-manifest") => {
                let scheme = json!({"type": "apiKey", "in": "header", "name": "x-secret"});
                let schemes = json!({"components": {"securitySchemes": {"key": scheme}}});
                ("openapi", answers::json(200, &schemes))
            }
            "/ping" => ("ping", answers::ping(self.breaks("health.ping-contract"))),
            "/metrics" => ("metrics", self.metrics()),
            "/admin/v1/config" | "/admin/v1/status" => ("admin", self.admin(&path, &request)),
            "/v1/models" => ("models", self.models(&request)),
            "/v1/chat/completions" | "/v1/messages" if self.breaks("models.api-served") => (
                "none",
                answers::error(
                    Dialect::OpenAi,
                    404,
                    "unknown_path",
                    "There is nothing here.",
                ),
            ),
            "/v1/chat/completions" => ("chat", self.model_call(Dialect::OpenAi, request).await),
            "/v1/messages" => (
                "messages",
                self.model_call(Dialect::Anthropic, request).await,
            ),
            _ if self.breaks("output.html-escaped") => (
                "none",
                answers::page(404, "<html><script>alert(1)</script></html>"),
            ),
            _ if self.breaks("errors.unknown-path-is-404-json") => {
                ("none", answers::page(404, "<html>not found</html>"))
            }
            _ => (
                "none",
                answers::error(
                    Dialect::OpenAi,
                    404,
                    "unknown_path",
                    "There is nothing here.",
                ),
            ),
        };
        let hidden = self.breaks("metrics.rejected-payloads") && response.status() == 413;
        if !self.breaks("metrics.rise-with-traffic") && !hidden {
            let key = (route, response.status().as_u16());
            *self
                .counts
                .lock()
                .expect("not poisoned")
                .entry(key)
                .or_default() += 1;
        }
        response
    }

    async fn health(&self, path: &str) -> Response<Body> {
        let slow = (path == "/health" && self.breaks("health.summary"))
            || (path == "/health/live" && self.breaks("health.liveness"));
        if slow {
            tokio::time::sleep(Duration::from_millis(130)).await;
        }
        if path == "/ready" && self.breaks("health.ready-alias") {
            return answers::json(404, &json!({}));
        }
        let ready = path.contains("ready");
        let status = if ready && self.breaks("health.readiness") {
            503
        } else {
            200
        };
        let mut body = json!({
            "status": "ok",
            "version": "9.8.7",
            "checks": [{"name": "storage", "status": "ok"}],
            "duration_ms": 0.1,
        });
        if self.breaks("health.readiness-explains-itself") {
            body["checks"] = Value::Null;
        }
        answers::json(status, &body)
    }

    fn metrics(&self) -> Response<Body> {
        if self.breaks("metrics.exposed") {
            return answers::error(
                Dialect::OpenAi,
                404,
                "unknown_path",
                "There is nothing here.",
            );
        }
        let mut text = String::from("# TYPE seaworthy_requests_total counter\n");
        let end = if self.breaks("metrics.errors") {
            "kind"
        } else {
            "status"
        };
        for ((route, status), count) in &*self.counts.lock().expect("not poisoned") {
            text += &format!(
                "seaworthy_requests_total{{route=\"{route}\",{end}=\"{status}\"}} {count}\n"
            );
        }
        if !self.breaks("metrics.key-metrics-present") {
            let now = self.in_flight.load(Ordering::SeqCst);
            text += "# TYPE seaworthy_requests_in_flight gauge\n";
            text += &format!("seaworthy_requests_in_flight {now}\n");
        }
        let count = if self.breaks("metrics.histograms-consistent") {
            9
        } else {
            21
        };
        text += &super::series::latency(self.broken, count);
        text += &super::series::others(self.broken);
        if self.breaks("metrics.well-formed") {
            text += "seaworthy_requests_in_flight 0\n";
        }
        if self.breaks("metrics.labels-bounded") {
            text += "seaworthy_tokens_total{user_id=\"42\"} 1\n";
        }
        let mut response = Response::new(full(text));
        response
            .headers_mut()
            .insert("content-type", "text/plain".parse().expect("valid"));
        response
    }

    fn admin(&self, path: &str, request: &Request<Incoming>) -> Response<Body> {
        let open = self.breaks("auth.admin-refuses-strangers") && path.ends_with("config")
            || self.breaks("auth.rbac") && credential(request.headers()).as_deref() == Some(KEY);
        if credential(request.headers()).as_deref() != Some(ADMIN_KEY) && !open {
            return answers::error(
                Dialect::OpenAi,
                401,
                "invalid_api_key",
                "This needs an admin key.",
            );
        }
        if path.ends_with("status") {
            let failed = self.reload_failed.load(Ordering::SeqCst);
            let error = failed.then_some("line 1, column 8: expected ]");
            return answers::json(200, &json!({"config": {"hash": "abc123", "error": error}}));
        }
        let key = if self.breaks("secrets.none-in-effective-config") {
            "sk-ant-REALSECRET0123456789"
        } else {
            "secret://env/ANTHROPIC_API_KEY"
        };
        let config = json!({
            "server": {"listen": "127.0.0.1:0", "max_request_size": "512KB"},
            "providers": {"anthropic": {"kind": "anthropic", "api_key": key}},
        });
        answers::json(200, &config)
    }

    fn models(&self, request: &Request<Incoming>) -> Response<Body> {
        if let Some(refusal) = self.refusal(Dialect::OpenAi, request.headers()) {
            return refusal;
        }
        if request.method() != Method::GET {
            return answers::wrong_method("GET");
        }
        let data = match self.breaks("models.listed") {
            true => json!([]),
            false => json!([{"id": "echo", "object": "model", "owned_by": "test"}]),
        };
        answers::json(200, &json!({"object": "list", "data": data}))
    }

    /// Refuses a request without the right key.
    fn refusal(&self, dialect: Dialect, headers: &HeaderMap) -> Option<Response<Body>> {
        let key = credential(headers);
        let admitted = match &key {
            None => self.breaks("auth.missing-key-is-401"),
            Some(key) if self.breaks("auth.valid-key-is-accepted") => key == "another key",
            Some(key) if key.starts_with("eyJ") => {
                self.breaks("auth.jwt-validation") || self.breaks("auth.wrong-key-is-401")
            }
            Some(key) => key == KEY || self.breaks("auth.wrong-key-is-401"),
        };
        if admitted {
            return None;
        }
        let key = key.unwrap_or_default();
        let mut message = "The API key is missing or unknown.".to_owned();
        if self.breaks("secrets.none-in-errors") {
            message = format!("The API key {key} is unknown to us.");
        }
        let telling = self.breaks("auth.refusals-are-alike") && key.len() > 200;
        let code = if telling {
            "key_too_long"
        } else {
            "invalid_api_key"
        };
        let mut response = if self.breaks("auth.error-in-dialect") {
            answers::json(401, &json!({"detail": message}))
        } else {
            answers::error(dialect, 401, code, &message)
        };
        if !self.breaks("auth.challenge-present") {
            let scheme = "Bearer".parse().expect("valid");
            response.headers_mut().insert("www-authenticate", scheme);
        }
        Some(response)
    }

    async fn model_call(&self, dialect: Dialect, request: Request<Incoming>) -> Response<Body> {
        if request.method() != Method::POST {
            return match self.breaks("errors.wrong-method-is-405") {
                true => answers::error(dialect, 405, "method", "This method is not known here."),
                false => answers::wrong_method("POST"),
            };
        }
        if let Some(refusal) = self.refusal(dialect, request.headers()) {
            return refusal;
        }
        if let Some(refusal) = self.replayed(dialect, request.headers()) {
            return refusal;
        }
        let declared = request.headers().get("content-length");
        let declared = declared
            .and_then(|v| v.to_str().ok()?.parse().ok())
            .unwrap_or(0_usize);
        if declared > BODY_LIMIT && !self.breaks("limits.declared-size-is-413") {
            return answers::error(
                dialect,
                413,
                "too_large",
                "The body is larger than 512 KiB.",
            );
        }
        let limit = match self.breaks("limits.undeclared-size-is-413") {
            true => usize::MAX,
            false => BODY_LIMIT,
        };
        let once = request
            .headers()
            .get("idempotency-key")
            .and_then(|v| v.to_str().ok());
        let once = once.map(ToOwned::to_owned);
        match Limited::new(request.into_body(), limit).collect().await {
            Ok(body) => self.keep_promises(dialect, &body.to_bytes(), once.as_deref()),
            Err(_) => answers::error(
                dialect,
                413,
                "too_large",
                "The body is larger than 512 KiB.",
            ),
        }
    }

    /// Refuses what is not new, or does not say that it is.
    fn replayed(&self, dialect: Dialect, headers: &HeaderMap) -> Option<Response<Body>> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let nonce = text("x-seaworthy-nonce");
        let seconds = text("x-seaworthy-timestamp").and_then(|text| text.parse().ok());
        let is_fresh = nonce
            .zip(seconds)
            .is_some_and(|(nonce, seconds)| self.promises.is_fresh(nonce, seconds, self.broken));
        let message = "This request is not new.";
        (!is_fresh).then(|| answers::error(dialect, 409, "replayed_request", message))
    }

    /// Answers once for a key, and says what was remembered.
    fn keep_promises(&self, dialect: Dialect, body: &Bytes, key: Option<&str>) -> Response<Body> {
        let key = key.filter(|_| !self.breaks("retry.idempotency"));
        let Some(id) = self.promises.id(key, body) else {
            return answers::error(
                dialect,
                409,
                "conflict",
                "This key belongs to another call.",
            );
        };
        let known = self.promises.saw(body) && !self.breaks("cache.enabled");
        let mut response = self.call(dialect, body, id);
        if known {
            let hit = "hit".parse().expect("valid");
            response.headers_mut().insert("x-seaworthy-cache", hit);
        }
        response
    }

    fn call(&self, dialect: Dialect, body: &Bytes, id: u64) -> Response<Body> {
        let bad = |what: &str| answers::error(dialect, 400, "invalid_request_error", what);
        let broken = || answers::error(dialect, 500, "api_error", "Something went badly wrong.");
        if self.breaks("input.deep-nesting-is-refused")
            && body.len() > 100_000
            && body.contains(&b']')
        {
            let nested = body.windows(8).any(|window| window == b"[[[[[[[[");
            if nested {
                return broken();
            }
        }
        let text = match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            Err(_) if self.breaks("input.bad-utf8-is-refused") => {
                String::from_utf8_lossy(body).into_owned()
            }
            Err(_) => return bad("The body must be UTF-8 text."),
        };
        let json: Value = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(e) if self.breaks("input.malformed-json-is-400") && e.is_eof() => return broken(),
            Err(e) => return bad(&format!("The body is not valid JSON: {e}.")),
        };
        if self.breaks("errors.no-internals") && json["stream"] == "yes" {
            return bad("The handler panicked at src/chat.rs, which is sad.");
        }
        if !json["messages"].is_array() {
            return match self.breaks("input.wrong-type-is-400") {
                true => broken(),
                false => bad("The field messages must be an array."),
            };
        }
        if json["model"] != "echo" {
            if self.breaks("errors.propagated") {
                return broken();
            }
            return match self.breaks("input.unknown-model-is-404") {
                true => answers::error(dialect, 404, "model_not_found", "There is no such model."),
                false => answers::error(dialect, 404, "model_not_found", "Models here: echo."),
            };
        }
        self.reply(dialect, &json, id)
    }

    fn reply(&self, dialect: Dialect, json: &Value, id: u64) -> Response<Body> {
        let prompt = json["messages"][0]["content"].as_str().unwrap_or_default();
        if promises::takes_over(prompt) && !self.breaks("injection.detection-enabled") {
            return answers::error(
                dialect,
                400,
                "prompt_injection",
                "This prompt tries to take over.",
            );
        }
        let words = promises::masked(prompt, self.broken);
        let in_flight = answers::InFlight::enter(&self.in_flight);
        if self.breaks("metrics.in-flight-returns") {
            std::mem::forget(answers::InFlight::enter(&self.in_flight));
        }
        let streams = json["stream"] == true && !self.breaks("test.smoke");
        match (dialect, streams) {
            (Dialect::OpenAi, false) => {
                answers::chat(&words, !self.breaks("models.chat-answers"), id)
            }
            (Dialect::Anthropic, false) => {
                answers::message(&words, !self.breaks("models.messages-answers"))
            }
            (Dialect::OpenAi, true) => {
                let asked = json["stream_options"]["include_usage"] == true;
                let usage = asked || self.breaks("models.chat-stream-usage-on-request");
                let done = !self.breaks("models.chat-stream-ends-with-done");
                answers::chat_stream(words, usage, done, in_flight)
            }
            (Dialect::Anthropic, true) => {
                let ordered = !self.breaks("models.messages-stream-in-order");
                answers::message_stream(words, ordered, in_flight)
            }
        }
    }
}

/// The key that a request shows, where either SDK puts it.
fn credential(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("x-api-key").or_else(|| text("authorization"))?;
    Some(key.strip_prefix("Bearer ").unwrap_or(key).to_owned())
}

/// A status by number.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}
