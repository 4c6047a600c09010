//! The yardstick: a reverse proxy on bare hyper, and what a gateway must at least add to it.
//!
//! Without `--inspect` bytes pass through untouched. With it the proxy also compares a key, reads the
//! request to find its model, and reads the usage of whole answers: the least that a gateway does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::TcpListener;

/// Bare hyper reverse proxy.
#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where to forward to, `host:port`
    #[arg(long)]
    upstream: String,
    /// Also compare the key, read the request's model and the answer's usage
    #[arg(long, requires = "key")]
    inspect: bool,
    /// The key that callers must present
    #[arg(long)]
    key: Option<String>,
}

type Body = Either<Incoming, Full<Bytes>>;

struct Proxy {
    client: Client<HttpConnector, Body>,
    upstream: String,
    /// The `authorization` that is accepted, when inspecting.
    inspect: Option<String>,
    tokens: AtomicU64,
}

#[derive(Deserialize)]
struct RequestHead<'a> {
    #[serde(borrow)]
    model: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct Answer {
    usage: AnswerUsage,
}

#[derive(Deserialize)]
struct AnswerUsage {
    total_tokens: u64,
}

impl Proxy {
    async fn forward(&self, request: Request<Incoming>) -> anyhow::Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let target = Uri::builder()
            .scheme("http")
            .authority(self.upstream.as_str());
        parts.uri = target.path_and_query(path).build()?;
        for hop in [HOST, CONNECTION, TRANSFER_ENCODING] {
            parts.headers.remove(hop);
        }
        let Some(authorization) = &self.inspect else {
            let onward = Request::from_parts(parts, Either::Left(body));
            return Ok(self.client.request(onward).await?.map(Either::Left));
        };
        let presented = parts
            .headers
            .get(AUTHORIZATION)
            .map(|value| value.as_bytes());
        if presented != Some(authorization.as_bytes()) {
            return refuse(StatusCode::UNAUTHORIZED);
        }
        let body = body.collect().await?.to_bytes();
        let model_is_named = serde_json::from_slice::<RequestHead<'_>>(&body)
            .is_ok_and(|head| !head.model.is_empty());
        if !model_is_named {
            return refuse(StatusCode::BAD_REQUEST);
        }
        let onward = Request::from_parts(parts, Either::Right(Full::new(body)));
        let response = self.client.request(onward).await?;
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .map(|value| value.as_bytes());
        if kind != Some(b"application/json") {
            return Ok(response.map(Either::Left));
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        if let Ok(answer) = serde_json::from_slice::<Answer>(&body) {
            self.tokens
                .fetch_add(answer.usage.total_tokens, Ordering::Relaxed);
        }
        Ok(Response::from_parts(parts, Either::Right(Full::new(body))))
    }
}

fn refuse(status: StatusCode) -> anyhow::Result<Response<Body>> {
    Ok(Response::builder()
        .status(status)
        .body(Either::Right(Full::default()))?)
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Arc::new(Proxy {
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: args.upstream,
        inspect: args
            .key
            .filter(|_| args.inspect)
            .map(|key| format!("Bearer {key}")),
        tokens: AtomicU64::new(0),
    });
    let listener = TcpListener::bind(args.listen)
        .await
        .context("cannot listen")?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let service = service_fn(|request| proxy.forward(request));
            // The connection is over; who broke it does not matter to the yardstick.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args))
}
