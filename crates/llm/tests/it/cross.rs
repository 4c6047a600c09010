//! Every dialect against every dialect: what is said survives, except for what the table of losses
//! names. The lists of cases and of dialects drive everything; the snapshots in `fixtures/cross`
//! are the table to be read.

mod cases;
mod forget;
mod page;
mod silence;

use crate::{
    golden,
    support::{DIALECTS, cut, decode_of, told},
};
use cases::{calls, replies};
use forget::{alike, alike_reply, forget, forget_in_reply};
use seaworthy_core::{
    call::{Call, Delta, Reply},
    dialect::Dialect,
};
use seaworthy_llm::{
    Framing, InPath, Loss, StreamDecoder, StreamEncoder, StreamSettings, decode_reply, encode_call,
    encode_reply,
};
use std::{fmt::Write as _, path::Path};

/// The call after a provider of the dialect has read it, and what was lost; `Err` if it is refused.
fn through(dialect: Dialect, call: &Call) -> Result<(Call, Vec<Loss>), Vec<Loss>> {
    let encoded = encode_call(dialect, call).map_err(|lost| lost.refused)?;
    let in_path = InPath {
        model: &call.model,
        stream: call.stream,
    };
    let read = decode_of(dialect, in_path, &encoded.body).unwrap();
    Ok((read, encoded.dropped))
}

#[test]
fn a_call_means_the_same_to_every_pair_of_dialects() {
    for (name, call) in calls() {
        let mut table = String::new();
        for caller in DIALECTS {
            for provider in DIALECTS {
                let cell = call_cell(&call, caller, provider);
                let pair = format!("{} to {}", caller.as_str(), provider.as_str());
                writeln!(table, "{pair}: {cell}").unwrap();
            }
        }
        matches_table("calls", name, &table);
    }
}

/// What a caller of one dialect can say reaches a provider of another one whole.
fn call_cell(call: &Call, caller: Dialect, provider: Dialect) -> String {
    let Ok((said, _)) = through(caller, call) else {
        return "cannot be said".to_owned();
    };
    match through(provider, &said) {
        Err(refused) => format!("refused {}", names(&refused)),
        Ok((read, lost)) => {
            let mut expected = said.clone();
            forget(&mut expected, &lost, provider);
            let pair = format!("{} to {}", caller.as_str(), provider.as_str());
            assert_eq!(alike(expected), alike(read), "{pair}");
            if lost.is_empty() {
                "whole".to_owned()
            } else {
                format!("without {}", names(&lost))
            }
        }
    }
}

#[test]
fn a_reply_means_the_same_to_every_pair_of_dialects_whole_and_streamed() {
    for (name, reply) in replies() {
        let mut table = String::new();
        for provider in DIALECTS {
            for caller in DIALECTS {
                let whole = reply_cell(&reply, provider, caller, whole_through);
                let streamed = reply_cell(&reply, provider, caller, stream_through);
                let pair = format!("{} to {}", provider.as_str(), caller.as_str());
                writeln!(table, "{pair}: {whole}; streamed {streamed}").unwrap();
            }
        }
        matches_table("replies", name, &table);
    }
}

/// What a provider of one dialect can say reaches a caller of another one whole, usage included.
fn reply_cell(
    reply: &Reply,
    provider: Dialect,
    caller: Dialect,
    through: fn(Dialect, &Reply) -> (Reply, Vec<Loss>),
) -> String {
    let (said, _) = through(provider, reply);
    let (read, lost) = through(caller, &said);
    let mut expected = said.clone();
    forget_in_reply(&mut expected, &lost, caller);
    let usage = said.usage.unwrap();
    assert_eq!(usage.total(), reply.usage.unwrap().total());
    expected.usage = Some(told(caller, usage));
    let pair = format!("{} to {}", provider.as_str(), caller.as_str());
    assert_eq!(alike_reply(expected), alike_reply(read), "{pair}");
    if lost.is_empty() {
        "whole".to_owned()
    } else {
        format!("without {}", names(&lost))
    }
}

fn whole_through(dialect: Dialect, reply: &Reply) -> (Reply, Vec<Loss>) {
    let encoded = encode_reply(dialect, reply, 0);
    let mut read = decode_reply(dialect, &encoded.body).unwrap();
    name(&mut read.id, &reply.id);
    name(&mut read.model, &reply.model);
    (read, encoded.dropped)
}

fn name(field: &mut String, usual: &str) {
    if field.is_empty() {
        usual.clone_into(field);
    }
}

fn stream_through(dialect: Dialect, reply: &Reply) -> (Reply, Vec<Loss>) {
    let settings = StreamSettings {
        include_usage: true,
        created_unix_s: 0,
    };
    let mut encoder = StreamEncoder::new(dialect, settings);
    let mut stream = Vec::new();
    for delta in deltas(reply) {
        encoder.push(&delta, &mut stream);
    }
    encoder.finish(&mut stream);
    let mut decoder = StreamDecoder::new(dialect).or_named(&reply.id, &reply.model);
    let mut read = Vec::new();
    for event in cut(Framing::of(dialect), [&*stream], 1 << 20).unwrap() {
        decoder.push(&event, &mut read).unwrap();
    }
    (Reply::gathered(read).unwrap(), encoder.dropped().to_vec())
}

/// A reply piece by piece, its texts cut in two.
fn deltas(reply: &Reply) -> Vec<Delta> {
    let mut out = Vec::new();
    for piece in reply.pieces().unwrap() {
        match piece {
            Delta::Text(text) => out.extend(halves(&text).map(Delta::Text)),
            Delta::Thinking(text) => out.extend(halves(&text).map(Delta::Thinking)),
            Delta::Arguments(text) => out.extend(halves(&text).map(Delta::Arguments)),
            other => out.push(other),
        }
    }
    out
}

fn halves(text: &str) -> impl Iterator<Item = String> + use<> {
    let (head, tail) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let halves = [head.to_owned(), tail.to_owned()];
    halves.into_iter().filter(|half| !half.is_empty())
}

fn names(losses: &[Loss]) -> String {
    let mut names: Vec<String> = losses
        .iter()
        .map(|loss| format!("{:?}", loss.feature))
        .collect();
    names.sort();
    names.dedup();
    names.join(", ")
}

fn matches_table(kind: &str, name: &str, table: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/cross")
        .join(kind)
        .join(name);
    golden::matches_snapshot(&file, table);
}
