//! What a probe did and saw, kept so that a reader can judge the verdict and repeat it.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// One thing done to the server, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// When it was done.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    /// How long it took.
    pub duration_ms: f64,
    /// What it was done to: the server's base URL, or a scratch instance of it.
    pub subject: String,
    /// What was done.
    pub action: Action,
    /// What was seen.
    pub observed: Observed,
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What a probe did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Action {
    /// An HTTP request.
    Request {
        /// The method.
        method: String,
        /// Path and query.
        path: String,
        /// The headers that matter, credentials masked.
        headers: Vec<(String, String)>,
        /// The start of the body.
        body: String,
    },
    /// Bytes that are not a proper request, described.
    Raw {
        /// What was sent.
        sent: String,
    },
    /// A program that was started.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// Nothing but waiting.
    Wait {
        /// For what.
        until: String,
    },
    /// A line of a file that was read.
    Read {
        /// The file, relative to the folder that was given.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// Calls that were made at a rate, counted.
    Load {
        /// Which calls, and how many.
        what: String,
    },
    /// A signal that was sent to a scratch instance.
    Signal {
        /// Its name.
        name: String,
    },
}

/// What a probe saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Observed {
    /// HTTP status or exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Response headers, credentials masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The start of the body or output, at most 200 bytes, known secrets masked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
    /// What happened when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
