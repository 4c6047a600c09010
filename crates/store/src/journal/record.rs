//! How a record looks: eight hex digits of CRC-32, a space, one JSON object, a newline.
//!
//! A record that a crash cut off or a disk garbled does not match its checksum and is left out.

use std::borrow::Cow;
use std::sync::Arc;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::ledger::{Attribution, Ending, Flags, Intent, Outcome};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::usage::Usage;
use serde::Deserialize;

/// One record, as read back.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Intent(Intent),
    Ending(String, Ending),
    Void(String),
}

#[derive(Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Line<'a> {
    Intent {
        call_id: Cow<'a, str>,
        request_id: Cow<'a, str>,
        opened_at: UnixMillis,
        key_id: Cow<'a, str>,
        user_id: Cow<'a, str>,
        #[serde(default)]
        team: Option<Cow<'a, str>>,
        #[serde(default)]
        agent: Option<Cow<'a, str>>,
        #[serde(default)]
        session: Option<Cow<'a, str>>,
        #[serde(default = "first")]
        attempt: u32,
        operation: Cow<'a, str>,
        model: Cow<'a, str>,
        target: Cow<'a, str>,
        stream: bool,
        worst_case: Usage,
        worst_case_cost: Micros,
    },
    Ending {
        call_id: Cow<'a, str>,
        settled_at: UnixMillis,
        duration_ms: u64,
        outcome: Outcome,
        status: u16,
        usage: Usage,
        #[serde(default)]
        extras: Extras,
        cost: Micros,
        #[serde(default)]
        flags: Flags,
    },
    Void {
        call_id: Cow<'a, str>,
    },
}

/// The name of a member with all that stands around it.
macro_rules! member {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// As [`member!`], of the first in its object.
macro_rules! leading {
    ($name:literal) => {
        concat!("\"", $name, "\":")
    };
}

pub(crate) fn intent(intent: &Intent) -> Vec<u8> {
    let Intent {
        call_id,
        request_id,
        opened_at,
        key_id,
        user_id,
        attribution:
            Attribution {
                team,
                agent,
                session,
            },
        attempt,
        operation,
        model,
        target,
        stream,
        worst_case,
        worst_case_cost,
    } = intent;
    let mut json = Json::begin("intent", call_id);
    json.text(member!("request_id"), request_id);
    json.signed(member!("opened_at"), opened_at.0);
    json.text(member!("key_id"), key_id);
    json.text(member!("user_id"), user_id);
    for (name, value) in [
        (member!("team"), team),
        (member!("agent"), agent),
        (member!("session"), session),
    ] {
        if let Some(value) = value {
            json.text(name, value);
        }
    }
    if *attempt != first() {
        json.number(member!("attempt"), u64::from(*attempt));
    }
    json.text(member!("operation"), operation);
    json.text(member!("model"), model);
    json.text(member!("target"), target);
    json.flag(member!("stream"), *stream);
    json.usage(member!("worst_case"), worst_case);
    json.number(member!("worst_case_cost"), worst_case_cost.0);
    json.end()
}

pub(super) fn ending(call_id: &str, ending: &Ending) -> Vec<u8> {
    let Ending {
        settled_at,
        duration_ms,
        outcome,
        status,
        usage,
        extras,
        cost,
        flags,
    } = *ending;
    let mut json = Json::begin("ending", call_id);
    json.signed(member!("settled_at"), settled_at.0);
    json.number(member!("duration_ms"), duration_ms);
    json.text(member!("outcome"), outcome.as_str());
    json.number(member!("status"), u64::from(status));
    json.usage(member!("usage"), &usage);
    if extras != Extras::default() {
        let Extras { images, tool_calls } = extras;
        json.object(member!("extras"), |json| {
            json.number(leading!("images"), images);
            json.number(member!("tool_calls"), tool_calls);
        });
    }
    json.number(member!("cost"), cost.0);
    if flags != Flags::default() {
        let Flags {
            unpriced,
            over_reserved,
        } = flags;
        json.object(member!("flags"), |json| {
            json.flag(leading!("unpriced"), unpriced);
            json.flag(member!("over_reserved"), over_reserved);
        });
    }
    json.end()
}

pub(super) fn void(call_id: &str) -> Vec<u8> {
    Json::begin("void", call_id).end()
}

/// What stands before the object until that is complete.
const NO_CHECKSUM: &[u8] = b"00000000 ";

/// A record under construction. Every call writes two, so that names are copied as they stand here
/// and nothing is formatted twice; [`Line`] reads the same.
struct Json(Vec<u8>);

impl Json {
    fn begin(record: &str, call_id: &str) -> Self {
        let mut json = Self(Vec::with_capacity(768));
        json.0.extend_from_slice(NO_CHECKSUM);
        json.0.push(b'{');
        json.text(leading!("record"), record);
        json.text(member!("call_id"), call_id);
        json
    }

    fn text(&mut self, name: &str, value: &str) {
        self.0.extend_from_slice(name.as_bytes());
        let is_special = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
        // Without a branch for each byte, so that many are looked at in one step.
        let has_special = |found, byte| found | is_special(byte);
        if !value.bytes().fold(false, has_special) {
            self.0.push(b'"');
            self.0.extend_from_slice(value.as_bytes());
            self.0.push(b'"');
        } else {
            // Serialising a string into memory cannot fail.
            let _infallible = serde_json::to_writer(&mut self.0, value);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        self.0.extend_from_slice(name.as_bytes());
        let mut digits = itoa::Buffer::new();
        self.0.extend_from_slice(digits.format(value).as_bytes());
    }

    fn signed(&mut self, name: &str, value: i64) {
        self.0.extend_from_slice(name.as_bytes());
        let mut digits = itoa::Buffer::new();
        self.0.extend_from_slice(digits.format(value).as_bytes());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.0.extend_from_slice(name.as_bytes());
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.0.extend_from_slice(text);
    }

    fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'{');
        members(self);
        self.0.push(b'}');
    }

    fn usage(&mut self, name: &str, usage: &Usage) {
        let Usage {
            input_tokens,
            cached_read_tokens,
            cache_write_5m_tokens,
            cache_write_1h_tokens,
            output_tokens,
            reasoning_tokens,
            audio_input_tokens,
            audio_output_tokens,
            estimated,
        } = *usage;
        self.object(name, |json| {
            json.number(leading!("input_tokens"), input_tokens);
            json.number(member!("cached_read_tokens"), cached_read_tokens);
            json.number(member!("cache_write_5m_tokens"), cache_write_5m_tokens);
            json.number(member!("cache_write_1h_tokens"), cache_write_1h_tokens);
            json.number(member!("output_tokens"), output_tokens);
            json.number(member!("reasoning_tokens"), reasoning_tokens);
            json.number(member!("audio_input_tokens"), audio_input_tokens);
            json.number(member!("audio_output_tokens"), audio_output_tokens);
            json.flag(member!("estimated"), estimated);
        });
    }

    fn end(self) -> Vec<u8> {
        let Self(mut out) = self;
        out.push(b'}');
        let checksum = hex(crc32fast::hash(&out[NO_CHECKSUM.len()..]));
        out[..checksum.len()].copy_from_slice(&checksum);
        out.push(b'\n');
        out
    }
}

