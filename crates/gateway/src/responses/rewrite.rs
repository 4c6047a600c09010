//! An answer on its way to its caller, put under the name that it is stored under.

use bytes::Bytes;
use seaworthy_llm::sse::{Event, Splitter};
use serde_json::Value;

use super::keeping::Keeping;

/// The longest event that is looked into.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// Events that hold the response.
const WITH_RESPONSE: [&str; 6] = [
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.completed",
    "response.incomplete",
    "response.failed",
];

/// Writes the name and the settings of a response into an answer, whole or streamed.
#[derive(Debug)]
pub(crate) struct Rewriter<'a> {
    keeping: &'a Keeping,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Whole(Vec<u8>),
    Stream {
        splitter: Splitter,
        /// The event that ends the response, held back until that is stored.
        last: Option<(String, Value)>,
        /// What came after it.
        rest: Vec<u8>,
        /// Whether nothing can be read any more.
        is_broken: bool,
    },
}

/// The end of an answer, which is sent once the response is stored.
#[derive(Debug)]
pub(crate) struct Ending {
    before: Vec<u8>,
    last: Last,
    rest: Vec<u8>,
}

#[derive(Debug)]
enum Last {
    /// There is no response in it.
    None,
    Whole(Value),
    Event(String, Value),
}

impl Ending {
    /// The response as it is to be stored.
    pub(crate) fn response(&self) -> Option<&Value> {
        match &self.last {
            Last::None => None,
            Last::Whole(response) => Some(response),
            Last::Event(_, event) => event.get("response"),
        }
    }

    /// Says that the response could not be stored.
    pub(crate) fn note_unstored(&mut self) {
        match &mut self.last {
            Last::None => {}
            Last::Whole(response) => response["store"] = Value::Bool(false),
            Last::Event(_, event) => event["response"]["store"] = Value::Bool(false),
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        let last = match &self.last {
            Last::None => Vec::new(),
            Last::Whole(response) => response.to_string().into_bytes(),
            Last::Event(name, event) => written(name, event),
        };
        [&self.before[..], &last, &self.rest].concat().into()
    }
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(keeping: &'a Keeping, is_stream: bool) -> Self {
        let form = match is_stream {
            true => Form::Stream {
                splitter: Splitter::new(MAX_EVENT_BYTES),
                last: None,
                rest: Vec::new(),
                is_broken: false,
            },
            false => Form::Whole(Vec::new()),
        };
        Self { keeping, form }
    }

    /// Takes a piece of the answer and returns what can go on.
    pub(crate) fn pass(&mut self, frame: Bytes) -> Bytes {
        match &mut self.form {
            Form::Whole(bytes) => {
                bytes.extend_from_slice(&frame);
                Bytes::new()
            }
            Form::Stream {
                is_broken: true, ..
            } => frame,
            Form::Stream {
                splitter,
                last,
                rest,
                is_broken,
            } => {
                splitter.push(frame);
                let mut out = Vec::new();
                loop {
                    match splitter.next_event() {
                        Ok(Some(event)) => take(self.keeping, event, last, rest, &mut out),
                        Ok(None) => break,
                        Err(_) => {
                            *is_broken = true;
                            break;
                        }
                    }
                }
                out.into()
            }
        }
    }

    pub(crate) fn finish(self) -> Ending {
        let keeping = self.keeping;
        match self.form {
            Form::Whole(bytes) => {
                let response = serde_json::from_slice(&bytes).ok();
                let response = response.filter(|value: &Value| value["object"] == "response");
                match response {
                    Some(mut response) => {
                        keeping.dress(&mut response);
                        Ending {
                            before: Vec::new(),
                            last: Last::Whole(response),
                            rest: Vec::new(),
                        }
                    }
                    None => Ending {
                        before: bytes,
                        last: Last::None,
                        rest: Vec::new(),
                    },
                }
            }
            Form::Stream {
                mut splitter,
                mut last,
                mut rest,
                ..
            } => {
                let mut before = Vec::new();
                while let Ok(Some(event)) = splitter.finish() {
                    take(keeping, event, &mut last, &mut rest, &mut before);
                }
                let last = last.map_or(Last::None, |(name, event)| Last::Event(name, event));
                Ending { before, last, rest }
            }
        }
    }
}

fn take(
    keeping: &Keeping,
    event: Event,
    last: &mut Option<(String, Value)>,
    rest: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    if last.is_some() {
        rest.extend_from_slice(event.raw());
        return;
    }
    let parsed = event
        .data()
        .and_then(|data| with_response(event.name(), data));
    let Some((name, mut value)) = parsed else {
        out.extend_from_slice(event.raw());
        return;
    };
    keeping.dress(&mut value["response"]);
    match name.as_str() {
        "response.completed" | "response.incomplete" | "response.failed" => {
            *last = Some((name, value));
        }
        _ => out.extend_from_slice(&written(&name, &value)),
    }
}

/// The event, if it holds the response. Others are not parsed.
fn with_response(name: &[u8], data: &[u8]) -> Option<(String, Value)> {
    let is_one = |name: &[u8]| WITH_RESPONSE.iter().any(|known| known.as_bytes() == name);
    if !name.is_empty() && !is_one(name) {
        return None;
    }
    let value: Value = serde_json::from_slice(data).ok()?;
    let name = value.get("type")?.as_str()?.to_owned();
    (is_one(name.as_bytes()) && value.get("response")?.is_object()).then_some((name, value))
}

/// An event as it is sent.
pub(super) fn written(name: &str, event: &Value) -> Vec<u8> {
    format!("event: {name}\ndata: {event}\n\n").into_bytes()
}
