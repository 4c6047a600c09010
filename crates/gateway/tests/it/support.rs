//! The harness: a data plane in memory, a client, a scripted provider, and what they say.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod plants;
pub(crate) mod stores;
pub(crate) mod upstream;
pub(crate) mod wire;
