//! The front of the data plane: request IDs, the route table, and answers that need no model.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Family;
use seaworthy_edge::body::RequestBody;
use seaworthy_edge::coding;
use seaworthy_edge::server::{self, Shedding};
use seaworthy_llm::{ErrorView, encode_error};

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::hasty::{self, Hasty};
use crate::in_place::boxed;
use crate::once::Once;
use crate::packing::packed;
use crate::pipeline::{self, Caller};
use crate::refusal::Refusal;
use crate::reply::waiting::{Answering, until_told};
use crate::reply::{Answer, ReplyBody, head_alone, respond, respond_waiting};
use crate::routes::{self, Access, Action, Asked, Lookup};
use crate::stage::authenticate::authenticate;
use crate::stage::decode::read;
use crate::waiting::Herald;
use crate::{
    admin, auth_token, batches, deep_health, features, files, headers, health, models, once,
    reports, responses, sandbox,
};

/// Which routes a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// All of them.
    All,
    /// All but the control plane.
    Data,
    /// The control plane, health and metrics.
    Control,
}

/// The service of one worker.
#[derive(Debug, Clone)]
pub struct DataPlane {
    gateway: Arc<Gateway>,
    worker: usize,
    plane: Plane,
    is_encrypted: bool,
}

impl DataPlane {
    /// The service of the worker with this number.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, worker: usize, plane: Plane) -> Self {
        Self {
            gateway,
            worker,
            plane,
            is_encrypted: false,
        }
    }

    /// The same service where all connections use TLS.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self {
            is_encrypted: true,
            ..self
        }
    }

    async fn answer(
        &self,
        exchange: &mut Exchange,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        let (mut head, body) = request.into_parts();
        let found = self.find(&head.method, head.uri.path());
        let mut limits = exchange.snapshot.body_limits;
        if matches!(&found, Ok((route, _)) if route.action == Action::UploadFile) {
            limits.max_bytes = files::most_bytes(exchange);
        }
        let body = RequestBody::new(body, limits).packed_as(&head.headers);
        head.headers.remove(http::header::CONTENT_ENCODING);
        exchange.family = match &found {
            Ok((route, _)) => routes::family(Some(route), head.uri.path(), &head.headers),
            Err(_) => routes::family(None, head.uri.path(), &head.headers),
        };
        let (route, parameter) = found?;
        exchange.action = Some(route.action);
        exchange.route = route.path;
        require_one_host(head.version, &head.headers)?;
        require_one_end(&head.extensions)?;
        headers::take_key_from_query(route.family, head.uri.query(), &mut head.headers);
        refuse_header_flood(exchange, &head.headers)?;
        if let Action::Model(operation) = route.action {
            let asked = Asked::read(route, operation, parameter, head.uri.query());
            let caller = Caller {
                target: head.uri,
                headers: head.headers,
                body,
            };
            return pipeline::run(exchange, asked, caller).await;
        }
        // The way of model calls should not carry the weight of this one.
        Box::pin(self.other(exchange, (route, parameter), &head.uri, &head.headers, body)).await
    }

    /// Requests that are no model calls.
    async fn other(
        &self,
        exchange: &mut Exchange,
        (route, parameter): (&'static routes::Route, &str),
        target: &Uri,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Answer, Refusal> {
        if route.action == Action::RunCode {
            return sandbox::execute(exchange, headers, body).await;
        }
        match route.access {
            Access::Public => {}
            Access::Needs(needs) => drop(authenticate(exchange, headers, needs).await?),
        }
        if route.action == Action::UploadFile {
            return files::create(exchange, headers, body).await;
        }
        let body = match route.method {
            Method::POST => read(body).await?,
            _ => Bytes::new(),
        };
        let once = match route.method {
            Method::POST => {
                let request = once::of_request(target.path(), target.query(), &body);
                once::begin(exchange, headers, request).await?
            }
            _ => Once::Pass,
        };
        let mut held = match once {
            Once::Known(answer) => return Ok(answer),
            Once::Held(held) => Some(held),
            Once::Pass => None,
        };
        if route.action == Action::CreateBatch {
            return batches::create(exchange, &body, held).await;
        }
        if let Some(held) = &mut held {
            held.set_off();
        }
        let query = target.query();
        let result = self
            .dispatch(exchange, route, (parameter, query), &body)
            .await;
        once::end(held, route.action, headers, result).await
    }

    /// Requests that need no model, and no part of the request but its target and its body.
    async fn dispatch(
        &self,
        exchange: &Exchange,
        route: &routes::Route,
        (parameter, query): (&str, Option<&str>),
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        let (gateway, snapshot) = (&self.gateway, Arc::clone(&exchange.snapshot));
        match route.action {
            Action::ListModels => models::list(exchange, query),
            Action::OwnUsage => reports::own_usage(exchange, query).await,
            Action::Usage => reports::usage(gateway, query).await,
            Action::Projection => reports::projection(gateway, &snapshot, query).await,
            Action::Budgets => reports::budgets(gateway, &snapshot, query).await,
            action @ (Action::GetResponse
            | Action::DeleteResponse
            | Action::CancelResponse
            | Action::ListInputItems) => {
                responses::handle(exchange, action, parameter, query).await
            }
            action @ (Action::ListFiles
            | Action::GetFile
            | Action::FileContent
            | Action::DeleteFile) => files::handle(exchange, action, parameter, query).await,
            action @ (Action::ListBatches | Action::GetBatch | Action::CancelBatch) => {
                batches::handle(exchange, action, parameter, query).await
            }
            _ => self.handle(exchange, route, parameter, body).await,
        }
    }

    fn find<'a>(
        &self,
        method: &Method,
        path: &'a str,
    ) -> Result<(&'static routes::Route, &'a str), Refusal> {
        match routes::find(method, path) {
            Lookup::Found(route, parameter) if self.serves(route) => Ok((route, parameter)),
            Lookup::WrongMethod { allow } => {
                let mut refusal = Refusal::new(
                    Code::MethodNotAllowed,
                    format!("{method} is not possible at this path. Use {allow}."),
                );
                refusal.allow = Some(allow);
                Err(refusal)
            }
            Lookup::NotFound if is_legacy(path) => Err(Refusal::new(
                Code::NotFound,
                "Completions of a bare `prompt` are not served. Send it as a message to \
                 /v1/chat/completions: `\"messages\": [{\"role\": \"user\", \"content\": PROMPT}]`.",
            )),
            Lookup::Found(..) | Lookup::NotFound => Err(Refusal::new(
                Code::NotFound,
                "Nothing is served at this path. Chat completions are at /v1/chat/completions, \
                 messages at /v1/messages, models at /v1/models; the APIs of Azure OpenAI, Bedrock, \
                 Gemini and Cohere are at their own paths.",
            )),
        }
    }

    fn serves(&self, route: &routes::Route) -> bool {
        let is_control = route.path.starts_with("/admin/");
        match self.plane {
            Plane::All => true,
            Plane::Data => !is_control,
            Plane::Control => is_control || route.access == Access::Public,
        }
    }

    async fn handle(
        &self,
        exchange: &Exchange,
        route: &routes::Route,
        parameter: &str,
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        let (gateway, action, path) = (&self.gateway, route.action, route.path);
        match action {
            Action::GetModel => models::get(exchange, &routes::named(route, parameter)),
            Action::Health | Action::Live | Action::Ready => {
                let endpoint = match action {
                    Action::Ready => health::Endpoint::Ready,
                    _ => health::Endpoint::Live,
                };
                let config = &exchange.snapshot.loaded.config;
                let report = health::report(gateway, config, endpoint, path);
                Ok(health_answer(report.http_status(), &report))
            }
            Action::DeepHealth => {
                let (status, report) = deep_health::report(gateway, &exchange.snapshot);
                Ok(health_answer(status, &report))
            }
            Action::ListFeatures => features::list(exchange),
            Action::ShowTier => Ok(admin::switches::tier(exchange)),
            Action::SetTier => admin::switches::set_tier(exchange, body).await,
            Action::ShowFeatures => Ok(admin::switches::features(exchange)),
            Action::SetFeature => admin::switches::set_feature(exchange, parameter, body).await,
            Action::Metrics => Ok(Answer::text(
                200,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                admin::metrics(gateway),
            )),
            Action::Status => Ok(admin::status(gateway, &exchange.snapshot)),
            Action::EffectiveConfig => Ok(admin::effective_config(&exchange.snapshot)),
            Action::CreateToken => auth_token::create(exchange, body).await,
            Action::ListKeys => admin::keys::list(exchange).await,
            Action::CreateKey => admin::keys::create(exchange, body).await,
            Action::RotateKey => admin::keys::rotate(exchange, parameter, body).await,
            Action::PurgeCache => admin::purge_cache(gateway).await,
            Action::RevokeKey => admin::keys::revoke(exchange, parameter).await,
            _ => Err(Refusal::new(
                Code::Internal,
                "A request took a way that is not for requests of its kind.",
            )),
        }
    }
}

