//! Everything HTTP that is not about models: listeners, upstream connections, the log sink.
//!
//! - [`server`] accepts connections on one thread a core and drains them;
//! - [`client`] keeps connections to one provider and sends requests over them;
//! - [`body`] reads request bodies within limits;
//! - [`coding`] unpacks bodies and packs answers;
//! - [`tls`] is what connections of callers are encrypted with;
//! - [`redirect`] answers those who come without TLS to an address of their own;
//! - [`log`] writes lines without making requests wait for the disk.

pub mod body;
pub mod client;
pub mod coding;
pub mod log;
pub mod redirect;
pub mod server;
pub mod tls;

/// Any error, where only its text matters.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
