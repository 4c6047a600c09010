//! What is to be run, within which limits, and how it ended.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A language that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// ECMAScript 2025, as QuickJS understands it.
    #[serde(rename = "javascript", alias = "js")]
    JavaScript,
}

impl Language {
    /// The name in requests, metrics and the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
        }
    }
}

/// How much a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Time of the processor.
    pub cpu_ms: u64,
    /// Time of the clock on the wall.
    pub wall_ms: u64,
    /// Memory of the interpreter.
    pub memory_bytes: u64,
    /// What is written and what comes out, together.
    pub output_bytes: u64,
}

/// A piece of code with what it is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What it is written in.
    pub language: Language,
    /// The code.
    pub code: String,
    /// What it finds in `stdin`.
    pub stdin: String,
    /// What it finds in `args`.
    pub arguments: Vec<String>,
    /// How much it may use.
    pub limits: Limits,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// The code ran to its end.
    Completed,
    /// The code threw, or is not in the language.
    Error,
    /// The code waits for what can never come.
    Pending,
    /// It used up its time of the processor.
    CpuTime,
    /// It used up its time of the clock.
    WallTime,
    /// It wanted more memory than it may have.
    Memory,
    /// It wrote more than it may.
    Output,
    /// It asked the kernel for something, which ended it.
    Forbidden,
    /// The worker died otherwise.
    Crashed,
}

impl Exit {
    /// The name in answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Pending => "pending",
            Self::CpuTime => "cpu_time",
            Self::WallTime => "wall_time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Forbidden => "forbidden",
            Self::Crashed => "crashed",
        }
    }
}

/// What the code threw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thrown {
    /// The name of the error's class, such as `TypeError`.
    pub name: String,
    /// What it says.
    pub message: String,
    /// Where it was thrown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stack: String,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// The value of the last statement, as JSON.
    pub result: Option<Box<RawValue>>,
    /// What was thrown.
    pub error: Option<Thrown>,
    /// What it wrote with `console.log` and the like.
    pub stdout: String,
    /// What it wrote with `console.error` and `console.warn`.
    pub stderr: String,
    /// Time of the processor, if the worker lived to tell.
    pub cpu_ms: Option<u64>,
    /// The most memory that the worker held, if it lived to tell.
    pub memory_bytes: Option<u64>,
    /// Time of the clock, the start of the worker included.
    pub wall_ms: u64,
}