/// Whether a path is that of prompts without turns, which OpenAI itself calls legacy.
fn is_legacy(path: &str) -> bool {
    path.ends_with("/completions") && !path.ends_with("/chat/completions")
}

/// RFC 9112, 6.3: whoever passed a request on may have believed the other end of its body.
fn require_one_end(extensions: &http::Extensions) -> Result<(), Refusal> {
    match extensions.get::<server::EndsTwice>() {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            Code::InvalidRequest,
            "It is not certain where the body of the request ends: send either `content-length` or \
             `transfer-encoding: chunked`, and that once.",
        )),
    }
}

/// RFC 9112, 3.2: what several readers of a request could understand in different ways is refused.
fn require_one_host(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let found = headers.get_all(http::header::HOST).iter().count();
    if version != Version::HTTP_11 || found == 1 {
        return Ok(());
    }
    let message = format!("A request of HTTP/1.1 has one `host` header, and this one has {found}.");
    Err(Refusal::new(Code::InvalidRequest, message))
}

fn refuse_header_flood(exchange: &Exchange, headers: &HeaderMap) -> Result<(), Refusal> {
    let limit = exchange.snapshot.max_headers;
    if headers.len() <= limit {
        return Ok(());
    }
    let mut refusal = Refusal::new(
        Code::InvalidRequest,
        format!(
            "The request has {} headers; at most {limit} are accepted.",
            headers.len()
        ),
    );
    refusal.status = Some(431);
    Err(refusal)
}

