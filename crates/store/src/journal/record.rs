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
use serde::{Deserialize, Serialize};

/// One record, as read back.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    Intent(Intent),
    Ending(String, Ending),
    Void(String),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Line<'a> {
    Intent {
        call_id: Cow<'a, str>,
        request_id: Cow<'a, str>,
        opened_at: UnixMillis,
        key_id: Cow<'a, str>,
        user_id: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<Cow<'a, str>>,
        #[serde(default = "first", skip_serializing_if = "is_first")]
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
        #[serde(default, skip_serializing_if = "is_default")]
        extras: Extras,
        cost: Micros,
        #[serde(default, skip_serializing_if = "is_default")]
        flags: Flags,
    },
    Void {
        call_id: Cow<'a, str>,
    },
}

pub(crate) fn intent(intent: &Intent) -> Vec<u8> {
    render(&Line::Intent {
        call_id: Cow::Borrowed(&intent.call_id),
        request_id: Cow::Borrowed(&intent.request_id),
        opened_at: intent.opened_at,
        key_id: Cow::Borrowed(&intent.key_id),
        user_id: Cow::Borrowed(&intent.user_id),
        team: intent.attribution.team.as_deref().map(Cow::Borrowed),
        agent: intent.attribution.agent.as_deref().map(Cow::Borrowed),
        session: intent.attribution.session.as_deref().map(Cow::Borrowed),
        attempt: intent.attempt,
        operation: Cow::Borrowed(&intent.operation),
        model: Cow::Borrowed(&intent.model),
        target: Cow::Borrowed(&intent.target),
        stream: intent.stream,
        worst_case: intent.worst_case,
        worst_case_cost: intent.worst_case_cost,
    })
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
    let call_id = Cow::Borrowed(call_id);
    render(&Line::Ending {
        call_id,
        settled_at,
        duration_ms,
        outcome,
        status,
        usage,
        extras,
        cost,
        flags,
    })
}

pub(super) fn void(call_id: &str) -> Vec<u8> {
    render(&Line::Void {
        call_id: Cow::Borrowed(call_id),
    })
}

fn render(line: &Line<'_>) -> Vec<u8> {
    const CHECKSUM: &[u8] = b"00000000 ";
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(CHECKSUM);
    // Strings, integers and booleans always serialise into memory.
    let _infallible = serde_json::to_writer(&mut out, line);
    let checksum = format!("{:08x}", crc32fast::hash(&out[CHECKSUM.len()..]));
    out[..8].copy_from_slice(checksum.as_bytes());
    out.push(b'\n');
    out
}

/// Reads one line without its newline; `None` if it is damaged.
pub(crate) fn parse(line: &[u8]) -> Option<Record> {
    let (checksum, json) = line.split_at_checked(9)?;
    let expected = format!("{:08x} ", crc32fast::hash(json));
    if checksum != expected.as_bytes() {
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_first(attempt: &u32) -> bool {
    *attempt == first()
}
