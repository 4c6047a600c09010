//! `seaworthy health`: one request to a health endpoint, for container checks without curl.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::exit::{self, Failure};
use crate::output;

const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The instance, or one of its health endpoints.
    #[arg(long, default_value = "http://127.0.0.1:8080/health/ready")]
    url: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let (authority, path) = split(&arguments.url)?;
    let answer = ask(authority, path).map_err(|error| {
        Failure::new(
            exit::FAILED,
            format!("{} does not answer: {error}", arguments.url),
        )
    })?;
    let status = answer
        .split(' ')
        .nth(1)
        .unwrap_or("no HTTP status")
        .to_owned();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    output::line(format_args!("{status} {body}"))?;
    Ok(if status == "200" {
        exit::OK
    } else {
        exit::FAILED
    })
}

fn split(url: &str) -> Result<(&str, &str), Failure> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        Failure::new(
            exit::USAGE,
            format!("expected a URL such as http://127.0.0.1:8080, found {url:?}"),
        )
    })?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/health/ready"),
    };
    Ok((authority, if path == "/" { "/health/ready" } else { path }))
}

fn ask(authority: &str, path: &str) -> std::io::Result<String> {
    let with_port = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let address = with_port
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| std::io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
