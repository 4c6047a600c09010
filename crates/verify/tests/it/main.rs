//! The verifier against scripted servers: good ones, broken ones, strangers, and none.

mod sabotage;
mod scratch;
mod strangers;
mod support;
