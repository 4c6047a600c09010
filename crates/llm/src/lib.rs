//! Wire formats of the providers, bytes to and from one canonical model call. No I/O.

mod depth;
mod error;
mod fault;
mod head;
mod json;
pub mod sse;
pub mod usage;
mod wire;

pub use error::{ErrorView, encode_error, encode_stream_error, error_kind, error_status};
pub use fault::Fault;
pub use head::{Head, count_tokens_head, head, splice};
