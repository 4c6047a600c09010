//! Decisions that keep callers served while providers fail: whether to try again, whom to ask, how
//! much to send at a time. All of them are functions of state and time.

pub mod advice;
pub mod breaker;
pub mod door;
pub mod gradient;
pub mod line;
pub mod openings;
pub mod pressure;
pub mod retry;
pub mod routing;

/// A number from 0 up to, but not including, 1: the chance in back-off and in weighted choices.
#[must_use]
pub fn chance() -> f64 {
    rand::random()
}
