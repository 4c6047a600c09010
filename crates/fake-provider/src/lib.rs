//! A scriptable stand-in for the providers: exact usage, a count of what reached it, faults on command.
//!
//! It plays OpenAI (chat completions, Responses, embeddings, moderations, models), Azure OpenAI,
//! Anthropic, Gemini, Cohere and Bedrock Converse on one port, unary and streamed, and knows nothing
//! of the gateway: it is an independent judge of what reached a provider.
//!
//! # Tokens
//!
//! Usage is exact and can be computed by hand:
//!
//! - input: one token for every 4 bytes of message text, rounded up, at least 1. Message text is every
//!   string that the model would read: system prompt, contents, tool results, arguments of earlier
//!   tool calls.
//! - output: one token for every word of the answer (words are separated by white space); a tool call
//!   costs 1 for its name and one for every 4 bytes of its arguments, rounded up.
//! - cached, cache-write and reasoning tokens appear only on command, on top of the above.
//!
//! # Commands
//!
//! What it does is set by directives (`key=value`, see [`directive::KEYS`]), later ones winning:
//! [`Options::defaults`], then request headers (`x-fake-latency-ms: 50`), then
//! `[[fake:key=value,…]]` anywhere in the text of a message (this survives gateways that drop unknown
//! headers), then faults queued with `POST /__control/faults`. Values are percent-decoded.
//! `docs/reference/fake-provider.md` describes each one and the control API.
//!
//! # Shape
//!
//! `route` and `request` read, `answer` and `plan` decide what to say, `openai`, `responses`,
//! `anthropic`, `gemini`, `cohere` and `bedrock` write it in a dialect, `script` turns it into timed steps with the faults in place: all pure. `server`
//! and `playback` perform the steps on a socket, `ledger` counts.

mod answer;
mod anthropic;
mod bedrock;
mod cohere;
mod control;
pub mod directive;
mod error;
mod gemini;
mod headers;
pub mod ledger;
mod openai;
mod openai_other;
mod plan;
mod playback;
mod request;
mod responses;
mod route;
mod script;
mod server;
mod socket;
mod writer;

pub use directive::Directives;
pub use server::{Options, Running, run, serve};
