//! The wire formats against recorded traffic and against arbitrary bytes.

mod golden;
mod replies;
mod requests;
mod streams;
mod support;
