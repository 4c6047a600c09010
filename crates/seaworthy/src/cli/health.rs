//! `seaworthy health`: one request to a health endpoint, for container checks without curl.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use seaworthy_edge::client::{Network, Origin, Timeouts, Trust, Upstream};
use serde_json::json;

use crate::exit::{self, Failure};
use crate::output::{self, Format};

const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The instance, or one of its health endpoints.
    #[arg(long, default_value = "http://127.0.0.1:8080/health/ready")]
    url: String,
    /// Certificate authorities to trust beside those of this machine, as PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Accept any certificate: nothing secret is sent.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// A certificate to show to the instance, as PEM.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let (base, path) = split(&arguments.url)?;
    let read = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
    let authorities = read(&arguments.ca)?;
    let identity = read(&arguments.client_certificate)?.zip(read(&arguments.client_key)?);
    let trust = Trust {
        authorities: authorities.as_deref(),
        identity: identity
            .as_ref()
            .map(|(certificate, key)| (certificate.as_str(), key.as_str())),
        is_blind: arguments.insecure,
    };
    let network = Network::trusting(&trust)
        .map_err(|error| Failure::new(exit::USAGE, format!("TLS cannot be used: {error}")))?;
    let (status, body) = super::block_on(ask(base, path, network))
        .map_err(|failure| Failure::new(exit::FAILED, failure.message))?;
    match arguments.format {
        Format::Pretty => output::line(format_args!("{status} {body}"))?,
        Format::Json => {
            let answer = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
            output::json(&json!({"status": status, "answer": answer}))?;
        }
    }
    Ok(if status == 200 {
        exit::OK
    } else {
        exit::FAILED
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(exit::USAGE, format!("{}: {error}", path.display())))
}

/// The address of the instance, and what to ask there.
fn split(url: &str) -> Result<(&str, &str), Failure> {
    let scheme = ["http://", "https://"]
        .iter()
        .find(|scheme| url.starts_with(**scheme));
    let scheme = scheme.ok_or_else(|| {
        Failure::new(
            exit::USAGE,
            format!("expected a URL such as http://127.0.0.1:8080, found {url:?}"),
        )
    })?;
    let end = url.get(scheme.len()..).and_then(|rest| rest.find('/'));
    let (base, path) = match end {
        Some(at) => url.split_at(scheme.len() + at),
        None => (url, "/"),
    };
    Ok((base, if path == "/" { "/health/ready" } else { path }))
}

async fn ask(base: &str, path: &str, network: Network) -> Result<(u16, String), Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::new(exit::USAGE, format!("{base}{path}: {error}"));
    let origin = Origin::parse(base).map_err(|error| wrong(&error))?;
    let silent = |error: &(dyn std::error::Error + 'static)| {
        let why = Failure::of(exit::FAILED, error).message;
        Failure::new(exit::FAILED, format!("{base}{path} does not answer: {why}"))
    };
    let upstream = Upstream::new(origin, Arc::new(network), 0);
    let request = http::Request::get(path)
        .header(http::header::HOST, upstream.host())
        .body(Full::default())
        .map_err(|error| wrong(&error))?;
    let timeouts = Timeouts {
        connect: TIMEOUT,
        first_byte: TIMEOUT,
        first_token: None,
        between_chunks: TIMEOUT,
        total: TIMEOUT,
        deadline: None,
    };
    let answer = upstream.send(request, timeouts).await;
    let (head, body) = answer.map_err(|error| silent(&error))?.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| silent(&*error))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok((head.status.as_u16(), text))
}
