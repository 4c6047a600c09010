//! Exit codes. Scripts rely on them.

use std::process::ExitCode;

/// Everything went well; for `check`: ready.
pub(crate) const OK: u8 = 0;
/// Something failed while it ran; for `check`: not ready.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong; for `check`: it could not run.
pub(crate) const USAGE: u8 = 2;
/// Something that is needed cannot be reached or used: the store, the port.
pub(crate) const UNAVAILABLE: u8 = 69;
/// The configuration is wrong.
pub(crate) const CONFIG: u8 = 78;

/// An error for the person at the terminal, with the code to exit with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn of(code: u8, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str("\n  because: ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(code, message)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(FAILED, &error)
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code)
    }
}
