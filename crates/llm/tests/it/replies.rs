//! Complete replies: usage, and the way back to the caller's dialect.

use crate::{
    golden,
    support::{DIALECTS, account, assert_is_json, text, told},
};
use seaworthy_core::call::Block;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{decode_reply, encode_reply, usage};
use std::{fmt::Write as _, fs};

const CREATED_UNIX_S: i64 = 1_795_250_001;

#[test]
fn recorded_replies_read_and_translate_as_before() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "reply") {
            let body = fs::read(&path).unwrap();
            let mut found = format!("usage {:#?}\n", usage::from_reply(dialect, &body));
            match decode_reply(dialect, &body) {
                Err(fault) => writeln!(found, "fault: {fault}").unwrap(),
                Ok(reply) => {
                    assert_eq!(reply.usage, usage::from_reply(dialect, &body));
                    for target in DIALECTS {
                        let encoded = encode_reply(target, &reply, CREATED_UNIX_S);
                        assert_is_json(&encoded.body);
                        writeln!(found, "\n=== {}", target.as_str()).unwrap();
                        found += &account(&encoded.body, &encoded.dropped);
                        let again = decode_reply(target, &encoded.body).unwrap();
                        let twice = encode_reply(target, &again, CREATED_UNIX_S);
                        assert_eq!(text(&encoded.body), text(&twice.body), "{}", path.display());
                    }
                }
            }
            golden::matches_snapshot(&path, &found);
        }
    }
}

#[test]
fn usage_survives_every_translation() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "reply") {
            let Ok(reply) = decode_reply(dialect, &fs::read(&path).unwrap()) else {
                continue;
            };
            let Some(before) = reply.usage else { continue };
            for target in DIALECTS {
                let body = encode_reply(target, &reply, CREATED_UNIX_S).body;
                let after = usage::from_reply(target, &body).unwrap();
                assert_eq!(after, told(target, before), "{}", path.display());
                assert_eq!(after.total(), before.total());
            }
        }
    }
}

#[test]
fn explicit_zero_is_not_missing() {
    let zero = br#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    assert_eq!(
        usage::from_reply(Dialect::OpenAiChat, zero),
        Some(seaworthy_core::usage::Usage::default())
    );
    for missing in [
        &br#"{"usage":null}"#[..],
        br#"{"usage":{}}"#,
        br#"{"usage":{"prompt_tokens":3}}"#,
        br#"{"nested":{"usage":{"prompt_tokens":0,"completion_tokens":0}}}"#,
        b"{}",
        b"not json",
    ] {
        assert_eq!(usage::from_reply(Dialect::OpenAiChat, missing), None);
    }
}

#[test]
fn calls_of_answers_without_an_id_have_ids_of_their_own() {
    let ids = |tokens: u32| {
        let call = r#"{"functionCall": {"name": "f", "args": {}}}"#;
        let body = format!(
            r#"{{"candidates": [{{"content": {{"parts": [{call}, {call}]}}, "finishReason": "STOP"}}],
                "usageMetadata": {{"promptTokenCount": {tokens}}}}}"#
        );
        let reply = decode_reply(Dialect::Gemini, body.as_bytes()).unwrap();
        let ids = reply.blocks.iter().filter_map(|block| match block {
            Block::ToolUse { id, .. } => Some(id.clone()),
            _ => None,
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(1), "as often as it is read");
    let mut all: Vec<String> = ids(1).into_iter().chain(ids(2)).collect();
    assert_eq!(all.len(), 4);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4, "{all:?}");
}
