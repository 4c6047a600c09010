//! Streamed replies: the same whatever frames they arrive in, and the way back to the caller.

use crate::{
    golden,
    support::{DIALECTS, assert_data_is_json, cut, framing_of, readable},
};
use seaworthy_core::{call::Delta, dialect::Dialect};
use seaworthy_llm::{
    Event, Framing, StreamDecoder, StreamEncoder, StreamSettings, usage::UsageMeter,
};
use std::{fmt::Write as _, fs, path::Path};

const MAX_EVENT_BYTES: usize = 1 << 20;
const INPUT_BYTES: usize = 400;

/// Everything that can be said about a stream: events, deltas, usage, translations.
fn account(dialect: Dialect, events: &[Event], targets: &[Dialect]) -> String {
    let mut found = String::new();
    let mut meter = UsageMeter::new(dialect);
    let mut decoder = StreamDecoder::new(dialect);
    let mut deltas = Vec::new();
    for event in events {
        writeln!(found, "{:?}", meter.observe(event)).unwrap();
        let before = deltas.len();
        if let Err(fault) = decoder.push(event, &mut deltas) {
            writeln!(found, "  fault: {fault}").unwrap();
            break;
        }
        for delta in &deltas[before..] {
            writeln!(found, "  {delta:?}").unwrap();
        }
    }
    writeln!(
        found,
        "complete {} reported {}\n{:?}",
        meter.is_complete(),
        meter.reported().is_some(),
        meter.usage_or_estimate(INPUT_BYTES)
    )
    .unwrap();
    let unasked = targets.first().map(|target| (*target, false));
    let asked = targets.iter().map(|target| (*target, true));
    for (target, include_usage) in asked.chain(unasked) {
        writeln!(
            found,
            "\n=== {} include_usage {include_usage}",
            target.as_str()
        )
        .unwrap();
        let (written, dropped) = encode(target, include_usage, &deltas);
        found += &readable(Framing::of(target), &written);
        found += &dropped;
    }
    found
}

/// What a recorded stream is translated into: the plain ones into everything, the others into what
/// most callers speak and into their own dialect.
fn targets(dialect: Dialect, fixture: &Path) -> Vec<Dialect> {
    let is_plain = matches!(
        fixture.file_stem().and_then(|name| name.to_str()),
        Some("text" | "tools" | "no_arguments")
    );
    let spoken_by_most = [Dialect::OpenAiChat, Dialect::AnthropicMessages, dialect];
    let is_shown = |target: &Dialect| is_plain || spoken_by_most.contains(target);
    DIALECTS.into_iter().filter(is_shown).collect()
}

fn encode(target: Dialect, include_usage: bool, deltas: &[Delta]) -> (Vec<u8>, String) {
    let settings = StreamSettings {
        include_usage,
        created_unix_s: 1_795_250_001,
    };
    let mut encoder = StreamEncoder::new(target, settings);
    let mut out = Vec::new();
    for delta in deltas {
        encoder.push(delta, &mut out);
    }
    encoder.finish(&mut out);
    assert_data_is_json(Framing::of(target), &out);
    let dropped = encoder.dropped().iter();
    let dropped: String = dropped.map(|loss| format!("dropped {loss}\n")).collect();
    (out, dropped)
}

#[test]
fn recorded_streams_read_and_translate_as_before() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "stream") {
            let stream = fs::read(&path).unwrap();
            let events = cut(framing_of(&path), [&*stream], MAX_EVENT_BYTES).unwrap();
            let found = account(dialect, &events, &targets(dialect, &path));
            golden::matches_snapshot(&path, &found);
        }
    }
}

#[test]
fn a_stream_reads_the_same_when_split_at_any_byte() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "stream") {
            let stream = fs::read(&path).unwrap();
            let framing = framing_of(&path);
            let whole = cut(framing, [&*stream], MAX_EVENT_BYTES).unwrap();
            for at in 0..=stream.len() {
                let (head, tail) = stream.split_at(at);
                let split = cut(framing, [head, tail], MAX_EVENT_BYTES).unwrap();
                assert_eq!(whole, split, "{} split at {at}", path.display());
            }
            let bytewise = cut(framing, stream.chunks(1), MAX_EVENT_BYTES).unwrap();
            assert_eq!(whole, bytewise, "{} byte by byte", path.display());
            assert_eq!(
                account(dialect, &whole, &[]),
                account(dialect, &bytewise, &[])
            );
            let raw: Vec<u8> = whole
                .iter()
                .flat_map(|event| event.raw().to_vec())
                .collect();
            assert_eq!(raw, stream, "{} forwarded", path.display());
        }
    }
}

#[test]
fn a_translation_into_the_same_dialect_says_the_same() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "stream") {
            let read = |framing: Framing, stream: &[u8]| {
                let mut decoder = StreamDecoder::new(dialect);
                let mut deltas = Vec::new();
                for event in cut(framing, [stream], MAX_EVENT_BYTES).unwrap() {
                    if decoder.push(&event, &mut deltas).is_err() {
                        break;
                    }
                }
                deltas
            };
            let before = read(framing_of(&path), &fs::read(&path).unwrap());
            if !before
                .iter()
                .any(|delta| matches!(delta, Delta::Finish { .. }))
            {
                continue;
            }
            let (written, _) = encode(dialect, true, &before);
            let after = read(Framing::of(dialect), &written);
            assert_eq!(joined(&before), joined(&after), "{}", path.display());
        }
    }
}

/// The answer without how it was cut, and without what is told or left out on the way.
fn joined(deltas: &[Delta]) -> String {
    let mut out = String::new();
    for delta in deltas {
        match delta {
            Delta::Text(piece) | Delta::Thinking(piece) => out += piece,
            Delta::Arguments(piece) => {
                // Layout is not kept, and no arguments are written as an empty object.
                out += &piece.trim_start_matches("{}").replace(['\r', '\n'], " ");
            }
            Delta::Usage(_) | Delta::Ping | Delta::Dropped(_) => {}
            other => write!(out, "\n{other:?}\n").unwrap(),
        }
    }
    out
}
