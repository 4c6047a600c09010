//! The listener that clients talk to.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tls::{HttpRedirect, Tls};
use crate::value::{ByteSize, Duration, Listen, Network};

/// The listener that clients talk to, and the limits of a connection and of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    pub listen: Listen,
    /// TLS at this address. Without it, plain HTTP is spoken.
    pub tls: Option<Tls>,
    /// A second address, for those who come without TLS.
    pub http_redirect: Option<HttpRedirect>,
    /// The proxies in front of this gateway, as networks. Of requests that they pass on, the address
    /// is the last one in `x-forwarded-for` that is none of theirs; others cannot set it.
    pub trusted_proxies: Vec<Network>,
    /// How many threads handle requests. Without it, one for each core.
    pub workers: Option<NonZeroUsize>,
    /// The largest request body. A larger one is refused with 413 before it is read.
    pub max_request_size: ByteSize,
    /// The largest answer that is taken from a provider.
    pub max_response_size: ByteSize,
    /// The largest request line and headers together. From 8KiB to 1MiB.
    pub max_header_size: ByteSize,
    /// The largest number of headers in a request. At most 100.
    pub max_headers: NonZeroUsize,
    /// How long a client may take to send the headers of a request.
    pub header_timeout: Duration,
    /// How long a client may pause while it sends the body of a request. What has taken so long has to
    /// come with at least 1 KiB a second.
    pub body_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub keep_alive_timeout: Duration,
    /// How long a client may go without taking any of its answer.
    pub write_timeout: Duration,
    /// How many connections may be open.
    pub max_connections: NonZeroUsize,
    /// How many requests may be handled at the same time; `critical` ones find an eighth more room.
    pub max_concurrent_requests: NonZeroUsize,
    /// Whether model calls wait for the processor in a line by priority, and are refused early while
    /// there is more to do than the processors can.
    pub overload_control: bool,
    /// How long the program goes on as before when it is told to stop, not ready any more, so that
    /// load balancers stop sending requests here.
    pub drain_delay: Duration,
    /// How long requests may take to finish after that.
    pub drain_timeout: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Listen::new(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080))),
            tls: None,
            http_redirect: None,
            trusted_proxies: Vec::new(),
            workers: None,
            max_request_size: ByteSize::new(10_000_000),
            max_response_size: ByteSize::new(64_000_000),
            max_header_size: ByteSize::new(64 * 1024),
            max_headers: count(100),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            max_connections: count(10_000),
            max_concurrent_requests: count(4096),
            overload_control: true,
            drain_delay: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

pub(super) const fn count(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}
