//! The stages of a model call, in the order in which [`crate::pipeline::run`] calls them.
//!
//! What a stage returns is the proof that it ran: the next one asks for it by type.

pub(crate) mod admit;
pub(crate) mod attempt;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod beside;
pub(crate) mod consult;
pub(crate) mod decode;
pub(crate) mod dispatch;
pub(crate) mod freshness;
pub(crate) mod hedge;
pub(crate) mod plan;
pub(crate) mod recall;
pub(crate) mod relay;
pub(crate) mod reserve;
pub(crate) mod screen;
pub(crate) mod settle;
pub(crate) mod signature;