fn health_answer(status: u16, report: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(report).unwrap_or_default();
    let mut answer = Answer::json(status, body);
    answer.headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    answer
}

const PANICKED: &str =
    "Something broke inside the gateway. The log has the details under the request ID.";

/// The refusal after a panic.
pub(crate) fn panicked() -> Refusal {
    Refusal::new(Code::Internal, PANICKED)
}

impl server::Service for DataPlane {
    type Body = ReplyBody;

    async fn call(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<ReplyBody> {
        if let Some(refused) = hasty::refused(&self.gateway, self.worker, &request) {
            // Who is still sending would see a broken connection instead of the answer.
            let limits = self.gateway.snapshot().body_limits;
            drop(RequestBody::new(request.into_body(), limits));
            return refused;
        }
        let is_head = request.method() == Method::HEAD;
        let coding = coding::wanted(request.headers());
        let gateway = Arc::clone(&self.gateway);
        let headers = request.headers();
        let mut exchange = boxed(|| Exchange::begin(gateway, self.worker, peer.ip(), headers));
        let snapshot = Arc::clone(&exchange.snapshot);
        let notice = Arc::default();
        exchange.herald = Herald::Caller(Arc::clone(&notice));
        let plane = self.clone();
        let mut answering: Answering = Box::into_pin(boxed(|| async move {
            let answering = AssertUnwindSafe(plane.answer(&mut exchange, request)).catch_unwind();
            // The panic hook has logged where it happened.
            let result = answering.await.unwrap_or_else(|_panic| {
                plane.gateway.metrics.panics.inc();
                Err(panicked())
            });
            (exchange, result)
        }));
        let mut response = match until_told(&mut answering, &notice).await {
            Ok((exchange, result)) => {
                let response = packed(respond(exchange, result, is_head), coding).await;
                if is_head {
                    head_alone(response)
                } else {
                    response
                }
            }
            // From here on the answer's body drives the call.
            Err(notice) => respond_waiting(answering, notice),
        };
        if self.is_encrypted
            && let Some(hsts) = snapshot.hsts(self.plane)
        {
            let name = http::header::STRICT_TRANSPORT_SECURITY;
            response.headers_mut().insert(name, hsts.clone());
        }
        response
    }

    fn shedding(&self) -> Option<Arc<dyn Shedding>> {
        let hasty = || Hasty::new(Arc::clone(&self.gateway), self.worker);
        (self.plane != Plane::Control).then(|| Arc::new(hasty()) as Arc<dyn Shedding>)
    }

    /// A panic outside of what [`Self::call`] catches.
    fn panicked(&self) -> Response<ReplyBody> {
        self.gateway.metrics.panics.inc();
        let view = ErrorView {
            status: Code::Internal.status(),
            kind: None,
            code: Some(Code::Internal.as_str()),
            message: PANICKED,
            param: None,
            retry_after: None,
            request_id: None,
        };
        let mut response = Response::new(ReplyBody::detached(encode_error(Family::OpenAi, &view)));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        response
    }
}