/// Eight lower-case hex digits.
fn hex(number: u32) -> [u8; 8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 8];
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = DIGITS[(number >> (28 - 4 * at)) as usize & 15];
    }
    digits
}

/// Reads one line without its newline; `None` if it is damaged.
pub(crate) fn parse(line: &[u8]) -> Option<Record> {
    let (checksum, json) = line.split_at_checked(9)?;
    let expected = hex(crc32fast::hash(json));
    if checksum.strip_suffix(b" ") != Some(&expected) {
        return None;
    }
    let record = match serde_json::from_slice(json).ok()? {
        Line::Intent {
            call_id,
            request_id,
            opened_at,
            key_id,
            user_id,
            team,
            agent,
            session,
            attempt,
            operation,
            model,
            target,
            stream,
            worst_case,
            worst_case_cost,
        } => Record::Intent(Intent {
            call_id: call_id.into_owned(),
            request_id: request_id.into_owned(),
            opened_at,
            key_id: shared(&key_id),
            user_id: shared(&user_id),
            attribution: Attribution {
                team: team.as_deref().map(shared),
                agent: agent.as_deref().map(shared),
                session: session.as_deref().map(shared),
            },
            attempt,
            operation: Cow::Owned(operation.into_owned()),
            model: shared(&model),
            target: shared(&target),
            stream,
            worst_case,
            worst_case_cost,
        }),
        Line::Ending {
            call_id,
            settled_at,
            duration_ms,
            outcome,
            status,
            usage,
            extras,
            cost,
            flags,
        } => {
            let ending = Ending {
                settled_at,
                duration_ms,
                outcome,
                status,
                usage,
                extras,
                cost,
                flags,
            };
            Record::Ending(call_id.into_owned(), ending)
        }
        Line::Void { call_id } => Record::Void(call_id.into_owned()),
    };
    Some(record)
}

fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn first() -> u32 {
    1
}
